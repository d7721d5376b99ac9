"""R0 rules of the elementary and special functions of one and two variables.

Each rule evaluates the midpoint by NumPy or SciPy in float64, grants it the library error of assumption A1
(`balls.LIBRARY_ULPS`), and bounds how far the input's radius can move the result, by the function's monotonicity or by
the largest derivative on the ball. Source of the functions: NIST Digital Library of Mathematical Functions, ch. 4-7.

Largest errors found, in ulps, against Arb (NumPy 2.4.6, SciPy 1.17.1, x86-64; up to 10^6 arguments a function, of all
exponents and next to zeros, poles and changes of formula; `tests/reference/test_library.py` measures again):

    exp 1.0    exp2 0.72  expm1 0.52  log 0.61   log1p 0.58  sin 0.52   cos 0.57  tan 0.56   sinh 0.77  cosh 0.75
    tanh 1.2   asin 0.84  acos 0.82   atan 0.54  asinh 0.73  acosh 0.72 atanh 0.75 cbrt 0.55 rsqrt 1.5
    logistic 1.4  erf 2.8  erfc 500 (near its underflow)  erf_inv 2.6  polygamma 8.8 (orders 1, 2, 5; x > 0)

ln Γ and ψ have no bound in ulps near their zeros and poles; of the radius granted there at most 0.08 was used.
"""

from collections.abc import Callable

import numpy as np
import scipy.special as sp

from oracle.reference.balls import Arithmetic, Ball

# The radius formulas use library functions too: a relative slack far above their errors.
SLACK = 1 + 2.0**-30

_OVERFLOWING = {"exp", "exp2", "expm1", "sinh", "cosh"}

FUNCTIONS: dict[str, Callable[..., Ball]] = {}


def _no_loss(x: np.ndarray) -> float:
    return 0.0


def _unary(
    name: str,
    function: Callable[[np.ndarray], np.ndarray],
    spread: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    exact: Callable[[np.ndarray], np.ndarray] = lambda x: x == 0,
    lost: Callable[[np.ndarray], np.ndarray | float] = _no_loss,
) -> None:
    """Register `function`; `spread(x, r, y)` bounds |f(x ± r) - y|; `exact(x)` says where f of an exact x is exact.

    The spread may be NaN where it overflows (unknown), but may not underflow to zero. `lost(x)` is an absolute error of
    R0's own library function that its ulps do not cover.
    """

    def rule(a: Arithmetic, x: Ball, **_: object) -> Ball:
        mid = np.asarray(function(x.mid))
        moved = lost(x.mid) if a.exact else 0.0
        if x.rad is not None:
            moved = moved + np.where(x.rad > 0, spread(x.mid, x.rad, mid) * SLACK, 0.0)
        known = exact(x.mid) & x.is_exact & (a.exact | (mid == 0))
        count = np.where(known, 0.0, 2 * a.function_ulps(name))
        return _with_poles(name, x, a.rounded(mid, moved, count, floor=~known & np.isfinite(x.mid)))

    FUNCTIONS[name] = rule


def _with_poles(name: str, x: Ball, result: Ball) -> Ball:
    """An exact argument at a pole or outside the domain has an exact infinity or NaN; an overflow stays unknown."""
    special = x.is_exact & ~np.isfinite(result.mid)
    if not np.any(special):
        return result
    if name in _OVERFLOWING:
        special &= ~np.isinf(result.mid) | ~np.isfinite(x.mid)
    elif name in ("lgamma", "digamma"):
        special &= ~np.isinf(result.mid) | np.isinf(x.mid) | _is_gamma_pole(x.mid)
    return Ball(result.mid, np.where(special, 0.0, result.radius))


def _is_gamma_pole(x: np.ndarray) -> np.ndarray:
    return (x <= 0) & (x == np.rint(x))


def _gamma_terms(x: np.ndarray) -> np.ndarray:
    """SciPy errs near the zeros of ln Γ and ψ relative to their terms, of the size of |x| ln |x|, not to the sum."""
    return np.where(_is_gamma_pole(x) | ~np.isfinite(x), 0.0, 2.0**-48 * (1 + np.abs(x) * np.log1p(np.abs(x))))


def _digamma_terms(x: np.ndarray) -> np.ndarray:
    """Left of zero SciPy's ψ rounds 1 - x too, an error of x that the slope multiplies.

    |ψ'(x)| <= π²/sin²(πx) <= (π/2d)² at the distance d from the pole.
    """
    rounding, distance = 2.0**-51 * (1 + np.abs(x)), np.abs(x - np.rint(x))
    of_reflection = _where(4 * rounding < distance, 4.5 * rounding / distance**2)
    return _gamma_terms(x) + np.where((x < 0) & ~_is_gamma_pole(x), of_reflection, 0.0)


