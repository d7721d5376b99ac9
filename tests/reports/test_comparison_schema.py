"""The published schema of a comparison accepts what is written and refuses planted defects."""

import json
from dataclasses import replace

import pytest
from synthetic_comparisons import accused, comparison

from oracle.comparisons.comparison import Accused, Cause, Comparison, DriftPart, DriftStep, Line, Part, Target
from oracle.errors import OracleError
from oracle.reports.schema import schema, validate

DEFECTS = {
    "another version": lambda c: c.update(schema_version=2),
    "a verdict that is a bool": lambda c: c.update(verdict=True),
    "no codes": lambda c: c.update(codes=[]),
    "a code that is none": lambda c: c["causes"][0].update(code="Eps wrong"),
    "a cause without its residual": lambda c: c["causes"][0].pop("residual"),
    "an unknown entry": lambda c: c.update(extra=1),
    "a negative norm": lambda c: c["targets"][0]["semantics"].update(norm=-1.0),
    "a kind of its own": lambda c: c["targets"][0].update(kind="logits"),
    "a third side": lambda c: c["drift_by_operation"][0].update(side="C"),
    "half a node": lambda c: c.update(aligned=[1]),
}


def _written(found: Comparison) -> dict:
    return json.loads(found.to_json())


def test_what_is_written_is_accepted():
    for found in (comparison(0), comparison(8, 40, 3), accused()):
        validate(_written(found), "comparison")
    odd = comparison(1)
    nothing = replace(odd.causes[0], share=float("nan"), residual=float("inf"), target="")
    validate(_written(replace(odd, causes=(nothing,))), "comparison")


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_refused(defect):
    content = _written(comparison(2, 10, 2))
    DEFECTS[defect](content)
    with pytest.raises(OracleError, match=r"comparison\.json departs from its schema at \$"):
        validate(content, "comparison")


@pytest.mark.parametrize(
    ("name", "cls", "derived"),
    [
        ("part", Part, set()),
        ("target", Target, {"same"}),
        ("cause", Cause, {"fix"}),
        ("accused", Accused, set()),
        ("line", Line, set()),
        ("drift_step", DriftStep, set()),
        ("drift_part", DriftPart, set()),
    ],
)
def test_the_schema_names_the_fields_that_there_are(name, cls, derived):
    described = schema("comparison")["$defs"][name]
    assert set(described["required"]) == set(described["properties"]) == set(cls.__dataclass_fields__) | derived
