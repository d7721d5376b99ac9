"""Verdicts and their evidence from hand-made truths and budgets."""

import json

import numpy as np
import pytest

from oracle.judgements.evidence import shortest
from oracle.judgements.metric import measure
from oracle.judgements.verdict import judge
from oracle.reference.budget import Budget
from oracle.reference.formats import FORMATS, format_named
from oracle.reference.truth import UNDEFINED, Truth
from oracle.types import Verdict

FLOAT32 = format_named("float32")
ULP = 2.0**-23  # of numbers in [1, 2)


def budget(shape, fused=2 * ULP, stepwise=4 * ULP, *, probable=ULP, scale=1.0, flushing=0.0) -> Budget:
    return Budget(*(np.broadcast_to(np.asarray(a, float), shape) for a in (fused, stepwise, probable, scale, flushing)))


def verdict_on(errors_in_ulp, *, allowed=None, truth=None, inputs=None):
    """The judgement on answers that miss 1.5 by whole numbers of ulps."""
    offsets = np.asarray(errors_in_ulp, float)
    truth = truth or Truth.exact(np.full(offsets.shape, 1.5))
    return judge(
        measure(1.5 + offsets * ULP, truth, FLOAT32), truth, allowed or budget(offsets.shape), FLOAT32, inputs=inputs
    )


def with_radius(truth: Truth, rad) -> Truth:
    return Truth(truth.hi, truth.lo, np.broadcast_to(rad, truth.shape), truth.exponent, truth.special, truth.rung)


@pytest.mark.parametrize(
    ("error", "verdict", "word"),
    [(0, Verdict.CORRECT, ""), (2, Verdict.WITHIN_BUDGET, ""), (-3, Verdict.WITHIN_BUDGET, "legal but poor"),
     (4, Verdict.WITHIN_BUDGET, "legal but poor"), (-5, Verdict.BEYOND_BUDGET, "more than rounding")],
)  # fmt: skip
def test_the_budgets_part_the_verdicts(error, verdict, word):
    found = verdict_on([0, error])
    assert found.verdict is verdict
    assert (word in found.reason) if word else found.reason == ""
    assert found.max_ulp == abs(error)
    assert found.budget_used == abs(error) / 2
    assert found.budget_used_stepwise == abs(error) / 4
    assert found.budget_used_probable == abs(error)


def test_half_an_ulp_is_always_allowed():
    truth = Truth.exact(np.array([1.5 + ULP / 2, 1.5 + ULP / 2 - 2.0**-50]))
    errors = measure(np.array([1.5, 1.5]), truth, FLOAT32)
    found = judge(errors, truth, budget((2,), 0.0, 0.0), FLOAT32)
    assert found.verdict is Verdict.CORRECT
    assert found.budget_used == 1.0


def test_an_undecided_element_makes_the_array_undecided_unless_one_is_beyond():
    truth = with_radius(Truth.exact(np.full(3, 1.5)), [0, 0, 100 * ULP])
    assert verdict_on([0, 0, 0], truth=truth).verdict is Verdict.UNDECIDED
    assert verdict_on([0, 5, 0], truth=truth).verdict is Verdict.BEYOND_BUDGET
    found = verdict_on([0, 1, 0], truth=truth)
    assert (found.decided, found.undecided, found.max_ulp) == (2, 1, 1)
    assert "1 of 3 undecided" in found.reason


def test_an_undecided_element_that_cannot_leave_the_budget_is_no_obstacle():
    truth = with_radius(Truth.exact(np.full(2, 1.5)), [0, 0.1 * ULP])
    assert verdict_on([0, 1], truth=truth).verdict is Verdict.WITHIN_BUDGET


def test_an_error_known_only_to_exceed_the_budget_is_beyond():
    truth = with_radius(Truth.exact(np.full(1, 1.5)), [3 * ULP])
    assert verdict_on([20], truth=truth).verdict is Verdict.BEYOND_BUDGET


def test_an_infinite_budget_excuses_overflow_of_an_intermediate():
    truth = Truth.exact(np.full(2, 1.5))
    answers = np.array([np.inf, np.nan])
    allowed = budget((2,), np.inf, np.inf)
    found = judge(measure(answers, truth, FLOAT32), truth, allowed, FLOAT32)
    assert found.verdict is Verdict.WITHIN_BUDGET
    assert "2 of 2 overflow where an honest implementation may" in found.reason
    assert judge(measure(answers, truth, FLOAT32), truth, budget((2,)), FLOAT32).verdict is Verdict.BEYOND_BUDGET