def _never(x: np.ndarray) -> np.ndarray:
    return np.zeros(np.shape(x), bool)


def _at(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: x == value


def _inner(x: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Smallest |t| on the ball."""
    return np.maximum(np.abs(x) - r, 0.0)


def _outer(x: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Largest |t| on the ball."""
    return np.abs(x) + r


def _gap(distance: np.ndarray, r: np.ndarray) -> np.ndarray:
    """What a ball of radius r leaves of the `distance` to a singularity, rounded down."""
    return distance - r - 2.0**-51 * (distance + r)


def _where(condition: np.ndarray, value: np.ndarray) -> np.ndarray:
    return np.where(condition, value, np.inf)


def _tan_spread(x: np.ndarray, r: np.ndarray, y: np.ndarray) -> np.ndarray:
    # tan(x+r) - tan x = s (1+t^2) / (1 - t s) with s = tan r; far from the pole s t is small.
    slope = 1 + y * y
    return _where(r * slope < 1e-3, 1.01 * r * slope)


def _lgamma_spread(x: np.ndarray, r: np.ndarray, y: np.ndarray) -> np.ndarray:
    # digamma increases on x > 0: its extremes on the ball are at the ends.
    slope = np.maximum(np.abs(sp.digamma(x - r)), np.abs(sp.digamma(x + r)))
    return _where(x - r > 0, r * slope)


def _sqrt_spread(x: np.ndarray, r: np.ndarray, y: np.ndarray) -> np.ndarray:
    low = x - r
    return _where(low >= 0, r / (y + np.sqrt(np.maximum(low, 0.0))))


def _log_spread(x: np.ndarray, r: np.ndarray) -> np.ndarray:
    """log x - log(x - r)."""
    return _where(x > r, np.log1p(r / np.where(x > r, x - r, 1.0)))


def _log1p_spread(x: np.ndarray, r: np.ndarray, y: np.ndarray) -> np.ndarray:
    left = _gap(1 + x, r)
    return _where(left > 0, np.log1p(r / left))


def _asin_spread(x: np.ndarray, r: np.ndarray, y: np.ndarray) -> np.ndarray:
    left = _gap(1 - np.abs(x), r)
    return _where(left > 0, r / np.sqrt(left * (2 - left)))


def _acosh_spread(x: np.ndarray, r: np.ndarray, y: np.ndarray) -> np.ndarray:
    left = _gap(x - 1, r)
    return _where(left > 0, r / np.sqrt(left) / np.sqrt(2 + left))


def _atanh_spread(x: np.ndarray, r: np.ndarray, y: np.ndarray) -> np.ndarray:
    left = _gap(1 - np.abs(x), r)
    return _where(left > 0, r / (left * (2 - left)))


def _erf_inv_spread(x: np.ndarray, r: np.ndarray, y: np.ndarray) -> np.ndarray:
    # The slope is sqrt(pi)/2 exp(w^2) at w = erf_inv(t).
    left = _gap(1 - np.abs(x), r)
    return _where(left > 0, r * 0.8863 * np.exp(sp.erfinv(1 - left) ** 2))


def _expit(x: np.ndarray) -> np.ndarray:
    # SciPy's gives zero where the value is subnormal.
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1 + e)


def _lgamma(x: np.ndarray) -> np.ndarray:
    return np.where(x == -np.inf, np.inf, sp.gammaln(x))


# Of a result that underflowed only this much is known.
_LEAST = 2.0**-1060

_unary("exp", np.exp, lambda x, r, y: (y + _LEAST) * np.expm1(r))
_unary("exp2", np.exp2, lambda x, r, y: (y + _LEAST) * np.expm1(r * np.log(2)))
_unary("expm1", np.expm1, lambda x, r, y: (np.exp(x) + _LEAST) * np.expm1(r))
_unary("log", np.log, lambda x, r, y: _log_spread(x, r), exact=_at(1.0))
_unary("log1p", np.log1p, _log1p_spread)
_unary("sin", np.sin, lambda x, r, y: np.minimum(r, 2.0))
_unary("cos", np.cos, lambda x, r, y: np.minimum(r, 2.0))
_unary("tan", np.tan, _tan_spread)
_unary("sinh", np.sinh, lambda x, r, y: r * np.cosh(_outer(x, r)))
_unary("cosh", np.cosh, lambda x, r, y: r * np.sinh(_outer(x, r)))
_unary("tanh", np.tanh, lambda x, r, y: np.minimum(r * np.minimum(1.0, 4 * np.exp(-2 * _inner(x, r))), 2.0))
_unary("asin", np.arcsin, _asin_spread)
_unary("acos", np.arccos, _asin_spread, _at(1.0))
_unary("atan", np.arctan, lambda x, r, y: np.minimum(r / (1 + _inner(x, r) ** 2), 3.15))
_unary("asinh", np.arcsinh, lambda x, r, y: r / np.hypot(1.0, _inner(x, r)))
_unary("acosh", np.arccosh, _acosh_spread, _at(1.0))
_unary("atanh", np.arctanh, _atanh_spread)
_unary("logistic", _expit, lambda x, r, y: np.minimum(r * np.minimum(0.25, np.exp(-_inner(x, r))), 1.0), _at(0.0))
_unary("erf", sp.erf, lambda x, r, y: np.minimum(r * 1.1284 * np.exp(-(_inner(x, r) ** 2)), 2.0))
_unary(
    "erfc",
    sp.erfc,
    lambda x, r, y: np.minimum(r * 1.1284 * np.exp(-(_inner(x, r) ** 2)), 2.0),
    _at(0.0),
    # SciPy gives zero where the value is subnormal.
    lost=lambda x: np.where(x > 26, np.exp(-x * x), 0.0),
)
_unary("lgamma", _lgamma, _lgamma_spread, lambda x: (x == 1) | (x == 2), lost=_gamma_terms)
_unary(
    "digamma",
    sp.digamma,
    lambda x, r, y: _where(x > r, r * sp.polygamma(1, np.maximum(x - r, 5e-324))),
    _never,
    lost=_digamma_terms,
)
_unary("erf_inv", sp.erfinv, _erf_inv_spread)


def _register(name: str) -> Callable[[Callable[..., Ball]], Callable[..., Ball]]:
    def register(rule: Callable[..., Ball]) -> Callable[..., Ball]:
        FUNCTIONS[name] = rule
        return rule

    return register


@_register("sqrt")
def _sqrt(a: Arithmetic, x: Ball, **_: object) -> Ball:
    mid = np.sqrt(x.mid)
    moved = 0.0 if x.rad is None else np.where(x.rad > 0, _sqrt_spread(x.mid, x.rad, mid) * SLACK, 0.0)
    return _with_poles("sqrt", x, a.rounded(mid, moved, np.where((mid == 0) & x.is_exact, 0.0, a.root), floor=False))


@_register("rsqrt")
def _rsqrt(a: Arithmetic, x: Ball, **_: object) -> Ball:
    mid = 1 / np.sqrt(x.mid)
    low = x.mid - x.radius
    moved = np.where(x.radius > 0, _where(low > 0, 0.5 * x.radius / low / np.sqrt(np.maximum(low, 0)) * SLACK), 0.0)
    return _with_poles("rsqrt", x, a.rounded(mid, moved, 2 * a.function_ulps("rsqrt"), floor=False))


@_register("cbrt")
def _cbrt(a: Arithmetic, x: Ball, **_: object) -> Ball:
    # |a^(1/3) - b^(1/3)| <= 4^(1/3) |a - b|^(1/3) everywhere, and r / (3 low^(2/3)) away from zero.
    low = _inner(x.mid, x.radius)
    near, far = np.cbrt(4 * x.radius), x.radius / (3 * np.cbrt(low) ** 2)
    moved = np.where(x.radius > 0, np.fmin(near, far) * SLACK, 0.0)
    return a.rounded(np.cbrt(x.mid), moved, np.where(x.mid == 0, 0.0, 2 * a.function_ulps("cbrt")), floor=False)


@_register("square")
def _square(a: Arithmetic, x: Ball, **_: object) -> Ball:
    r = x.radius
    return a.rounded(x.mid * x.mid, (2 * np.abs(x.mid) + r) * r, floor=~((x.mid == 0) & (r == 0)))


@_register("integer_pow")
def _integer_pow(a: Arithmetic, x: Ball, *, y: int, **_: object) -> Ball:
    """x^y for an integer y, as |y| - 1 products and, for negative y, a division."""
    mid = x.mid ** float(y)
    high, low = _outer(x.mid, x.radius), np.abs(x.mid) - x.radius
    slope = y * high ** max(y - 1, 0) if y >= 0 else _where(low > 0, -y * low ** (y - 1.0))
    moved = np.where(x.radius > 0, (slope + _LEAST) * x.radius * SLACK, 0.0)
    if y < 0:  # the product below the division may overflow: then the honest result is zero
        moved = moved + np.where(np.abs(mid) * a.largest < 1, np.abs(mid), 0.0)
    zero = (x.mid == 0) & x.is_exact
    if y >= 0:
        return a.rounded(mid, moved, _power_roundings(a, y), floor=~zero)
    result = a.rounded(mid, np.where(zero, 0.0, moved), _power_roundings(a, y))
    return Ball(result.mid, np.where(zero, 0.0, result.radius))


def _power_roundings(a: Arithmetic, y: int) -> float:
    """Roundings of |y| - 1 products and a division, or of the library's power where that is more."""
    products = max(abs(y) - 1, 0) + (y < 0)
    return max(products, 2 * a.function_ulps("integer_pow")) if a.exact else products


@_register("pow")
def _pow(a: Arithmetic, x: Ball, y: Ball, **_: object) -> Ball:
    exponent = np.asarray(y.mid, np.float64)
    mid = np.power(x.mid, exponent)
    both_exact = x.is_exact & y.is_exact
    # x^y = exp(y log x) for x > 0: the radius of y log x goes through expm1.
    size = np.abs(x.mid)
    log_x, log_spread = np.abs(np.log(size)), _log_spread(size, x.radius)
    moved = np.expm1(np.abs(exponent) * log_spread + log_x * y.radius + log_spread * y.radius)
    usable = (x.mid > x.radius) | ((size > x.radius) & y.is_exact)
    moved = np.where(both_exact, 0.0, _where(usable, (np.abs(mid) + _LEAST) * moved * SLACK))
    trivial = both_exact & ((x.mid == 1) | (exponent == 0) | (exponent == 1) | (x.mid == 0))
    count = np.where(trivial & (a.exact | (mid == 0)), 0.0, 2 * a.function_ulps("pow"))
    result = a.rounded(mid, moved, count, floor=~trivial)
    # Exact operands that give NaN or, one of them infinite or at the pole, an infinity: no overflow.
    special = ~np.isfinite(x.mid) | ~np.isfinite(exponent) | trivial
    known = both_exact & (np.isnan(mid) | (np.isinf(mid) & special))
    return Ball(result.mid, np.where(known, 0.0, result.radius))


@_register("polygamma")
def _polygamma(a: Arithmetic, order: Ball, x: Ball, **_: object) -> Ball:
    # SciPy has it for positive arguments and whole orders; elsewhere Arb decides.
    usable = (x.mid > x.radius) & (order.mid == np.rint(order.mid)) & (order.mid >= 0) & order.is_exact
    n = np.where(usable, order.mid, 0.0).astype(int)
    mid = np.where(usable, sp.polygamma(n, np.where(usable, x.mid, 1.0)), np.inf)
    steepest = np.abs(sp.polygamma(n + 1, np.where(usable, x.mid - x.radius, 1.0)))
    moved = np.where(x.radius > 0, x.radius * steepest * SLACK, 0.0)
    result = a.rounded(mid, np.where(usable, moved, np.inf), 2 * a.function_ulps("polygamma"))
    # At its poles ψ' grows without bound on both sides.
    pole = x.is_exact & order.is_exact & (order.mid == 1) & (x.mid <= 0) & (x.mid == np.rint(x.mid))
    return Ball(result.mid, np.where(pole, 0.0, result.radius))


@_register("atan2")
def _atan2(a: Arithmetic, y: Ball, x: Ball, **_: object) -> Ball:
    mid = np.arctan2(y.mid, x.mid)
    # The gradient of the angle has length 1 / distance from the origin; the branch cut lies on x < 0, y = 0.
    reach = np.hypot(y.radius, x.radius)
    size = np.hypot(y.mid, x.mid)
    overflow = np.isinf(size) & np.isfinite(y.mid) & np.isfinite(x.mid)
    distance = np.where(overflow, 0.0, _gap(size, reach * SLACK))
    off_cut = (x.mid > x.radius) | (np.abs(y.mid) > y.radius) | (y.is_exact)
    both_exact = y.is_exact & x.is_exact
    moved = np.where(both_exact, 0.0, _where((distance > 0) & off_cut, reach / distance * SLACK))
    known = (y.mid == 0) & (x.mid > 0) & both_exact
    result = a.rounded(mid, moved, np.where(known, 0.0, 2 * a.function_ulps("atan2")), floor=~known)
    return Ball(mid, np.where(both_exact & np.isnan(mid), 0.0, result.radius))
