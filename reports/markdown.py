"""The results as Markdown, for a README or a pull request."""

from collections.abc import Iterator, Sequence

from oracle.reports.findings import findings, one_line, unfinished
from oracle.reports.results import MEANINGS, SYMBOLS, Column, Results

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>|#~"} | {"&": "&amp;"})


def markdown(results: Results, *, shown: int = 12) -> str:
    """The counts, the `shown` worst findings, one table for each number format, and what was left out."""
    parts = [_title(results), *_counts(results), "", *_findings(results, shown)]
    for fmt in results.formats:
        parts += ["", *_matrix(results, fmt)]
    return "\n".join([*parts, "", *_left_out(results)]).rstrip() + "\n"


def escape(text: str) -> str:
    """`text` as one line that Markdown and the HTML in it leave as it is."""
    return one_line(text, 500).translate(_SPECIAL)


def _code(text: str) -> str:
    line = one_line(text, 500)
    fence = "`" * (max(map(len, "".join(c if c == "`" else " " for c in line).split()), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"


def _title(results: Results) -> str:
    versions = results.run.manifest.get("versions", {})
    named = ", ".join(f"{escape(name)} {escape(version)}" for name, version in versions.items())
    return f"# How far from the truth\n\n{named}\n"


def _counts(results: Results) -> Iterator[str]:
    yield "| verdict | rows | meaning |"
    yield "| --- | ---: | --- |"
    for verdict, count in results.counts.items():
        yield f"| {SYMBOLS[verdict]} {verdict.lower().replace('_', ' ')} | {count} | {MEANINGS[verdict]} |"


def _findings(results: Results, shown: int) -> Iterator[str]:
    found = findings(results)
    yield "## Beyond rounding"
    yield ""
    if not found:
        yield "Nothing is beyond its rounding budget."
    for finding in found[:shown]:
        yield f"- **{escape(str(finding.line))}**: {escape(f'{finding.sentence} {finding.also}'.rstrip())}"
    if len(found) > shown:
        yield f"- and {', '.join(escape(str(finding.line)) for finding in found[shown:])}"
    for sentence in unfinished(results):
        yield f"- {escape(sentence)}"


def _matrix(results: Results, fmt: str) -> Iterator[str]:
    columns = [column for column in results.columns if column.format == fmt]
    yield f"<details><summary>{escape(fmt)}: largest error in ulp, {len(results.cells)} lines</summary>"
    yield ""
    yield from _rows(results, columns)
    yield ""
    yield "</details>"


def _rows(results: Results, columns: Sequence[Column]) -> Iterator[str]:
    devices = {column.device for column in results.columns}
    names = [f"{c.candidate} {c.device}" if len(devices) > 1 else c.candidate for c in columns]
    yield f"| operation | {' | '.join(map(escape, names))} |"
    yield f"| --- |{' ---: |' * len(columns)}"
    for line, cells in results.cells.items():
        texts = (cells[column].text if column in cells else "" for column in columns)
        yield f"| {escape(str(line))} | {' | '.join(texts)} |"


def _left_out(results: Results) -> Iterator[str]:
    if not results.run.left_out:
        return
    yield "## Left out"
    yield ""
    for omission in results.run.left_out:
        why = f" ({escape(omission['why'])})" if omission.get("why") else ""
        yield f"- {escape(omission['what'])}{why}: {_code(omission['command'])}"
