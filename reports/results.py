"""The content of `results.json`, folded into what a table shows: columns, lines and cells."""

import functools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from oracle.errors import OracleError
from oracle.types import Row, RunResults

# From the most to the least telling: a cell shows the first of these that any of its rows has.
SYMBOLS = {
    "BEYOND_BUDGET": "✗",
    "CRASHED": "!",
    "TIMEOUT": "…",
    "UNDECIDED": "?",
    "WITHIN_BUDGET": "○",
    "CORRECT": "✓",
    "UNSUPPORTED": "–",
}
MEANINGS = {
    "BEYOND_BUDGET": "more than rounding can explain",
    "CRASHED": "the framework died or raised an error",
    "TIMEOUT": "no answer in time",
    "UNDECIDED": "the truth is not known well enough to judge",
    "WITHIN_BUDGET": "wrong by no more than honest rounding",
    "CORRECT": "within half an ulp of the truth",
    "UNSUPPORTED": "the framework does not offer it",
}
FORMATS = ("float64", "float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")
SEVERITY = {verdict: rank for rank, verdict in enumerate(SYMBOLS)}


class Column(NamedTuple):
    """One candidate: a framework in one mode, on one device, in one number format."""

    framework: str
    mode: str
    device: str
    format: str

    @property
    def candidate(self) -> str:
        """The column without its format."""
        return " ".join(part for part in (self.framework, self.mode) if part)

    def __str__(self) -> str:
        return f"{self.candidate} ({self.format}, {self.device})"


class Line(NamedTuple):
    """One operation in one direction: `forward`, or `vjp` for its gradient."""

    op: str
    direction: str

    def __str__(self) -> str:
        return f"∂ {self.op}" if self.direction == "vjp" else self.op


@dataclass(frozen=True)
class Cell:
    """The rows of one line and one column: its verdict is their worst, its numbers those of the rows that have it."""

    rows: tuple[Row, ...]

    @functools.cached_property
    def verdict(self) -> str:
        """The most telling verdict of the rows."""
        return min((row.verdict for row in self.rows), key=SEVERITY.__getitem__)

    @functools.cached_property
    def deciding(self) -> tuple[Row, ...]:
        """The rows that have the cell's verdict."""
        return tuple(row for row in self.rows if row.verdict == self.verdict)

    def largest(self, name: str) -> float | None:
        """The largest value of the field `name` among the deciding rows."""
        return largest(getattr(row, name) for row in self.deciding)

    @property
    def ulp(self) -> float | None:
        """The error to show, in ulp: see `shown_ulp`."""
        return largest(map(shown_ulp, self.deciding))

    @property
    def error_class(self) -> str | None:
        """What is wrong where it is no number of ulp: "NaN", "inf", "±0"."""
        if self.verdict != "BEYOND_BUDGET":
            return None
        return next((label for row in self.deciding if (label := error_class(row))), None)

    @property
    def at_scale(self) -> bool:
        """Whether the error shown is counted in ulps of the terms' magnitude."""
        return any(row.max_ulp_at_scale is not None for row in self.deciding)

    @property
    def flushed(self) -> bool:
        """Whether subnormal results or inputs were taken for zero."""
        return any(row.classes["flushed"] for row in self.rows)

    @property
    def text(self) -> str:
        """Symbol and error, as every table shows them."""
        error = self.error_class or ("" if self.ulp is None else brief(self.ulp))
        return f"{SYMBOLS[self.verdict]} {error}".rstrip()


