"""What the page of one operation shows of each candidate: its numbers, its error over the inputs, its worst inputs."""

import bisect
import math
from collections.abc import Sequence
from typing import Any

from oracle.reports.results import Cell, Line, Results, largest
from oracle.types import CLASSES, Row

WORST_SHOWN = 8
_DIGITS = 5
_NUMBERS = ("max_ulp", "max_ulp_flush_tolerant", "max_ulp_at_scale", "budget_used", "budget_used_stepwise",
            "budget_used_probable")  # fmt: skip
_CASE = (
    "config", "output", "region", "verdict", "reason", "elements", "undecided", "rungs", "max_ulp", "max_ulp_interval",
    "mean_abs_ulp", "max_ulp_flush_tolerant", "max_ulp_at_scale", "correctly_rounded", "budget_used",
    "budget_used_stepwise", "budget_used_probable", "classes", "seconds", "seed", "input_hash",
)  # fmt: skip


def operation_detail(results: Results, op: str) -> dict[str, Any]:
    """Formula, source, and for each direction one entry per candidate."""
    lines = [line for line in results.cells if line.op == op]
    return {
        "name": op,
        **{name: results.about(op, name) for name in ("family", "formula", "source")},
        "directions": {line.direction: _candidates(results, line) for line in lines},
    }


def _candidates(results: Results, line: Line) -> list[dict[str, Any]]:
    cells = results.cells[line]
    return [{"column": n, **_candidate(cells[c])} for n, c in enumerate(results.columns) if c in cells]


def _candidate(cell: Cell) -> dict[str, Any]:
    return {
        "verdict": cell.verdict,
        "class": cell.error_class,
        # Each case has its own reason; only where there are no numbers does one stand for all.
        "reason": ""
        if any(row.elements for row in cell.rows)
        else next((r.reason for r in cell.deciding if r.reason), ""),
        **{name: rounded(largest(getattr(row, name) for row in cell.rows)) for name in _NUMBERS},
        "max_ulp_interval": _widest(cell.rows),
        "elements": sum(row.elements for row in cell.rows),
        "undecided": sum(row.undecided for row in cell.rows),
        "correctly_rounded": _mean(cell.rows, "correctly_rounded"),
        "mean_abs_ulp": rounded(_mean(cell.rows, "mean_abs_ulp")),
        "classes": {name: sum(row.classes[name] for row in cell.rows) for name in CLASSES},
        "curve": _curve(cell.rows),
        "histogram": _histogram(cell.rows),
        "worst": _worst(cell.rows),
        "special": [dict(special) for row in cell.rows for special in row.special],
        "cases": [_case(row) for row in cell.rows],
    }


def _case(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _CASE} | {"rungs": dict(row.rungs), "classes": dict(row.classes)}


def _widest(rows: Sequence[Row]) -> tuple[float, float] | None:
    """The bounds of the largest error."""
    known = [(row.max_ulp, row.max_ulp_interval) for row in rows if row.max_ulp is not None]
    return max(known, key=lambda pair: pair[0])[1] if known else None


def _mean(rows: Sequence[Row], name: str) -> float | None:
    """Mean over the decided elements of all rows."""
    known = [(row.decided, getattr(row, name)) for row in rows if getattr(row, name) is not None and row.decided]
    return sum(n * value for n, value in known) / sum(n for n, _ in known) if known else None


def _worst(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The worst inputs of all rows, each once and with its case; those with the code that shows them lead.

    A row's own reproduction is that of its first worst input.
    """
    entries = [
        {"reproduction": "" if place else row.reproduction, **worst, "config": row.config, "output": row.output,
         "region": row.region}
        for row in rows
        for place, worst in enumerate(row.worst)
    ]  # fmt: skip
    distinct: dict[str, dict[str, Any]] = {}
    for entry in sorted(entries, key=_gravity, reverse=True):
        same = (entry["inputs"] or entry["index"], entry["output"], entry["actual"])
        distinct.setdefault(repr(same), entry)
    return list(distinct.values())[:WORST_SHOWN]


def _gravity(entry: dict[str, Any]) -> tuple[bool, bool, float, float]:
    ulp = entry["ulp"]
    return bool(entry["reproduction"]), ulp is None, entry["budget_used"] or 0.0, abs(ulp or 0.0)


def _curve(rows: Sequence[Row]) -> dict[str, list[float | None]] | None:
    """The upper envelope of the rows' curves; a null error is a class of its own and wins its bin."""
    points = [
        (x, error) for row in rows if row.curve for x, error in zip(row.curve["x"], row.curve["max_ulp"], strict=True)
    ]
    if not points:
        return None
    bins: dict[tuple[float, ...], tuple[float, float | None]] = {}
    for x, error in points:
        n = _bins_per_decade(x)
        place = (math.copysign(n, x), round(math.log10(abs(x)) * n)) if x else (0.0,)
        if place not in bins or _above(error, bins[place][1]):
            bins[place] = (x, error)
    envelope = sorted(bins.values(), key=lambda point: point[0])
    return {"x": [rounded(x) for x, _ in envelope], "max_ulp": [rounded(error) for _, error in envelope]}


def _bins_per_decade(x: float) -> int:
    """Fine where most inputs of a network lie, coarse over the other seventy decades."""
    return 24 if 1e-3 <= abs(x) <= 1e3 else 3


def _above(error: float | None, other: float | None) -> bool:
    return other is not None and (error is None or error > other)


def _histogram(rows: Sequence[Row]) -> dict[str, list[float]] | None:
    """The sum of the rows' histograms on one set of edges, a bin that spans several shared out evenly."""
    known = [row.histogram for row in rows if row.histogram and any(row.histogram["counts"])]
    if not known:
        return None
    edges = _edges(max(max(abs(edge) for edge in histogram["edges"]) for histogram in known))
    counts = [0.0] * (len(edges) - 1)
    for histogram in known:
        for n, count in enumerate(histogram["counts"]):
            if count:
                _spread(counts, edges, (histogram["edges"][n], histogram["edges"][n + 1], count))
    return {"edges": edges, "counts": [float(f"{count:.{_DIGITS}g}") for count in counts]}


def _edges(reach: float) -> list[float]:
    """Eighths up to 2 ulp, halves up to 8, powers of two up to `reach`."""
    positive = [n / 8 for n in range(1, 16)] + [n / 2 for n in range(4, 16)]
    positive += [2.0**n for n in range(3, min(max(math.frexp(reach)[1], 3), 1023) + 1)]
    return [-edge for edge in reversed(positive)] + [0.0] + positive


def _spread(counts: list[float], edges: Sequence[float], bin: tuple[float, float, int]) -> None:
    low, high, count = bin
    for n in range(max(bisect.bisect_right(edges, low) - 1, 0), len(counts)):
        if edges[n] >= high:
            break
        counts[n] += count * (min(high, edges[n + 1]) - max(low, edges[n])) / (high - low)


def rounded(value: float | None) -> float | None:
    """`value` with the digits that a plot or a table can show."""
    return None if value is None else float(f"{value:.{_DIGITS}g}")
