"""The published schema accepts what an audit writes and refuses planted defects."""

import copy
import json
from collections.abc import Callable

import jsonschema
import pytest

from oracle.errors import OracleError
from oracle.reports.schema import schema, validate
from oracle.types import Row, RunResults, Verdict

DEFECTS: dict[str, Callable[[dict], object]] = {
    "another version": lambda r: r.update(schema_version=2),
    "no rows": lambda r: r.pop("rows"),
    "no manifest": lambda r: r.pop("manifest"),
    "an unknown entry": lambda r: r.update(extra=1),
    "a row without a field": lambda r: r["rows"][0].pop("max_ulp"),
    "a row with an unknown field": lambda r: r["rows"][0].update(rtol=1e-5),
    "an unknown verdict": lambda r: r["rows"][0].update(verdict="PASSED"),
    "a verdict that is a bool": lambda r: r["rows"][0].update(verdict=True),
    "an unknown direction": lambda r: r["rows"][0].update(direction="backward"),
    "a negative error": lambda r: r["rows"][0].update(max_ulp=-1.0),
    "an error in words": lambda r: r["rows"][0].update(max_ulp="inf"),
    "an interval of one end": lambda r: r["rows"][0].update(max_ulp_interval=[1.0]),
    "more than everything rounded": lambda r: r["rows"][0].update(correctly_rounded=1.5),
    "a missing class": lambda r: r["rows"][0]["classes"].pop("flushed"),
    "half an element": lambda r: r["rows"][0].update(elements=0.5),
    "a histogram without counts": lambda r: r["rows"][0].update(histogram={"edges": [0, 1]}),
    "a worst input without its truth": lambda r: r["rows"][0].update(worst=[{"index": [0]}]),
    "a special value without its bits": lambda r: r["rows"][0].update(
        special=[{"inputs": {}, "expected": "0", "actual": {"decimal": "0"}, "agrees": True}]
    ),
    "an operation without a formula": lambda r: r["operations"]["gelu"].pop("formula"),
    "an omission without its command": lambda r: r["left_out"][0].pop("command"),
}


@pytest.fixture
def one_row(content: dict) -> dict:
    """A run of a single row, free to spoil."""
    return copy.deepcopy({**content, "rows": content["rows"][:1]})


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_synthetic_results_conform(content: dict):
    validate({**content, "rows": content["rows"][::17]})


def test_what_the_types_write_conforms(content: dict):
    row = Row("gelu", "elementwise", "forward", "out", "torch", "eager", "float32", "cpu", "typical", Verdict.CRASHED)
    run = RunResults(content["manifest"], content["operations"], [row], content["left_out"])
    validate(json.loads(json.dumps(run.to_json(), allow_nan=False)))


def test_schema_and_types_name_the_same_fields(content: dict):
    assert set(content["rows"][0]) == set(Row.__dataclass_fields__)
    assert set(schema()["$defs"]["row"]["required"]) == set(Row.__dataclass_fields__)
    assert set(schema()["$defs"]["row"]["properties"]["verdict"]["enum"]) == set(Verdict)


@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defects_are_refused(one_row: dict, defect: str):
    validate(one_row)
    DEFECTS[defect](one_row)
    with pytest.raises(OracleError, match="departs from its schema at"):
        validate(one_row)
