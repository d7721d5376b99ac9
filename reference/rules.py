"""R0 rules: one for each primitive, from balls to a ball that provably contains the result.

Library functions have their rules in `oracle.reference.functions`; primitives that only move elements are shared with
every other arithmetic (`oracle.reference.structure`).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oracle.reference.balls import GROW, Arithmetic, Ball, MissingRule
from oracle.reference.constants import nearest_float64
from oracle.reference.functions import FUNCTIONS
from oracle.reference.program import Step
from oracle.reference.structure import MOVES, scatter_targets

Rule = Callable[..., Ball | Sequence[Ball]]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the decorated function for the primitives `names`."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def apply(arithmetic: Arithmetic, step: Step, operands: Sequence[Ball]) -> Sequence[Ball]:
    """The results of one step."""
    if step.primitive in MOVES:
        return _move(step, operands)
    if step.primitive in FUNCTIONS and np.asarray(operands[0].mid).dtype.kind == "f":
        return [FUNCTIONS[step.primitive](arithmetic, *operands, **_static(step))]
    if step.primitive not in RULES:
        raise MissingRule(f"no rule for the primitive `{step.primitive}`; write the definition without it")
    result = RULES[step.primitive](arithmetic, *operands, **step.params)
    return [result] if isinstance(result, Ball) else result


def _static(step: Step) -> dict[str, Any]:
    return {"y": step.params["y"]} if step.primitive == "integer_pow" else {}


def _move(step: Step, operands: Sequence[Ball]) -> Sequence[Ball]:
    move, movers = MOVES[step.primitive]
    moving = set(movers(len(operands)))
    mids = [b.mid for b in operands]
    mid = move(*mids, **step.params)
    if all(operands[i].rad is None for i in moving):
        rad = None
    else:
        rad = move(*[b.radius if i in moving else b.mid for i, b in enumerate(operands)], **step.params)
    unknown_place = any(b.rad is not None and np.any(b.rad) for i, b in enumerate(operands) if i not in moving)
    if unknown_place:
        rad = [np.full(m.shape, np.inf) for m in mid] if isinstance(mid, list) else np.full(mid.shape, np.inf)
    if isinstance(mid, list):
        return [Ball(m, None if rad is None else r) for m, r in zip(mid, rad or mid, strict=True)]
    return [Ball(mid, rad)]


def _is_real(ball: Ball) -> bool:
    return np.asarray(ball.mid).dtype.kind == "f"


def _integers(function: Callable, *balls: Ball) -> Ball:
    """An exact integer or boolean result; unknown where an operand is."""
    unknown = None
    if any(b.rad is not None and np.any(b.rad) for b in balls):
        unknown = np.asarray(sum(b.radius for b in balls) > 0, dtype=float)
    return Ball(np.asarray(function(*[b.mid for b in balls])), unknown)


@rule("add", "add_any")
def _add(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    if not _is_real(x):
        return _integers(np.add, x, y)
    # A sum of floating-point numbers never underflows, and x + 0 is exact.
    mid = x.mid + y.mid
    exact = ((x.mid == 0) & x.is_exact) | ((y.mid == 0) & y.is_exact)
    return a.rounded(mid, x.radius + y.radius, np.where(exact, 0.0, 1.0), floor=False)


@rule("sub")
def _sub(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    if not _is_real(x):
        return _integers(np.subtract, x, y)
    return _add(a, x, Ball(-y.mid, y.rad))


@rule("mul")
def _mul(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    if not _is_real(x):
        return _integers(np.multiply, x, y)
    mid = x.mid * y.mid
    rx, ry = x.radius, y.radius
    zero = ((x.mid == 0) & (rx == 0)) | ((y.mid == 0) & (ry == 0))
    rad = np.abs(x.mid) * ry + np.abs(y.mid) * rx + rx * ry
    return a.rounded(mid, np.where(zero & np.isfinite(mid), 0.0, rad), floor=~zero)


@rule("div")
def _div(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    if not _is_real(x):
        # lax.div on integers truncates toward zero.
        return _integers(lambda p, q: (np.sign(p) * np.sign(q) * (np.abs(p) // np.abs(q))).astype(p.dtype), x, y)
    mid = x.mid / y.mid
    low = np.abs(y.mid) - y.radius
    zero = (x.mid == 0) & x.is_exact
    rad = np.where(low > 0, (x.radius + np.abs(mid) * y.radius) / low, np.where(np.isfinite(mid), np.inf, 0.0))
    result = a.rounded(mid, rad, a.division, floor=~zero)
    # A pole is an exact infinity and 0/0 an exact NaN (IEEE 754), not a large number.
    pole = (y.mid == 0) & y.is_exact & ((np.abs(x.mid) > x.radius) | x.is_exact)
    return Ball(result.mid, np.where(pole, 0.0, result.radius))


@rule("rem")
def _rem(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    if not _is_real(x):
        return _integers(np.fmod, x, y)
    known = x.is_exact & y.is_exact
    return Ball(np.fmod(x.mid, y.mid), np.where(known, 0.0, np.inf))


@rule("neg")
def _neg(a: Arithmetic, x: Ball, **_: Any) -> Ball:
    return Ball(-x.mid, x.rad)


@rule("abs")
def _abs(a: Arithmetic, x: Ball, **_: Any) -> Ball:
    return Ball(np.abs(x.mid), x.rad)


@rule("sign")
def _sign(a: Arithmetic, x: Ball, **_: Any) -> Ball:
    unknown = None if x.rad is None else np.where((np.abs(x.mid) > x.rad) | x.is_exact, 0.0, 1.0)
    return Ball(np.sign(x.mid), unknown)


def _integral_rule(function: Callable) -> Rule:
    def apply_integral(a: Arithmetic, x: Ball, **_: Any) -> Ball:
        low, high = function(x.mid - x.radius), function(x.mid + x.radius)
        return Ball(function(x.mid), None if x.rad is None else np.maximum(high - low, 0.0))

    return apply_integral


RULES.update(floor=_integral_rule(np.floor), ceil=_integral_rule(np.ceil), round=_integral_rule(np.rint))


@rule("max")
def _max(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    return _extreme(np.maximum, x, y)


@rule("min")
def _min(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    return _extreme(np.minimum, x, y)


def _extreme(function: Callable, x: Ball, y: Ball) -> Ball:
    mid = function(x.mid, y.mid)
    if x.rad is None and y.rad is None:
        return Ball(mid)
    low = function(x.mid - x.radius, y.mid - y.radius)
    high = function(x.mid + x.radius, y.mid + y.radius)
    # The ends are rounded; each is off by at most an ulp of itself.
    slack = np.where(x.is_exact & y.is_exact, 0.0, 2.0**-51 * np.abs(mid) + 2.0**-1074)
    rad = np.fmax(np.maximum(high - mid, mid - low), 0.0) + slack
    # Where one argument lies wholly beyond the other, its own ball is the result.
    x_only = (low == x.mid - x.radius) & (high == x.mid + x.radius)
    y_only = (low == y.mid - y.radius) & (high == y.mid + y.radius)
    rad = np.where(x_only & (mid == x.mid), x.radius, np.where(y_only & (mid == y.mid), y.radius, rad))
    return Ball(mid, rad)


@rule("clamp")
def _clamp(a: Arithmetic, low: Ball, x: Ball, high: Ball, **_: Any) -> Ball:
    return _min(a, _max(a, low, x), high)


def _comparison(function: Callable, decided: Callable[[Ball, Ball], np.ndarray]) -> Rule:
    def compare(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
        truth = np.asarray(function(x.mid, y.mid))
        if x.rad is None and y.rad is None:
            return Ball(truth)
        return Ball(truth, np.where(decided(x, y), 0.0, 1.0))

    return compare


def _separated(x: Ball, y: Ball) -> np.ndarray:
    both_exact = x.is_exact & y.is_exact
    # The distance is rounded once and the sum of the radii once.
    return both_exact | (np.abs(x.mid - y.mid) > (x.radius + y.radius) * GROW)


RULES.update(
    {
        name: _comparison(function, _separated)
        for name, function in {
            "lt": np.less,
            "le": np.less_equal,
            "gt": np.greater,
            "ge": np.greater_equal,
            "eq": np.equal,
            "ne": np.not_equal,
        }.items()
    }
)


@rule("and")
def _and(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    result = _integers(np.bitwise_and, x, y)
    if result.rad is None or result.mid.dtype.kind != "b":
        return result
    surely_false = (~x.mid & x.is_exact) | (~y.mid & y.is_exact)
    return Ball(result.mid, np.where(surely_false, 0.0, result.rad))


@rule("or")
def _or(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    result = _integers(np.bitwise_or, x, y)
    if result.rad is None or result.mid.dtype.kind != "b":
        return result
    surely_true = (x.mid & x.is_exact) | (y.mid & y.is_exact)
    return Ball(result.mid, np.where(surely_true, 0.0, result.rad))


@rule("xor")
def _xor(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    return _integers(np.bitwise_xor, x, y)


@rule("not")
def _not(a: Arithmetic, x: Ball, **_: Any) -> Ball:
    return _integers(np.bitwise_not, x)


@rule("is_finite")
def _is_finite(a: Arithmetic, x: Ball, **_: Any) -> Ball:
    return Ball(np.isfinite(x.mid))


@rule("select_n")
def _select(a: Arithmetic, which: Ball, *cases: Ball, **_: Any) -> Ball:
    choice = np.asarray(which.mid).astype(np.intp)
    mids = np.broadcast_arrays(*[c.mid for c in cases])
    choice = np.broadcast_to(choice, mids[0].shape)
    mid = np.choose(choice, mids)
    if which.rad is None and all(c.rad is None for c in cases):
        return Ball(mid)
    radii = [np.broadcast_to(c.radius, mid.shape) for c in cases]
    rad = np.choose(choice, radii)
    if which.rad is None or not np.any(which.rad):
        return Ball(mid, rad)
    # An undecided condition: the hull of all branches around the midpoint's branch.
    hull = np.max([np.abs(m - mid) * GROW + r for m, r in zip(mids, radii, strict=True)], axis=0)
    return Ball(mid, np.where(which.rad > 0, np.where(np.isnan(hull), np.inf, hull), rad))


@rule("convert_element_type")
def _convert(a: Arithmetic, x: Ball, *, new_dtype: Any, **_: Any) -> Ball:
    kind = np.dtype(new_dtype).kind
    if _is_real(x) and kind != "f":
        low, high = np.trunc(x.mid - x.radius), np.trunc(x.mid + x.radius)
        with np.errstate(invalid="ignore"):
            return Ball(x.mid.astype(new_dtype), None if x.rad is None else (low != high).astype(float))
    if not _is_real(x) and kind == "f":
        return Ball(np.asarray(x.mid, np.float64), x.rad if x.rad is None else np.where(x.rad > 0, np.inf, 0.0))
    return x if _is_real(x) else Ball(np.asarray(x.mid).astype(new_dtype), x.rad)


@rule("stop_gradient", "copy", "copy_p", "optimization_barrier", "reduce_precision")
def _same(a: Arithmetic, *xs: Ball, **_: Any) -> Sequence[Ball]:
    return xs


@rule("exact_constant")
def _constant(a: Arithmetic, *, expression: str) -> Ball:
    nearest, is_exact = nearest_float64(expression)
    mid = np.asarray(nearest)
    return Ball(mid) if is_exact else a.rounded(mid, 2.0**-53 * abs(nearest), floor=False)


@rule("iota")
def _iota(a: Arithmetic, *, dtype: Any, shape: Sequence[int], dimension: int, **_: Any) -> Ball:
    line = np.arange(shape[dimension]).astype(dtype)
    return Ball(np.broadcast_to(line.reshape([-1 if i == dimension else 1 for i in range(len(shape))]), tuple(shape)))


@rule("reduce_sum")
def _reduce_sum(a: Arithmetic, x: Ball, *, axes: Sequence[int], **_: Any) -> Ball:
    axes = tuple(axes)
    if not _is_real(x):
        return _integers(lambda v: v.sum(axes), x)
    count = math.prod(x.mid.shape[i] for i in axes)
    if count == 1:
        return Ball(x.mid.sum(axes), None if x.rad is None else x.rad.sum(axes))
    rad = 0.0 if x.rad is None else x.rad.sum(axes)
    return a.summed(x.mid.sum(axes), rad, np.abs(x.mid).sum(axes), max(count - 1, 0))


@rule("cumsum")
def _cumsum(a: Arithmetic, x: Ball, *, axis: int, reverse: bool, **_: Any) -> Ball:
    def accumulate(values: np.ndarray) -> np.ndarray:
        values = np.flip(values, axis) if reverse else values
        total = np.cumsum(values, axis)
        return np.flip(total, axis) if reverse else total

    if not _is_real(x):
        return _integers(accumulate, x)
    rad = 0.0 if x.rad is None else accumulate(x.rad)
    return a.summed(accumulate(x.mid), rad, accumulate(np.abs(x.mid)), x.mid.shape[axis] - 1)


@rule("reduce_prod")
def _reduce_prod(a: Arithmetic, x: Ball, *, axes: Sequence[int], **_: Any) -> Ball:
    axes = tuple(axes)
    count = math.prod(x.mid.shape[i] for i in axes)
    mid = x.mid.prod(axes)
    upper = (np.abs(x.mid) + x.radius).prod(axes)
    rounding = max(count - 1, 0) * (2 * a.u + 2.0**-52) * upper
    zero = ((x.mid == 0) & x.is_exact).any(axes)
    rad = np.where(zero & np.isfinite(mid), 0.0, np.maximum(upper - np.abs(mid), 0.0) + rounding)
    return a.rounded(mid, rad, floor=~zero)


def _reduce_extreme(function: Callable, mid: np.ndarray, rad: np.ndarray | None, axes: tuple[int, ...]) -> Ball:
    result = function(mid, axes)
    if rad is None:
        return Ball(result)
    slack = np.where(rad > 0, 2.0**-51 * np.abs(mid) + 2.0**-1074, 0.0)
    low, high = function(mid - rad - slack, axes), function(mid + rad + slack, axes)
    return Ball(result, np.maximum(high - result, result - low) * GROW)


@rule("reduce_max")
def _reduce_max(a: Arithmetic, x: Ball, *, axes: Sequence[int], **_: Any) -> Ball:
    return _reduce_extreme(np.max, x.mid, x.rad, tuple(axes))


@rule("reduce_min")
def _reduce_min(a: Arithmetic, x: Ball, *, axes: Sequence[int], **_: Any) -> Ball:
    return _reduce_extreme(np.min, x.mid, x.rad, tuple(axes))


@rule("cummax")
def _cummax(a: Arithmetic, x: Ball, *, axis: int, reverse: bool, **_: Any) -> Ball:
    def accumulate(values: np.ndarray) -> np.ndarray:
        values = np.flip(values, axis) if reverse else values
        largest = np.maximum.accumulate(values, axis)
        return np.flip(largest, axis) if reverse else largest

    mid = accumulate(x.mid)
    return Ball(mid) if x.rad is None else Ball(mid, (accumulate(x.mid + x.rad) - accumulate(x.mid - x.rad)) * GROW)


def _reduce_boolean(function: Callable) -> Rule:
    def reduce(a: Arithmetic, x: Ball, *, axes: Sequence[int], **_: Any) -> Ball:
        unknown = None if x.rad is None else np.max((x.rad > 0).astype(float), tuple(axes))
        return Ball(function(x.mid, tuple(axes)), unknown)

    return reduce


RULES.update(reduce_or=_reduce_boolean(np.any), reduce_and=_reduce_boolean(np.all))


def _arg_extreme(sign: int) -> Rule:
    def position(a: Arithmetic, x: Ball, *, axes: Sequence[int], index_dtype: Any, **_: Any) -> Ball:
        (axis,) = axes
        values = sign * x.mid
        index = np.argmax(values, axis)
        if x.rad is None:
            return Ball(index.astype(index_dtype))
        winner = np.expand_dims(index, axis)
        lowest = np.take_along_axis(values - x.rad, winner, axis)
        others = values + x.rad
        np.put_along_axis(others, winner, -np.inf, axis)
        contested = (others.max(axis) >= np.squeeze(lowest, axis)).astype(float)
        return Ball(index.astype(index_dtype), contested)

    return position


RULES.update(argmax=_arg_extreme(1), argmin=_arg_extreme(-1))


@rule("sort")
def _sort(a: Arithmetic, *operands: Ball, dimension: int, num_keys: int = 1, **_: Any) -> Sequence[Ball]:
    key = operands[0]
    order = np.argsort(key.mid, dimension, kind="stable")
    moved = [Ball(np.take_along_axis(b.mid, order, dimension), None) for b in operands]
    if key.rad is None and num_keys == 1:
        radii = [None if b.rad is None else np.take_along_axis(b.rad, order, dimension) for b in operands]
        return [Ball(m.mid, r) for m, r in zip(moved, radii, strict=True)]
    if len(operands) == 1:
        # Sorting is 1-Lipschitz in the largest change.
        widest = np.broadcast_to(key.radius.max(dimension, keepdims=True), key.mid.shape)
        return [Ball(moved[0].mid, np.array(widest))]
    return [Ball(m.mid, np.full(m.mid.shape, np.inf)) for m in moved]


@rule("dot_general")
def _dot_general(a: Arithmetic, x: Ball, y: Ball, *, dimension_numbers: Any, **_: Any) -> Ball:
    left, right, shape = contraction(x.mid.shape, y.mid.shape, dimension_numbers)

    def product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return (left(p) @ right(q)).reshape(shape)

    if not _is_real(x):
        return _integers(product, x, y)
    count = left(x.mid).shape[-1]
    size_x, size_y = np.abs(x.mid), np.abs(y.mid)
    mid, terms = product(x.mid, y.mid), product(size_x, size_y)
    rad: np.ndarray | float = 0.0
    if x.rad is not None:
        rad = product(x.rad, size_y)
    if y.rad is not None:
        rad = rad + product(size_x + x.radius, y.rad)
    # gamma_n bounds n products and n - 1 sums; the products |x||y| are themselves computed within (1 + gamma_n).
    result = a.summed(mid, rad * (1 + 2 * count * 2.0**-53), terms * (1 + 2 * count * 2.0**-53), count)
    floor = np.where((terms < a.tiny * count) & (terms > 0), count * a.quantum, 0.0)
    return Ball(result.mid, result.radius + floor)


def contraction(x_shape: Sequence[int], y_shape: Sequence[int], numbers: Any) -> tuple[Callable, Callable, tuple]:
    """Reshapers to (batch, m, k) and (batch, k, n), and the shape of the product, for `dot_general`."""
    (cx, cy), (bx, by) = numbers
    mx = [i for i in range(len(x_shape)) if i not in (*cx, *bx)]
    ny = [i for i in range(len(y_shape)) if i not in (*cy, *by)]
    batch = [x_shape[i] for i in bx]
    k = math.prod(x_shape[i] for i in cx)
    rows, columns = [x_shape[i] for i in mx], [y_shape[i] for i in ny]
    size = math.prod(batch)

    def left(p: np.ndarray) -> np.ndarray:
        return p.transpose([*bx, *mx, *cx]).reshape(size, math.prod(rows), k)

    def right(q: np.ndarray) -> np.ndarray:
        return q.transpose([*by, *cy, *ny]).reshape(size, k, math.prod(columns))

    return left, right, (*batch, *rows, *columns)


@rule("scatter-add", "scatter_add")
def _scatter_add(a: Arithmetic, x: Ball, indices: Ball, updates: Ball, **params: Any) -> Ball:
    target = scatter_targets(x.mid.shape, indices.mid, updates.mid.shape, params).reshape(-1)
    keep = target >= 0

    def scattered(base: np.ndarray, values: np.ndarray) -> np.ndarray:
        flat = np.array(base).reshape(-1)
        np.add.at(flat, target[keep], np.asarray(values).reshape(-1)[keep])
        return flat.reshape(base.shape)

    if not _is_real(x):
        return _integers(scattered, x, updates)
    most = int(np.bincount(target[keep]).max()) if keep.any() else 0
    rad = scattered(x.radius, updates.radius)
    if most <= 1 and not np.any(x.mid) and x.rad is None:
        return Ball(scattered(x.mid, updates.mid), rad)
    return a.summed(scattered(x.mid, updates.mid), rad, scattered(np.abs(x.mid), np.abs(updates.mid)), most)


@rule("scatter")
def _scatter(a: Arithmetic, x: Ball, indices: Ball, updates: Ball, **params: Any) -> Ball:
    target = scatter_targets(x.mid.shape, indices.mid, updates.mid.shape, params).reshape(-1)
    keep = target >= 0

    def replaced(base: np.ndarray, values: np.ndarray) -> np.ndarray:
        flat = np.array(base).reshape(-1)
        flat[target[keep]] = np.asarray(values).reshape(-1)[keep]
        return flat.reshape(base.shape)

    return Ball(replaced(x.mid, updates.mid), replaced(x.radius, updates.radius))


@rule("add_at")
def _add_at(a: Arithmetic, x: Ball, *, target: np.ndarray, shape: Sequence[int]) -> Ball:
    def scattered(values: np.ndarray) -> np.ndarray:
        total = np.bincount(target[target >= 0], values[target >= 0], minlength=math.prod(shape))
        return total.reshape(shape)

    most = int(np.bincount(target[target >= 0]).max(initial=1))
    rad = 0.0 if x.rad is None else scattered(x.rad)
    return a.summed(scattered(x.mid), rad, scattered(np.abs(x.mid)), most - 1)
