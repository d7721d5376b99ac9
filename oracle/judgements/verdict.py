"""From errors to a verdict: is it rounding, and how much of what rounding allows was used.

An element is *beyond* when its smallest possible error exceeds the stepwise budget, the worst that an honest
implementation can do; or when its error is a class. Between the fused and the stepwise budget it is legal and
poor. Half an ulp is always allowed: nobody rounds better. CORRECT means half an ulp everywhere, as far as the
truth is known (1e-3 ulp at most). Flushing subnormals to zero is a class of its own:
the verdict is BEYOND_BUDGET only if the answer is wrong even when flushing is tolerated; else the reason says
FLUSHED.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.judgements.evidence import Evidence, curve, finite, histogram
from oracle.judgements.findings import Findings, Standard, find, middle_of, tolerate_flushing
from oracle.judgements.metric import Errors
from oracle.reference.budget import Budget
from oracle.reference.formats import Format
from oracle.reference.truth import UNDEFINED, Truth
from oracle.types import CLASSES, Verdict


@dataclass(frozen=True)
class Judgement:
    """One array judged: the fields of a `Row` that the errors determine, under the same names."""

    verdict: Verdict
    reason: str
    elements: int
    decided: int
    undecided: int
    rungs: Mapping[str, int]
    max_ulp: float | None
    max_ulp_interval: tuple[float, float] | None
    mean_abs_ulp: float | None
    max_ulp_flush_tolerant: float | None
    max_ulp_at_scale: float | None
    correctly_rounded: float | None
    budget_used: float | None
    budget_used_stepwise: float | None
    budget_used_probable: float | None
    classes: Mapping[str, int]
    histogram: Mapping[str, list] | None
    curve: Mapping[str, list] | None
    worst: tuple[Mapping[str, Any], ...]
    special: tuple[Mapping[str, Any], ...]


def judge(
    errors: Errors,
    truth: Truth,
    budget: Budget,
    fmt: Format,
    *,
    inputs: Mapping[str, np.ndarray] | None = None,
    at_zero: Standard | None = None,
) -> Judgement:
    """The verdict on one array of answers, with its evidence.

    `inputs` are the operands by name, of the answer's shape, of an elementwise operation: they label the worst
    elements, the table of special values, and with one real operand the curve of error against input. `at_zero`
    is the truth and the budget at the inputs with subnormals replaced by zeros, if there are any: with it a
    kernel that flushes its inputs is told from a wrong one.
    """
    errors = tolerate_flushing(errors, (truth, budget), fmt, at_zero)
    found = find(errors, truth, budget)
    low, high = errors.magnitude()
    counted = errors.numeric & errors.decided
    middle = middle_of(low, high)
    tolerant = middle_of(*errors.magnitude(tolerant=True))
    at_scale = middle_of(*errors.at_scale(budget.scale, fmt))
    shown = Evidence(errors, truth, fmt, found, inputs or {})
    classes = {name: int(getattr(errors, name).sum()) for name in CLASSES}
    decided = int(errors.decided.sum())
    return Judgement(
        verdict=_verdict(errors, truth, found),
        reason=_reason(errors, truth, found),
        elements=truth.size,
        decided=decided,
        undecided=truth.size - decided,
        rungs={f"R{rung}": int(n) for rung, n in zip(*np.unique(truth.rung, return_counts=True), strict=True)},
        max_ulp=_largest(middle, counted),
        max_ulp_interval=_largest_interval(low, high, counted),
        mean_abs_ulp=_mean(tolerant, counted),
        max_ulp_flush_tolerant=_largest(tolerant, counted),
        max_ulp_at_scale=_largest(at_scale, counted & ~errors.flushed),
        correctly_rounded=float(errors.rounded_certain[errors.decided].mean()) if decided else None,
        budget_used=_largest(found.fused, counted),
        budget_used_stepwise=_largest(found.stepwise, counted),
        budget_used_probable=_largest(found.probable, counted),
        classes=classes,
        histogram=histogram(errors, counted),
        curve=curve(tolerant, counted, inputs),
        worst=shown.worst(),
        special=shown.special(),
    )


def _verdict(errors: Errors, truth: Truth, found: Findings) -> Verdict:
    if found.beyond.any():
        return Verdict.BEYOND_BUDGET
    if found.unjudged.any() or bool(np.all(truth.special == UNDEFINED)):
        return Verdict.UNDECIDED
    within_half = errors.numeric & errors.decided & (errors.magnitude()[0] <= 0.5)
    correct = errors.rounded_certain | within_half
    return Verdict.CORRECT if bool(np.all(correct)) else Verdict.WITHIN_BUDGET


def _reason(errors: Errors, truth: Truth, found: Findings) -> str:
    """What the numbers alone do not say, the gravest first."""
    elements = truth.size
    unexcused = ~found.excused
    counts = (
        (
            found.beyond & errors.numeric & ~errors.wrong_zero_sign,
            "{} differ by more than rounding can explain",
        ),
        (errors.nan_mismatch & unexcused & np.isnan(errors.actual), "{} NaN where the truth is none"),
        (errors.nan_mismatch & unexcused & ~np.isnan(errors.actual), "{} miss a NaN"),
        (errors.wrong_infinity & unexcused & np.isinf(errors.actual), "{} infinite where the truth is not"),
        (errors.wrong_infinity & unexcused & ~np.isinf(errors.actual), "{} miss an infinity"),
        (errors.wrong_zero_sign, "{} zero of the wrong sign"),
        (found.unjudged, "{} undecided: the truth or its budget is not known well enough"),
        (errors.flushed, "FLUSHED: {} take a subnormal for zero"),
        (found.poor, "{} legal but poor: within the stepwise budget, beyond the fused one"),
        (found.excused, "{} overflow where an honest implementation may"),
    )
    said = [text.format(f"{int(mask.sum())} of {elements}") for mask, text in counts if mask.any()]
    if elements == 0 or bool(np.all(truth.special == UNDEFINED)):
        said.append("no element has a truth to compare with")
    return "; ".join(said)


def _largest(values: np.ndarray, counted: np.ndarray) -> float | None:
    values = values[counted & ~np.isnan(values)]
    return finite(values.max()) if values.size else None


def _largest_interval(low: np.ndarray, high: np.ndarray, counted: np.ndarray) -> tuple[float, float] | None:
    if not counted.any():
        return None
    return finite(low[counted].max()), finite(high[counted].max())


def _mean(values: np.ndarray, counted: np.ndarray) -> float | None:
    with np.errstate(over="ignore"):
        return finite(values[counted].mean()) if counted.any() else None
