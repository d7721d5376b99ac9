"""Findings: the rows beyond their budget and those that did not finish, gathered and put into sentences."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from oracle.reports.results import Column, Line, Results, brief, column_of, error_class, shown_ulp
from oracle.types import Row

_CLASS_WORDS = {
    "NaN": "NaN on one side only",
    "inf": "an infinity on one side only",
    "±0": "a zero of the wrong sign",
}
_UNFINISHED = {"CRASHED": "crashed in", "TIMEOUT": "gave no answer in time for"}


@dataclass(frozen=True)
class Finding:
    """One operation in one direction and everyone who fails in it; `row` is the worst of their rows."""

    line: Line
    row: Row
    others: tuple[Column, ...]

    @property
    def subject(self) -> str:
        """What is computed: an operation or its gradient."""
        if self.line.direction == "vjp":
            return f"the gradient of {self.line.op} with respect to {self.row.output}"
        return self.line.op

    @property
    def predicate(self) -> str:
        """Where, at which input, the true value, and how far beyond rounding."""
        extent = _extent(self.row)
        said = f"in {column_of(self.row)} {_shown(self.row)}" + (f": {extent}" if extent else "")
        return f"{one_line(said, 400)}."

    @property
    def sentence(self) -> str:
        """Subject and predicate."""
        return f"{one_line(self.subject)} {self.predicate}"

    @property
    def also(self) -> str:
        """Which other frameworks and modes fail in the same operation; empty if none."""
        own = column_of(self.row).candidate
        others = [column.candidate for column in self.others if column.candidate != own]
        return one_line(f"Also {_listed(others)}.", 400) if others else ""


def findings(results: Results) -> list[Finding]:
    """The operations with a row beyond its budget, the worst first."""
    gathered: dict[Line, list[Row]] = {}
    for row in results.rows:
        if row.verdict == "BEYOND_BUDGET":
            gathered.setdefault(Line(row.op, row.direction), []).append(row)
    found = []
    for line, rows in gathered.items():
        worst = max(rows, key=_badness)
        others = dict.fromkeys(column_of(row) for row in rows)
        others.pop(column_of(worst))
        found.append(Finding(line, worst, tuple(others)))
    return sorted(found, key=lambda finding: _badness(finding.row), reverse=True)


def unfinished(results: Results) -> list[str]:
    """One sentence for each framework and mode that crashed or gave no answer in time."""
    gathered: dict[tuple[str, str], list[Row]] = {}
    for row in results.rows:
        if row.verdict in _UNFINISHED:
            gathered.setdefault((column_of(row).candidate, row.verdict), []).append(row)
    sentences = []
    for (candidate, verdict), rows in gathered.items():
        reason = next((row.reason for row in rows if row.reason), "")
        happened = f"{candidate} {_UNFINISHED[verdict]} {_listed(row.op for row in rows)}"
        sentences.append(one_line(f"{happened}: {reason}" if reason else f"{happened}.", 400))
    return sentences


def _listed(names: Iterable[str], shown: int = 4) -> str:
    distinct = list(dict.fromkeys(names))
    more = f" and {len(distinct) - shown} more" if len(distinct) > shown else ""
    return ", ".join(distinct[:shown]) + more


def one_line(text: str, limit: int = 200) -> str:
    """`text` as one line of printable characters, shortened at `limit`."""
    line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _badness(row: Row) -> tuple[bool, float, float]:
    # A NaN or an infinity out of place comes first: no number says how far off it is.
    return error_class(row) in ("NaN", "inf"), row.budget_used or 0.0, shown_ulp(row) or 0.0


def _shown(row: Row) -> str:
    """What it returns at its worst input, and what is true there."""
    if not row.worst:
        return f"is wrong: {row.reason}" if row.reason else "is wrong"
    worst = row.worst[0]
    inputs = _inputs(worst["inputs"])
    at = f" at {inputs}" if inputs else f" at index {list(worst['index'])}"
    return f"returns {worst['actual']['decimal']}{at} where the true value is {digits(worst['truth'])}"


def _inputs(inputs: Mapping[str, Any], shown: int = 3) -> str:
    listed = [f"{name} = {value['decimal']}" for name, value in list(inputs.items())[:shown]]
    return ", ".join(listed + ["…"] * (len(inputs) > shown))


def _extent(row: Row) -> str:
    """How far off that is, in words."""
    label = error_class(row)
    if label:
        return _CLASS_WORDS[label]
    if not row.worst:
        return ""
    worst, scaled = row.worst[0], row.max_ulp_at_scale
    ulp, used = worst["ulp"] if scaled is None else scaled, worst["budget_used"]
    times = "" if used is None else f", {brief(used)} times the rounding budget"
    return f"{brief(abs(ulp))} ulp{'' if scaled is None else ' at scale'}{times}"


def digits(truth: str, significant: int = 10) -> str:
    """A true value cut to `significant` digits, an ellipsis where digits were left out."""
    match = re.fullmatch(r"([-+]?)(\d*)\.?(\d*)(e[-+]?\d+)?", truth.strip())
    if match is None:
        return one_line(truth, 40)
    sign, whole, fraction, exponent = (part or "" for part in match.groups())
    leading = len(re.match(r"0*", whole + fraction).group()) if not whole.strip("0") else 0  # type: ignore[union-attr]
    keep = max(leading + significant - len(whole), 0)
    if len(fraction) <= keep:
        return truth.strip()
    return f"{sign}{whole}.{fraction[:keep]}…{exponent}"
