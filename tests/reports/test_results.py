"""Folding rows into cells: verdicts, the errors that are shown, and errors of the file itself."""

import copy
import json
from pathlib import Path

import pytest
from synthetic_results import NASTY_OP

from oracle.errors import OracleError
from oracle.reports.results import Column, Line, Results, brief, load

GELU = Line("gelu", "forward")


def test_columns_keep_frameworks_together(results: Results):
    frameworks = [column.framework for column in results.columns]
    assert frameworks == sorted(frameworks, key=frameworks.index)
    assert len(results.columns) == 8 * 3


def test_a_cell_takes_its_worst_verdict_and_that_verdicts_numbers(results: Results):
    cell = results.cells[GELU][Column("keras-jax", "jit", "cpu", "float32")]
    assert {row.verdict for row in cell.rows} > {"BEYOND_BUDGET"}
    assert cell.verdict == "BEYOND_BUDGET"
    assert cell.ulp == 2**24
    assert cell.text == "✗ 1.7e7"


def test_a_class_is_shown_in_place_of_a_number(results: Results):
    assert results.cells[GELU][Column("torch", "eager", "cpu", "float32")].text == "✗ inf"


def test_a_class_within_a_correct_cell_accuses_nobody(results: Results):
    cell = results.cells[Line("tanh", "forward")][Column("tensorflow", "eager", "cpu", "float32")]
    assert cell.flushed
    assert cell.error_class is None
    assert cell.ulp is not None
    assert cell.ulp < 10 < max(row.max_ulp for row in cell.rows)


def test_sums_count_at_scale_and_others_never(results: Results):
    column = Column("torch", "eager", "cpu", "float32")
    matmul, tanh = results.cells[Line("matmul", "forward")][column], results.cells[Line("tanh", "forward")][column]
    assert matmul.at_scale
    assert matmul.ulp < max(row.max_ulp for row in matmul.deciding)
    assert not tanh.at_scale
    assert all(row.max_ulp_at_scale is None for row in tanh.rows)


def test_unsupported_shows_only_where_nothing_else_is(results: Results):
    cells = results.cells[Line("tanh", "vjp")]
    assert cells[Column("numpy", "eager", "cpu", "float32")].text == "–"


def test_every_row_is_counted(results: Results, content: dict):
    assert sum(results.counts.values()) == len(content["rows"])


def test_hostile_names_stay_themselves(results: Results):
    assert Line(NASTY_OP, "forward") in results.cells


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.50"), (0.004, "4.0e-3"), (9.996, "10.0"), (45.12, "45.1"), (812.4, "812"), (9999.4, "9999"),
     (9999.6, "1.0e4"), (2**24, "1.7e7"), (-6.7, "-6.70")],
)  # fmt: skip
def test_brief(value: float, text: str):
    assert brief(value) == text
    assert len(text) <= 6


def test_absent_file_names_itself_and_the_remedy(tmp_path: Path):
    with pytest.raises(OracleError, match=r"results\.json does not exist; `oracle audit --out"):
        load(tmp_path / "results.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": 1}', '"text"', "\x00\x01"])
def test_broken_files_are_one_line(tmp_path: Path, text: str):
    path = tmp_path / "results.json"
    path.write_text(text, "utf-8")
    with pytest.raises(OracleError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "expected what `oracle audit`" in str(caught.value)


def test_binary_rubbish_is_one_line(tmp_path: Path):
    path = tmp_path / "results.json"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(OracleError, match="is not JSON"):
        load(path)


def test_another_version_is_refused(content: dict):
    with pytest.raises(OracleError, match="version 2"):
        load({**content, "schema_version": 2})


def test_a_row_without_a_field_is_refused(content: dict):
    spoilt = copy.deepcopy({**content, "rows": content["rows"][:2]})
    del spoilt["rows"][1]["max_ulp"]
    with pytest.raises(OracleError, match="max_ulp"):
        load(spoilt)


def test_file_and_content_load_alike(tmp_path: Path, content: dict, results: Results):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content, allow_nan=False), "utf-8")
    assert load(path).cells == results.cells
