"""The simple function that maps one array to another: a factor, a shift, both, or one for each index of an axis."""

import functools
from collections.abc import Callable

import numpy as np

from oracle.alignments.alignment import CLOSE

# Relations need this many numbers to be more than a coincidence.
_ENOUGH = 4

Relation = tuple[str, str, Callable[[np.ndarray], np.ndarray], float | None]


def relate(x: np.ndarray, y: np.ndarray) -> Relation | None:
    """The simple function that maps `y` to `x`: (code, words, function, factor), or None."""
    if x.size < _ENOUGH or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    centred = y - y.mean()
    factor = float(np.vdot(centred, x) / np.vdot(centred, centred))
    shift = float(x.mean() - factor * y.mean())
    if factor and _equal(factor * y + shift, x):
        return _affine(factor, shift, float(np.max(np.abs(x))))
    return _along_axis(x, y)


def _affine(factor: float, shift: float, size: float) -> Relation | None:
    scaled, shifted = abs(factor - 1) > CLOSE, abs(shift) > CLOSE * size
    if scaled and not shifted:
        code = "sign" if abs(factor + 1) < CLOSE else "constant-factor"
        return code, f"{{A}} is {factor:.10g} times {{B}} here", functools.partial(np.multiply, factor), factor
    if shifted and not scaled:
        return "constant-shift", f"{{A}} is {{B}} plus {shift:.10g} here", functools.partial(np.add, shift), None
    if scaled and shifted:
        words = f"{{A}} is {factor:.10g} times {{B}} plus {shift:.10g} here"
        return "scale-and-shift", words, lambda y: factor * y + shift, None
    return None


def _along_axis(x: np.ndarray, y: np.ndarray) -> Relation | None:
    """One shift, or one factor, for each index of an axis; the axis must be short against the array."""
    for axis in range(x.ndim):
        rest = tuple(k for k in range(x.ndim) if k != axis)
        if not rest or x.shape[axis] * _ENOUGH > x.size or x.shape[axis] == 1:
            continue
        shift = (x - y).mean(rest, keepdims=True)
        if _equal(y + shift, x):
            return "shift-along-axis", f"{{A}} is {{B}} plus one number per index of axis {axis}", shift.__add__, None
        with np.errstate(all="ignore"):
            factor = (x * y).sum(rest, keepdims=True) / (y * y).sum(rest, keepdims=True)
            if np.isfinite(factor).all() and _equal(factor * y, x):
                words = f"{{A}} is {{B}} times one number per index of axis {axis}"
                return "scale-along-axis", words, factor.__mul__, None
    return None


def _equal(x: np.ndarray, y: np.ndarray) -> bool:
    return bool(np.max(np.abs(x - y)) <= CLOSE * np.max(np.abs(y), initial=0.0))