def test_an_infinite_budget_does_not_excuse_a_wrong_special_value():
    truth = Truth.exact(np.array([np.inf, np.nan]))
    allowed = budget((2,), np.inf, np.inf)
    found = judge(measure(np.array([np.nan, 1.0]), truth, FLOAT32), truth, allowed, FLOAT32)
    assert found.verdict is Verdict.BEYOND_BUDGET
    assert found.classes["nan_mismatch"] == 2


def test_overflow_at_the_edge_of_the_range_is_rounding():
    largest = FLOAT32.max_finite
    truth, quantum = Truth.exact(np.array([largest])), 2.0**104
    errors = measure(np.array([np.inf]), truth, FLOAT32)
    within = judge(errors, truth, budget((1,), 2 * quantum, 2 * quantum), FLOAT32)
    assert within.verdict is Verdict.WITHIN_BUDGET
    assert judge(errors, truth, budget((1,), quantum / 2, quantum / 2), FLOAT32).verdict is Verdict.BEYOND_BUDGET


def test_an_unknown_budget_is_undecided_not_within():
    assert verdict_on([3], allowed=budget((1,), 2 * ULP, np.nan)).verdict is Verdict.UNDECIDED


def test_a_budget_far_above_a_tiny_float64_truth_still_counts():
    """Truth 0, error 1e-30 and 1, budget 1e-20: in ulps of zero all three exceed float64."""
    truth, float64 = Truth.exact(np.zeros(2)), format_named("float64")
    errors = measure(np.array([1e-30, 1.0]), truth, float64)
    found = judge(errors, truth, budget((2,), 1e-20, 1e-20), float64, inputs={"x": np.zeros(2)})
    assert found.reason == "1 of 2 differ by more than rounding can explain"
    assert found.worst[0]["budget_used"] == pytest.approx(1e20)


def test_a_flushed_intermediate_explains_no_more_than_it_can():
    allowed = budget((3,), flushing=[100 * ULP, 4 * ULP, np.inf])
    found = verdict_on([50, 0, 0], allowed=allowed)
    assert found.verdict is Verdict.WITHIN_BUDGET
    assert found.classes["flushed"] == 1
    assert (found.max_ulp, found.max_ulp_flush_tolerant) == (50, 0)
    assert "FLUSHED: 1 of 3" in found.reason
    assert verdict_on([0, 50, 0], allowed=allowed).verdict is Verdict.BEYOND_BUDGET
    assert verdict_on([0, 0, 50], allowed=allowed).verdict is Verdict.BEYOND_BUDGET


def test_an_infinite_flushing_budget_explains_an_infinity_and_no_number():
    truth = Truth.exact(np.full(2, 1.5))
    errors = measure(np.array([np.inf, np.nan]), truth, FLOAT32)
    found = judge(errors, truth, budget((2,), flushing=np.inf), FLOAT32)
    assert found.verdict is Verdict.WITHIN_BUDGET
    assert found.classes == {"nan_mismatch": 0, "wrong_infinity": 0, "wrong_zero_sign": 0, "flushed": 2}


def test_flushed_inputs_are_told_from_wrong_answers():
    """ln of a subnormal taken for zero is minus infinity; any other answer stays wrong."""
    truth, there = Truth.exact(np.full(3, -92.1034)), Truth.exact(np.full(3, -np.inf))
    errors = measure(FLOAT32.round([-np.inf, np.inf, -80.0]), truth, FLOAT32)
    allowed = budget((3,), 1e-5, 1e-5)
    found = judge(errors, truth, allowed, FLOAT32, at_zero=(there, allowed))
    assert found.classes == {"nan_mismatch": 0, "wrong_infinity": 1, "wrong_zero_sign": 0, "flushed": 1}
    assert found.verdict is Verdict.BEYOND_BUDGET
    assert found.reason.startswith("1 of 3 differ by more than rounding can explain; 1 of 3 infinite")
    assert judge(errors, truth, allowed, FLOAT32).classes["flushed"] == 0


