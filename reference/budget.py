"""The rounding budget: the worst error that an honest implementation can make, from the definition itself.

The interpreter of the truth runs with the unit roundoff of the candidate's format: the radius is then the largest
rounding error in whatever order it sums. Two honest implementations differ, so there are two budgets. *Fused*:
intermediates in the accumulation format, one rounding at the end. *Stepwise*: every primitive rounds to the format,
sums accumulate in the accumulation format. `probable` has min(n, 5 sqrt n) in place of n roundings of a sum.

Source: N. J. Higham, T. Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci. Comput. 41 (2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from oracle.reference.balls import Arithmetic, Ball, evaluate_balls
from oracle.reference.formats import Format, format_named
from oracle.reference.program import Program

# An honest library's functions, in ulps: what glibc, SLEEF (u10) and CUDA document for float32, with 2 as the rule.
HONEST_ULPS = {"pow": 4.0, "erfc": 4.0, "erf_inv": 4.0, "asinh": 4.0, "acosh": 4.0, "atanh": 4.0, "tan": 4.0,
               "sinh": 4.0, "cosh": 4.0, "logistic": 3.0, "lgamma": 8.0, "digamma": 8.0, "polygamma": 8.0}  # fmt: skip
# A division by a constant may honestly be a product with its rounded reciprocal.
DIVISION_ROUNDINGS = 2.0
# In 16 and 8 bits a function is computed in float32 and rounded once.
ROUNDED_ONCE_ULPS = 0.51
_SCALE_UNIT = 2.0**-40
_DEVIATIONS = 5.0


@dataclass(frozen=True)
class Budget:
    """Absolute error bounds of one output, elementwise, rounding of the output included.

    `scale` is the magnitude of the terms that make the element (sum |a_i b_i| for a product): the denominator of "ulp
    at scale". An infinite budget says that an intermediate result of the formula itself leaves the format. `flushing`
    is the budget of a kernel that also takes subnormal intermediate results for zero.
    """

    fused: np.ndarray
    stepwise: np.ndarray
    probable: np.ndarray
    scale: np.ndarray
    flushing: np.ndarray

    def hull(self, other: "Budget") -> "Budget":
        """The larger of two budgets, element by element: honest means honest by either formula."""
        return Budget(*(np.maximum(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)))


def rounding_budget(program: Program, inputs: Sequence[np.ndarray], fmt: Format) -> tuple[Budget, ...]:
    """One `Budget` for each output of `program` at `inputs`, for implementations that store `fmt`."""
    balls = [Ball(x if np.asarray(x).dtype.kind in "iub" else np.asarray(x, np.float64)) for x in inputs]

    def radii(arithmetic: Arithmetic) -> list[Ball]:
        values = evaluate_balls(program, balls, arithmetic)
        return [values[o] for o in program.outputs]  # type: ignore[misc]

    values = evaluate_balls(program, balls, fused_arithmetic(fmt))
    fused: list[Ball] = [values[o] for o in program.outputs]  # type: ignore[misc]
    probable = radii(with_probable_sums(fused_arithmetic(fmt)))
    stepwise = fused if fmt.accumulate == fmt.name else radii(stepwise_arithmetic(fmt))
    scale = radii(_unit_growth())
    flushing = radii(_flushing(fmt)) if _underflows(values, _flushing(fmt).flush) else fused
    stored = [[stored_radius(b, fmt) for b in balls] for balls in (fused, stepwise, probable, flushing)]
    return tuple(Budget(f, np.maximum(s, f), p, _magnitude(c), z) for f, s, p, z, c in zip(*stored, scale, strict=True))


def _flushing(fmt: Format) -> Arithmetic:
    wide = format_named(fmt.accumulate)
    return replace(fused_arithmetic(fmt), quantum_sum=wide.tiny, flush=wide.tiny)


def _underflows(values: Sequence[Ball | None], threshold: float) -> bool:
    reals = (ball.mid for ball in values if ball is not None and np.asarray(ball.mid).dtype.kind == "f")
    return any(bool(np.any((mid != 0) & (np.abs(mid) < threshold))) for mid in reals)


def fused_arithmetic(fmt: Format) -> Arithmetic:
    """Intermediates in the accumulation format; `stored_radius` adds the one rounding at the end."""
    wide = format_named(fmt.accumulate)
    return replace(_stored_in(wide), division=DIVISION_ROUNDINGS, function_ulps=_honest_ulps)


def with_probable_sums(arithmetic: Arithmetic) -> Arithmetic:
    """The arithmetic in which a sum of n roundings errs by no more than 5 sqrt n of them."""
    return replace(arithmetic, growth=lambda n: np.minimum(n, _DEVIATIONS * np.sqrt(n)))


def stepwise_arithmetic(fmt: Format) -> Arithmetic:
    """Every primitive rounds to the format, sums accumulate in the accumulation format."""
    return replace(_stored_in(fmt), function_ulps=lambda _: ROUNDED_ONCE_ULPS)


def _stored_in(fmt: Format) -> Arithmetic:
    """Every result and constant stored in `fmt`, partial sums in the format that it accumulates in."""
    wide = format_named(fmt.accumulate)
    # The midpoints are float64 themselves: their own rounding is part of the distance to an honest float64 result.
    return Arithmetic(
        fmt.u + 2.0**-53, fmt.quantum, fmt.tiny, fmt.max_finite,
        u_sum=wide.u + 2.0**-53, quantum_sum=wide.quantum, largest_sum=wide.max_finite, constants=fmt, exact=False,
    )  # fmt: skip


def _unit_growth() -> Arithmetic:
    """A sum counts the magnitude of its terms once, whatever their number."""
    return Arithmetic(
        _SCALE_UNIT, 0.0, 0.0, u_sum=_SCALE_UNIT, quantum_sum=0.0, growth=lambda n: np.minimum(n, 1.0), exact=False,
        function_ulps=lambda _: 0.5,
    )  # fmt: skip


def _honest_ulps(name: str) -> float:
    return HONEST_ULPS.get(name, 2.0)


def stored_radius(ball: Ball, fmt: Format) -> np.ndarray:
    """The radius with the final rounding to the storage format, if that is narrower."""
    rad = ball.radius
    magnitude = np.abs(ball.mid) + rad
    if fmt.accumulate == fmt.name:
        return np.maximum(rad, np.where(rad > 0, 0.5 * fmt.quantum, 0.0))
    with np.errstate(invalid="ignore"):
        rad = rad + np.maximum(fmt.u * magnitude, np.where(magnitude > 0, 0.5 * fmt.quantum, 0.0))
        return np.where(magnitude <= fmt.max_finite * (1 + 0.5 * fmt.u), rad, np.inf)


def _magnitude(ball: Ball) -> np.ndarray:
    with np.errstate(over="ignore"):
        scale = np.maximum(ball.radius / _SCALE_UNIT, np.abs(ball.mid))
    return np.where(np.isfinite(scale), scale, np.abs(ball.mid))
