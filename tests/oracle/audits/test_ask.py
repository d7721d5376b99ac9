"""One true value: its digits, its rounding, its gradient, and what a framework makes of it."""

import mpmath
import numpy as np
import pytest

import oracle
from oracle.audits.arguments import parse_array, parse_attributes
from oracle.errors import OracleError
from oracle.judgements.verdict import Judgement


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-12.5", -12.5),
        ("1e-30", 1e-30),
        ("0x1.8p-3", 0.1875),
        ("-0X1P+4", -16.0),
        ("inf", np.inf),
        ("-Infinity", -np.inf),
        ("[1, -2.5e3]", [1.0, -2500.0]),
        ("[[1, inf], [-inf, 0x1p-2]]", [[1.0, np.inf], [-np.inf, 0.25]]),
        ("[true, false]", [1.0, 0.0]),
        ("nan", np.nan),
    ],
)
def test_reads_numbers_and_arrays(text, value):
    np.testing.assert_array_equal(parse_array(text), np.asarray(value))


@pytest.mark.parametrize(
    "text", ["", "a", "[", "[1,,2]", "[[1], [2, 3]]", "{}", "1 2", "__import__('os')", "1e", "[]x"]
)
def test_refuses_what_is_no_number(text):
    with pytest.raises(OracleError, match="cannot read the argument"):
        parse_array(text)


def test_reads_attributes():
    assert parse_attributes(["eps=1e-5", "axis=-1", "stride=(2, 2)", "reduction=mean"]) == {
        "eps": 1e-5, "axis": -1, "stride": (2, 2), "reduction": "mean",
    }  # fmt: skip


@pytest.mark.parametrize("digits", [5, 20, 60, 400])
def test_every_digit_is_right(digits):
    found = oracle.truth("sigmoid", -12.5, digits=digits).digits["out"].item()
    with mpmath.workdps(digits + 20):
        exact = 1 / (1 + mpmath.exp(mpmath.mpf("12.5")))
        assert abs(mpmath.mpf(found) / exact - 1) < mpmath.mpf(10) ** (1 - digits)


def test_is_a_number_and_says_what_it_is():
    found = oracle.truth("exp", 1.0)
    assert float(found) == np.exp(1.0)
    assert repr(found).startswith("exp(1.0) = 2.7182818284590452354\n")
    assert "0x402df854" in repr(found)


def test_each_format_has_its_own_argument_and_truth():
    found = oracle.truth("log", 0.1)
    assert not found.formats["float32"].exact
    assert found.formats["float64"].exact
    held = float(np.float32(0.1))
    assert float(found.formats["float32"].rounded["out"]) == np.float32(np.log(held))


def test_gradients():
    found = oracle.truth("pow", 2.0, 3.0, grad=True)
    assert found.digits["x"].item().startswith("12.0000")
    assert found.digits["y"].item() == "5.5451774444795624753"


def test_arrays_and_attributes():
    found = oracle.truth("softmax", [1.0, 2.0], axis=0)
    assert [text[:8] for text in found.digits["out"]] == ["0.268941", "0.731058"]
    assert "[1] 0.73105857863000487925" in repr(found)


def test_special_values():
    assert oracle.truth("exp", -np.inf).digits["out"].item() == "0"
    assert oracle.truth("log", -1.0).digits["out"].item() == "nan"
    assert oracle.truth("log", 0.0).digits["out"].item() == "-inf"


def test_asks_the_frameworks(monkeypatch):
    from oracle.adapters import adapter_named  # noqa: PLC0415

    monkeypatch.setattr("oracle.audits.candidates.adapters", lambda: {"numpy": adapter_named("numpy")})
    found = oracle.truth("exp", 1.0, frameworks=True)
    (said,) = found.formats["float32"].said
    judgement = said.judgements["out"]
    assert isinstance(judgement, Judgement)
    assert said.values["out"] == np.exp(np.float32(1.0))
    assert judgement.max_ulp < 1
    assert "numpy" in repr(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("exp", "x"), "exp: x = 'x' is no array of numbers"),
        (("embedding", [[1.0, 2.0]], [0.5]), "holds indices"),
        (("exp",), r"exp takes 1 argument \(x\), not 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(OracleError, match=message):
        oracle.truth(*arguments)


def test_an_operation_without_gradient_is_named():
    with pytest.raises(OracleError, match="adam has no gradient"):
        oracle.truth("adam", *[0.0] * 4, grad=True)
