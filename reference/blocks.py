"""R0 rules of whole arrays: sums, products, extremes, running sums, scatters, sorting and matrix products."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oracle.reference.balls import GROW, UNDERFLOW, Arithmetic, Ball
from oracle.reference.structure import contraction, scatter_targets

Rule = Callable[..., Ball | Sequence[Ball]]
BLOCKS: dict[str, Rule] = {}


def _block(*names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        BLOCKS.update(dict.fromkeys(names, function))
        return function

    return register


def _integers(function: Callable, spread: Callable, *balls: Ball) -> Ball:
    """An exact integer or boolean result; `spread` says which of the results an unknown operand reaches."""
    mid = np.asarray(function(*[b.mid for b in balls]))
    if any(b.is_unknown_anywhere for b in balls):
        reached = spread(*[~b.is_exact for b in balls])
        return Ball(mid, np.where(reached, np.inf, 0.0))
    return Ball(mid)


# ---- sums ------------------------------------------------------------------------------------------------------------


@_block("reduce_sum")
def _reduce_sum(a: Arithmetic, x: Ball, *, axes: Sequence[int], **_: Any) -> Ball:
    axes = tuple(axes)
    if not x.is_real:
        return _integers(lambda v: v.sum(axes, dtype=v.dtype), lambda u: u.any(axes), x)
    count = math.prod(x.mid.shape[i] for i in axes)
    rad = None if x.rad is None else x.rad.sum(axes)
    if count == 1:
        return Ball(x.mid.sum(axes), rad)
    return a.summed(x.mid.sum(axes), 0.0 if rad is None else rad, np.abs(x.mid).sum(axes), max(count - 1, 0))


def _along(function: Callable, axis: int, reverse: bool) -> Callable[[np.ndarray], np.ndarray]:
    """`function` (a running sum, say) along `axis`, from the end if `reverse`."""
    if not reverse:
        return lambda values: function(values, axis)
    return lambda values: np.flip(function(np.flip(values, axis), axis), axis)


def _place(x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    """How many elements precede each one of a running sum."""
    line = np.arange(x.shape[axis])
    return np.expand_dims(line[::-1] if reverse else line, [i for i in range(x.ndim) if i != axis])


@_block("cumsum")
def _cumsum(a: Arithmetic, x: Ball, *, axis: int, reverse: bool, **_: Any) -> Ball:
    accumulate = _along(np.cumsum, axis, reverse)
    if not x.is_real:
        integers = _along(lambda v, i: np.cumsum(v, i, dtype=v.dtype), axis, reverse)
        return _integers(integers, _along(np.logical_or.accumulate, axis, reverse), x)
    rad = 0.0 if x.rad is None else accumulate(x.rad)
    return a.summed(accumulate(x.mid), rad, accumulate(np.abs(x.mid)), _place(x.mid, axis, reverse))


# ---- products of all elements ----------------------------------------------------------------------------------------


@_block("reduce_prod")
def _reduce_prod(a: Arithmetic, x: Ball, *, axes: Sequence[int], **_: Any) -> Ball:
    axes = tuple(axes)
    if not x.is_real:
        return _integers(lambda v: v.prod(axes, dtype=v.dtype), lambda u: u.any(axes), x)
    count = math.prod(x.mid.shape[i] for i in axes)
    return _product(a, x, lambda v: v.prod(axes), max(count - 1, 0))


@_block("cumprod")
def _cumprod(a: Arithmetic, x: Ball, *, axis: int, reverse: bool, **_: Any) -> Ball:
    return _product(a, x, _along(np.cumprod, axis, reverse), _place(x.mid, axis, reverse))


def _product(a: Arithmetic, x: Ball, product: Callable, count: Any) -> Ball:
    """A product of `count` + 1 factors."""
    mid, radius = product(x.mid), x.radius
    upper = product(np.abs(x.mid) + radius)
    real = product(np.where(np.isfinite(x.mid) & np.isfinite(radius), 1.0, np.inf)) == 1
    zero = (product(np.where((x.mid == 0) & (radius == 0), 0.0, 1.0)) == 0) & real
    rounding = (count + 1.0) * (2 * a.u + 2.0**-51) * upper
    # A partial product that underflows errs by a quantum, which the factors to come may enlarge.
    least, most = product(np.minimum(np.abs(x.mid), 1.0)), product(np.maximum(np.abs(x.mid) + radius, 1.0))
    lost = np.where(least < a.tiny, (count + 1.0) * (a.quantum + UNDERFLOW) * most, 0.0)
    rad = np.maximum(upper - np.abs(mid), 0.0) + rounding + lost
    rad = np.where(zero, 0.0, np.where(real & np.isfinite(upper), rad, np.inf))
    return a.rounded(np.where(zero, 0.0, mid), rad, floor=~zero)


# ---- extremes --------------------------------------------------------------------------------------------------------


def _reduce_extreme(sign: int, reduce: Callable, least: Callable[[np.dtype], Any]) -> Rule:
    def rule(a: Arithmetic, x: Ball, *, axes: Sequence[int], **_: Any) -> Ball:
        axes = tuple(axes)
        start = {} if math.prod(x.mid.shape[i] for i in axes) else {"initial": least(x.mid.dtype)}
        mid = np.asarray(reduce(x.mid, axes, **start))
        if x.rad is None:
            return Ball(mid)
        # The extreme is one of the elements whose ball reaches the ball of the midpoints' extreme.
        values, slack = sign * x.mid.astype(np.float64), 2.0**-50 * (np.abs(x.mid) + x.rad)
        lowest = np.max(values - x.rad - slack, axes, keepdims=True, initial=-np.inf)
        reaches = ~(values + x.rad + slack < lowest)
        return Ball(mid, np.max(np.where(reaches, x.rad, 0.0), axes, initial=0.0))

    return rule


def _least(dtype: np.dtype) -> Any:
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _greatest(dtype: np.dtype) -> Any:
    return np.inf if dtype.kind == "f" else True if dtype.kind == "b" else np.iinfo(dtype).max


BLOCKS.update(reduce_max=_reduce_extreme(1, np.max, _least), reduce_min=_reduce_extreme(-1, np.min, _greatest))


def _running_extreme(function: np.ufunc) -> Rule:
    def rule(a: Arithmetic, x: Ball, *, axis: int, reverse: bool, **_: Any) -> Ball:
        mid = _along(function.accumulate, axis, reverse)(x.mid)
        return Ball(mid) if x.rad is None else Ball(mid, _along(np.maximum.accumulate, axis, reverse)(x.rad))

    return rule


BLOCKS.update(cummax=_running_extreme(np.maximum), cummin=_running_extreme(np.minimum))


def _reduce_logical(function: Callable, dominant: bool) -> Rule:
    """One element that is surely `dominant` decides."""

    def reduce(a: Arithmetic, x: Ball, *, axes: Sequence[int], **_: Any) -> Ball:
        axes = tuple(axes)
        if not x.is_unknown_anywhere:
            return Ball(function(x.mid, axes))
        decided = ((x.mid == dominant) & x.is_exact).any(axes)
        unknown = (~x.is_exact).any(axes) & ~decided
        return Ball(np.where(decided, dominant, function(x.mid, axes)), np.where(unknown, np.inf, 0.0))

    return reduce


BLOCKS.update(reduce_or=_reduce_logical(np.any, True), reduce_and=_reduce_logical(np.all, False))


def _arg_extreme(sign: int) -> Rule:
    def position(a: Arithmetic, x: Ball, *, axes: Sequence[int], index_dtype: Any, **_: Any) -> Ball:
        (axis,) = axes
        values = sign * x.mid.astype(np.float64)
        index = np.argmax(values, axis)
        if x.rad is None:
            return Ball(index.astype(index_dtype))
        winner = np.expand_dims(index, axis)
        gap = np.take_along_axis(values, winner, axis) - values
        reach = np.take_along_axis(x.rad, winner, axis) + x.rad
        # Of two exact equals, or two NaN, the first wins: a convention, not a doubt.
        doubtful = ~((gap > reach * GROW) | (reach == 0))
        np.put_along_axis(doubtful, winner, False, axis)
        return Ball(index.astype(index_dtype), np.where(doubtful.any(axis), np.inf, 0.0))

    return position


BLOCKS.update(argmax=_arg_extreme(1), argmin=_arg_extreme(-1))


@_block("sort")
def _sort(a: Arithmetic, *operands: Ball, dimension: int, num_keys: int, **_: Any) -> Sequence[Ball]:
    keys = operands[:num_keys]
    order = np.lexsort([b.mid for b in reversed(keys)], dimension)
    moved = [_taken(b, order, dimension) for b in operands]
    if all(b.rad is None for b in keys):
        return moved
    if len(operands) == 1:
        return [_lipschitz(moved[0], dimension)]
    certain = _in_certain_order(moved[0], dimension) if num_keys == 1 else False
    return [Ball(b.mid, np.where(certain, b.radius, np.inf)) for b in moved]


@_block("top_k")
def _top_k(a: Arithmetic, x: Ball, *, k: int, **_: Any) -> Sequence[Ball]:
    order = np.argsort(-x.mid.astype(np.float64), -1, kind="stable")
    line = _taken(x, order, -1)
    values, places = line.mid[..., :k], order[..., :k].astype(np.int32)
    if x.rad is None:
        return [Ball(values), Ball(places)]
    certain = np.broadcast_to(_in_certain_order(line, -1), places.shape)
    return [Ball(values, _lipschitz(line, -1).radius[..., :k]), Ball(places, np.where(certain, 0.0, np.inf))]


def _taken(x: Ball, order: np.ndarray, axis: int) -> Ball:
    rad = None if x.rad is None else np.take_along_axis(x.rad, order, axis)
    return Ball(np.take_along_axis(x.mid, order, axis), rad)


def _lipschitz(line: Ball, axis: int) -> Ball:
    """A sorted line whose elements moved: each order statistic moves by no more than the largest radius."""
    widest = line.radius.max(axis, keepdims=True, initial=0.0)
    return Ball(line.mid, np.array(np.broadcast_to(widest, line.mid.shape)))


def _in_certain_order(line: Ball, axis: int) -> np.ndarray:
    """Whether no two neighbours of a sorted line may have changed places."""
    values, radius = np.moveaxis(line.mid.astype(np.float64), axis, -1), np.moveaxis(line.radius, axis, -1)
    reach = radius[..., 1:] + radius[..., :-1]
    certain = ((np.abs(np.diff(values)) > reach * GROW) | (reach == 0)).all(-1)
    return np.expand_dims(certain, axis)


# ---- matrix products and scatters ------------------------------------------------------------------------------------


@_block("dot_general")
def _dot_general(a: Arithmetic, x: Ball, y: Ball, *, dimension_numbers: Any, **_: Any) -> Ball:
    left, right, shape = contraction(x.mid.shape, y.mid.shape, dimension_numbers)

    def product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return (left(p) @ right(q)).reshape(shape)

    if not x.is_real:
        return _integers(product, lambda u, v: product(u, np.ones_like(v)) | product(np.ones_like(u), v), x, y)
    count = left(x.mid).shape[-1]
    size_x, size_y = np.abs(x.mid), np.abs(y.mid)
    mid, terms = product(x.mid, y.mid), product(size_x, size_y)
    rad: np.ndarray | float = 0.0
    if x.rad is not None:
        rad = product(x.rad, size_y)
    if y.rad is not None:
        rad = rad + product(size_x + x.radius, y.rad)
    # n products and n - 1 sums are n roundings (C.-P. Jeannerod, S. M. Rump, SIAM J. Matrix Anal. Appl. 34, 2013).
    result = a.summed(mid, rad, terms, count)
    return Ball(mid, result.radius + _underflow(a, terms, count, lambda: product(size_x > 0, size_y > 0)))


def _underflow(a: Arithmetic, terms: np.ndarray, count: int, any_term: Callable[[], np.ndarray]) -> np.ndarray | float:
    """What the products of a sum can lose by underflow: a quantum each, and nothing where all are exactly zero."""
    small = terms < count * a.quantum_sum / a.u_sum**2
    if not np.any(small):
        return 0.0
    return np.where(small & any_term(), count * (a.quantum_sum + UNDERFLOW), 0.0)


@_block("scatter-add", "scatter_add")
def _scatter_add(a: Arithmetic, x: Ball, indices: Ball, updates: Ball, **params: Any) -> Ball:
    target = scatter_targets(x.mid.shape, indices.mid, updates.mid.shape, params)
    if indices.is_unknown_anywhere:
        return Ball(add_at(x.mid, target, updates.mid), np.full(x.mid.shape, np.inf))
    if not x.is_real:
        return _integers(lambda p, q: add_at(p, target, q), lambda u, v: add_at(u, target, v), x, updates)
    return _added(a, x, updates, target)


@_block("add_at")
def _add_at(a: Arithmetic, x: Ball, *, target: np.ndarray, shape: Sequence[int]) -> Ball:
    return _added(a, Ball(np.zeros(shape)), x, target)


def _added(a: Arithmetic, base: Ball, updates: Ball, target: np.ndarray) -> Ball:
    """A sum at each place; the first update of an exact zero is not rounded."""
    counts = np.bincount(target[target >= 0], minlength=base.mid.size).reshape(base.mid.shape)
    sums = np.maximum(counts - ((base.mid == 0) & base.is_exact), 0)
    mid, rad = add_at(base.mid, target, updates.mid), add_at(base.radius, target, updates.radius)
    if not np.any(sums):
        return Ball(mid, rad)
    return a.summed(mid, rad, add_at(np.abs(base.mid), target, np.abs(updates.mid)), sums)


def add_at(base: np.ndarray, target: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`base` with `values` added at their flat places; places below zero are dropped."""
    keep = target >= 0
    flat = np.array(base).reshape(-1)
    np.add.at(flat, target[keep], np.broadcast_to(values, target.shape)[keep])
    return flat.reshape(np.shape(base))


@_block("scatter")
def _scatter(a: Arithmetic, x: Ball, indices: Ball, updates: Ball, **params: Any) -> Ball:
    target = scatter_targets(x.mid.shape, indices.mid, updates.mid.shape, params)
    keep = target >= 0

    def replaced(base: np.ndarray, values: np.ndarray) -> np.ndarray:
        flat = np.array(base).reshape(-1)
        flat[target[keep]] = values[keep]
        return flat.reshape(base.shape)

    mid = replaced(x.mid, updates.mid)
    if indices.is_unknown_anywhere:
        return Ball(mid, np.full(mid.shape, np.inf))
    # Which of two updates of one place wins is not defined, unless they are the same.
    rad = replaced(x.radius, updates.radius)
    twice = np.bincount(target[keep], minlength=mid.size)[target[keep]] > 1
    same = (updates.mid[keep] == mid.reshape(-1)[target[keep]]) & updates.is_exact[keep]
    rad.reshape(-1)[target[keep][twice & ~same]] = np.inf
    return Ball(mid, rad)
