"""Which layer, loss or optimizer of Keras is which of torch and which function of JAX: believed only when measured.

Each pair runs on the same random inputs and weights, in float32 and in float64. Rounding falls by 2^29 between the two,
a difference of meaning stays: relative to the largest element, what float64 leaves is

    at most 4096 x 2^-53          the same meaning (no result here has more than 4096 roundings in a row)
    at most 8 x 2^-24             the same, but one side keeps a constant or a step in float32
    more                          another meaning.
"""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from oracle.adapters.equivalents import Row, defaults, names, rows
from oracle.errors import OracleError

ROUNDINGS = 4096 * 2.0**-53
CONSTANT = 8 * 2.0**-24


class Relation(StrEnum):
    """How two sides stand to each other; never a bool."""

    SAME = "same meaning"
    SAME_BUT_NARROW = "same meaning, one side partly in float32"
    DIFFERENT = "another meaning"


@dataclass(frozen=True)
class Residual:
    """Largest difference between two sides over the largest element, in float32 and in float64."""

    float32: float
    float64: float

    @property
    def relation(self) -> Relation:
        """What the residuals say."""
        if self.float64 <= ROUNDINGS:
            return Relation.SAME
        return Relation.SAME_BUT_NARROW if self.float64 <= CONSTANT else Relation.DIFFERENT


@dataclass(frozen=True)
class Setting:
    """One argument on both sides with the defaults that the installed versions have ("" without one)."""

    keras: str
    torch: str
    keras_default: str
    torch_default: str
    note: str

    @property
    def differs(self) -> bool:
        """Whether both sides have a default and the two do not mean the same."""
        ours, theirs = self.keras_default, self.torch_default
        return bool(ours and theirs) and _meant(ours) != _meant(theirs)


def _meant(default: str) -> object:
    """What a default says: (1, 1) is 1, "valid" is 0, and None and False are 0, nothing."""
    try:
        value = ast.literal_eval(default)
    except (ValueError, SyntaxError):
        return default
    if isinstance(value, tuple) and len(set(value)) == 1:
        (value,) = set(value)
    return 0 if value in (None, False, "valid") else value


@dataclass(frozen=True)
class NotEquivalent:
    """What is often taken for the equivalent: how far it is from it, and why."""

    keras: str
    torch: str
    why: str
    residual: Residual


@dataclass(frozen=True)
class Equivalent:
    """A measured equivalence. `parameters` maps Keras's weights to torch's as `oracle.port` did it."""

    name: str
    kind: str
    keras: str
    torch: str
    jax: str
    settings: tuple[Setting, ...]
    parameters: tuple[tuple[str, str, str], ...]
    of_torch: Residual
    of_jax: Residual | None
    traps: tuple[NotEquivalent, ...]
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON, with what follows from the numbers."""
        data = asdict(self)
        data["relation"] = str(self.of_torch.relation)
        data["relation_jax"] = str(self.of_jax.relation) if self.of_jax else ""
        for setting, plain in zip(self.settings, data["settings"], strict=True):
            plain["differs"] = setting.differs
        return data


def chosen(name: str | None = None) -> list[Row]:
    """The rows whose name, Keras class or torch class is `name` (in any case); all without one.

    Raises `OracleError` with the names that there are.
    """
    known = rows()
    if name is None:
        return list(known.values())
    wanted = name.lower().rpartition(".")[2]

    def called(row: Row) -> set[str]:
        names = {row.name, row.name.partition("(")[0], *(o.rpartition(".")[2] for o in row.owners)}
        return {n.lower() for n in names}

    found = [row for row in known.values() if wanted in called(row)]
    if not found:
        raise OracleError(f"no equivalent of {name!r} is known", "known: " + ", ".join(known))
    return found


def versions() -> dict[str, str]:
    """The frameworks that were measured, with the backend on which Keras ran."""
    known = names()
    found = {name: str(known[name].__version__) for name in ("keras", "torch", "jax")}
    found["keras"] += f" on {known['keras'].backend.backend()}"
    return found


def measured(wanted: Iterable[Row]) -> list[Equivalent]:
    """Run each row on the installed versions."""
    return [_measured(row) for row in wanted]


def _measured(row: Row) -> Equivalent:
    from oracle.adapters.equivalents_run import Runner  # noqa: PLC0415 - imports the frameworks
    from oracle.ports.porting import port  # noqa: PLC0415

    sides = {dtype: Runner(row, dtype) for dtype in ("float32", "float64")}
    keras = {dtype: side.of_keras() for dtype, side in sides.items()}
    parameters: list[tuple[str, str, str]] = []

    def ported(source: Any, target: Any) -> None:
        parameters[:] = [(r.src, r.dst, r.transform) for r in port(source, target).rows]

    def against(text: str, other: str = "") -> Residual:
        ours = {dtype: side.of_keras(other) for dtype, side in sides.items()} if other else keras
        return _residual(ours, {dtype: side.of_torch(text, ported) for dtype, side in sides.items()})

    of_jax = _residual(keras, {dtype: side.of_jax() for dtype, side in sides.items()}) if row.jax else None
    traps = tuple(NotEquivalent(t.keras or row.keras, t.torch, t.why, against(t.torch, t.keras)) for t in row.traps)
    of_torch = against(row.torch)
    return Equivalent(
        row.name, row.kind, row.keras, row.torch, row.jax, _settings(row, defaults(row)), tuple(parameters), of_torch,
        of_jax, traps, row.note,
    )  # fmt: skip


def _residual(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> Residual:
    def relative(dtype: str) -> float:
        x, y = ours[dtype].astype(np.float64), theirs[dtype].astype(np.float64)
        if x.shape != y.shape:
            return float("inf")
        return float(np.max(np.abs(x - y), initial=0.0) / np.max(np.abs(x), initial=np.finfo(np.float64).tiny))

    return Residual(relative("float32"), relative("float64"))


def _settings(row: Row, found: Mapping[tuple[str, str], Any]) -> tuple[Setting, ...]:
    def shown(side: str, name: str) -> str:
        return repr(found[side, name]) if (side, name) in found else ""

    return tuple(
        Setting(a.keras, a.torch, shown("keras", a.keras), shown("torch", a.torch), a.note) for a in row.arguments
    )
