"""One question: the true value of an operation, its rounding in each format, and what each framework makes of it."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from oracle.audits.answer import judged
from oracle.audits.arguments import asked_config, bound_arguments
from oracle.audits.bench import Bench, Material, bench, result_shapes
from oracle.audits.plan import chosen_operations
from oracle.errors import OracleError
from oracle.judgements.verdict import Judgement
from oracle.reference.digits import proven_digits, unproven
from oracle.reference.evaluate import R4
from oracle.reference.formats import FORMATS, Format
from oracle.reference.operation import Config, Operation
from oracle.reference.true_value import program_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oracle.adapters import Response
    from oracle.audits.candidates import Candidate

SECONDS = 120.0


@dataclass(frozen=True)
class Said:
    """What one framework returned: each result by name, and the judgement on it; or what came instead."""

    framework: str
    mode: str
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    judgements: Mapping[str, Judgement | str] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class InFormat:
    """The question in one number format: the arguments as it holds them, each result rounded correctly, the answers.

    `exact` says whether the format holds the arguments as they were given; the truth of a format is always that of the
    arguments that it holds.
    """

    format: str
    arguments: Mapping[str, np.ndarray]
    exact: bool
    rounded: Mapping[str, np.ndarray]
    said: tuple[Said, ...] = ()


@dataclass(frozen=True)
class TrueValue:
    """The true value of an operation at given arguments.

    `digits` are decimal digits of each result, all of them proven, as (object) arrays of strings: strings for an
    argument that is a number. `formats` tells of each number format.
    """

    operation: str
    arguments: Mapping[str, np.ndarray]
    attrs: Mapping[str, Any]
    grad: bool
    digits: Mapping[str, np.ndarray]
    formats: Mapping[str, InFormat]

    def __float__(self) -> float:
        """The float64 nearest to the true value of a single number."""
        (result,) = self.formats["float64"].rounded.values()
        return float(result)

    def __repr__(self) -> str:
        from oracle.audits.tell import plain  # noqa: PLC0415 - only to be shown

        return plain(self)

    def __rich__(self) -> "RenderableType":
        from oracle.audits.tell import told  # noqa: PLC0415

        return told(self)


def truth(
    op: str, *args: Any, digits: int = 20, grad: bool = False, frameworks: bool = False, **attrs: Any
) -> TrueValue:
    """The true value of the operation `op` at `args` (numbers or arrays, taken as the float64 they are).

    `digits` decimal digits are proven. `grad` asks for the gradient, each output's cotangent being one. With
    `frameworks` every installed framework is asked too, each in a process of its own: that takes seconds. `attrs` are
    the operation's attributes, by default those of its first configuration. Raises `OracleError` for what it cannot
    take.

        >>> oracle.truth("sigmoid", -12.5)
        sigmoid(-12.5) = 3.7266392841865613861e-6
    """
    (operation,) = chosen_operations([op])
    if grad and not operation.differentiable_args:
        raise OracleError(f"{op} has no gradient; ask without it")
    arguments = bound_arguments(operation, args)
    config = asked_config(operation, arguments, attrs)
    shapes = _shapes(operation, config, arguments)
    ones = {name: np.ones(shape) for name, shape in shapes.items()} if grad else {}
    given = Material(operation, config, FORMATS["float64"], arguments, ones)
    benches = {name: bench(_stored(given, fmt)) for name, fmt in FORMATS.items()}
    said = _ask_frameworks(benches) if frameworks else {}
    formats = {name: _in_format(given, b, said.get(name, ())) for name, b in benches.items()}
    return TrueValue(op, arguments, config.attrs, grad, _digits(given, benches["float64"], digits), formats)


def _shapes(op: Operation, config: Config, arguments: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    try:
        return result_shapes(op, config, arguments)
    except Exception as error:  # whatever the definition's own operations raise on shapes that do not fit
        shapes = ", ".join(f"{name}{list(x.shape)}" for name, x in arguments.items())
        typical = ", ".join(f"{name}{list(shape)}" for name, shape in op.configs[0].shapes.items())
        reason = " ".join(str(error).split())[:160]
        raise OracleError(f"{op.name} does not take {shapes} ({reason}); it takes, for example, {typical}") from error


def _stored(given: Material, fmt: Format) -> Material:
    """`given` with its arguments rounded to `fmt`."""

    def held(x: np.ndarray) -> np.ndarray:
        return fmt.round(x).astype(np.float64) if x.dtype.kind == "f" else x

    return replace(given, fmt=fmt, arguments={name: held(x) for name, x in given.arguments.items()})


def _digits(given: Material, found: Bench, count: int) -> dict[str, np.ndarray]:
    program = program_of(given.operation, given.config, given.operands)
    proven = proven_digits(program, given.operands, count)
    for text, truth_ in zip(proven, found.truths, strict=True):
        # Where no digits are proven, or a documented limit stands in for the formula, the truth says what is known.
        for i in np.flatnonzero(unproven(text) | (truth_.rung == R4)):
            text.flat[i] = truth_.digits(int(i), count)
    return dict(zip(given.labels, proven, strict=True))


def _in_format(given: Material, found: Bench, said: Sequence[Said]) -> InFormat:
    held = found.given.arguments
    exact = all(np.array_equal(x, given.arguments[name], equal_nan=True) for name, x in held.items())
    rounded = {label: t.rounded(found.given.fmt) for label, t in zip(given.labels, found.truths, strict=True)}
    return InFormat(found.given.fmt.name, held, exact, rounded, tuple(said))


def _ask_frameworks(benches: Mapping[str, Bench]) -> dict[str, list[Said]]:
    """What every installed framework says in its default mode on the CPU, by format."""
    from oracle.adapters.worker import Worker  # noqa: PLC0415
    from oracle.audits.candidates import Candidate, chosen_adapters  # noqa: PLC0415

    (op,) = {b.given.operation.name for b in benches.values()}
    with ExitStack() as stack:
        asked = []
        for name, adapter in chosen_adapters(()).items():
            who = Candidate(name, adapter.modes[0], "cpu")
            able = [fmt for fmt in benches if adapter.supports(op, fmt, who.mode) is None]
            worker = stack.enter_context(Worker(adapter, timeout=SECONDS)) if able else None
            asked += [(who, fmt, worker.submit(benches[fmt].given.request(who))) for fmt in able if worker]
        found: dict[str, list[Said]] = {fmt: [] for fmt in benches}
        for who, fmt, future in asked:
            outcome = future.result()
            if outcome.response:
                found[fmt].append(_said(who, outcome.response, benches[fmt]))
            else:
                found[fmt].append(Said(who.adapter, who.mode, failure=outcome.failure))
    return found


def _said(who: "Candidate", response: "Response", judged_by: Bench) -> Said:
    judgements = {label: judged(judged_by, label, response) for label in judged_by.given.labels}
    return Said(who.adapter, who.mode, dict(zip(response.names, response.outputs, strict=True)), judgements)
