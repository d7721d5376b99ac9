"""The plan of an audit: which inputs are asked of which frameworks, and what is left out.

A case is one set of inputs (operation, configuration, direction, format, region); its truth is found once, whoever
answers. A candidate is who answers: an adapter in a mode on a device.
"""

import itertools
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from oracle.errors import OracleError
from oracle.reference.operation import Operation, get_operation, operations


class Candidate(NamedTuple):
    """Who answers."""

    adapter: str
    mode: str
    device: str


@dataclass(frozen=True)
class Selection:
    """What a user asked to audit; an empty tuple means all of its kind."""

    operations: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    full: bool = False

    @property
    def profile(self) -> str:
        """`quick` or `full`."""
        return "full" if self.full else "quick"

    @property
    def command(self) -> str:
        """The command line that selects this."""
        options = (("--adapter", self.adapters), ("--format", self.formats), ("--mode", self.modes),
                   ("--device", self.devices))  # fmt: skip
        chosen = [word for option, names in options for name in names for word in (option, name)]
        return shlex.join(["oracle", "audit", *self.operations, *chosen, f"--{self.profile}"])


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
