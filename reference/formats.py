"""Binary floating-point formats: parameters, units in the last place, edge values, enumeration.

A format has precision `p` (significand bits, the implicit one included) and exponents `e_min..e_max`:
its normal numbers are ±m·2^(e-p+1) with 2^(p-1) <= m < 2^p, its subnormals lie below 2^e_min with the
spacing 2^(e_min-p+1) ("the quantum"). Sources: IEEE 754-2019; OCP 8-bit Floating Point Specification 1.0.
"""

from dataclasses import dataclass

import ml_dtypes
import numpy as np


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    `has_inf` is false for `float8_e4m3fn`, whose largest finite value takes the place of infinity.
    `accumulate` names the format in which an honest kernel forms sums and intermediate results.
    """

    name: str
    precision: int
    e_min: int
    e_max: int
    dtype: np.dtype
    max_finite: float
    accumulate: str
    has_inf: bool = True

    @property
    def u(self) -> float:
        """Unit roundoff 2^-p: the largest relative error of rounding to nearest."""
        return 2.0**-self.precision

    @property
    def quantum(self) -> float:
        """Spacing of the subnormal numbers, 2^(e_min - p + 1)."""
        return 2.0 ** (self.e_min - self.precision + 1)

    @property
    def tiny(self) -> float:
        """Smallest positive normal number, 2^e_min."""
        return 2.0**self.e_min

    @property
    def bits(self) -> int:
        """Storage width in bits."""
        return self.dtype.itemsize * 8

    def ulp_exponent(self, exponent: np.ndarray) -> np.ndarray:
        """Exponent q with ulp(t) = 2^q for a real t with floor(log2|t|) = `exponent`."""
        return np.clip(exponent, self.e_min, self.e_max) - self.precision + 1

    def round(self, values: np.ndarray) -> np.ndarray:
        """`values` (float64) rounded once to nearest, ties to even, as an array of this format's dtype.

        Beyond the largest finite value lies infinity, or NaN for a format without infinities. ml_dtypes
        converts float64 through float32 and so rounds twice: it is handed only values already on the grid.
        """
        values = np.asarray(values, dtype=np.float64)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            if self.dtype.isbuiltin != 1:
                q = self.ulp_exponent(np.frexp(values)[1] - 1)
                values = np.ldexp(np.rint(np.ldexp(values, -q)), q)
            return values.astype(self.dtype)

    def ordinals(self, values: np.ndarray) -> np.ndarray:
        """Position of each representable value in the format's order.

        Zero has ordinal 0, the smallest subnormal 1, and neighbours differ by 1; both zeros share an ordinal.
        The integer distance of two values is the difference of their ordinals. NaN has no place in the order.
        """
        patterns = self.round(values).view(f"u{self.dtype.itemsize}").astype(np.uint64)
        sign = np.uint64(1 << (self.bits - 1))
        magnitudes = (patterns & (sign - np.uint64(1))).astype(np.int64)
        return np.where(patterns & sign, -magnitudes, magnitudes)

    def from_ordinals(self, ordinals: np.ndarray) -> np.ndarray:
        """The values (float64) at the given `ordinals`."""
        ordinals = np.asarray(ordinals, np.int64)
        magnitudes = np.abs(ordinals).astype(f"u{self.dtype.itemsize}").view(self.dtype).astype(np.float64)
        return np.where(ordinals < 0, -magnitudes, magnitudes)

    def is_representable(self, values: np.ndarray) -> bool:
        """Whether rounding to this format changes nothing (NaN counts as unchanged)."""
        values = np.asarray(values, dtype=np.float64)
        return bool(np.array_equal(self.round(values).astype(np.float64), values, equal_nan=True))

    def all_values(self) -> np.ndarray:
        """Every bit pattern of an 8- or 16-bit format, in the order of the patterns."""
        if self.bits > 16:
            raise ValueError(f"{self.name} has 2^{self.bits} values; only 8- and 16-bit formats are enumerated")
        unsigned = np.uint8 if self.bits == 8 else np.uint16
        return np.arange(2**self.bits, dtype=np.uint32).astype(unsigned).view(self.dtype)


def _format(name: str, p: int, e_min: int, e_max: int, **more: object) -> Format:
    dtype = np.dtype(getattr(ml_dtypes, name) if hasattr(ml_dtypes, name) else name)
    largest = float(ml_dtypes.finfo(dtype).max)
    return Format(name, p, e_min, e_max, dtype, largest, **more)  # type: ignore[arg-type]


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        _format("float64", 53, -1022, 1023, accumulate="float64"),
        _format("float32", 24, -126, 127, accumulate="float32"),
        _format("bfloat16", 8, -126, 127, accumulate="float32"),
        _format("float16", 11, -14, 15, accumulate="float32"),
        _format("float8_e4m3fn", 4, -6, 8, accumulate="float32", has_inf=False),
        _format("float8_e5m2", 3, -14, 15, accumulate="float32"),
    )
}


def format_named(name: str) -> Format:
    """The format called `name`; `ValueError` lists the known ones."""
    try:
        return FORMATS[name]
    except KeyError:
        known = ", ".join(FORMATS)
        raise ValueError(f"unknown number format {name!r}; expected one of {known}") from None


def format_of(dtype: np.dtype) -> Format:
    """The format whose NumPy dtype is `dtype`."""
    return format_named(np.dtype(dtype).name)


def edge_values(fmt: Format) -> np.ndarray:
    """Values at which kernels break, computed from the format: powers of two around every limit.

    Zero, the subnormal and normal extremes, one and its neighbours, the largest value, the square roots and
    reciprocals of the extremes, and the thresholds of exp; both signs; each representable, in float64.
    """
    u, tiny, largest = 2 * fmt.u, fmt.tiny, fmt.max_finite
    log_max, log_tiny = np.log(largest), -np.log(fmt.quantum)
    positive = [0.0, fmt.quantum, tiny - fmt.quantum, tiny, tiny * (1 + u), np.sqrt(tiny), 1 - u / 2, 1.0,
                1 + u, 0.5, 2.0, 3.0, np.pi, np.sqrt(largest), min(1 / tiny, largest / 2),
                log_max, log_tiny, log_max / 2, 1 / u, largest / 2, largest]  # fmt: skip
    both = np.concatenate([positive, np.negative(positive)])
    rounded = fmt.round(np.clip(both, -largest, largest)).astype(np.float64)
    bits = rounded.view(np.uint64)
    return rounded[np.sort(np.unique(bits, return_index=True)[1])]


def rounded_to(x: np.ndarray, bits: int) -> np.ndarray:
    """`x` rounded to nearest, ties to even, to `bits` significant bits (the exponent's range is left alone)."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)
