"""Rung R4: exact infinities and NaN, decided by case.

IEEE 754 says what an operation on an infinity or a NaN gives, whatever the real numbers beside it are: inf + x = inf,
NaN · x = NaN, and inf · x = ±inf once the sign of x is certain. So the primitive is applied once more to the *skeleton*
of its operands: real numbers replaced by their signs (they cannot overflow then), infinities and NaN as they are. A
result in which an unknown operand, or one without a certain sign, has a part is left unknown.
"""

from collections.abc import Callable, Sequence

import numpy as np

from oracle.reference.balls import Ball

_SUMS_AND_EXTREMES = {"add", "add_any", "sub", "max", "min", "clamp", "reduce_sum", "reduce_max", "reduce_min",
                      "cumsum", "cummax", "cummin", "scatter-add", "scatter_add", "add_at"}  # fmt: skip
_PRODUCTS = {"mul", "div", "square", "integer_pow", "reduce_prod", "cumprod", "dot_general"}


def decide_specials(
    primitive: str, operands: Sequence[Ball], result: Ball, again: Callable[[Sequence[Ball]], np.ndarray]
) -> Ball:
    """`result` with its infinities and NaN marked exact where they surely are, and unknown elsewhere.

    `again` applies the primitive to other operands and returns the midpoints.
    """
    special = ~np.isfinite(result.mid)
    if result.rad is None or not np.any(special & (result.rad != 0)):
        return result
    rad = np.where(special & (result.rad != 0), np.inf, result.rad)
    if primitive not in _SUMS_AND_EXTREMES | _PRODUCTS:
        return Ball(result.mid, rad)
    signed = primitive in _PRODUCTS
    values = again([_replaced(b, _is_special(b), _sign(b)) for b in operands])
    # NaN passes through all of these primitives, and so marks what it reaches.
    doubt = np.isnan(again([_replaced(b, False, np.where(_is_certain(b, signed), 1.0, np.nan)) for b in operands]))
    nan = np.isnan(again([_replaced(b, False, np.where(_is_nan(b), np.nan, 1.0)) for b in operands]))
    decided = special & ~np.isfinite(values) & (~doubt | nan)
    return Ball(np.where(decided, np.where(nan, np.nan, values), result.mid), np.where(decided, 0.0, rad))


def _replaced(ball: Ball, kept: np.ndarray | bool, by: np.ndarray) -> Ball:
    return Ball(np.where(kept, ball.mid, by)) if ball.is_real else ball


def _is_special(ball: Ball) -> np.ndarray:
    return ~np.isfinite(ball.mid) & ball.is_exact


def _is_nan(ball: Ball) -> np.ndarray:
    return np.isnan(ball.mid) & ball.is_exact


def _sign(ball: Ball) -> np.ndarray:
    # NumPy's sign of -0.0 is 0.0, and 1/-0.0 is not 1/0.0.
    return np.where(np.isnan(ball.mid), 0.0, np.where(ball.mid == 0, ball.mid, np.sign(ball.mid)))


def _is_certain(ball: Ball, signed: bool) -> np.ndarray:
    """Exact infinities and NaN, and real numbers (of a certain sign)."""
    radius = ball.radius
    return (radius == 0) | (np.isfinite(radius) & (not signed or np.abs(ball.mid) > radius))
