"""The truth's own arithmetic: rounding once, ends of balls, digits, specials."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.reference.formats import FORMATS, format_named
from oracle.reference.truth import MINUS_INF, NAN, PLUS_INF, UNDEFINED, Truth

FLOAT32 = format_named("float32")
formats = st.sampled_from(list(FORMATS.values()))


def ball(hi, lo=0.0, rad=0.0, *, exponent=0, special=0, signed_zero=None) -> Truth:
    hi, lo, rad, exponent, special = np.broadcast_arrays(hi, lo, rad, exponent, special)
    return Truth(hi.astype(float), lo.astype(float), rad.astype(float), exponent.astype(np.int32),
                 special.astype(np.uint8), np.zeros(hi.shape, np.uint8), signed_zero)  # fmt: skip


@given(formats, st.floats(allow_nan=False, allow_infinity=False))
def test_an_exact_truth_rounds_as_its_format_does(fmt, x):
    expected = fmt.round(np.array([x])).astype(float)
    expected = np.where(np.isnan(expected), np.copysign(np.inf, x), expected)
    assert np.array_equal(Truth.exact([x]).rounded(fmt), expected)


@given(st.integers(0, 2**23 - 1), st.floats(-1e-20, 1e-20), st.integers(-100, 100))
def test_a_tie_is_broken_by_what_float64_cannot_hold(k, lo, exponent):
    below, above = 1 + k * 2.0**-23, 1 + (k + 1) * 2.0**-23
    tie = (below + above) / 2
    expected = above if lo > 0 else below if lo < 0 else (below if k % 2 == 0 else above)
    assert ball([tie], [lo], exponent=exponent).rounded(FLOAT32)[0] == np.ldexp(expected, exponent)


def test_a_ball_over_a_tie_decides_no_rounding():
    tie = 1 + 2.0**-24
    truth = ball([tie, tie, 1.25], rad=[1e-15, 0.0, 1e-15])
    assert np.isnan(truth.rounded(FLOAT32)).tolist() == [True, False, False]
    assert truth.decided(FLOAT32).all()


def test_a_zero_keeps_its_sign_through_rounding():
    assert np.signbit(Truth.exact([-0.0, 0.0, -1e-60]).rounded(FLOAT32)).tolist() == [True, False, True]


def test_decided_is_a_question_of_the_radius_in_ulps():
    half_width = 0.5e-3 * 2.0**-23
    truth = ball([1.5, 1.5, 1.0, 0.0], rad=[half_width, 1.01 * half_width, 0.6 * half_width, 0.0])
    assert truth.decided(FLOAT32).tolist() == [True, False, False, True]


def test_beyond_the_range_only_the_overflow_itself_must_be_known():
    truth = ball([1.0, 1.0, 2 - 2.0**-24], rad=[1e-3, 1e-3, 1e-5], exponent=[200, 100, 127])
    assert truth.decided(FLOAT32).tolist() == [True, False, False]
    assert truth.rounded(FLOAT32)[0] == np.inf


def test_an_unknown_truth_is_undecided_whatever_the_format():
    truth = ball([0.0, 1.0], rad=np.inf)
    for fmt in FORMATS.values():
        assert not truth.decided(fmt).any()
        assert np.isnan(truth.rounded(fmt)).all()


@given(st.floats(-1e3, 1e3), st.floats(0, 1e-3), st.floats(-1, 1), st.integers(-3000, 3000))
def test_binades_enclose_those_of_every_point_of_the_ball(hi, rad, where, exponent):
    truth = ball([hi], rad=[rad], exponent=exponent)
    point = Fraction(hi) + Fraction(where) * Fraction(rad)
    small, large = (max(int(b[0]), -5000) for b in truth.binades())
    if point:
        assert Fraction(2) ** small <= abs(point) * Fraction(2) ** exponent < Fraction(2) ** (large + 1)


def test_digits_are_only_those_that_are_proven():
    truth = ball([np.pi, np.pi, np.pi], lo=[1.2246467991473532e-16, 0, 0], rad=[1e-30, 1e-6, np.inf])
    assert truth.digits(0, 25) == "3.141592653589793238462643"
    assert truth.digits(1) == "3.14159"
    assert truth.digits(2) == "unknown"


def test_digits_far_outside_float64():
    assert ball([1.5], exponent=20000).digits(0, 5) == "5.9704e+6020"  # 3 * 2**19999


@pytest.mark.parametrize(
    ("code", "text", "value"),
    [(NAN, "nan", np.nan), (PLUS_INF, "inf", np.inf), (MINUS_INF, "-inf", -np.inf), (UNDEFINED, "undefined", np.nan)],
)
def test_specials_are_decided_and_written_as_words(code, text, value):
    truth = ball([7.0], rad=[np.inf], special=code)
    assert truth.decided(FLOAT32).all()
    assert truth.digits(0) == text
    assert np.array_equal(truth.values(), [value], equal_nan=True)
    assert np.array_equal(truth.rounded(FLOAT32), [value], equal_nan=True)


def test_signed_zero_is_written_only_where_the_sign_is_known():
    truth = ball([-0.0, -0.0, 0.0], signed_zero=np.array([True, False, True]))
    assert [truth.digits(i) for i in range(3)] == ["-0", "0", "0"]


def test_take_keeps_everything():
    truth = ball(np.arange(6.0).reshape(2, 3), rad=0.5, exponent=np.arange(6).reshape(2, 3))
    taken = truth.take([4, 0])
    assert taken.hi.tolist() == [4.0, 0.0]
    assert taken.exponent.tolist() == [4, 0]
    assert taken.shape == (2,)
