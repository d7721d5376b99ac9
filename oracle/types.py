"""Frozen data that adapters, core and reports share: verdicts, cases, and the rows of `results.json`.

Nothing here is computed. The published form of these types is `reports/results.schema.json`: every number is
finite, and a quantity that does not exist is None (null).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Literal, NamedTuple

SCHEMA_VERSION = 1
CLASSES = ("nan_mismatch", "wrong_infinity", "wrong_zero_sign", "flushed")

Direction = Literal["forward", "vjp"]


class Verdict(StrEnum):
    """What was found, from best to worst news; never a bool."""

    CORRECT = "CORRECT"
    WITHIN_BUDGET = "WITHIN_BUDGET"
    BEYOND_BUDGET = "BEYOND_BUDGET"
    UNDECIDED = "UNDECIDED"
    UNSUPPORTED = "UNSUPPORTED"
    CRASHED = "CRASHED"
    TIMEOUT = "TIMEOUT"


class Case(NamedTuple):
    """One set of inputs: what is asked of every candidate. A region names how the inputs are drawn."""

    operation: str
    config: str
    direction: Direction
    format: str
    region: str
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """One case and one candidate: a line of `results.json`.

    Errors are in ulp of the format under test. `max_ulp` is the strict column: a subnormal flushed to zero
    counts there as the error it is, and not in `max_ulp_flush_tolerant`. `correctly_rounded` is the fraction
    of the decided elements that certainly are. `budget_used` is the largest error as a share of the fused
    budget.
    """

    op: str
    config: str
    direction: Direction
    output: str
    framework: str
    mode: str
    format: str
    device: str
    region: str
    verdict: Verdict
    reason: str = ""
    elements: int = 0
    decided: int = 0
    undecided: int = 0
    rungs: Mapping[str, int] = field(default_factory=dict)
    max_ulp: float | None = None
    max_ulp_interval: tuple[float, float] | None = None
    mean_abs_ulp: float | None = None
    max_ulp_flush_tolerant: float | None = None
    max_ulp_at_scale: float | None = None
    correctly_rounded: float | None = None
    budget_used: float | None = None
    budget_used_stepwise: float | None = None
    budget_used_probable: float | None = None
    classes: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    histogram: Mapping[str, Sequence[Any]] | None = None
    curve: Mapping[str, Sequence[Any]] | None = None
    worst: Sequence[Mapping[str, Any]] = ()
    special: Sequence[Mapping[str, Any]] = ()
    reproduction: str = ""
    seconds: float = 0.0
    seed: int = 0
    input_hash: str = ""

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain types, ready for strict JSON."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Row":
        """The row that `to_json` wrote; `ValueError` names a missing or unknown field."""
        known = {f.name for f in fields(cls)}
        if set(data) != known:
            differing = ", ".join(sorted(set(data) ^ known))
            raise ValueError(f"not a row of results.json version {SCHEMA_VERSION}: fields differ in {differing}")
        interval = data["max_ulp_interval"]
        return cls(**{**data, "verdict": Verdict(data["verdict"]),
                      "max_ulp_interval": None if interval is None else tuple(interval)})  # fmt: skip


@dataclass(frozen=True)
class RunResults:
    """Everything one audit found: `results.json`. The manifest holds whatever could change a number."""

    manifest: Mapping[str, Any]
    operations: Mapping[str, Mapping[str, Any]]
    rows: Sequence[Row]
    left_out: Sequence[Mapping[str, str]] = ()
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain types, ready for strict JSON."""
        return {"schema_version": self.schema_version, "manifest": _plain(self.manifest),
                "operations": _plain(self.operations), "rows": [row.to_json() for row in self.rows],
                "left_out": _plain(self.left_out)}  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RunResults":
        """The results that `to_json` wrote; `ValueError` for a version that this release cannot read."""
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ValueError(f"results.json has schema version {version!r}; this release reads {SCHEMA_VERSION}")
        rows = tuple(Row.from_json(row) for row in data["rows"])
        return cls(data["manifest"], data["operations"], rows, tuple(data["left_out"]))


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
