"""What a rearrangement of an array is called: a flip, exchanged axes, a reshape for a transpose, interleaved halves."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Larger arrays than this are described as "another order" without a search for its name.
_LARGE = 2_000_000
_ROTATIONS = (1, -1, 2, -2, 3, -3)


@dataclass(frozen=True)
class Order:
    """A rearrangement: its kind, in words, how it is written (verb and argument) and its inverse, axis and grid.

    Kinds: "flip", "half-flip", "axes", "reshape", "interleave", "shift", "other". `grid`: an axis is present as so
    many groups of so many.
    """

    kind: str
    words: str
    call: tuple[str, object] = ("", "")
    inverse: tuple[str, object] | None = None
    axis: int | None = None
    grid: tuple[int, ...] = ()


def describe_order(present: np.ndarray, wanted: np.ndarray) -> Order:
    """How `present` must be rearranged to become `wanted` (an array of the same shape)."""
    if present.size <= _LARGE:
        for order, array in _known(present):
            if array.shape == wanted.shape and np.allclose(array, wanted, rtol=1e-6, atol=0):
                return order
    return Order("other", f"the same numbers of shape {present.shape} in another order")


def _known(x: np.ndarray) -> Iterator[tuple[Order, np.ndarray]]:
    for axis in range(x.ndim):
        if x.shape[axis] > 1:
            yield Order("flip", f"axis {axis} runs backward", ("flip", axis), axis=axis), np.flip(x, axis)
    yield from _exchanged(x)
    yield from _halves(x)
    yield from _interleaved(x)
    for axis, k in itertools.product(range(x.ndim), _ROTATIONS):
        if x.shape[axis] > abs(k) + 1:
            yield Order("shift", f"axis {axis} is rotated by {k}", axis=axis), np.roll(x, k, axis)
    for axes in itertools.combinations(range(x.ndim), 2):
        yield Order("flip", f"axes {list(axes)} run backward", ("flip", axes), axis=axes[0]), np.flip(x, axes)


def _exchanged(x: np.ndarray) -> Iterator[tuple[Order, np.ndarray]]:
    """Axes in another order: by a transpose of equal lengths, and by a reshape that should have been a transpose."""
    for axes in itertools.permutations(range(x.ndim)):
        if axes == tuple(range(x.ndim)):
            continue
        back = tuple(int(k) for k in np.argsort(axes))
        call, inverse = ("permute", axes), ("permute", back)
        if x.transpose(axes).shape == x.shape:
            yield Order("axes", f"its axes belong in the order {list(axes)}", call, inverse), x.transpose(axes)
        before = tuple(x.shape[k] for k in axes)
        words = f"an array of shape {before} was reshaped to {x.shape}; its axes were to be exchanged"
        yield Order("reshape", words, ("permute", back), call), x.reshape(before).transpose(back)
        yield Order("reshape", words, ("permute", axes), inverse), x.transpose(axes).reshape(x.shape)


def _halves(x: np.ndarray) -> Iterator[tuple[Order, np.ndarray]]:
    """One half of the features, as of a bidirectional layer, with another axis backward."""
    for feature, axis in itertools.permutations(range(x.ndim), 2):
        if x.shape[feature] % 2 or x.shape[axis] < 2:
            continue
        first, second = np.split(x, 2, feature)
        for which, parts in (("second", (first, np.flip(second, axis))), ("first", (np.flip(first, axis), second))):
            words = f"the {which} half of the features (axis {feature}) runs backward along axis {axis}"
            yield Order("half-flip", words, ("flip", axis), axis=axis), np.concatenate(parts, feature)


def _interleaved(x: np.ndarray) -> Iterator[tuple[Order, np.ndarray]]:
    """One axis seen as a grid and read column by column: interleaved halves, (heads, size) for (size, heads)."""
    for axis, size in enumerate(x.shape):
        for parts in (n for n in range(2, size) if size % n == 0):
            grid = x.reshape(*x.shape[:axis], parts, size // parts, *x.shape[axis + 1 :])
            words = (
                f"axis {axis} holds {parts} groups of {size // parts}; the other reads it as {size // parts} of {parts}"
            )
            yield (
                Order("interleave", words, axis=axis, grid=(parts, size // parts)),
                grid.swapaxes(axis, axis + 1).reshape(x.shape),
            )
