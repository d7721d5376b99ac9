"""Who is asked: the adapters whose frameworks are installed, their modes, and the devices that are there."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from oracle.adapters import Adapter, Refusal, adapters
from oracle.adapters.worker import Worker
from oracle.audits.manifest import gpus
from oracle.audits.plan import Selection
from oracle.errors import OracleError
from oracle.reference.formats import FORMATS


class Candidate(NamedTuple):
    """Who answers: an adapter, in a mode, on a device."""

    adapter: str
    mode: str
    device: str

    def arrays_in(self, fmt: str) -> str | None:
        """The format of the arrays that this candidate takes in a case of `fmt`; None if the case is not for it.

        A mixed policy ("autocast-bfloat16", "mixed_bfloat16") takes float32 arrays and rounds them to the format that
        it is named after: it is asked the cases of that format, whose numbers such a rounding does not change.
        """
        policy = next((name for name in FORMATS if self.mode.endswith(name)), None)
        if policy is None:
            return fmt
        return "float32" if policy == fmt else None


def chosen_adapters(names: Sequence[str]) -> dict[str, Adapter]:
    """The installed adapters called `names`, or of the frameworks called so; all installed ones without any.

    Raises `OracleError` for an unknown name, and for one whose framework is not installed.
    """
    known = adapters()
    if not names:
        return {name: adapter for name, adapter in known.items() if adapter.available()}
    found: dict[str, Adapter] = {}
    for name in names:
        called = {n: a for n, a in known.items() if name in (n, a.framework)}
        if not called:
            raise unknown("adapter", name, known)
        found.update({n: a for n, a in called.items() if a.available()})
        if not called.keys() & found.keys():
            raise OracleError(f"adapter {name!r} needs a framework that is absent: {installation(called[name])}")
    return found


def installation(adapter: Adapter) -> str:
    """The command that installs the framework of `adapter`."""
    return f"pip install 'numerical-oracle[{adapter.framework}]'"


def candidates(selection: Selection, found: Mapping[str, Adapter]) -> list[Candidate]:
    """Everyone whom `selection` asks: each adapter of `found` in its chosen modes on its chosen devices."""
    modes = chosen_modes(selection.modes, found, selection.full)
    devices = chosen_devices(selection.devices, found)
    return [Candidate(name, mode, device) for name in found for device in devices[name] for mode in modes[name]]


def chosen_modes(names: Sequence[str], found: Mapping[str, Adapter], full: bool) -> dict[str, tuple[str, ...]]:
    """The modes of each adapter: those called `names`; else all of a full audit, the first of a quick one."""
    known = {mode for adapter in found.values() for mode in adapter.modes}
    for name in names:
        if name not in known:
            raise unknown("mode", name, known)
    if names:
        return {n: tuple(mode for mode in a.modes if mode in names) for n, a in found.items()}
    return {n: a.modes if full else a.modes[:1] for n, a in found.items()}


def chosen_devices(names: Sequence[str], found: Mapping[str, Adapter]) -> dict[str, tuple[str, ...]]:
    """The devices of each adapter: those called `names`, else all that are there.

    Only where the machine has a GPU are the frameworks asked: it takes seconds.
    """
    present = {n: _devices(n) if gpus() else ("cpu",) for n in found}
    known = {device for devices in present.values() for device in devices}
    for name in names:
        if name not in known:
            raise unknown("device", name, known)
    return {n: tuple(d for d in devices if not names or d in names) for n, devices in present.items()}


def _devices(adapter: str) -> tuple[str, ...]:
    try:
        with Worker(adapter) as worker:
            return tuple(worker.devices())
    except Refusal:
        return ("cpu",)  # the framework does not start: its first answer says why


def unknown(kind: str, name: str, known: Iterable[str]) -> OracleError:
    """The error for a name that is none of `known`."""
    expected: Collection[str] = difflib.get_close_matches(name, list(known), n=3) or sorted(known)
    return OracleError(f"unknown {kind} {name!r}; expected one of {', '.join(expected)}")
