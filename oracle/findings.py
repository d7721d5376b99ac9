"""Each element of an answer against its budgets."""

from dataclasses import dataclass

import numpy as np

from oracle.metric import Errors
from oracle.reference.budget import Budget
from oracle.reference.truth import REAL, Truth


@dataclass(frozen=True)
class Findings:
    """Per element: shares of the budgets, and what the budgets say. Arrays of the answer's shape.

    `fused`, `stepwise`, `probable`: error as a share of that budget, flushing tolerated (NaN where it is no
    number). `beyond`: certainly no rounding. `excused`: a class that an honest implementation may fall into,
    because an intermediate result or the result itself may overflow. `unjudged`: the truth or the budget is
    not known well enough.
    """

    fused: np.ndarray
    stepwise: np.ndarray
    probable: np.ndarray
    beyond: np.ndarray
    excused: np.ndarray
    unjudged: np.ndarray
    poor: np.ndarray


def find(errors: Errors, truth: Truth, budget: Budget) -> Findings:
    """Each element against the budgets."""
    low, high = errors.magnitude(tolerant=True)
    fused, stepwise, probable = (
        _in_ulps(allowed, errors.ulp_exponent) for allowed in (budget.fused, budget.stepwise, budget.probable)
    )
    real = truth.special == REAL
    overflow_allowed = real & np.isinf(budget.stepwise) & (errors.nan_mismatch | errors.wrong_infinity)
    edge_of_range = real & errors.wrong_infinity & (errors.infinity_low <= stepwise)
    excused = overflow_allowed | edge_of_range
    classed = errors.nan_mismatch | errors.wrong_infinity | errors.wrong_zero_sign
    beyond = (classed & ~excused) | (low > stepwise)
    unknown = real & ((~errors.decided & ~(high <= stepwise)) | np.isnan(budget.stepwise))
    middle = middle_of(low, high)
    return Findings(
        fused=middle / fused,
        stepwise=middle / stepwise,
        probable=middle / probable,
        beyond=beyond,
        excused=excused,
        unjudged=unknown & ~beyond & ~excused,
        poor=(low > fused) & ~beyond,
    )


def _in_ulps(allowed: np.ndarray, ulp_exponent: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore"):
        return np.fmax(0.5, np.ldexp(np.asarray(allowed, np.float64), -ulp_exponent))


def middle_of(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Middle of an interval of magnitudes, without overflow."""
    with np.errstate(invalid="ignore"):
        return 0.5 * low + 0.5 * high
