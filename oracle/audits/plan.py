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
from oracle.types import Case

if TYPE_CHECKING:
    from oracle.adapters import Adapter
    from oracle.audits.candidates import Candidate

QUICK_FORMATS = ("float32", "bfloat16")


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
    from oracle.audits.candidates import candidates, chosen_adapters  # noqa: PLC0415 - `oracle ops` asks no adapter

    chosen = chosen_operations(selection.operations)
    formats = chosen_formats(selection)
    found = chosen_adapters(selection.adapters)
    asked = candidates(selection, found)
    questions = tuple(q for op in chosen for name in formats for q in _questions(op, name, (selection, found, asked)))
    if not any(q.candidates for q in questions):
        raise OracleError(f"nothing to audit: {_why_nothing(questions)}")
    return Plan(selection, found, questions, tuple(_left_out(selection, found, asked)))


def chosen_formats(selection: Selection) -> tuple[str, ...]:
    """The number formats of `selection`; without any, all of a full audit, two and the modes' own of a quick one."""
    from oracle.reference.formats import FORMATS, format_named  # noqa: PLC0415 - imports NumPy

    for name in selection.formats:
        try:
            format_named(name)
        except ValueError as error:
            raise OracleError(str(error)) from error
    asked = tuple(f for f in FORMATS if f in QUICK_FORMATS or any(mode.endswith(f) for mode in selection.modes))
    return selection.formats or (tuple(FORMATS) if selection.full else asked)


def _questions(
    op: Operation, fmt: str, who: tuple[Selection, Mapping[str, "Adapter"], Sequence["Candidate"]]
) -> Iterator[Question]:
    """The questions on one operation in one format; a refusal is told once, with the first."""
    from oracle.audits.cases import cases  # noqa: PLC0415 - imports NumPy

    selection, found, asked = who
    arrays = {c: c.arrays_in(fmt) for c in asked}
    reasons = {c: found[c.adapter].supports(op.name, f, c.mode, c.device) for c, f in arrays.items() if f}
    able = tuple(c for c, reason in reasons.items() if reason is None)
    refusals = {c: reason for c, reason in reasons.items() if reason is not None}
    for case in cases(op, fmt, full=selection.full, seed=selection.seed):
        yield Question(case, able, refusals)
        refusals = {}


def _why_nothing(questions: Sequence[Question]) -> str:
    reasons = dict.fromkeys(reason for q in questions for reason in q.refusals.values())
    return "; ".join(list(reasons)[:3]) or "no adapter has what was selected; `oracle doctor` tells what is installed"


def _left_out(
    selection: Selection, found: Mapping[str, "Adapter"], asked: Sequence["Candidate"]
) -> Iterator[dict[str, str]]:
    """What a quick audit or an absent framework leaves out, with the command that adds it."""
    from oracle.adapters import adapters  # noqa: PLC0415
    from oracle.audits.candidates import installation  # noqa: PLC0415

    if not selection.full:
        for what, command in _not_quick(selection, found, asked):
            yield {"what": what, "why": "not in the quick profile", "command": command}
    if not selection.adapters:
        for name, adapter in adapters().items():
            if name not in found:
                yield {"what": name, "why": "not installed", "command": installation(adapter)}


def _not_quick(
    selection: Selection, found: Mapping[str, "Adapter"], asked: Sequence["Candidate"]
) -> Iterator[tuple[str, str]]:
    from oracle.audits.cases import OMITTED, cases  # noqa: PLC0415
    from oracle.reference.formats import FORMATS  # noqa: PLC0415

    chosen, formats = chosen_operations(selection.operations), chosen_formats(selection)
    quick, full = (sum(1 for op in chosen for f in formats for _ in cases(op, f, full=all_)) for all_ in (False, True))
    if full > quick:
        yield f"{full - quick} of {full} cases: {', '.join(OMITTED)}", selection.command(full=True, formats=formats)
    others = tuple(name for name in FORMATS if name not in formats)
    if others and not selection.formats:
        yield f"formats {', '.join(others)}", selection.command(formats=others)
    for name, adapter in found.items() if not selection.modes else ():
        modes = tuple(mode for mode in adapter.modes if not any(c[:2] == (name, mode) for c in asked))
        if modes:
            yield f"{name}: {', '.join(modes)}", selection.command(adapters=(name,), modes=modes)


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
