"""The results as JUnit XML: each row is a test case, so that a CI shows what failed and why."""

import re
from xml.etree import ElementTree as ET

from oracle.reports.findings import Finding
from oracle.reports.results import Column, Line, Results, column_of
from oracle.types import Row

# XML 1.0 has no place for these characters, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {
    "BEYOND_BUDGET": "failure",
    "CRASHED": "error",
    "TIMEOUT": "error",
    "UNDECIDED": "skipped",
    "UNSUPPORTED": "skipped",
}


def junit(results: Results) -> str:
    """One suite for each framework, mode, device and format.

    BEYOND_BUDGET is a failure, CRASHED and TIMEOUT are errors, UNDECIDED and UNSUPPORTED are skipped. Text that XML
    cannot hold becomes U+FFFD.
    """
    root = ET.Element("testsuites", name="numerical oracle")
    by_column: dict[Column, list[Row]] = {column: [] for column in results.columns}
    for row in results.rows:
        by_column[column_of(row)].append(row)
    for column, rows in by_column.items():
        _add_suite(root, column, rows)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_suite(root: ET.Element, column: Column, rows: list[Row]) -> None:
    kinds = [_ELEMENTS.get(row.verdict) for row in rows]
    attributes = {
        "name": _clean(str(column)),
        "tests": str(len(rows)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
        "time": f"{sum(row.seconds for row in rows):.3f}",
    }
    suite = ET.SubElement(root, "testsuite", attributes)
    for row in rows:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=_clean(".".join(part for part in (column.framework, column.mode, column.device, column.format))),
            name=_clean(f"{row.op}[{row.config}] {row.direction} {row.output} {row.region}"),
            time=f"{row.seconds:.3f}",
        )
        _add_outcome(case, row)


def _add_outcome(case: ET.Element, row: Row) -> None:
    kind = _ELEMENTS.get(row.verdict)
    if kind is None:
        return
    if kind == "failure":
        message = Finding(Line(row.op, row.direction), row, ()).sentence
    else:
        message = row.reason or row.verdict.lower()
    outcome = ET.SubElement(case, kind, message=_clean(message))
    if kind != "skipped":
        outcome.set("type", row.verdict)
        outcome.text = _clean(row.reproduction)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
