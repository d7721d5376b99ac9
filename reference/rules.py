"""R0 rules: one for each primitive, from balls to a ball that provably contains the result.

Library functions have their rules in `oracle.reference.functions`, reductions and products in
`oracle.reference.blocks`; primitives that only move elements are shared with every other arithmetic
(`oracle.reference.structure`). Exact infinities and NaN are decided by case (`oracle.reference.specials`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oracle.reference.balls import GROW, UNDERFLOW, Arithmetic, Ball, MissingRule, constant
from oracle.reference.blocks import BLOCKS
from oracle.reference.constants import nearest_float64
from oracle.reference.functions import FUNCTIONS
from oracle.reference.program import Step
from oracle.reference.specials import decide_specials
from oracle.reference.structure import MOVES

Rule = Callable[..., Any]  # a ball, or a list of them where there are several results
RULES: dict[str, Rule] = dict(BLOCKS)


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
    result = _applied(arithmetic, step, operands)
    if not isinstance(result, Ball):
        return result
    if not result.is_real:
        return [result]

    def again(others: Sequence[Ball]) -> np.ndarray:
        return _applied(arithmetic, step, others).mid  # type: ignore[union-attr]

    return [decide_specials(step.primitive, operands, result, again)]


def _applied(arithmetic: Arithmetic, step: Step, operands: Sequence[Ball]) -> Ball | Sequence[Ball]:
    if step.primitive in FUNCTIONS and operands[0].is_real:
        return FUNCTIONS[step.primitive](arithmetic, *operands, **step.params)
    if step.primitive in RULES:
        return RULES[step.primitive](arithmetic, *operands, **step.params)
    raise MissingRule(f"no rule for the primitive `{step.primitive}`; write the definition without it")


def _move(step: Step, operands: Sequence[Ball]) -> Sequence[Ball]:
    move, movers = MOVES[step.primitive]
    moving = set(movers(len(operands)))
    mids = move(*[b.mid for b in operands], **step.params)
    mids = mids if isinstance(mids, list) else [mids]
    if any(b.is_unknown_anywhere for i, b in enumerate(operands) if i not in moving):
        return [Ball(m, np.full(m.shape, np.inf)) for m in mids]
    if all(operands[i].rad is None for i in moving):
        return [Ball(m) for m in mids]
    # What a gather fills with is exact.
    params = {**step.params, "fill_value": 0.0} if "fill_value" in step.params else step.params
    radii = move(*[b.radius if i in moving else b.mid for i, b in enumerate(operands)], **params)
    return [Ball(m, r) for m, r in zip(mids, radii if isinstance(radii, list) else [radii], strict=True)]


def _integers(function: Callable, *balls: Ball) -> Ball:
    """An exact integer or boolean result, element by element; unknown where an operand is."""
    mid = np.asarray(function(*[b.mid for b in balls]))
    if any(b.is_unknown_anywhere for b in balls):
        return Ball(mid, np.broadcast_to(sum(b.radius for b in balls), mid.shape))
    return Ball(mid)


@rule("add", "add_any")
def _add(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    if not x.is_real:
        return _integers(np.add, x, y)
    # A sum of floating-point numbers never underflows, and x + 0 is exact.
    exact = ((x.mid == 0) & x.is_exact) | ((y.mid == 0) & y.is_exact)
    return a.rounded(x.mid + y.mid, x.radius + y.radius, np.where(exact, 0.0, 1.0), floor=False)


@rule("sub")
def _sub(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    if not x.is_real:
        return _integers(np.subtract, x, y)
    return _add(a, x, Ball(-y.mid, y.rad))


@rule("mul")
def _mul(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    if not x.is_real:
        return _integers(np.multiply, x, y)
    rx, ry = x.radius, y.radius
    # Zero times a real number is zero; times an unknown, perhaps none at all, it is unknown.
    zero = ((x.mid == 0) & (rx == 0) & np.isfinite(ry)) | ((y.mid == 0) & (ry == 0) & np.isfinite(rx))
    rad = np.abs(x.mid) * ry + np.abs(y.mid) * rx + rx * ry
    return a.rounded(x.mid * y.mid, rad, floor=~zero)


@rule("div")
def _div(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    if not x.is_real:
        # lax.div on integers truncates toward zero.
        return _integers(lambda p, q: (np.sign(p) * np.sign(q) * (np.abs(p) // np.abs(q))).astype(p.dtype), x, y)
    mid = x.mid / y.mid
    low = np.abs(y.mid) - y.radius
    zero = (x.mid == 0) & x.is_exact & (low > 0)
    # |x'/y' - x/y| <= (rx + |x/y| ry) / low, in quotients that do not underflow before they are divided.
    rad = np.where(low > 0, x.radius / low + (np.abs(mid) + UNDERFLOW * ~zero) * (y.radius / low), np.inf)
    result = a.rounded(mid, rad, a.division, floor=~zero)
    # A pole is an exact infinity and 0/0 an exact NaN (IEEE 754), not a large number.
    pole = (y.mid == 0) & y.is_exact & ((np.abs(x.mid) > x.radius) | x.is_exact)
    return Ball(result.mid, np.where(pole, 0.0, result.radius)) if np.any(pole) else result


@rule("rem")
def _rem(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    if not x.is_real:
        return _integers(np.fmod, x, y)
    return Ball(np.fmod(x.mid, y.mid), np.where(x.is_exact & y.is_exact, 0.0, np.inf))


@rule("neg")
def _neg(a: Arithmetic, x: Ball, **_: Any) -> Ball:
    return Ball(-x.mid, x.rad)


@rule("abs")
def _abs(a: Arithmetic, x: Ball, **_: Any) -> Ball:
    return Ball(np.abs(x.mid), x.rad)


@rule("sign")
def _sign(a: Arithmetic, x: Ball, **_: Any) -> Ball:
    if x.rad is None:
        return Ball(np.sign(x.mid))
    unknown = 2.0 if x.is_real else np.inf  # from -1 to 1
    certain = (np.abs(x.mid) > x.rad) | x.is_exact
    return Ball(np.sign(x.mid), np.where(certain, 0.0, np.where(np.isfinite(x.rad), unknown, np.inf)))


def _integral_rule(function: Callable) -> Rule:
    """Of a function that is increasing and constant but for jumps of one."""

    def apply_integral(a: Arithmetic, x: Ball, **_: Any) -> Ball:
        mid = function(x.mid)
        if x.rad is None:
            return Ball(mid)
        low, high = (function(np.nextafter(x.mid + s * x.rad, s * np.inf)) for s in (-1, 1))
        return Ball(mid, np.where(x.is_exact, 0.0, np.where(np.isfinite(mid), high - low, np.inf)))

    return apply_integral


RULES.update(floor=_integral_rule(np.floor), ceil=_integral_rule(np.ceil))


@rule("round")
def _round(a: Arithmetic, x: Ball, *, rounding_method: Any, **_: Any) -> Ball:
    return _integral_rule(ROUNDINGS[int(rounding_method)])(a, x)


def _half_away(x: np.ndarray) -> np.ndarray:
    # |x| + 0.5 would round up just below one half.
    whole = np.trunc(x)
    return whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0.0)


# `lax.RoundingMethod`: ties away from zero, ties to even.
ROUNDINGS: dict[int, Callable] = {0: _half_away, 1: np.rint}


@rule("max")
def _max(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    return _extreme(np.maximum, x, y)


@rule("min")
def _min(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    return _extreme(np.minimum, x, y)


def _extreme(function: Callable, x: Ball, y: Ball) -> Ball:
    """The extreme moves by no more than the larger radius; where one argument is surely it, by that one's."""
    mid = function(x.mid, y.mid)
    if x.rad is None and y.rad is None:
        return Ball(mid)
    winner = np.where(mid == x.mid, x.radius, y.radius)
    return Ball(mid, np.where(separated(x, y), winner, np.maximum(x.radius, y.radius)))


