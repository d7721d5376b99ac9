"""Rung R3, element by element: one function for each primitive, from Arb balls to a ball.

Integers and booleans are Python's; None is one that no precision has decided so far. A ball that is not finite says
nothing, whatever Arb printed: only finite balls are results.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import flint
import numpy as np

from oracle.reference.program import Step, is_real

arb = flint.arb
# Bits of the largest argument that exp is asked about.
_LONGEST = 4096


def unknown() -> arb:
    """The ball that says nothing."""
    return arb.nan()


def whole(x: arb) -> int | None:
    """The integer that x certainly is."""
    n = x.unique_fmpz() if x.is_finite() else None
    return int(n) if n is not None and x.is_exact() and x.is_integer() else None


# ---- real functions --------------------------------------------------------------------------------------------------


def _exp(x: arb) -> arb:
    result = x.exp()
    if result.is_finite() or not x.is_finite() or not x > 0:
        return result
    # Arb gives up where the exponent of the result is longer than 128 bits; as n log 2 + r it has no limit.
    mantissa, power = x.upper().mid().man_exp()
    bits = int(mantissa).bit_length() + int(power)
    if bits > _LONGEST:
        return result
    with flint.ctx.workprec(flint.ctx.prec + bits):
        n = (x / arb.const_log2()).mid().floor().unique_fmpz()
        return result if n is None else (x - n * arb.const_log2()).exp() * arb((1, n))


def _sinh(x: arb) -> arb:
    result = x.sinh()
    return result if result.is_finite() else (_exp(x) - _exp(-x)) / 2


def _cosh(x: arb) -> arb:
    result = x.cosh()
    return result if result.is_finite() else (_exp(x) + _exp(-x)) / 2


def _expm1(x: arb) -> arb:
    result = x.expm1()
    return result if result.is_finite() else _exp(x) - 1


def _power(x: arb, y: Any) -> arb:
    """Arb's general power needs x > 0; an integer exponent is defined everywhere."""
    y = y if isinstance(y, arb) else arb(y)
    n = whole(y)
    if n is not None and abs(n) < 2**20:
        return x**n
    if n is not None and x < 0:
        return _power(-x, y) * (-1) ** (n % 2)
    if x.is_zero() and y > 0:
        return arb(0)
    result = x**y
    return result if result.is_finite() or not x > 0 else _exp(y * x.log())


def _logistic(x: arb) -> arb:
    if x < 0:  # exp(-x) may be too large for Arb
        e = x.exp()
        return e / (1 + e)
    return 1 / (1 + (-x).exp())


def _lgamma(x: arb) -> arb:
    return x.lgamma() if x > 0 else abs(x.gamma()).log()


def _polygamma(order: arb, x: arb) -> arb:
    n = whole(order)
    if n is None or n < 0:
        return unknown()
    if x > 0 and n > 0:  # psi^(n)(x) = (-1)^(n+1) n! zeta(n+1, x) (DLMF 25.11.12)
        return (-1) ** (n + 1) * math.factorial(n) * arb(n + 1).zeta(x)
    if x < 0 and n == 1:  # reflection, DLMF 5.15.6, which `acb.polygamma` leaves out far from zero
        return (arb.pi() / x.sin_pi()) ** 2 - arb(2).zeta(1 - x)
    return x.digamma() if n == 0 else flint.acb(x).polygamma(n).real


def _angle(y: arb, x: arb, below: bool, left: bool) -> arb:
    """atan2; `below` and `left` are the signs of y and x where they are zeros."""
    if y.is_zero() and (x < 0 or (x.is_zero() and left)):
        return -arb.pi() if below else arb.pi()
    return arb.atan2(y, x)


def _sign(x: arb) -> arb:
    return arb(0) if x.is_zero() else x.sgn() if x.is_finite() or abs(x) > 0 else unknown()


def _truncated(x: arb) -> arb:
    if abs(x) < 1:
        return arb(0)
    return x.floor() if x > 0 else x.ceil() if x < 0 else x.floor().union(x.ceil())


def _remainder(x: arb, y: arb) -> arb:
    quotient = _truncated(x / y)
    return x - y * quotient if whole(quotient) is not None else unknown()


def _rounded(x: arb, to_even: bool) -> arb:
    """To the nearest integer; exact ties to even or away from zero."""
    below = (x - 0.5).ceil()
    above = (x + 0.5).floor()
    if whole(below) is not None and whole(below) == whole(above):
        return above
    low, high = whole(below), whole(above)
    if not x.is_exact() or low is None or high is None:
        return below.union(above)
    if to_even:
        return arb(low if low % 2 == 0 else high)
    return arb(high if x > 0 else low)


def _exp2(x: arb) -> arb:
    exponent = whole(x)
    return _exp(x * arb.const_log2()) if exponent is None else arb((1, exponent))


