"""Each element of an answer against its budgets."""

from dataclasses import dataclass, replace

import numpy as np

from oracle.judgements.metric import Errors, measure
from oracle.reference.budget import Budget
from oracle.reference.formats import Format
from oracle.reference.truth import REAL, Truth


@dataclass(frozen=True)
class Findings:
    """Per element: shares of the budgets, and what the budgets say. Arrays of the answer's shape.

    `fused`, `stepwise`, `probable`: error as a share of that budget, flushing tolerated (NaN where it is no
    number). `beyond`: certainly no rounding. `excused`: a class that an honest implementation may fall into,
    because an intermediate result or the result itself may overflow. `unjudged`: the truth or the budget is
    not known well enough. `poor`: legal, but beyond the fused budget.
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
    fused_low, fused, _ = _shares(errors, truth, budget.fused)
    least, stepwise, most = _shares(errors, truth, budget.stepwise)
    _, probable, _ = _shares(errors, truth, budget.probable)
    real = truth.special == REAL
    overflow_allowed = real & np.isinf(budget.stepwise) & (errors.nan_mismatch | errors.wrong_infinity)
    edge_of_range = real & (errors.infinity_low <= _in_ulps(budget.stepwise, errors.ulp_exponent))
    excused = overflow_allowed | edge_of_range
    classed = errors.nan_mismatch | errors.wrong_infinity | errors.wrong_zero_sign
    beyond = (classed & ~excused) | (least > 1)
    unknown = real & ((~errors.decided & ~(most <= 1)) | np.isnan(budget.stepwise))
    return Findings(
        fused=fused,
        stepwise=stepwise,
        probable=probable,
        beyond=beyond,
        excused=excused,
        unjudged=unknown & ~beyond & ~excused,
        poor=(fused_low > 1) & ~beyond,
    )


Standard = tuple[Truth, Budget]


def tolerate_flushing(errors: Errors, standard: Standard, fmt: Format, at_zero: Standard | None = None) -> Errors:
    """`errors` with those that flushing explains moved to the class `flushed`.

    A subnormal intermediate result taken for zero explains an error within `Budget.flushing`, and an infinity or
    NaN where that budget is infinite (a division by it). `at_zero` is the truth and the budget at the inputs with
    subnormals replaced by zeros: an answer that is right there is explained by flushed inputs.
    """
    truth, budget = standard
    least, _, _ = _shares(errors, truth, budget.stepwise)
    flushing, _, _ = _shares(errors, truth, budget.flushing)
    number = (least > 1) & (flushing <= 1) & np.isfinite(budget.flushing)
    classed = (errors.nan_mismatch | errors.wrong_infinity) & (truth.special == REAL) & np.isinf(budget.flushing)
    explained = number | (classed & np.isfinite(budget.stepwise))
    if at_zero is not None:
        there = tolerate_flushing(measure(errors.actual, at_zero[0], fmt), at_zero, fmt)
        found = find(there, *at_zero)
        explained |= find(errors, truth, budget).beyond & ~found.beyond & ~found.unjudged
    return replace(
        errors,
        flushed=errors.flushed | explained,
        tolerant_low=np.where(explained, 0.0, errors.tolerant_low),
        tolerant_high=np.where(explained, 0.0, errors.tolerant_high),
        nan_mismatch=errors.nan_mismatch & ~explained,
        wrong_infinity=errors.wrong_infinity & ~explained,
        wrong_zero_sign=errors.wrong_zero_sign & ~explained,
    )


def _shares(errors: Errors, truth: Truth, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smallest, middle and largest error as a share of `allowed`, an absolute budget; flushing tolerated."""
    low, high = errors.magnitude(tolerant=True)
    in_ulps = _in_ulps(allowed, errors.ulp_exponent)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        shares = [error / in_ulps for error in (low, middle_of(low, high), high)]
        # Far from a tiny truth float64 errors and budgets are no numbers of ulps; as plain numbers they differ enough.
        far = np.isfinite(allowed) & (np.isinf(in_ulps) | (np.isinf(high) & np.isfinite(truth.rad)))
        absolute = np.abs(errors.actual - truth.values()) / allowed
    return tuple(np.where(far, absolute, share) for share in shares)  # type: ignore[return-value]


def _in_ulps(allowed: np.ndarray, ulp_exponent: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore"):
        return np.maximum(0.5, np.ldexp(np.asarray(allowed, np.float64), -ulp_exponent))


def middle_of(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Middle of an interval of magnitudes, without overflow."""
    with np.errstate(invalid="ignore"):
        return 0.5 * low + 0.5 * high
