"""`assert_same_meaning` in a test suite: passes for equal meanings, fails with the causes, tells what it cannot do."""

import pytest

import oracle
from oracle.errors import OracleError

torch = pytest.importorskip("torch")
nn = torch.nn


def _net(eps=1e-5, approximate="none"):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16, eps=eps), nn.GELU(approximate=approximate))


X = torch.linspace(-2, 2, 40).reshape(5, 8)


def test_equal_meanings_pass_and_the_comparison_comes_back():
    assert oracle.assert_same_meaning(_net(), _net(), X).codes == ("rounding-only",)


def test_a_difference_fails_with_its_cause_and_its_fix():
    with pytest.raises(AssertionError, match=r"(?s)DIFFERENT MEANING.*eps: 1e-05 in A, 0\.001 in B.*eps=1e-05"):
        oracle.assert_same_meaning(_net(), _net(eps=1e-3), X)


def test_a_trace_of_the_release_is_a_side(tmp_path):
    path = oracle.save_trace(oracle.record(_net(), X), tmp_path / "release.trace")
    oracle.assert_same_meaning(path, _net(), inputs_b=X)
    with pytest.raises(AssertionError, match="gelu-form"):
        oracle.assert_same_meaning(path, _net(approximate="tanh"), inputs_b=X)


def test_accepted_codes_pass_and_others_still_fail():
    oracle.assert_same_meaning(_net(), _net(approximate="tanh"), X, allow=["gelu-form"])
    with pytest.raises(AssertionError, match="eps"):
        oracle.assert_same_meaning(_net(), _net(eps=1e-3, approximate="tanh"), X, allow=["gelu-form"])


def test_what_cannot_be_compared_is_no_failed_assertion():
    with pytest.raises(OracleError, match="no inputs"):
        oracle.assert_same_meaning(_net(), _net())
    with pytest.raises(OracleError, match=r"allow=\['eps'\]"):
        oracle.assert_same_meaning(_net(), _net(), X, allow="eps")
