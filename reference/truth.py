"""The true value of an array, as a ball: midpoint, radius, exponent, and what is no real number.

An element's true value lies in (hi + lo + [-rad, rad]) · 2^exponent. The exponent of its own lets a truth lie
far outside float64's range (exp(1e4), products of many probabilities); `hi + lo` carries up to 106 bits.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from oracle.reference.formats import Format

REAL, NAN, PLUS_INF, MINUS_INF, UNDEFINED = range(5)
_NO_BINADE = -(2**30)  # stands for floor(log2 0) = -inf; any format clamps it to its e_min


def remembered(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of `Truth` computed once for each truth and format: every candidate's answer meets the same truth."""

    @functools.wraps(method)
    def once(self: "Truth", *args: Any) -> Any:
        memory = self.__dict__.setdefault("_remembered", {})
        key = (method.__name__, *args)
        if key not in memory:
            memory[key] = method(self, *args)
        return memory[key]

    return once


@dataclass(frozen=True)
class Truth:
    """The true value of every element of an array.

    `special` is 0 for a real number, 1 for NaN, 2 and 3 for plus and minus infinity, 4 where mathematics and
    convention leave the value undefined (then any answer is right). A truth that could not be found has an
    infinite `rad`, never a special code. `rung` names the arithmetic that decided the element. Where
    `signed_zero` is set the sign of `hi` is the sign expected of a zero result; elsewhere either is right.
    """

    hi: np.ndarray
    lo: np.ndarray
    rad: np.ndarray
    exponent: np.ndarray
    special: np.ndarray
    rung: np.ndarray
    signed_zero: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.signed_zero is None:
            object.__setattr__(self, "signed_zero", np.zeros(np.shape(self.hi), bool))

    @classmethod
    def exact(cls, values: Any) -> "Truth":
        """The truth that is exactly `values` (float64): radius zero; NaN and infinities become special."""
        values = np.asarray(values, np.float64)
        special = np.select([np.isnan(values), values == np.inf, values == -np.inf], [NAN, PLUS_INF, MINUS_INF], REAL)
        zeros = np.zeros(values.shape)
        return cls(np.where(special == REAL, values, 0.0), zeros, zeros, zeros.astype(np.int32),
                   special.astype(np.uint8), zeros.astype(np.uint8))  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return np.shape(self.hi)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.size(self.hi))

    def take(self, flat_indices: Any) -> "Truth":
        """The truth of the elements at `flat_indices`, in the shape of `flat_indices`."""
        return Truth(*(np.ravel(getattr(self, f.name))[flat_indices] for f in fields(self)))

    @remembered
    def bounds(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Lower and upper end of each ball as unevaluated sums (hi, lo), still to be scaled by 2^exponent."""
        hi, lo, rad = self._finite_parts()
        with np.errstate(all="ignore"):
            down = np.where(rad == 0, lo, np.nextafter(lo - rad, -np.inf))
            up = np.where(rad == 0, lo, np.nextafter(lo + rad, np.inf))
        return two_sum(hi, down), two_sum(hi, up)

    @remembered
    def binades(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest floor(log2|t|) that a t in each ball can have."""
        (low_hi, low_lo), (up_hi, up_lo) = self.bounds()
        low, up = binade(low_hi, low_lo, self.exponent), binade(up_hi, up_lo, self.exponent)
        around_zero = (np.sign(low_hi) != np.sign(up_hi)) | (low_hi == 0)
        return np.where(around_zero, _NO_BINADE, np.minimum(low, up)), np.maximum(low, up)

    def ulp_exponents(self, fmt: Format) -> tuple[np.ndarray, np.ndarray]:
        """Exponents of the smallest and the largest ulp of `fmt` that a t in each ball can have."""
        small, large = self.binades()
        return fmt.ulp_exponent(small), fmt.ulp_exponent(large)

    def ulp_radius(self, fmt: Format) -> np.ndarray:
        """Radius in ulps of `fmt`, the smaller ulp where the ball touches two binades; zero if special."""
        _, _, rad = self._finite_parts()
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(rad, self.exponent - self.ulp_exponents(fmt)[0])

    @remembered
    def decided(self, fmt: Format, width: float = 1e-3) -> np.ndarray:
        """Whether each ball is no wider than `width` ulps of `fmt`, so that any answer's ulp error is known.

        Beyond the format's range nothing more needs to be known than that the value is there.
        """
        return (self.ulp_radius(fmt) <= width / 2) | self._surely_overflows(fmt)

    def rounded(self, fmt: Format) -> np.ndarray:
        """The correctly rounded values (nearest, ties to even) as float64; NaN where undecided.

        Rounds hi + lo once, never through float64. An overflow is an infinity, also for a format without one.
        """
        below, above = self.rounded_bounds(fmt)
        return np.where(below == above, below, np.nan)

    @remembered
    def rounded_bounds(self, fmt: Format) -> tuple[np.ndarray, np.ndarray]:
        """Both ends of each ball rounded to `fmt`; rounding is monotonic, so equal ends prove it."""
        ends = [round_pair(hi, lo, self.exponent, fmt) for hi, lo in self.bounds()]
        unknown = ~np.isfinite(self._finite_parts()[2])
        ends = [np.where(end == 0, np.copysign(end, self.hi), end) for end in ends]
        for end, edge in zip(ends, (-np.inf, np.inf), strict=True):
            end[unknown] = edge
            end[self.special == PLUS_INF] = np.inf
            end[self.special == MINUS_INF] = -np.inf
            end[(self.special == NAN) | (self.special == UNDEFINED)] = np.nan
        return ends[0], ends[1]

    def values(self) -> np.ndarray:
        """Midpoints as float64, for display: specials as themselves, an undefined element as NaN."""
        with np.errstate(over="ignore", under="ignore"):
            real = np.ldexp(self.hi + self.lo, self.exponent)
        names = [
            self.special == NAN,
            self.special == PLUS_INF,
            self.special == MINUS_INF,
            self.special == UNDEFINED,
        ]
        return np.select(names, [np.nan, np.inf, -np.inf, np.nan], real)

    def digits(self, index: int, n: int = 20) -> str:
        """At most `n` decimal digits of the element at flat `index`, only those that the radius proves."""
        import flint  # noqa: PLC0415 - needed to print only

        names = {NAN: "nan", PLUS_INF: "inf", MINUS_INF: "-inf", UNDEFINED: "undefined"}
        one = self.take([index])
        if one.special[0] != REAL:
            return names[int(one.special[0])]
        if not np.isfinite(one.rad[0]):
            return "unknown"
        if one.hi[0] == 0 and one.lo[0] == 0 and one.rad[0] == 0:
            signed = one.signed_zero is not None and one.signed_zero[0]
            return "-0" if signed and np.signbit(one.hi[0]) else "0"
        with flint.ctx.workprec(max(256, 4 * n + 128)):
            ball = flint.arb(float(one.hi[0])) + flint.arb(float(one.lo[0])) + flint.arb(0, float(one.rad[0]))
            return (ball * flint.arb(2) ** int(one.exponent[0])).str(n, radius=False)

    def _finite_parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """hi, lo and rad with zeros in place of whatever the special elements hold."""
        real = self.special == REAL
        return tuple(np.where(real, part, 0.0) for part in (self.hi, self.lo, self.rad))  # type: ignore[return-value]

    def _surely_overflows(self, fmt: Format) -> np.ndarray:
        below, above = self.rounded_bounds(fmt)
        return np.isinf(below) & (below == above)


def two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """s and e with s = fl(a + b) and s + e = a + b exactly (Knuth, TAOCP 2, 4.2.2, theorem B)."""
    with np.errstate(invalid="ignore", over="ignore"):
        s = a + b
        t = s - a
        return s, np.where(np.isfinite(s), (a - (s - t)) + (b - t), 0.0)


def binade(hi: np.ndarray, lo: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """floor(log2 |(hi + lo) · 2^exponent|) for a normalised sum; very negative for zero."""
    mantissa, power = np.frexp(hi)
    just_below = (np.abs(mantissa) == 0.5) & (lo != 0) & (np.signbit(lo) != np.signbit(hi))
    return np.where(hi == 0, _NO_BINADE, power - 1 - just_below + exponent)


def round_pair(hi: np.ndarray, lo: np.ndarray, exponent: np.ndarray, fmt: Format) -> np.ndarray:
    """(hi + lo) · 2^exponent, a normalised sum, rounded once to `fmt` (nearest, ties to even), as float64."""
    q = fmt.ulp_exponent(binade(hi, lo, exponent))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        a, b = np.ldexp(hi, exponent - q), np.ldexp(lo, exponent - q)
        b = np.where((b == 0) & (lo != 0), np.copysign(np.finfo(np.float64).tiny, lo), b)
        whole = np.floor(a)
        part, rest = two_sum(a - whole, b)
        odd = np.mod(whole, 2) == 1
        up = (part > 0.5) | ((part == 0.5) & ((rest > 0) | ((rest == 0) & odd)))
        down = (part < -0.5) | ((part == -0.5) & ((rest < 0) | ((rest == 0) & odd)))
        value = np.ldexp(whole + up - down, q)
        value = np.where(np.isinf(a) | (np.abs(value) > fmt.max_finite), np.inf, np.abs(value))
    return np.copysign(value, hi)
