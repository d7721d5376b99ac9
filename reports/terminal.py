"""The results in a terminal: who is how far off, the findings in sentences, the counts, and what was left out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from oracle.reports.findings import findings, one_line, unfinished
from oracle.reports.results import MEANINGS, SEVERITY, SYMBOLS, Cell, Column, Line, Results, brief, largest, load
from oracle.types import RunResults

STYLES = {
    "BEYOND_BUDGET": "bold red",
    "CRASHED": "bold magenta",
    "TIMEOUT": "magenta",
    "UNDECIDED": "yellow",
    "WITHIN_BUDGET": "cyan",
    "CORRECT": "green",
    "UNSUPPORTED": "dim",
}
NAME_WIDTH = 20


def print_summary(
    results: str | Path | Mapping[str, Any] | RunResults,
    console: Console | None = None,
    *,
    lines: int | None = 12,
    shown: int = 8,
) -> None:
    """Print the results to `console`.

    For each format the `lines` worst operations (None: all) against frameworks and modes, each cell the largest error
    in ulp; then the `shown` worst findings. Raises `OracleError` as `oracle.reports.results.load` does.
    """
    folded, console = load(results), console or Console()
    for fmt in folded.formats:
        _print_format(folded, fmt, lines, console)
    _print_findings(folded, shown, console)
    _print_counts(folded, console)
    _print_left_out(folded, console)


def _print_format(results: Results, fmt: str, limit: int | None, console: Console) -> None:
    columns = [column for column in results.columns if column.format == fmt]
    lines = _worst_lines(results, columns)
    kept = lines[:limit]
    console.print(Text.assemble((one_line(fmt), "bold"), ("  largest error, in ulp", "dim")))
    for part in _fitting(results, kept, columns, console.width):
        console.print(_table(results, kept, part), "")
    if rest := lines[len(kept) :]:
        console.print(Text(f"  and {len(rest)} more: {_summary(results, rest, columns)}", "dim"))
        console.print()


def _worst_lines(results: Results, columns: Sequence[Column]) -> list[Line]:
    """Lines that have an answer in one of `columns`, the worst first."""

    def rank(line: Line) -> tuple[int, bool, float]:
        cells = [results.cells[line][column] for column in columns if column in results.cells[line]]
        verdict = min((SEVERITY[cell.verdict] for cell in cells), default=len(SEVERITY))
        deciding = [cell for cell in cells if SEVERITY[cell.verdict] == verdict]
        return verdict, not any(c.error_class for c in deciding), -(largest(c.ulp for c in deciding) or 0.0)

    ranked = sorted((rank(line), number, line) for number, line in enumerate(results.cells))
    return [line for (verdict, *_), _, line in ranked if verdict < SEVERITY["UNSUPPORTED"]]


def _summary(results: Results, lines: Sequence[Line], columns: Sequence[Column]) -> str:
    cells = [results.cells[line][column] for line in lines for column in columns if column in results.cells[line]]
    counts = {verdict: sum(cell.verdict == verdict for cell in cells) for verdict in SYMBOLS}
    said = [f"{SYMBOLS[verdict]} {count} {_words(verdict)}" for verdict, count in counts.items() if count]
    worst = largest(cell.ulp for cell in cells)
    return ", ".join(said) + ("" if worst is None else f"; the largest error {brief(worst)} ulp")


def _fitting(results: Results, lines: Sequence[Line], columns: Sequence[Column], width: int) -> Iterator[list[Column]]:
    """`columns` in as many tables as `width` needs."""
    part: list[Column] = []
    free = width - NAME_WIDTH - 3
    for column in columns:
        words = [*_heading(column).split("\n"), *(_cell_text(results, line, column).plain for line in lines)]
        needed = max(map(len, words)) + 2
        if part and needed > free:
            yield part
            part, free = [], width - NAME_WIDTH - 3
        part.append(column)
        free -= needed
    if part:
        yield part


def _heading(column: Column) -> str:
    device = [] if column.device == "cpu" else [column.device]
    return "\n".join(one_line(word) for word in [*column.framework.replace("-", "- ").split(" "), column.mode, *device])


def _table(results: Results, lines: Sequence[Line], columns: Sequence[Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False, header_style="bold")
    table.add_column("", width=NAME_WIDTH, no_wrap=True, overflow="ellipsis")
    for column in columns:
        table.add_column(Text(_heading(column), justify="right"), justify="right", no_wrap=True, vertical="bottom")
    for line in lines:
        table.add_row(Text(one_line(str(line))), *(_cell_text(results, line, column) for column in columns))
    return table


def _cell_text(results: Results, line: Line, column: Column) -> Text:
    cell: Cell | None = results.cells[line].get(column)
    return Text("") if cell is None else Text(cell.text, STYLES[cell.verdict])


def _print_findings(results: Results, shown: int, console: Console) -> None:
    found = findings(results)
    if not found:
        console.print(Text("Nothing is beyond its rounding budget.", "bold green"))
    else:
        console.print(Text(f"Beyond rounding: {len(found)} of {len(results.cells)} operations and gradients", "bold"))
    for finding in found[:shown]:
        said = Text.assemble(("✗ ", "bold red"), finding.sentence, (f" {finding.also}".rstrip(), "dim"))
        console.print(Padding(said, (0, 0, 0, 2)))
    if len(found) > shown:
        names = ", ".join(one_line(str(finding.line), 40) for finding in found[shown : shown + 12])
        more = "" if len(found) <= shown + 12 else " …"
        console.print(Padding(Text(f"and {names}{more}", "dim"), (0, 0, 0, 2)))
    for sentence in unfinished(results):
        console.print(Padding(Text.assemble(("! ", STYLES["CRASHED"]), sentence), (0, 0, 0, 2)))
    console.print()


def _print_counts(results: Results, console: Console) -> None:
    console.print(Text(f"{len(results.rows)} answers", "bold"))
    for verdict, count in results.counts.items():
        console.print(
            Text.assemble(
                (f"  {SYMBOLS[verdict]} {count:>6} ", STYLES[verdict]),
                (f"{_words(verdict):<14}", ""),
                (MEANINGS[verdict], "dim"),
            )
        )
    console.print()


def _print_left_out(results: Results, console: Console) -> None:
    if not results.run.left_out:
        return
    console.print(Text("Left out", "bold"))
    for omission in results.run.left_out:
        why = f" ({one_line(omission['why'])})" if omission.get("why") else ""
        said = Text.assemble(one_line(omission["what"]), (why, "dim"), ": ", (one_line(omission["command"]), "bold"))
        console.print(Padding(said, (0, 0, 0, 2)))


def _words(verdict: str) -> str:
    return verdict.lower().replace("_", " ")
