"""One case answered: its truth and its budget found once, every candidate's answer judged.

Runs in a judge's process; what enters and leaves is plain data.
"""

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

from oracle.adapters import Response
from oracle.adapters.worker import Outcome
from oracle.audits.bench import Bench, bench, material
from oracle.audits.candidates import Candidate
from oracle.audits.inputs import input_hash
from oracle.judgements.metric import measure
from oracle.judgements.verdict import Judgement, judge
from oracle.reference.formats import FORMATS
from oracle.reference.truth import Truth
from oracle.types import Case, Row, Verdict


def answer(case: Case, outcomes: Mapping[Candidate, Outcome], limit: int | None) -> dict[Candidate, list[Row]]:
    """The rows of every candidate. `limit` caps how many elements of a truth may climb to arbitrary precision.

    Raises `oracle.reference.evaluate.TruthViolation` where two rungs of the ladder contradict each other.
    """
    answered = any(outcome.response for outcome in outcomes.values())
    judged_by = bench(material(case), limit) if answered else None
    return {who: _rows(case, who, outcome, judged_by) for who, outcome in outcomes.items()}


def unanswered(case: Case, who: Candidate, verdict: Verdict, reason: str) -> Row:
    """The row of a candidate that gave no numbers."""
    return Row(case.operation, case.config, case.direction, "", who.adapter, who.mode, case.format, who.device,
               case.region, verdict, reason, seed=case.seed)  # fmt: skip


def judged(judged_by: Bench, label: str, response: Response) -> Judgement | str:
    """The judgement on the result called `label`, or why it cannot be compared with the truth.

    The answer is measured in its own type, which may be wider than the format asked for.
    """
    given, place = judged_by.given, judged_by.given.labels.index(label)
    actual = dict(zip(response.names, response.outputs, strict=True)).get(label)
    truth = judged_by.truths[place]
    if actual is None:
        return "this result was not returned"
    if problem := _misfit(actual, truth):
        return problem
    fmt = FORMATS[actual.dtype.name]
    labelled = given.named if given.operation.elementwise else None
    return judge(
        measure(actual, truth, fmt),
        truth,
        judged_by.budgets[place],
        fmt,
        inputs=labelled,
        at_zero=judged_by.at_zero[place],
    )


def _rows(case: Case, who: Candidate, outcome: Outcome, judged_by: Bench | None) -> list[Row]:
    if outcome.response is None or judged_by is None:
        return [unanswered(case, who, Verdict(outcome.failure), outcome.reason)]
    blank = replace(
        unanswered(case, who, Verdict.BEYOND_BUDGET, ""),
        seconds=outcome.response.seconds,
        input_hash=input_hash(judged_by.given.named),
    )
    refused = {
        label: replace(unanswered(case, who, Verdict.UNSUPPORTED, why), output=label)
        for label, why in outcome.response.refused.items()
    }
    return [
        refused.get(label)
        or _filled(replace(blank, output=label, elements=truth.size), judged(judged_by, label, outcome.response))
        for label, truth in zip(judged_by.given.labels, judged_by.truths, strict=True)
    ]


def _filled(row: Row, found: Judgement | str) -> Row:
    if isinstance(found, str):
        return replace(row, reason=found)
    return replace(row, **{field.name: getattr(found, field.name) for field in fields(found)})


def _misfit(actual: np.ndarray, truth: Truth) -> str:
    """Why the answer cannot be compared with the truth element by element; empty if it can."""
    if actual.shape != truth.shape:
        return f"the answer has shape {list(actual.shape)}, the truth {list(truth.shape)}"
    if actual.dtype.name not in FORMATS:
        return f"the answer is of type {actual.dtype.name}, which is no known number format"
    return ""
