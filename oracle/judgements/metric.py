"""How far an answer is from the truth: signed errors in units in the last place, and what is no number.

    E = (y - t) / 2^(clamp(floor(log2 |t|), e_min, e_max) - p + 1)

with t real, not rounded, so the error is known as an interval [low, high]: as wide as the truth's ball, and
where that ball touches two binades the hull of both quotients. Nothing overflows or underflows on the way:
both numbers are scaled by the ulp's exponent before they meet.
"""

from dataclasses import dataclass

import numpy as np

from oracle.reference.formats import Format
from oracle.reference.truth import NAN, REAL, UNDEFINED, Truth, two_sum

# Relative slack for the handful of float64 roundings between scaling and result.
_SLACK = 8 * np.finfo(np.float64).eps
_LEAST = np.finfo(np.float64).smallest_subnormal
_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True)
class Errors:
    """Errors of an array of answers, all arrays of its shape.

    `low`, `high`: the signed error in ulp; NaN where it is no number (a class, or a truth that is no real
    number). `ulp_exponent`: one ulp is 2^ulp_exponent. Classes: `nan_mismatch` (one is NaN, the other not),
    `wrong_infinity` (one is an infinity, the other not or of the other sign), `wrong_zero_sign`, and
    `flushed` (a subnormal taken for zero: `low` and `high` count it in full, `tolerant_low` and
    `tolerant_high` do not). Where an infinity is wrong, or a number stands in its place, `infinity_low` says
    how many ulps away the answer is at least, an infinity taken for the first number beyond the range.
    `rounded_certain`, `rounded_impossible`: is the answer the correctly rounded truth; neither is undecided.
    `decided`: the truth is known well enough to count ulps.
    """

    actual: np.ndarray
    low: np.ndarray
    high: np.ndarray
    tolerant_low: np.ndarray
    tolerant_high: np.ndarray
    ulp_exponent: np.ndarray
    nan_mismatch: np.ndarray
    wrong_infinity: np.ndarray
    wrong_zero_sign: np.ndarray
    flushed: np.ndarray
    infinity_low: np.ndarray
    rounded_certain: np.ndarray
    rounded_impossible: np.ndarray
    decided: np.ndarray

    @property
    def numeric(self) -> np.ndarray:
        """Where the error is a number."""
        return ~np.isnan(self.low)

    def magnitude(self, tolerant: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest |E|, strict or tolerant of flushing; NaN where the error is a class."""
        return _magnitude(*((self.tolerant_low, self.tolerant_high) if tolerant else (self.low, self.high)))

    def at_scale(self, scale: np.ndarray, fmt: Format) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest |y - t| in ulp of `scale`, the magnitude of the terms (at least |t|)."""
        finite = np.where(np.isfinite(scale), scale, fmt.max_finite)
        exponent = np.where(finite == 0, fmt.e_min, np.frexp(finite)[1] - 1)
        shift = np.minimum(self.ulp_exponent - fmt.ulp_exponent(exponent), 0)
        with np.errstate(under="ignore"):
            low, high = (np.ldexp(end, shift) for end in self.magnitude())
        return low, high


def measure(actual: np.ndarray, truth: Truth, fmt: Format) -> Errors:
    """The errors of `actual`, numbers of `fmt` (any dtype that holds them exactly), against `truth`.

    The overflow threshold is the largest finite value plus half an ulp; a format without infinities
    (float8_e4m3fn) may answer an overflow by NaN or by its largest value, both are conventions. Raises
    `ValueError` when the shapes differ or a number is not one of `fmt`.
    """
    y = actual = _checked(actual, truth, fmt)
    below, above = truth.rounded_bounds(fmt)
    if not fmt.has_inf:
        y = _overflow_as_infinity(y, below, above, fmt)
    nan_mismatch, wrong_infinity = _classes(y, truth, below, above)
    zero_to_judge = truth.signed_zero & (truth.special == REAL) & (y == 0)
    wrong_zero_sign = zero_to_judge & (np.signbit(y) != np.signbit(truth.hi))
    low, high, ulp_exponent = _interval(y, truth, fmt)
    infinity_low = np.where(truth.special == REAL, _magnitude(low, high)[0], np.inf)
    overflowed = np.isinf(y) & (below == y) & (above == y)
    no_number = nan_mismatch | wrong_infinity | (truth.special != REAL)
    low, high = (np.where(no_number, np.nan, np.where(overflowed, 0.0, end)) for end in (low, high))
    subnormal = (truth.special == REAL) & (truth.binades()[1] < fmt.e_min)
    flushed = (y == 0) & subnormal & (_magnitude(low, high)[0] > 0.5)
    right_special = ((truth.special == NAN) & np.isnan(y)) | (truth.special == UNDEFINED)
    certain = ((y == below) & (y == above)) | right_special
    return Errors(
        actual=actual, low=low, high=high, tolerant_low=np.where(flushed, 0.0, low),
        tolerant_high=np.where(flushed, 0.0, high), ulp_exponent=ulp_exponent, nan_mismatch=nan_mismatch,
        wrong_infinity=wrong_infinity, wrong_zero_sign=wrong_zero_sign & ~flushed, flushed=flushed,
        infinity_low=np.where(wrong_infinity, infinity_low, np.nan),
        rounded_certain=certain & ~wrong_zero_sign, decided=truth.decided(fmt),
        rounded_impossible=nan_mismatch | wrong_infinity | wrong_zero_sign | (y < below) | (y > above),
    )  # fmt: skip


def ordinal_distance(actual: np.ndarray, truth: Truth, fmt: Format) -> np.ndarray:
    """How many steps in `fmt` the answer is from the correctly rounded truth, as published tables count.

    NaN where the rounding is undecided or either is NaN.
    """
    rounded, y = truth.rounded(fmt), np.asarray(actual, np.float64)
    known = ~(np.isnan(rounded) | np.isnan(y))
    distance = fmt.ordinals(np.where(known, y, 0.0)) - fmt.ordinals(np.where(known, rounded, 0.0))
    return np.where(known, np.abs(distance.astype(np.float64)), np.nan)


def _checked(actual: np.ndarray, truth: Truth, fmt: Format) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        y = np.asarray(actual).astype(np.float64)
    if y.shape != truth.shape:
        raise ValueError(f"the answer has shape {y.shape}, the truth {truth.shape}; they must agree")
    if not fmt.is_representable(y):
        stray = float(y[(fmt.round(y).astype(np.float64) != y) & ~np.isnan(y)][0])
        raise ValueError(f"the answer {stray!r} is no number of {fmt.name}; give the format it was computed in")
    return y


def _overflow_as_infinity(y: np.ndarray, below: np.ndarray, above: np.ndarray, fmt: Format) -> np.ndarray:
    overflow = np.where(np.isinf(above), above, np.where(np.isinf(below), below, 0.0))
    saturated = y == np.copysign(fmt.max_finite, overflow)
    return np.where((overflow != 0) & (np.isnan(y) | saturated), overflow, y)


def _classes(y: np.ndarray, truth: Truth, below: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    defined = truth.special != UNDEFINED
    nan_mismatch = defined & (np.isnan(y) != (truth.special == NAN))
    comparable = defined & ~np.isnan(y) & (truth.special != NAN)
    possible = (y == below) | (y == above) | (np.isfinite(y) & (np.isfinite(below) | np.isfinite(above)))
    possible |= ~np.isfinite(truth.rad) & (truth.special == REAL)
    return nan_mismatch, comparable & ~possible


def _interval(y: np.ndarray, truth: Truth, fmt: Format) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of (y - t) / ulp(t), infinity taken for the first number beyond the range; and log2 ulp(t)."""
    small, large = truth.ulp_exponents(fmt)
    mantissa, power = np.frexp(np.where(np.isfinite(y), y, 0.0))
    beyond = fmt.max_finite * 0.5 + 2.0 ** (fmt.e_max - fmt.precision)
    mantissa = np.where(np.isinf(y), np.copysign(beyond * 2.0**-fmt.e_max, y), mantissa)
    power = np.where(np.isinf(y), fmt.e_max + 1, power)
    lower, upper = truth.bounds()
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        low, _ = _difference((mantissa, power - small), upper, truth.exponent - small)
        _, high = _difference((mantissa, power - small), lower, truth.exponent - small)
        low = np.minimum(low, np.ldexp(low, small - large))
        high = np.maximum(high, np.ldexp(high, small - large))
    known = np.isfinite(truth.rad)
    low = np.where(known, np.minimum(low, _LARGEST), -np.inf)
    high = np.where(known, np.maximum(high, -_LARGEST), np.inf)
    return low, high, small


def _difference(
    y: tuple[np.ndarray, np.ndarray], t: tuple[np.ndarray, np.ndarray], scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of y_0 · 2^y_1 - (t_0 + t_1) · 2^scale, equal where all is exact: 1/2 ulp stays 1/2."""
    value, hi = np.ldexp(*y), np.ldexp(t[0], scale)
    lo = np.where(np.isinf(hi), 0.0, np.ldexp(t[1], scale))
    difference, rest = two_sum(value, -hi)
    total, tail = two_sum(difference, rest - lo)
    exact = (tail == 0) & ((rest == 0) | (lo == 0)) & (np.ldexp(value, -y[1]) == y[0])
    exact &= (np.ldexp(hi, -scale) == t[0]) & (np.ldexp(lo, -scale) == t[1])
    slack = np.where(exact | np.isinf(total), 0.0, _SLACK * (np.abs(total) + np.abs(lo)) + 4 * _LEAST)
    return total - slack, total + slack


def _magnitude(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    largest = np.maximum(np.abs(low), np.abs(high))
    return np.where((low <= 0) & (high >= 0), 0.0, np.minimum(np.abs(low), np.abs(high))), largest
