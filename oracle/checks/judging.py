"""Results held against programs: truth of the first, budgets of all, one judgement for each result."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from oracle.audits.inputs import flushed
from oracle.errors import OracleError
from oracle.judgements.metric import measure
from oracle.judgements.verdict import Judgement, judge
from oracle.reference.budget import Budget, rounding_budget
from oracle.reference.evaluate import evaluate
from oracle.reference.formats import Format
from oracle.reference.program import Program
from oracle.reference.structure import MOVES
from oracle.reference.truth import Truth

_MIXING = ("reduce", "cum", "dot", "sort", "scatter", "arg", "top_k", "iota")


@dataclass(frozen=True)
class Asked:
    """What was given and what came: operands, results, and the number format of each result."""

    operands: Mapping[str, np.ndarray]
    answers: Mapping[str, np.ndarray]
    formats: Mapping[str, Format]


def judged(programs: Sequence[Program], asked: Asked) -> dict[str, Judgement]:
    """Each result against the exact value of the first program; the others add to the budget."""
    operands, formats = asked.operands, asked.formats
    truths = _truths(programs[0], operands, formats)
    calm = {name: flushed(x, max(formats.values(), key=lambda f: f.tiny)) for name, x in operands.items()}
    unchanged = all(calm[name] is x for name, x in operands.items())
    budgets = {fmt: _budgets(programs, operands, fmt) for fmt in set(formats.values())}
    at_zero = None if unchanged else _truths(programs[0], calm, formats)
    labelled = operands if _is_elementwise(programs[0]) else None
    found = {}
    for place, (name, y) in enumerate(asked.answers.items()):
        fmt = formats[name]
        try:
            errors = measure(y, truths[place], fmt)
        except ValueError as error:
            raise OracleError(f"{name}: {error}") from error
        calmly = None if at_zero is None else (at_zero[place], _budgets(programs, calm, fmt)[place])
        found[name] = judge(errors, truths[place], budgets[fmt][place], fmt, inputs=labelled, at_zero=calmly)
    return found


def _budgets(programs: Sequence[Program], operands: Mapping[str, np.ndarray], fmt: Format) -> tuple[Budget, ...]:
    each = [rounding_budget(program, list(operands.values()), fmt) for program in programs]
    return tuple(functools.reduce(Budget.hull, budgets) for budgets in zip(*each, strict=True))


def _truths(program: Program, operands: Mapping[str, np.ndarray], formats: Mapping[str, Format]) -> tuple[Truth, ...]:
    finest = max(formats.values(), key=lambda f: f.precision)
    return evaluate(program, list(operands.values()), finest)


def _is_elementwise(program: Program) -> bool:
    """Whether every element of the result depends on the same element of each operand alone."""
    (shape,) = {program.variables[v].shape for v in program.outputs} if len(program.outputs) == 1 else {None}
    if any(program.variables[v].shape != shape for v in program.inputs):
        return False
    names = {step.primitive for step in program.steps} - {"broadcast_in_dim"}
    return not any(name in MOVES or name.startswith(_MIXING) for name in names)