REAL: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y, "add_any": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y, "rem": _remainder, "neg": lambda x: -x, "abs": abs, "sign": _sign,
    "max": lambda x, y: x.max(y), "min": lambda x, y: x.min(y), "clamp": lambda low, x, high: x.max(low).min(high),
    "exp": _exp, "exp2": _exp2,
    "expm1": _expm1, "log": arb.log, "log1p": arb.log1p, "sin": arb.sin, "cos": arb.cos, "tan": arb.tan,
    "sinh": _sinh, "cosh": _cosh, "tanh": arb.tanh, "asin": arb.asin, "acos": arb.acos, "atan": arb.atan,
    "asinh": arb.asinh, "acosh": arb.acosh, "atanh": arb.atanh, "sqrt": arb.sqrt, "rsqrt": arb.rsqrt,
    "square": lambda x: x * x, "cbrt": lambda x: x.root(3) if x >= 0 else -((-x).root(3)), "pow": _power,
    "logistic": _logistic, "erf": arb.erf, "erfc": arb.erfc, "erf_inv": arb.erfinv,
    "lgamma": _lgamma, "digamma": arb.digamma, "polygamma": _polygamma, "floor": arb.floor, "ceil": arb.ceil,
    "atan2": _angle,
}  # fmt: skip

INTEGER: dict[str, Callable[..., int]] = {
    "add": lambda x, y: x + y, "add_any": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y,
    "neg": lambda x: -x, "abs": abs, "max": max, "min": min, "sign": lambda x: (x > 0) - (x < 0),
    "clamp": lambda low, x, high: min(max(low, x), high),
}  # fmt: skip


# ---- decisions -------------------------------------------------------------------------------------------------------


def select(which: Any, *cases: Any) -> Any:
    """The chosen case; of an undecided choice the hull."""
    if which is not None:
        return cases[int(which)]
    if isinstance(cases[0], arb):
        hull = cases[0]
        for case in cases[1:]:
            hull = hull.union(case)
        return hull
    return cases[0] if all(case is not None and case == cases[0] for case in cases) else None


def _compare(surely: Callable[[Any, Any], bool], surely_not: Callable[[Any, Any], bool], of_equals: bool) -> Callable:
    def compare(x: Any, y: Any) -> bool | None:
        if x is None or y is None:
            return None
        if not isinstance(x, arb):
            return bool(surely(x, y))
        if not (x.is_finite() and y.is_finite()):
            return None
        if x is y:  # the same value, however wide its ball
            return of_equals
        return True if surely(x, y) else False if surely_not(x, y) else None

    return compare


def _differ(x: arb, y: arb) -> bool:
    return not x.overlaps(y)


COMPARISON = {
    "lt": _compare(lambda x, y: x < y, lambda x, y: x >= y, False),
    "le": _compare(lambda x, y: x <= y, lambda x, y: x > y, True),
    "gt": _compare(lambda x, y: x > y, lambda x, y: x <= y, False),
    "ge": _compare(lambda x, y: x >= y, lambda x, y: x < y, True),
    "eq": _compare(lambda x, y: x == y, _differ, True),
    "ne": _compare(lambda x, y: x != y, lambda x, y: x == y, False),
}


def _both(x: bool | None, y: bool | None) -> bool | None:
    if x is None or y is None:
        return False if False in (x, y) else None
    return x and y


def _either(x: bool | None, y: bool | None) -> bool | None:
    if x is None or y is None:
        return True if True in (x, y) else None
    return x or y


LOGICAL: dict[str, Callable[..., bool | None]] = {
    "and": _both,
    "or": _either,
    "xor": lambda x, y: None if x is None or y is None else x != y,
    "not": lambda x: None if x is None else not x,
}


def convert(x: Any, source: np.dtype, target: np.dtype) -> Any:
    """A number of one kind as one of another; an unknown boolean is a real number from zero to one."""
    if target.kind not in "iub":
        if x is None:
            return arb(0.5, 0.5) if source.kind == "b" else unknown()
        return x if isinstance(x, arb) else arb(int(x))
    if x is None:
        return None
    if target.kind == "b":
        return COMPARISON["ne"](x, arb(0) if isinstance(x, arb) else 0)
    if isinstance(x, arb):
        return whole(_truncated(x)) if x.is_finite() else None
    return int(np.asarray(x).astype(target))


def is_finite(x: arb) -> bool | None:
    """True of a real number; a ball that says nothing may hold one."""
    return True if x.is_finite() else None


def pointwise(step: Step, inputs: list[np.dtype], output: np.dtype) -> Callable[..., Any] | None:
    """The function of one element that a step on these types applies, None if there is none."""
    name = step.primitive
    if name == "select_n":
        return select
    if name == "convert_element_type":
        return functools.partial(convert, source=inputs[0], target=output)
    if name == "is_finite":
        return is_finite
    if name == "integer_pow" and is_real(output):
        return lambda x: x ** step.params["y"]
    if name == "round":
        return functools.partial(_rounded, to_even=int(step.params["rounding_method"]) == 1)
    if is_real(output):
        return REAL.get(name)
    if name in COMPARISON:
        return COMPARISON[name]
    if output.kind == "b" and name in LOGICAL:
        return LOGICAL[name]
    function = INTEGER.get(name, lambda *_: None)  # what has no rule here stays undecided
    return lambda *operands: None if None in operands else function(*operands)
