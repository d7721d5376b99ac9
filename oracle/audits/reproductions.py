"""Reproductions of what an audit found: scripts that print the number that it saw.

They are made last, by the same workers, which run every script that they shorten.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from oracle.adapters import Refusal
from oracle.adapters.worker import Worker
from oracle.audits.bench import material
from oracle.audits.candidates import Candidate
from oracle.types import Case, Row, Verdict


def reproduced(rows: Iterable[Row], workers: Mapping[str, Worker], full: bool) -> Iterator[Row]:
    """The rows that get a reproduction now, with it.

    In a full audit these are all that have a worst element; in a quick one the gravest beyond rounding of each
    operation, direction and candidate.
    """
    able = [row for row in rows if row.worst and not row.reproduction and row.framework in workers]
    wanted = able if full else _gravest(row for row in able if row.verdict == Verdict.BEYOND_BUDGET)
    shares = {name: [row for row in wanted if row.framework == name] for name in workers}
    with ThreadPoolExecutor(max(1, len(workers))) as threads:
        for found in threads.map(lambda name: _with_scripts(workers[name], shares[name]), workers):
            yield from found


def question_of(row: Row) -> tuple[Case, Candidate]:
    """The case and the candidate that a row is about."""
    case = Case(row.op, row.config, row.direction, row.format, row.region, row.seed)
    return case, Candidate(row.framework, row.mode, row.device)


def _gravest(rows: Iterable[Row]) -> list[Row]:
    best: dict[tuple, Row] = {}
    for row in rows:
        group = (row.op, row.direction, row.framework, row.mode, row.device)
        best[group] = max(best.get(group, row), row, key=lambda r: r.max_ulp_flush_tolerant or 0.0)
    return list(best.values())


def _with_scripts(worker: Worker, rows: Sequence[Row]) -> list[Row]:
    return [replace(row, reproduction=_script(worker, row)) for row in rows]


def _script(worker: Worker, row: Row) -> str:
    case, who = question_of(row)
    try:
        return worker.reproduction(material(case).request(who), tuple(row.worst[0]["index"]), row.output)
    except Refusal as refusal:
        return f"# it ran once, and does not run again: {refusal}"