@rule("clamp")
def _clamp(a: Arithmetic, low: Ball, x: Ball, high: Ball, **_: Any) -> Ball:
    return _min(a, _max(a, low, x), high)


def separated(x: Ball, y: Ball) -> np.ndarray:
    """Where the order of two balls is certain: both exact, or no value in common."""
    # The distance is rounded once and the sum of the radii once.
    apart = np.abs(np.subtract(x.mid, y.mid, dtype=np.float64)) > (x.radius + y.radius) * GROW
    return apart | (x.is_exact & y.is_exact)


def _comparison(function: Callable) -> Rule:
    def compare(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
        truth = np.asarray(function(x.mid, y.mid))
        if x.rad is None and y.rad is None:
            return Ball(truth)
        if x is y:  # the idiom x != x for NaN: a real number equals itself
            certain = np.isfinite(x.radius)
        else:
            nan = (np.isnan(x.mid) & x.is_exact) | (np.isnan(y.mid) & y.is_exact)
            certain = separated(x, y) | nan
        return Ball(truth, np.where(certain, 0.0, np.inf))

    return compare


RULES.update(
    lt=_comparison(np.less), le=_comparison(np.less_equal), gt=_comparison(np.greater),
    ge=_comparison(np.greater_equal), eq=_comparison(np.equal), ne=_comparison(np.not_equal),
)  # fmt: skip


@rule("and")
def _and(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    return _logical(np.bitwise_and, x, y, dominant=False)


@rule("or")
def _or(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    return _logical(np.bitwise_or, x, y, dominant=True)


def _logical(function: Callable, x: Ball, y: Ball, dominant: bool) -> Ball:
    """One operand that is surely `dominant` decides."""
    result = _integers(function, x, y)
    if result.rad is None or result.mid.dtype.kind != "b":
        return result
    decides = [(b.mid == dominant) & b.is_exact for b in (x, y)]
    return Ball(np.where(decides[0] | decides[1], dominant, result.mid),
                np.where(decides[0] | decides[1], 0.0, result.rad))  # fmt: skip


@rule("xor")
def _xor(a: Arithmetic, x: Ball, y: Ball, **_: Any) -> Ball:
    return _integers(np.bitwise_xor, x, y)


@rule("not")
def _not(a: Arithmetic, x: Ball, **_: Any) -> Ball:
    return _integers(np.bitwise_not, x)


@rule("is_finite")
def _is_finite(a: Arithmetic, x: Ball, **_: Any) -> Ball:
    finite = np.isfinite(x.mid)
    return Ball(finite) if x.rad is None else Ball(finite, np.where(np.isfinite(x.rad), 0.0, np.inf))


@rule("select_n")
def _select(a: Arithmetic, which: Ball, *cases: Ball, **_: Any) -> Ball:
    mids = np.broadcast_arrays(*[c.mid for c in cases])
    choice = np.broadcast_to(np.asarray(which.mid).astype(np.intp), mids[0].shape)
    mid = np.choose(choice, mids)
    if which.rad is None and all(c.rad is None for c in cases):
        return Ball(mid)
    radii = [np.broadcast_to(c.radius, mid.shape) for c in cases]
    rad = np.choose(choice, radii)
    if not which.is_unknown_anywhere:
        return Ball(mid, rad)
    # An undecided condition: the hull of all branches around the midpoint's branch.
    if cases[0].is_real:
        hull = np.max([(np.abs(m - mid) + r) * GROW for m, r in zip(mids, radii, strict=True)], axis=0)
    else:
        hull = np.max([np.where(m == mid, r, np.inf) for m, r in zip(mids, radii, strict=True)], axis=0)
    return Ball(mid, np.where(which.radius > 0, np.where(np.isnan(hull), np.inf, hull), rad))


@rule("convert_element_type")
def _convert(a: Arithmetic, x: Ball, *, new_dtype: Any, **_: Any) -> Ball:
    kind = np.dtype(new_dtype).kind
    if kind == "b":
        return _comparison(np.not_equal)(a, x, Ball(np.zeros((), x.mid.dtype)))
    if kind not in "iu":
        return _to_real(a, x)
    if not x.is_real:
        return Ball(x.mid.astype(new_dtype), x.rad)
    # A number beyond the integers' range has no agreed conversion.
    whole = _integral_rule(np.trunc)(a, x)
    info = np.iinfo(new_dtype)
    fits = (whole.mid >= info.min) & (whole.mid < info.max) & (whole.radius == 0)
    mid = np.where(fits, whole.mid, 0.0).astype(new_dtype)
    return Ball(mid) if np.all(fits) else Ball(mid, np.where(fits, 0.0, np.inf))


def _to_real(a: Arithmetic, x: Ball) -> Ball:
    """An integer or boolean as a real number; an unknown boolean is somewhere from zero to one."""
    mid = x.mid.astype(np.float64)
    if x.rad is None and np.all(np.abs(mid) < 2.0**53):
        return Ball(mid)
    rad = np.where(np.abs(mid) < 2.0**53, 0.0, 2.0**-53 * np.abs(mid))
    return Ball(mid, np.where(x.is_exact, rad, 1.0 if x.mid.dtype.kind == "b" else np.inf))


@rule("exact_constant")
def _constant(a: Arithmetic, *, expression: str) -> Ball:
    nearest, is_exact = nearest_float64(expression)
    mid = np.asarray(nearest)
    return constant(mid, a) if is_exact else a.rounded(mid, 2.0**-53 * abs(nearest), floor=False)


@rule("iota")
def _iota(a: Arithmetic, *, dtype: Any, shape: Sequence[int], dimension: int, **_: Any) -> Ball:
    line = np.arange(shape[dimension]).astype(dtype)
    return Ball(np.broadcast_to(line.reshape([-1 if i == dimension else 1 for i in range(len(shape))]), tuple(shape)))
