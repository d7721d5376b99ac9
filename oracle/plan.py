"""The plan of an audit: which inputs are asked of which frameworks, and what is left out.

A case is one set of inputs (operation, configuration, direction, format, region); its truth is found once, whoever
answers. A candidate is who answers: an adapter in a mode on a device.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from oracle.errors import OracleError
from oracle.reference.operation import Operation, get_operation, operations
from oracle.types import Case, Direction

if TYPE_CHECKING:
    from oracle.adapters import Adapter
    from oracle.candidates import Candidate

QUICK_FORMATS = ("float32", "bfloat16")
QUICK_REGIONS = ("wide", "edge", "subnormal", "special")
DIRECTIONS: tuple[Direction, ...] = ("forward", "vjp")


class Question(NamedTuple):
    """One case, who is asked it, and who refused beforehand, with the reason."""

    case: Case
    candidates: tuple["Candidate", ...]
    refusals: Mapping["Candidate", str]


@dataclass(frozen=True)
class Selection:
    """What a user asked to audit; an empty tuple means all of its kind."""

    operations: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    full: bool = False
    seed: int = 0

    @property
    def profile(self) -> str:
        """`quick` or `full`."""
        return "full" if self.full else "quick"

    def command(self, **changed: Any) -> str:
        """The command line of this selection, or of one that differs from it as told."""
        wanted = {**{name: getattr(self, name) for name in self.__dataclass_fields__}, **changed}
        kinds = ("adapters", "formats", "modes", "devices")
        options = [word for kind in kinds for name in wanted[kind] for word in (f"--{kind.removesuffix('s')}", name)]
        seed = ["--seed", str(wanted["seed"])] if wanted["seed"] else []
        profile = ["--full"] if wanted["full"] else []
        return shlex.join(["oracle", "audit", *wanted["operations"], *options, *profile, *seed])


@dataclass(frozen=True)
class Plan:
    """The questions of an audit in the order in which they are asked; what is left out, and the command for it."""

    selection: Selection
    adapters: Mapping[str, "Adapter"]
    questions: tuple[Question, ...]
    left_out: tuple[Mapping[str, str], ...]


def key(case: Case, candidate: "Candidate") -> str:
    """The name under which the journal keeps an answer."""
    return "|".join(map(str, (*case, *candidate)))


def plan(selection: Selection) -> Plan:
    """The questions that `selection` asks of the installed frameworks. `OracleError` names what is unknown."""
    from oracle.candidates import candidates, chosen_adapters  # noqa: PLC0415 - `oracle ops` asks no adapter

    chosen = chosen_operations(selection.operations)
    formats = chosen_formats(selection)
    found = chosen_adapters(selection.adapters)
    asked = candidates(selection, found)
    questions = tuple(q for op in chosen for name in formats for q in _questions(op, name, (selection, found, asked)))
    if not any(q.candidates for q in questions):
        raise OracleError(f"nothing to audit: {_why_nothing(questions)}")
    return Plan(selection, found, questions, tuple(_left_out(selection, found, asked)))


def chosen_formats(selection: Selection) -> tuple[str, ...]:
    """The number formats of `selection`; without any, all of a full audit and two of a quick one."""
    from oracle.reference.formats import FORMATS, format_named  # noqa: PLC0415 - imports NumPy

    for name in selection.formats:
        try:
            format_named(name)
        except ValueError as error:
            raise OracleError(str(error)) from error
    return selection.formats or (tuple(FORMATS) if selection.full else QUICK_FORMATS)


def _questions(
    op: Operation, fmt: str, who: tuple[Selection, Mapping[str, "Adapter"], Sequence["Candidate"]]
) -> Iterator[Question]:
    """The questions on one operation in one format; a refusal is told once, with the first."""
    selection, found, asked = who
    reasons = {c: found[c.adapter].supports(op.name, fmt, c.mode, c.device) for c in asked}
    able = tuple(c for c, reason in reasons.items() if reason is None)
    refusals = {c: reason for c, reason in reasons.items() if reason is not None}
    for case in _cases(op, fmt, selection):
        yield Question(case, able, refusals)
        refusals = {}


def _cases(op: Operation, fmt: str, selection: Selection) -> Iterator[Case]:
    for config in op.configs:
        if not (config.quick or selection.full):
            continue
        for direction in DIRECTIONS if op.differentiable_args else DIRECTIONS[:1]:
            for region in _regions(op, fmt, direction, selection.full):
                yield Case(op.name, config.name, direction, fmt, region, selection.seed)


def _regions(op: Operation, fmt: str, direction: Direction, full: bool) -> list[str]:
    """The regions that `direction` is asked in: a gradient has no documented limits, so no special values."""
    from oracle.inputs import regions  # noqa: PLC0415 - imports NumPy
    from oracle.reference.formats import format_named  # noqa: PLC0415

    suited = [region for region in regions(op, format_named(fmt)) if direction == "forward" or region != "special"]
    if full:
        return suited
    if not op.elementwise:
        return ["typical", "wide"]
    if direction == "vjp":
        return ["wide", "edge"]
    # The whole format holds every other region but NaN and the infinities.
    return ["exhaustive", "special"] if "exhaustive" in suited else [r for r in suited if r in QUICK_REGIONS]


def _why_nothing(questions: Sequence[Question]) -> str:
    reasons = dict.fromkeys(reason for q in questions for reason in q.refusals.values())
    return "; ".join(list(reasons)[:3]) or "no adapter has what was selected; `oracle doctor` tells what is installed"


def _left_out(
    selection: Selection, found: Mapping[str, "Adapter"], asked: Sequence["Candidate"]
) -> Iterator[dict[str, str]]:
    """What a quick audit or an absent framework leaves out, with the command that adds it."""
    from oracle.adapters import adapters  # noqa: PLC0415
    from oracle.candidates import installation  # noqa: PLC0415
    from oracle.reference.formats import FORMATS  # noqa: PLC0415

    quick = "not in the quick profile"
    if not selection.full:
        larger = sum(not c.quick for op in chosen_operations(selection.operations) for c in op.configs)
        if larger:
            yield {"what": f"{larger} larger configurations", "why": quick, "command": selection.command(full=True)}
        if not selection.formats:
            others = tuple(name for name in FORMATS if name not in QUICK_FORMATS)
            yield {"what": f"formats {', '.join(others)}", "why": quick, "command": selection.command(formats=others)}
        if not selection.modes:
            for name, adapter in found.items():
                modes = tuple(mode for mode in adapter.modes if not any(c[:2] == (name, mode) for c in asked))
                if modes:
                    command = selection.command(adapters=(name,), modes=modes)
                    yield {"what": f"{name}: {', '.join(modes)}", "why": quick, "command": command}
    if not selection.adapters:
        for name, adapter in adapters().items():
            if name not in found:
                yield {"what": name, "why": "not installed", "command": installation(adapter)}


def chosen_operations(names: Sequence[str]) -> list[Operation]:
    """The operations called `names`, or of the families called so; all without any. `OracleError` if unknown."""
    known = operations()
    families = {op.family for op in known.values()}
    found: dict[str, Operation] = {} if names else dict(known)
    for name in names:
        if name in families and name not in known:
            found.update({op.name: op for op in known.values() if op.family == name})
        else:
            found[name] = _get(name)
    return list(found.values())


def _get(name: str) -> Operation:
    try:
        return get_operation(name)
    except ValueError as error:
        raise OracleError(str(error)) from error
