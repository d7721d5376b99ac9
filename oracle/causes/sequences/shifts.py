"""What is done to the scores of an attention before the softmax: a mask, by any fill, or a bias on the positions."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

# A score that lies this far below the others takes no part: exp(-30) is below a rounding of float32.
HIDDEN = 30.0


@dataclass(frozen=True)
class Shift:
    """`logits` makes what enters the softmax of the scores; `hidden` is true where a score takes no part (or None).

    `plain`: scores are hidden or left as they are, nothing else. `code` is that of a cause with another shift.
    """

    words: str
    logits: Callable[[np.ndarray], np.ndarray]
    hidden: np.ndarray | None = None
    plain: bool = False
    code: str = "attention-mask"

    def hides_as(self, other: "Shift") -> bool:
        """Whether both hide the same scores."""
        if self.hidden is None or other.hidden is None:
            return self.hidden is other.hidden
        shape = np.broadcast_shapes(self.hidden.shape, other.hidden.shape)
        return np.array_equal(np.broadcast_to(self.hidden, shape), np.broadcast_to(other.hidden, shape))

    def reshaped(self, shape: tuple[int, ...], own: tuple[int, ...]) -> "Shift":
        """The shift, of scores of the shape `own`, on scores of another shape."""
        if shape == own:
            return self
        hidden = None if self.hidden is None else np.broadcast_to(self.hidden, own).reshape(shape)
        return replace(self, logits=lambda x: self.logits(x.reshape(own)).reshape(shape), hidden=hidden)


NO_MASK = Shift("no mask", lambda scores: scores, plain=True)


def hiding(hidden: np.ndarray, words: str = "") -> Shift:
    """A mask that hides scores wholly."""
    return Shift(words or described(hidden), functools.partial(_filled, hidden, -np.inf), hidden, plain=True)


def _filled(where: np.ndarray, fill: float, scores: np.ndarray) -> np.ndarray:
    return np.where(where, fill, scores)


def _raised(where: np.ndarray, added: float, scores: np.ndarray) -> np.ndarray:
    return np.where(where, scores + added, scores)


def read_shift(scores: np.ndarray, final: np.ndarray, biased: bool) -> Shift | None:
    """What was done to `scores` to make `final`; None where it is neither a fill, one number added, nor a bias.

    `biased`: whether the difference is known to be an array added.
    """
    with np.errstate(invalid="ignore"):
        hidden = final < scores - HIDDEN
        changed = ~np.isclose(final, scores, rtol=1e-9, atol=1e-12)
        offset = np.where(changed, final - scores, 0.0)
    if not changed.any():
        return NO_MASK
    if changed.all() and not biased:
        return None
    mask = hidden if hidden.any() else None
    plain = np.array_equal(changed, hidden)
    if not changed.all():
        for numbers, verb, make in ((final, "set to", _filled), (offset, "raised by", _raised)):
            if _is_one(numbers[changed]):
                number = float(numbers[changed][0])
                words = described(hidden) if plain else f"masked scores {verb} {number:g}"
                return Shift(words, functools.partial(make, changed, number), mask, plain)
    if plain:
        return hiding(hidden)
    return _bias(offset, mask) if biased else None


def _bias(offset: np.ndarray, hidden: np.ndarray | None) -> Shift:
    positions = _of_positions(offset if hidden is None else np.where(hidden, np.nan, offset))
    words = "a bias on the scores that grows with the distance" if positions else "a bias on the scores"
    words = words if hidden is None else f"{words}, {described(hidden)}"
    code = "positional-encoding" if positions else "attention-mask"
    return Shift(words, lambda scores: scores + offset, hidden, code=code)


def _of_positions(offset: np.ndarray) -> bool:
    """Whether a bias (..., queries, keys) depends on the distance of the two alone, or on the key's position."""

    def constant(x: np.ndarray, y: np.ndarray) -> bool:
        seen = ~(np.isnan(x) | np.isnan(y))
        return bool(seen.any()) and np.allclose(x[seen], y[seen], rtol=1e-6, atol=1e-9)

    diagonal = constant(offset[..., 1:, 1:], offset[..., :-1, :-1])
    return diagonal or constant(offset[..., 1:, :], offset[..., :-1, :])


def _is_one(x: np.ndarray) -> bool:
    """Whether all elements are one number."""
    return bool(np.all(x == x[0]) or np.allclose(x, x[0], rtol=1e-9, atol=1e-9))


def causal(rows: int, columns: int) -> list[tuple[np.ndarray, str]]:
    """The masks of positions in use, true where hidden, with their words."""
    shifts = {0: "later positions hidden", -1: "later positions and the own one hidden", 1: "all but the next hidden"}
    if columns != rows:
        shifts[columns - rows] = "later positions hidden, counted from the end"
    found = [(~np.tri(rows, columns, k, dtype=bool), w) for k, w in shifts.items()]
    return [*found, (np.tri(rows, columns, -1, dtype=bool), "earlier positions hidden")]


def described(hidden: np.ndarray) -> str:
    """A mask, true where a score is hidden, in words."""
    for pattern, words in causal(*hidden.shape[-2:]):
        if np.array_equal(hidden, np.broadcast_to(pattern, hidden.shape)):
            return words
    return f"{hidden.mean():.0%} of the scores hidden"
