"""Rung R0: midpoint-radius arithmetic in float64, vectorised.

A `Ball` holds arrays `mid` and `rad`: the true value lies in [mid - rad, mid + rad]. `rad is None` means exact. For
booleans and integers a nonzero radius means "unknown". The same rules with the unit roundoff of another format give
the worst error of an honest implementation in that format (`oracle.reference.budget`).

Sources: S. M. Rump, Fast and parallel interval arithmetic, BIT 39 (1999); N. J. Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed. (2002), ch. 3 for gamma_n and the bound of a dot product in any order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from oracle.reference.formats import Format
from oracle.reference.program import Program, Step

# Radii are computed in float64 too: a few roundings of relative size 2^-53 each, far below this growth.
GROW = 1 + 2.0**-44


# Assumption A1: the float64 functions of NumPy and SciPy err by at most these many ulps (8 where none is given).
# Measured far below; the self-check of every run compares a sample with Arb. A float32 result is decided to
# 1e-3 ulp with 5e5 float64 ulps to spare, so the generosity costs nothing.
LIBRARY_ULPS = {"pow": 32.0, "integer_pow": 32.0, "erf": 64.0, "erfc": 4096.0, "erf_inv": 4096.0, "asinh": 64.0,
                "acosh": 64.0, "atanh": 64.0, "lgamma": 1e5, "digamma": 1e5,
               "polygamma": 1e5, "tan": 64.0, "logistic": 64.0}  # fmt: skip


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


def sequential(n: int) -> float:
    """Error growth of summing n + 1 terms in the worst order: n roundings."""
    return float(n)


@dataclass(frozen=True)
class Arithmetic:
    """The rounding that the balls must cover.

    `u` is the unit roundoff of one operation, `u_sum` that of a partial sum, `quantum` the spacing of subnormals,
    `tiny` the smallest normal number and `largest` the largest finite one. `growth(n)` bounds how many roundings a sum
    of n + 1 terms accumulates, `division` how many a division; a sum is rounded once more, by `u_sum_output`, where it is stored in a narrower format.
    `constants` is the format that constants (eps, a slope, a momentum) are stored in, None where they are exact;
    `function_ulps(name)` is the error, in ulps, granted to the library's elementary function `name`.
    """

    u: float = 2.0**-53
    u_sum: float = 2.0**-53
    u_sum_output: float = 0.0
    quantum: float = 2.0**-1074
    tiny: float = 2.0**-1022
    largest: float = float(np.finfo(np.float64).max)
    growth: Callable[[int], float] = sequential
    division: float = 1.0
    constants: Format | None = None
    function_ulps: Callable[[str], float] = lambda name: LIBRARY_ULPS.get(name, 8.0)

    def rounded(self, mid: np.ndarray, rad: np.ndarray | float, count: Any = 1.0, floor: Any = True) -> Ball:
        """`mid` with the radius `rad` enlarged by `count` roundings; `floor` says where underflow may round too."""
        magnitude = np.abs(mid)
        rad = (rad + count * self.u * (magnitude + rad)) * GROW
        rad = rad + np.where((magnitude < self.tiny) & floor, self.quantum * np.maximum(count, 1.0), 0.0)
        return self.checked(mid, rad)

    def summed(self, mid: np.ndarray, rad: np.ndarray | float, terms: np.ndarray, count: int) -> Ball:
        """A sum of `count` + 1 terms of total magnitude `terms`, in any order."""
        rad = rad + self.growth(count) * self.u_sum * (terms + rad)
        rad = (rad + self.u_sum_output * (np.abs(mid) + rad)) * GROW
        return self.checked(mid, rad)

    def checked(self, mid: np.ndarray, rad: np.ndarray) -> Ball:
        """Infinite radius where the midpoint overflowed this format or the radius is undefined."""
        return Ball(mid, np.where((np.abs(mid) <= self.largest) & ~np.isnan(rad), rad, np.inf))


class MissingRule(ValueError):
    """A primitive that has no rule, named with what to write instead."""


def evaluate_balls(program: Program, inputs: list[Ball], arithmetic: Arithmetic) -> list[Ball | None]:
    """All variables of `program` as balls in `arithmetic`."""
    from oracle.reference.rules import apply  # noqa: PLC0415 - the rules are written in terms of this module

    environment: list[Ball | None] = [None] * len(program.variables)
    for index, value in program.constants.items():
        environment[index] = _constant(value, arithmetic)
    for index, value in zip(program.inputs, inputs, strict=True):
        environment[index] = value
    with np.errstate(all="ignore"):
        for step in program.steps:
            results = apply(arithmetic, step, [environment[i] for i in step.inputs])
            for index, result in zip(step.outputs, results, strict=True):
                environment[index] = result
    return environment


def _constant(value: np.ndarray, arithmetic: Arithmetic) -> Ball:
    """A constant of the program: exact, or off by its rounding to the format that holds constants."""
    if arithmetic.constants is None or np.asarray(value).dtype.kind != "f":
        return Ball(value)
    stored = arithmetic.constants.round(value).astype(np.float64)
    with np.errstate(invalid="ignore"):  # minus infinity is a constant of max pooling, and is exact
        return Ball(value, np.where(stored == value, 0.0, np.abs(stored - value)) * GROW)


__all__ = ["GROW", "Arithmetic", "Ball", "Step", "MissingRule", "evaluate_balls", "sequential"]
