"""Which steps of a sequence may be padding: zero rows, padding tokens, lengths, and masks given or computed."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Context
from oracle.networks.network import Values

_LEAVES = ("input", "constant", "buffer", "state")


@dataclass(frozen=True)
class Mask:
    """A mask that is true where a step counts: as a function of the side's values, and in words."""

    of: Callable[[Values], np.ndarray]
    words: str


def masks(context: Context, x: int, time: int) -> Iterator[Mask]:
    """Masks that some steps of B's value `x` do not pass, with the shape of its first two axes, `time` one of them."""
    seen: list[np.ndarray] = []
    for mask in _every(context, x, time):
        array = mask.of(context.b.run.values)
        if array.all() or not array.any() or any(np.array_equal(array, other) for other in seen):
            continue
        seen.append(array)
        yield mask


def padded_steps(context: Context, shape: tuple[int, ...]) -> list[tuple[np.ndarray, str]]:
    """Keys of scores (batch, ..., queries, keys) that may be padding, to be broadcast to `shape`: true where hidden."""
    batch, keys = shape[0], shape[-1]
    found: list[tuple[np.ndarray, str]] = []
    for i, x in context.b.run.values.items():
        if x.ndim == 3 and x.shape[:2] == (batch, keys) and i in context.b.consumers:
            arrays = [(mask.of(context.b.run.values), mask.words) for mask in masks(context, i, 1)]
            found += [(~keep.reshape(batch, *([1] * (len(shape) - 2)), keys), words) for keep, words in arrays]
            break
    return found


def _every(context: Context, x: int, time: int) -> Iterator[Mask]:
    shape = context.b.run.values[x].shape[:2]
    for value in (x, *_inputs(context.b, shape)):
        yield Mask(functools.partial(_nonzero, value), "the steps that are all zero skipped")
    for side, own in ((context.b, True), (context.a, False)):
        for leaf, array in _integers(side):
            squeezed = np.squeeze(array)
            if squeezed.ndim == 2 and squeezed.shape in (shape, shape[::-1]):
                for mask in _of_tokens(side, leaf, own):
                    yield _turned(mask, shape, time)
            elif array.ndim == 1 and array.size == shape[1 - time] and array.dtype.kind in "iu":
                for mask in _of_lengths(array, shape[time]):
                    yield _turned(mask, shape, time)
        for value in _marks(side, shape, time):
            for mask in _of_marks(side, value, shape, own):
                yield _turned(mask, shape, time)


def _inputs(side: Side, shape: tuple[int, ...]) -> Iterator[int]:
    """Inputs (batch, time, features) with these first two axes."""
    for i, value in side.network.trace.values.items():
        if value.role == "input" and side.run.values[i].ndim == 3 and side.run.values[i].shape[:2] == shape:
            yield i


def _nonzero(value: int, values: Values) -> np.ndarray:
    return np.any(values[value] != 0, -1)


def _marks(side: Side, shape: tuple[int, ...], time: int) -> Iterator[int]:
    """Values, given or computed, of zeros and ones: one for each step, or for each step of each sequence."""
    for i, array in side.run.values.items():
        if array.size in (shape[0] * shape[1], shape[time]) and array.dtype.kind in "fb":
            squeezed = np.squeeze(array)
            fitting = squeezed.shape in (shape, shape[::-1], (shape[time],))
            if fitting and bool(np.all((array == 0) | (array == 1))):
                yield i


def _of_marks(side: Side, value: int, shape: tuple[int, ...], own: bool) -> Iterator[Mask]:
    for hidden in (0, 1):
        array = np.squeeze(side.run.values[value]) != hidden
        of = functools.partial(_marked, value, hidden) if own else _constant(array)
        words = "the masked steps skipped"
        yield Mask(of, words) if array.ndim == 2 else Mask(_for_all(of, shape), words)


def _marked(value: int, hidden: int, values: Values) -> np.ndarray:
    return np.squeeze(values[value]) != hidden


def _for_all(of: Callable[[Values], np.ndarray], shape: tuple[int, ...]) -> Callable[[Values], np.ndarray]:
    """The mask (time,) for every sequence, as (batch, time)."""

    def array(values: Values) -> np.ndarray:
        one = of(values)
        batch = shape[0] if shape[1] == one.size else shape[1]
        return np.broadcast_to(one, (batch, one.size))

    return array


def _turned(mask: Mask, shape: tuple[int, ...], time: int) -> Mask:
    """The mask (batch, time), or as its shape says, in the layout `shape` with `time` its axis of time."""

    def of(values: Values) -> np.ndarray:
        array = mask.of(values)
        if shape[0] == shape[1]:
            return array if time == 1 else array.T
        return array if array.shape == shape else array.T

    return Mask(of, mask.words)


def _integers(side: Side) -> Iterator[tuple[int, np.ndarray]]:
    trace = side.network.trace
    for i, array in side.run.values.items():
        if array.dtype.kind in "iu" and i in trace.values and trace.values[i].role in _LEAVES:
            yield i, array


def _of_tokens(side: Side, leaf: int, own: bool) -> Iterator[Mask]:
    array = np.squeeze(side.run.values[leaf])
    for token in dict.fromkeys([0, *(int(t) for t in (*array[:, -1], *array[-1, :]))]):
        words = f"the steps of token {token} skipped"
        yield Mask(functools.partial(_unlike, leaf, token) if own else _constant(array != token), words)


def _unlike(leaf: int, token: int, values: Values) -> np.ndarray:
    return np.squeeze(values[leaf]) != token


def _constant(array: np.ndarray) -> Callable[[Values], np.ndarray]:
    return lambda values: array


def _of_lengths(lengths: np.ndarray, steps: int) -> Iterator[Mask]:
    if lengths.min() >= 0 and lengths.max() <= steps:
        array = np.arange(steps)[None, :] < lengths[:, None]
        yield Mask(lambda values: array, "the steps beyond each sequence's length skipped")
