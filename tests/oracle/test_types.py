"""Rows and results survive JSON unchanged."""

import json

import pytest

from oracle.types import Row, RunResults, Verdict

ROW = Row("exp", "elementwise", "forward", "out", "torch", "eager", "float32", "cpu", "wide", Verdict.WITHIN_BUDGET,
          max_ulp=1.5, max_ulp_interval=(1.4, 1.6), rungs={"R0": 7}, worst=({"index": [1], "ulp": None},))  # fmt: skip


def through_json(data):
    return json.loads(json.dumps(data, allow_nan=False))


def test_a_row_survives():
    again = Row.from_json(through_json(ROW.to_json()))
    assert again.verdict is Verdict.WITHIN_BUDGET
    assert again.max_ulp_interval == (1.4, 1.6)
    assert again.to_json() == ROW.to_json()


def test_results_survive():
    results = RunResults({"versions": {"numpy": "2"}}, {"exp": {"family": "elementary"}}, (ROW,), ({"what": "x"},))
    again = RunResults.from_json(through_json(results.to_json()))
    assert again.to_json() == results.to_json()


def test_a_foreign_row_is_refused_by_the_fields_that_differ():
    data = ROW.to_json()
    del data["seed"]
    with pytest.raises(ValueError, match=r"fields differ in seed, speed"):
        Row.from_json({**data, "speed": 1})


def test_another_version_is_refused():
    data = RunResults({}, {}, ()).to_json()
    with pytest.raises(ValueError, match=r"99.*expected 1|99.*reads 1"):
        RunResults.from_json({**data, "schema_version": 99})


def test_a_verdict_is_its_name():
    assert Verdict("CORRECT") is Verdict.CORRECT
    assert f"{Verdict.TIMEOUT}" == "TIMEOUT"
