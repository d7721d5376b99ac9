"""Rung R0: midpoint-radius arithmetic in float64, vectorised.

A `Ball` holds arrays `mid` and `rad`: the true value lies in [mid - rad, mid + rad]. `rad is None` means exact. An
infinite radius means "unknown", also whether there is a real number at all; booleans and integers are exact or unknown.
A midpoint that is NaN or infinite is the true value where its radius is zero (IEEE 754: poles, infinite inputs), and an
overflow of float64 or unknown elsewhere. A radius is never NaN. The same rules with the unit roundoff of another format
give the worst error of an honest implementation in that format (`oracle.reference.budget`).

Sources: S. M. Rump, Fast and parallel interval arithmetic, BIT 39 (1999); N. J. Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed. (2002), ch. 3 for gamma_n and the bound of a dot product in any order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from oracle.reference.formats import Format
from oracle.reference.program import Program

# Radii are computed in float64 too: a few roundings of relative size 2^-53 each, far below this growth, and a few
# underflows of 2^-1074 each, far below this.
GROW = 1 + 2.0**-44
UNDERFLOW = 2.0**-1070


# Assumption A1: the float64 functions of NumPy and SciPy err by at most these many ulps (8 where none is given).
# Measured far below; the self-check of every run compares a sample with Arb. A float32 result is decided to
# 1e-3 ulp with 5e5 float64 ulps to spare, so the generosity costs nothing.
LIBRARY_ULPS = {"pow": 32.0, "integer_pow": 32.0, "erf": 64.0, "erfc": 4096.0, "erf_inv": 4096.0, "asinh": 64.0,
                "acosh": 64.0, "atanh": 64.0, "lgamma": 1e5, "digamma": 1e5,
               "polygamma": 1e5, "tan": 64.0, "logistic": 64.0}  # fmt: skip


_FLOAT64_MAX = float(np.finfo(np.float64).max)


class Ball(NamedTuple):
    """Arrays of midpoints and radii; `rad` is None where every midpoint is exact."""

    mid: np.ndarray
    rad: np.ndarray | None = None

    @property
    def radius(self) -> np.ndarray:
        """The radii as an array, zeros where exact."""
        return np.zeros(np.shape(self.mid)) if self.rad is None else self.rad

    @property
    def is_exact(self) -> np.ndarray:
        """Where the radius is zero."""
        return self.radius == 0

    @property
    def is_real(self) -> bool:
        """Whether it holds real numbers (not integers or booleans)."""
        return np.asarray(self.mid).dtype.kind == "f"

    @property
    def is_unknown_anywhere(self) -> bool:
        """Whether some integer or boolean is unknown."""
        return self.rad is not None and bool(np.any(self.rad))


Counts = int | np.ndarray


def sequential(n: Counts) -> Counts:
    """Error growth of summing n + 1 terms in the worst order: n roundings."""
    return n


@dataclass(frozen=True)
class Arithmetic:
    """The rounding that the balls must cover.

    `u` is the unit roundoff of one operation, `quantum` the spacing of subnormals, `tiny` the smallest normal number
    and `largest` the largest finite one; `u_sum`, `quantum_sum` and `largest_sum` belong to the format of partial sums.
    `growth(n)` bounds how many roundings a sum of n + 1 terms accumulates, `division` how many a division. `constants`
    is the format that constants (eps, a slope, a momentum) are stored in, None where they are exact; `root` counts the
    roundings of a square root.
    `function_ulps(name)` is the error, in ulps, granted to the library's elementary function `name`, except where the
    library is known to be `exact` (exp 0 = 1). Any result below `flush` may be taken for zero.
    """

    u: float = 2.0**-53
    quantum: float = 2.0**-1074
    tiny: float = 2.0**-1022
    largest: float = _FLOAT64_MAX
    u_sum: float = 2.0**-53
    quantum_sum: float = 2.0**-1074
    largest_sum: float = _FLOAT64_MAX
    growth: Callable[[Counts], Counts] = sequential
    division: float = 1.0
    root: float = 1.0
    constants: Format | None = None
    exact: bool = True
    flush: float = 0.0
    function_ulps: Callable[[str], float] = lambda name: LIBRARY_ULPS.get(name, 8.0)

    def rounded(self, mid: np.ndarray, rad: np.ndarray | float, count: Any = 1.0, floor: Any = True) -> Ball:
        """`mid` with the radius `rad` enlarged by `count` roundings; `floor` says where underflow may round too."""
        magnitude = np.abs(mid)
        rad = (rad + count * self.u * (magnitude + rad)) * GROW
        if floor is not False:
            small = np.where(magnitude < self.tiny, self.quantum * np.maximum(count, 1.0) + UNDERFLOW, UNDERFLOW)
            rad = rad + np.where(floor, small, 0.0)
        return self.checked(mid, np.asarray(rad))

    def summed(self, mid: np.ndarray, rad: np.ndarray | float, terms: np.ndarray, count: Counts) -> Ball:
        """A sum of `count` + 1 terms of total magnitude `terms`, in any order (S. M. Rump, BIT 52, 2012).

        The total magnitude is a computed sum too, and smaller than the true one by as many roundings. A sum whose
        storage is narrower than its partial sums is rounded once more.
        """
        terms = (terms + rad) * (1 + 2.0**-52 * count)
        rad = (rad + self.growth(count) * self.u_sum * terms) * GROW
        # The positive terms alone, or the negative ones, are the largest partial sum of any order.
        rad = np.where(0.5 * terms + 0.5 * np.abs(mid) <= self.largest_sum, rad, np.inf)
        return self.rounded(mid, rad) if self.u > self.u_sum else self.checked(mid, rad)

    def checked(self, mid: np.ndarray, rad: np.ndarray) -> Ball:
        """Infinite radius where a value of the ball may overflow this format or the radius is undefined.

        The last of the roundings is to nearest: half an ulp beyond the largest number is still that number.
        """
        if self.flush:
            rad = rad + np.where((np.abs(mid) - rad < self.flush) & ((mid != 0) | (rad != 0)), self.flush, 0.0)
        limit = min(self.largest * (1 + 1.5 * self.u), _FLOAT64_MAX)
        fits = np.abs(mid) + rad <= limit
        return Ball(mid, rad if np.all(fits) else np.where(fits, rad, np.inf))


class MissingRule(ValueError):
    """A primitive that has no rule, named with what to write instead."""


def evaluate_balls(
    program: Program, inputs: list[Ball], arithmetic: Arithmetic, others: Mapping[int, Arithmetic] | None = None
) -> list[Ball | None]:
    """All variables of `program` as balls in `arithmetic`; `MissingRule` names a primitive without a rule.

    `others` gives single steps, by their position, an arithmetic of their own.
    """
    from oracle.reference.rules import apply  # noqa: PLC0415 - the rules are written in terms of this module

    environment: list[Ball | None] = [None] * len(program.variables)
    for index, array in program.constants.items():
        environment[index] = constant(array, arithmetic)
    for index, value in zip(program.inputs, inputs, strict=True):
        environment[index] = value
    with np.errstate(all="ignore"):
        for position, step in enumerate(program.steps):
            own = others.get(position, arithmetic) if others else arithmetic
            results = apply(own, step, [environment[i] for i in step.inputs])  # type: ignore[misc]
            for index, result in zip(step.outputs, results, strict=True):
                environment[index] = result
    return environment


def constant(value: np.ndarray, arithmetic: Arithmetic) -> Ball:
    """A constant of the program: exact, or off by its rounding to the format that holds constants."""
    if arithmetic.constants is None or value.dtype.kind != "f":
        return Ball(value)
    stored = arithmetic.constants.round(value).astype(np.float64)
    # Minus infinity is a constant of max pooling; a count beyond the range of a narrow format is not kept in it.
    exact = (stored == value) | ~np.isfinite(stored)
    with np.errstate(invalid="ignore"):
        return Ball(value, np.where(exact, 0.0, np.abs(stored - value)) * GROW)
