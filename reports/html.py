"""The results as one HTML file: a matrix of operations against candidates, and a page for each operation."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from oracle.reports.detail import operation_detail, rounded
from oracle.reports.findings import Finding, findings, unfinished
from oracle.reports.page import render_page
from oracle.reports.results import MEANINGS, SYMBOLS, Cell, Line, Results, largest

SHOWN_FINDINGS = 5
_MEASURES = ("max_ulp", "max_ulp_flush_tolerant", "budget_used")


def html(results: Results) -> str:
    """The page. Its chunk `index` holds the matrix; the chunk `op N` all rows of the N-th operation."""
    ops = list(dict.fromkeys(line.op for line in results.cells))
    found = findings(results)
    data: dict[str, Any] = {"index": _index(results, ops)}
    data |= {f"op {number}": operation_detail(results, op) for number, op in enumerate(ops)}
    return render_page(
        "audit",
        data,
        "How far from the truth",
        manifest=results.run.manifest,
        counts=[(verdict, SYMBOLS[verdict], MEANINGS[verdict], count) for verdict, count in results.counts.items()],
        findings=[_finding(number, finding) for number, finding in enumerate(found, 1)],
        shown=SHOWN_FINDINGS,
        unfinished=unfinished(results),
        left_out=results.run.left_out,
    )


def _finding(number: int, finding: Finding) -> dict[str, Any]:
    address = (finding.line.op, finding.row.format, finding.line.direction)
    return {
        "number": number,
        "href": "#/op/" + "/".join(quote(part, safe="") for part in address),
        "subject": finding.subject,
        "predicate": finding.predicate,
        "also": finding.also,
    }


def _index(results: Results, ops: Sequence[str]) -> dict[str, Any]:
    """What the matrix needs, and no more: it is decoded before anything is shown."""
    return {
        "columns": [column._asdict() for column in results.columns],
        "symbols": SYMBOLS,
        "meanings": MEANINGS,
        "ops": [{"name": op, "family": results.about(op, "family")} for op in ops],
        "lines": [
            {"op": ops.index(line.op), "direction": line.direction, "cells": _cells(results, line)}
            for line in results.cells
        ],
    }


def _cells(results: Results, line: Line) -> list[dict[str, Any] | None]:
    cells = results.cells[line]
    return [_cell(cells[column]) if column in cells else None for column in results.columns]


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "verdict": cell.verdict,
        "class": cell.error_class,
        "ulp": rounded(cell.ulp),
        "atScale": cell.at_scale,
        "flushed": cell.flushed,
        **{name: rounded(largest(getattr(row, name) for row in cell.deciding)) for name in _MEASURES},
    }
