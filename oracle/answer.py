"""One case answered: its inputs, the truth and the budget found once, and every candidate's answer judged.

Runs in a judge's process; what enters and leaves is plain data.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from oracle.adapters import Request, Response
from oracle.adapters.worker import Outcome
from oracle.candidates import Candidate
from oracle.inputs import cotangents, generate, input_hash
from oracle.metric import measure
from oracle.reference.budget import Budget
from oracle.reference.formats import FORMATS, Format, format_named
from oracle.reference.operation import Config, Operation, get_operation
from oracle.reference.true_value import budget_of, program_of, true_value
from oracle.reference.truth import Truth
from oracle.types import Case, Row, Verdict
from oracle.verdict import judge


@dataclass(frozen=True)
class Material:
    """The arrays of a case, float64 (or integers, booleans), by name: arguments, and cotangents by output."""

    operation: Operation
    config: Config
    fmt: Format
    arguments: Mapping[str, np.ndarray]
    cotangents: Mapping[str, np.ndarray]

    @property
    def operands(self) -> list[np.ndarray]:
        """All arrays in the order of the program's inputs."""
        return [*self.arguments.values(), *self.cotangents.values()]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the results: outputs, or for a gradient the arguments that it belongs to."""
        if self.cotangents:
            return tuple(self.operation.args[i].name for i in self.operation.differentiable_args)
        return self.operation.outputs

    @property
    def named(self) -> dict[str, np.ndarray]:
        """Arguments by name, cotangents as `cotangent` and the output's name where there are several."""
        single = len(self.cotangents) == 1
        grads = {"cotangent" if single else f"cotangent {name}": x for name, x in self.cotangents.items()}
        return {**self.arguments, **grads}


@functools.lru_cache(maxsize=64)
def material(case: Case) -> Material:
    """The arrays of `case`: the same ones wherever and whenever they are drawn."""
    op, fmt = get_operation(case.operation), format_named(case.format)
    config = op.config(case.config)
    arguments = generate(op, config, fmt, case.region, case.seed)
    if case.direction == "forward":
        return Material(op, config, fmt, arguments, {})
    program = program_of(op, config, list(arguments.values()))
    shapes = {name: program.variables[v].shape for name, v in zip(op.outputs, program.outputs, strict=True)}
    return Material(op, config, fmt, arguments, cotangents(shapes, fmt, *case))


def request_for(case: Case, candidate: Candidate) -> Request:
    """What the candidate is asked: the arrays of the case in the format under test."""
    given = material(case)
    return Request(
        operation=case.operation,
        arrays={name: _stored(x, given.fmt) for name, x in given.arguments.items()},
        attrs=given.config.attrs,
        format=case.format,
        mode=candidate.mode,
        device=candidate.device,
        direction=case.direction,
        cotangents=tuple(_stored(x, given.fmt) for x in given.cotangents.values()),
    )


def _stored(x: np.ndarray, fmt: Format) -> np.ndarray:
    return fmt.round(x) if x.dtype.kind == "f" else x


def answer(case: Case, outcomes: Mapping[Candidate, Outcome], limit: int | None) -> dict[Candidate, list[Row]]:
    """The rows of every candidate. `limit` caps how many elements of a truth may climb to arbitrary precision.

    Raises `oracle.reference.evaluate.TruthViolation` where two rungs of the ladder contradict each other.
    """
    answered = any(outcome.response for outcome in outcomes.values())
    bench = _bench(material(case), limit) if answered else None
    return {who: _rows(case, who, outcome, bench) for who, outcome in outcomes.items()}


@dataclass(frozen=True)
class Bench:
    """What the answers of a case are judged by, one of each for every result."""

    given: Material
    truths: tuple[Truth, ...]
    flushed: tuple[Truth, ...] | tuple[None, ...]
    budgets: tuple[Budget, ...]


def _bench(given: Material, limit: int | None) -> Bench:
    op, config, fmt = given.operation, given.config, given.fmt
    truths = true_value(op, config, given.operands, fmt, limit=limit)
    flushed = [_flush(x, fmt) for x in given.operands]
    unchanged = all(a is b for a, b in zip(flushed, given.operands, strict=True))
    others = (None,) * len(truths) if unchanged else true_value(op, config, flushed, fmt, limit=limit)
    return Bench(given, truths, others, budget_of(op, config, given.operands, fmt))


def _flush(x: np.ndarray, fmt: Format) -> np.ndarray:
    """`x` with its subnormal numbers replaced by zeros of their sign; `x` itself where it has none."""
    if x.dtype.kind != "f":
        return x
    small = (x != 0) & (np.abs(x) < fmt.tiny)
    return np.where(small, np.copysign(0.0, x), x) if small.any() else x


def _rows(case: Case, who: Candidate, outcome: Outcome, bench: Bench | None) -> list[Row]:
    if outcome.response is None or bench is None:
        return [unanswered(case, who, Verdict(outcome.failure), outcome.reason)]
    return [_row(case, who, outcome.response, (bench, place)) for place in range(len(bench.truths))]


def unanswered(case: Case, who: Candidate, verdict: Verdict, reason: str) -> Row:
    """The row of a candidate that gave no numbers."""
    return Row(case.operation, case.config, case.direction, "", who.adapter, who.mode, case.format, who.device,
               case.region, verdict, reason, seed=case.seed)  # fmt: skip


def _row(case: Case, who: Candidate, response: Response, judged: tuple[Bench, int]) -> Row:
    bench, place = judged
    label = bench.given.labels[place]
    row = replace(
        unanswered(case, who, Verdict.UNDECIDED, ""),
        output=label,
        seconds=response.seconds,
        input_hash=input_hash(bench.given.named),
    )
    actual = dict(zip(response.names, response.outputs, strict=True)).get(label)
    truth = bench.truths[place]
    problem = _misfit(actual, truth)
    if problem:
        return replace(row, verdict=Verdict.BEYOND_BUDGET, reason=problem, elements=truth.size)
    assert actual is not None
    stored = FORMATS[actual.dtype.name]
    errors = measure(actual, truth, stored, flushed=bench.flushed[place])
    labelled = bench.given.named if bench.given.operation.elementwise else None
    found = judge(errors, truth, bench.budgets[place], stored, inputs=labelled)
    return replace(row, **{name: getattr(found, name) for name in found.__dataclass_fields__})


def _misfit(actual: np.ndarray | None, truth: Truth) -> str:
    """Why the answer cannot be compared with the truth element by element; empty if it can."""
    if actual is None:
        return "this result was not returned"
    if actual.shape != truth.shape:
        return f"the answer has shape {list(actual.shape)}, the truth {list(truth.shape)}"
    if actual.dtype.name not in FORMATS:
        return f"the answer is of type {actual.dtype.name}, no floating-point number"
    return ""