def test_nothing_to_compare_with_is_undecided():
    undefined = Truth.exact(np.zeros(2))
    undefined = Truth(undefined.hi, undefined.lo, undefined.rad, undefined.exponent,
                      np.full(2, UNDEFINED, np.uint8), undefined.rung)  # fmt: skip
    found = verdict_on([0, 0], truth=undefined)
    assert found.verdict is Verdict.UNDECIDED
    assert "no element has a truth" in found.reason
    assert verdict_on(np.zeros(0)).verdict is Verdict.UNDECIDED


def test_the_worst_come_first_and_carry_their_inputs():
    found = verdict_on([0, -3, 7, 1, 2, 0, 9, 4], inputs={"x": np.arange(8.0)})
    assert [w["ulp"] for w in found.worst] == [9, 7, 4, -3, 2]
    assert found.worst[0] == {
        "index": [6], "inputs": {"x": {"decimal": "6", "hex": "0x40c00000"}},
        "actual": {"decimal": "1.5000011", "hex": "0x3fc00009"}, "truth": "1.5000000000000000000", "ulp": 9.0,
        "budget_used": 4.5,
    }  # fmt: skip


def test_a_class_is_worse_than_any_number():
    truth = Truth.exact(np.full(3, 1.5))
    errors = measure(np.array([1.5 + 1000 * ULP, np.nan, 1.5]), truth, FLOAT32)
    found = judge(errors, truth, budget((3,)), FLOAT32)
    assert [w["ulp"] for w in found.worst] == [None, 1000.0, 0.0]


def test_the_curve_has_the_largest_error_of_each_stretch():
    x = np.random.default_rng(5).permutation(10_000).astype(float)
    error = np.zeros(10_000)
    error[x == 4321] = 3
    curve = verdict_on(error, inputs={"x": x}).curve
    assert len(curve["x"]) == 400
    assert curve["x"] == sorted(curve["x"])
    assert curve["max_ulp"][curve["x"].index(4321.0)] == 3
    assert sum(curve["max_ulp"]) == 3


def test_a_gradient_has_a_curve_over_its_operand_and_two_operands_have_none():
    x = np.arange(3.0)
    assert verdict_on([0, 1, 2], inputs={"x": x, "cotangent": x}).curve["max_ulp"] == [0, 1, 2]
    assert verdict_on([0, 1, 2], inputs={"x": x, "y": x}).curve is None
    assert verdict_on([0, 1, 2]).curve is None


@pytest.mark.parametrize("reach", [1, 8, 9, 1_000_000])
def test_the_histogram_counts_every_element(reach):
    errors = np.array([0, 0, 1, -reach, reach])
    histogram = verdict_on(errors).histogram
    assert sum(histogram["counts"]) == 5
    assert np.all(np.diff(histogram["edges"]) > 0)
    assert histogram["edges"][0] <= -reach
    assert histogram["edges"][-1] >= reach


def test_the_special_table_shows_disagreements_first_and_each_case_once():
    x = np.array([0.0, 0.0, np.inf, np.nan, 2.0])
    truth = Truth.exact(np.array([0.0, 0.0, np.inf, np.nan, 2.0]))
    errors = measure(np.array([0.0, 0.0, 1.0, np.nan, 2.0]), truth, FLOAT32)
    table = judge(errors, truth, budget((5,)), FLOAT32, inputs={"x": x}).special
    assert [(row["inputs"]["x"]["decimal"], row["expected"], row["agrees"]) for row in table] == [
        ("inf", "inf", False), ("0", "0", True), ("nan", "nan", True),
    ]  # fmt: skip


def test_everything_fits_strict_json():
    truth = Truth.exact(np.array([0.0, 1.0, np.nan, 1e-300]))
    errors = measure(np.array([1e300, np.inf, 1.0, 1e300]), truth, format_named("float64"))
    found = judge(errors, truth, budget((4,)), format_named("float64"), inputs={"x": np.zeros(4)})
    json.dumps([vars(found)[name] for name in vars(found)], allow_nan=False)
    assert found.max_ulp > 1e307


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda f: f.name)
def test_the_shortest_decimal_comes_back(fmt):
    rng = np.random.default_rng(11)
    largest = int(fmt.ordinals(np.array(fmt.max_finite)))
    for x in fmt.from_ordinals(rng.integers(-largest, largest, 200)):
        assert float(fmt.round(np.array(float(shortest(float(x), fmt))))) == x
    assert shortest(0.1, format_named("float64")) == "0.1"
    assert shortest(float(np.float32(0.1)), FLOAT32) == "0.1"
    assert shortest(float("-inf"), FLOAT32) == "-inf"