@dataclass(frozen=True)
class Results:
    """A run, folded."""

    run: RunResults

    @property
    def rows(self) -> Sequence[Row]:
        """All rows of the run."""
        return self.run.rows

    @functools.cached_property
    def columns(self) -> tuple[Column, ...]:
        """The candidates: frameworks, modes and devices in the order of their first row, formats as in `formats`."""
        columns = dict.fromkeys(map(column_of, self.rows))
        ranks = [list(dict.fromkeys(values)) for values in zip(*columns, strict=True)]
        ranks[-1:] = [list(self.formats)] if ranks else []
        return tuple(sorted(columns, key=lambda c: [rank.index(value) for rank, value in zip(ranks, c, strict=True)]))

    @functools.cached_property
    def formats(self) -> tuple[str, ...]:
        """The number formats, from the widest to the narrowest; those unknown here come last."""
        found = dict.fromkeys(row.format for row in self.rows)
        return tuple(sorted(found, key=lambda name: FORMATS.index(name) if name in FORMATS else len(FORMATS)))

    @functools.cached_property
    def cells(self) -> Mapping[Line, Mapping[Column, Cell]]:
        """The table: lines by family and name, the gradient after the forward direction."""
        found: dict[Line, dict[Column, list[Row]]] = {}
        for row in self.rows:
            found.setdefault(Line(row.op, row.direction), {}).setdefault(column_of(row), []).append(row)
        order = sorted(found, key=lambda line: (self.about(line.op, "family"), line.op, line.direction))
        return {line: {column: Cell(tuple(rows)) for column, rows in found[line].items()} for line in order}

    def about(self, op: str, detail: str) -> str:
        """The `family`, `formula` or `source` of the operation `op`; empty where the run does not tell."""
        return str(self.run.operations.get(op, {}).get(detail, ""))

    @functools.cached_property
    def counts(self) -> Mapping[str, int]:
        """Rows by verdict, in the order of `SYMBOLS`."""
        counted = Counter(str(row.verdict) for row in self.rows)
        return {verdict: counted[verdict] for verdict in SYMBOLS if counted[verdict]}


def load(results: str | Path | Mapping[str, Any] | RunResults) -> Results:
    """Read a `results.json`, or take its content.

    Raises `OracleError` for an absent or unreadable file, another version, or absent fields.
    """
    if isinstance(results, RunResults):
        return Results(_without_idle_scales(results))
    content, where = (results, "results") if isinstance(results, Mapping) else (_read(Path(results)), str(results))
    try:
        return Results(_without_idle_scales(RunResults.from_json(content)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else error
        raise OracleError(f"{where}: {said}; expected what `oracle audit` of this release writes") from None


def _without_idle_scales(run: RunResults) -> RunResults:
    """`run` with `max_ulp_at_scale` only where the operation sums: elsewhere the elementwise error is the fair one."""
    sums = {op for op, about in run.operations.items() if about.get("at_scale")}
    rows = tuple(row if row.op in sums else replace(row, max_ulp_at_scale=None) for row in run.rows)
    return replace(run, rows=rows)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise OracleError(f"{path} does not exist; `oracle audit --out {path.parent}` writes it") from None
    except OSError as error:
        raise OracleError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise OracleError(f"{path} is not JSON ({error}); expected what `oracle audit` writes") from None


def column_of(row: Row) -> Column:
    """The candidate that answered `row`."""
    return Column(row.framework, row.mode, row.device, row.format)


def shown_ulp(row: Row) -> float | None:
    """The error of a row that blames nobody wrongly.

    At scale where the operation has a scale (under cancellation the elementwise ulp is unbounded), flush-tolerant
    where subnormals were flushed (a class of its own), else elementwise.
    """
    if row.max_ulp_at_scale is not None:
        return row.max_ulp_at_scale
    return row.max_ulp_flush_tolerant if row.classes["flushed"] else row.max_ulp


def error_class(row: Row) -> str | None:
    """The class of the row's worst error, if it is no number: "NaN", "inf" or "±0".

    `row.classes` also counts what rounding excuses; the worst inputs begin with what it does not.
    """
    if not row.worst:
        return None
    worst = row.worst[0]
    sides = [worst["actual"]["decimal"], worst["truth"]]
    if worst["ulp"] is None:
        return "NaN" if "nan" in sides else "inf"
    return "±0" if worst["ulp"] == 0 and row.classes["wrong_zero_sign"] else None


def largest(values: Any) -> float | None:
    """The largest of the values that exist."""
    return max((value for value in values if value is not None), default=None)


def brief(value: float) -> str:
    """`value` in at most six characters: 0.50, 2.31, 45.1, 812, 1.7e7."""
    if value == 0:
        return "0"
    for limit, digits in ((9.995, 2), (99.95, 1), (9999.5, 0)):
        if 0.005 <= abs(value) < limit:
            return f"{value:.{digits}f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"
