"""Findings in sentences, and the reports that are text: terminal, Markdown, JUnit."""

import dataclasses
import io
import re
from xml.etree import ElementTree as ET

import pytest
from rich.cells import cell_len
from rich.console import Console
from synthetic_results import NASTY

from oracle.reports.findings import digits, findings, unfinished
from oracle.reports.junit import junit
from oracle.reports.markdown import escape, markdown
from oracle.reports.results import Results
from oracle.reports.terminal import print_summary
from oracle.types import RunResults


def with_rows(results: Results, **changes: object) -> RunResults:
    """The run with `changes` made to every row."""
    return dataclasses.replace(results.run, rows=[dataclasses.replace(row, **changes) for row in results.rows])


def printed(results: RunResults, width: int, **options: object) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, legacy_windows=False, **options)  # type: ignore[arg-type]
    print_summary(results, console)
    return stream.getvalue()


def test_findings_say_what_where_at_which_input_and_the_truth(results: Results):
    first = findings(results)[0]
    assert first.sentence == (
        "gelu in torch eager (float32, cpu) returns inf at x = -9.375 where the true value is -3.242191402…e-20: "
        "an infinity on one side only."
    )
    assert first.also == "Also torch compile, keras-tensorflow eager, keras-jax jit, tensorflow eager and 2 more."


def test_findings_name_every_bad_operation_once_and_no_good_one(results: Results):
    bad = {(row.op, row.direction) for row in results.rows if row.verdict == "BEYOND_BUDGET"}
    found = [(finding.line.op, finding.line.direction) for finding in findings(results)]
    assert len(found) == len(set(found))
    assert set(found) == bad


def test_gradients_say_whose(results: Results):
    assert any("the gradient of gelu with respect to x in " in finding.sentence for finding in findings(results))


def test_numbers_come_with_their_unit_and_budget(results: Results):
    row = next(r for r in results.rows if r.op == "gelu" and r.framework == "jax" and r.verdict == "BEYOND_BUDGET")
    run = dataclasses.replace(results.run, rows=[row])
    assert "1.7e7 ulp, 4.2e6 times the rounding budget." in findings(Results(run))[0].sentence


def test_unfinished_say_who_what_why(results: Results):
    assert unfinished(results)[0].startswith("torch compile crashed in cumsum: worker died: signal 11")
    assert "keras-jax jit gave no answer in time for attention: no answer within 60 s" in unfinished(results)


@pytest.mark.parametrize(
    ("truth", "shown"),
    [("-3.24219140282117304968e-20", "-3.242191402…e-20"), ("0.5", "0.5"), ("0.00012345678901234", "0.0001234567890…"),
     ("123456789012345", "123456789012345"), ("nan", "nan"), ("1.7 ± 2", "1.7 ± 2")],
)  # fmt: skip
def test_digits(truth: str, shown: str):
    assert digits(truth) == shown


@pytest.mark.parametrize("width", [80, 120])
def test_terminal_fits(results: Results, width: int):
    text = printed(results.run, width, color_system=None)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "\x1b" not in text
    for needed in (
        "✗ 1.7e7",
        "✗ inf",
        "float32",
        "bfloat16",
        "beyond budget",
        "Left out",
        "oracle audit --full",
        "gelu in",
    ):
        assert needed in text
    assert all(column.mode in text for column in results.columns)


def test_terminal_in_colour_says_the_same(results: Results):
    coloured = printed(results.run, 120, force_terminal=True, color_system="standard", no_color=False)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == printed(results.run, 120, color_system=None)
    assert re.search(r"\x1b\[1;31m *✗ inf", coloured)


def test_terminal_obeys_no_control_codes_and_no_markup(results: Results):
    hostile = with_rows(
        results, op="[red]\x1b[2Jop[/red]", framework="\x1b]0;owned\x07torch", reason="\x1b[31m", output="[/]"
    )
    text = printed(hostile, 80, color_system=None)
    assert not set(text) & {"\x1b", "\x07"}
    assert "[red]" in text


def test_terminal_without_findings_says_so(results: Results):
    text = printed(with_rows(results, verdict="CORRECT"), 80, color_system=None)
    assert "Nothing is beyond its rounding budget." in text
    assert "✗" not in text


def test_terminal_of_nothing(results: Results):
    assert "0 answers" in printed(dataclasses.replace(results.run, rows=[]), 80)


def test_markdown_tables_have_one_width(results: Results):
    tables = re.findall(r"(?:^\|.*\|\n)+", markdown(results), re.MULTILINE)
    assert len(tables) == 1 + len(results.formats)
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_markdown_says_what_the_terminal_says(results: Results):
    text = markdown(results)
    for needed in ("✗ 1.7e7", "✗ inf", "beyond budget", "## Left out", "`oracle audit --full`", "**gelu**: "):
        assert needed in text


def test_markdown_lets_no_html_through(results: Results):
    text = re.sub(r"`[^`]*`", "", markdown(results))
    assert set(re.findall(r"(?<!\\)</?[a-z]+", text)) == {"<details", "</details", "<summary", "</summary"}
    assert escape(NASTY).count("\\<") == NASTY.count("<")


def test_junit_counts_verdicts(results: Results):
    root = ET.fromstring(junit(results).encode())
    assert len(root.findall(".//testcase")) == len(results.rows)
    assert len(root.findall(".//failure")) == results.counts["BEYOND_BUDGET"]
    assert len(root.findall(".//error")) == results.counts["CRASHED"] + results.counts["TIMEOUT"]
    assert len(root.findall(".//skipped")) == results.counts["UNSUPPORTED"] + results.counts["UNDECIDED"]
    for suite in root.findall("testsuite"):
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))


def test_junit_failures_carry_the_sentence_and_the_code(results: Results):
    failure = ET.fromstring(junit(results).encode()).find(
        ".//testcase[@name='gelu[elementwise] forward out wide']/failure"
    )
    assert failure is not None
    assert "returns inf at x = -9.375" in failure.get("message", "")
    assert failure.text is not None
    assert failure.text.startswith("import torch")


def test_junit_names_are_unique_within_a_suite(results: Results):
    for suite in ET.fromstring(junit(results).encode()).findall("testsuite"):
        names = [case.get("name") for case in suite]
        assert len(names) == len(set(names))


def test_junit_replaces_what_xml_cannot_hold(results: Results):
    hostile = Results(with_rows(results, op="a\x00\x0b\ud800b", reason="\x1b"))
    assert (
        ET.fromstring(junit(hostile).encode()).find(
            ".//testcase[@name='a\ufffd\ufffd\ufffdb[elementwise] forward out wide']"
        )
        is not None
    )


def test_an_excused_infinity_is_not_what_the_finding_is_about(results: Results):
    """The sentence, its input and its numbers are of one element, whatever else the row counts."""
    row = next(r for r in results.rows if r.op == "gelu" and r.framework == "jax" and r.verdict == "BEYOND_BUDGET")
    excused = dataclasses.replace(row, classes={**row.classes, "wrong_infinity": 1}, budget_used=1e9)
    finding = findings(Results(dataclasses.replace(results.run, rows=[excused])))[0]
    assert finding.sentence.endswith("1.7e7 ulp, 4.2e6 times the rounding budget.")
    assert "infinity" not in finding.sentence
