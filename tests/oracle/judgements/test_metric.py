"""The metric against exact rational arithmetic, and its classes."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oracle.judgements.metric import measure, ordinal_distance
from oracle.reference.formats import FORMATS, format_named
from oracle.reference.truth import NAN, PLUS_INF, UNDEFINED, Truth

FLOAT32 = format_named("float32")
E4M3 = format_named("float8_e4m3fn")
formats = st.sampled_from(list(FORMATS.values()))


def ball(hi, lo=0.0, rad=0.0, *, exponent=0, special=0, signed_zero=None) -> Truth:
    hi, lo, rad, exponent, special = np.broadcast_arrays(np.atleast_1d(hi), lo, rad, exponent, special)
    return Truth(hi.astype(float), lo.astype(float), rad.astype(float), exponent.astype(np.int32),
                 special.astype(np.uint8), np.zeros(hi.shape, np.uint8), signed_zero)  # fmt: skip


def exact_error(y: float, t: Fraction, fmt) -> Fraction:
    """The definition: (y - t) / 2^(clamp(floor(log2 |t|), e_min, e_max) - p + 1)."""
    exponent = fmt.e_min
    if t:
        exponent = abs(t).numerator.bit_length() - abs(t).denominator.bit_length()
        exponent -= Fraction(2) ** exponent > abs(t)
    exponent = min(max(exponent, fmt.e_min), fmt.e_max)
    return (Fraction(y) - t) / Fraction(2) ** (exponent - fmt.precision + 1)


def contains(low: float, high: float, value: Fraction) -> bool:
    return (low == -np.inf or Fraction(low) <= value) and (high == np.inf or value <= Fraction(high))


@st.composite
def answer_and_ball(draw):
    """A number of a format and a ball: near it, anywhere, or around a power of two."""
    fmt = draw(formats)
    largest = int(fmt.ordinals(np.array(fmt.max_finite)))
    y = float(fmt.from_ordinals(draw(st.integers(-largest, largest))))
    near = st.integers(-9, 9).map(lambda k: y * (1 + k * fmt.u / 3))
    anywhere = st.integers(-largest, largest).map(lambda k: float(fmt.from_ordinals(k)))
    power = st.integers(fmt.e_min - fmt.precision, fmt.e_max).map(lambda k: float(np.ldexp(1.0, k)))
    hi = draw(st.one_of(near, anywhere, power))
    assume(abs(hi) <= fmt.max_finite)
    lo = hi * draw(st.floats(-(2.0**-54), 2.0**-54))
    rad = abs(hi) * draw(st.sampled_from([0.0, 0.0, 2.0**-80, 2.0**-30, 2.0**-4]))
    shift = draw(st.sampled_from([0, 0, -700, 300]))
    return fmt, y, (np.ldexp(hi, -shift), np.ldexp(lo, -shift), np.ldexp(rad, -shift), shift)


@given(answer_and_ball(), st.fractions(-1, 1))
def test_the_interval_holds_the_exact_error_of_every_point_of_the_ball(drawn, where):
    fmt, y, (hi, lo, rad, shift) = drawn
    assume(np.isfinite([hi, lo, rad]).all())
    errors = measure([y], ball(hi, lo, rad, exponent=shift), fmt)
    assume(errors.numeric[0] and not errors.rounded_certain[0])
    t = (Fraction(hi) + Fraction(lo) + where * Fraction(rad)) * Fraction(2) ** shift
    assert contains(float(errors.low[0]), float(errors.high[0]), exact_error(y, t, fmt))


@given(answer_and_ball())
def test_a_decided_truth_away_from_binades_gives_a_narrow_interval(drawn):
    fmt, y, (hi, lo, rad, shift) = drawn
    truth = ball(hi, lo, rad, exponent=shift)
    small, large = truth.ulp_exponents(fmt)
    errors = measure([y], truth, fmt)
    assume(errors.numeric[0] and errors.decided[0] and small[0] == large[0] and abs(errors.high[0]) < 2**40)
    assert errors.high[0] - errors.low[0] <= 1e-3 * (1 + 1e-9) + 1e-13 * abs(errors.high[0])


@given(answer_and_ball(), st.fractions(-1, 1))
def test_correct_rounding_is_claimed_only_where_it_holds(drawn, where):
    fmt, _, (hi, lo, rad, shift) = drawn
    truth = ball(hi, lo, rad, exponent=shift)
    rounded = truth.rounded(fmt)
    assume(np.isfinite(rounded[0]))
    errors = measure(rounded, truth, fmt)
    assert errors.rounded_certain[0]
    assert not errors.rounded_impossible[0]
    t = (Fraction(hi) + Fraction(lo) + where * Fraction(rad)) * Fraction(2) ** shift
    assert abs(exact_error(float(rounded[0]), t, fmt)) <= 1
    away = fmt.from_ordinals(fmt.ordinals(rounded) + 1)
    assert measure(np.clip(away, -fmt.max_finite, fmt.max_finite), truth, fmt).rounded_certain[0] == (
        away[0] > fmt.max_finite
    )


def test_half_an_ulp_below_a_power_of_two_is_not_correct_rounding():
    """|E| <= 1/2 does not imply it: below 2 the ulp halves."""
    t = np.float64(2) + 2.0**-24  # nearest is 2; the next below is only 2^-23 away
    errors = measure(np.array([2 - 2.0**-23, 2.0]), ball([t, t]), FLOAT32)
    assert errors.rounded_certain.tolist() == [False, True]
    assert errors.low.tolist() == [-0.75, -0.25]


def test_an_exact_tie_is_exactly_half_an_ulp():
    errors = measure(np.array([1.0]), ball(1 + 2.0**-24), FLOAT32)
    assert errors.low[0] == errors.high[0] == -0.5
    assert errors.rounded_certain[0]


@pytest.mark.parametrize(
    ("y", "truth", "expected"),
    [
        (np.nan, ball(1.0), "nan_mismatch"),
        (1.0, ball(0.0, special=NAN), "nan_mismatch"),
        (np.inf, ball(1.0), "wrong_infinity"),
        (-np.inf, ball(0.0, special=PLUS_INF), "wrong_infinity"),
        (3e38, ball(0.0, special=PLUS_INF), "wrong_infinity"),
        (3e38, ball(1.0, exponent=200), "wrong_infinity"),
        (-np.inf, ball(1.0, exponent=5000), "wrong_infinity"),
        (0.0, ball(-0.0, signed_zero=np.array([True])), "wrong_zero_sign"),
        (0.0, ball(1e-40), "flushed"),
    ],
)
def test_classes(y, truth, expected):
    errors = measure(FLOAT32.round([y]), truth, FLOAT32)
    for name in ("nan_mismatch", "wrong_infinity", "wrong_zero_sign", "flushed"):
        assert getattr(errors, name)[0] == (name == expected), name
    assert not errors.rounded_certain[0]
    if expected in {"nan_mismatch", "wrong_infinity"}:
        assert not errors.numeric[0]


@pytest.mark.parametrize(
    ("y", "truth"),
    [
        (np.nan, ball(0.0, special=NAN)),
        (np.inf, ball(0.0, special=PLUS_INF)),
        (np.inf, ball(1.0, exponent=5000)),
        (np.inf, ball(2 - 2.0**-24, exponent=127)),
        (FLOAT32.max_finite, ball(2 - 2.0**-24 - 2.0**-50, exponent=127)),
        (7.0, ball(0.0, special=UNDEFINED)),
        (np.nan, ball(0.0, special=UNDEFINED)),
        (-0.0, ball(0.0)),
        (0.0, ball(-1e-60)),
    ],
)
def test_right_specials_and_overflows(y, truth):
    errors = measure(np.array([y]), truth, FLOAT32)
    assert errors.rounded_certain[0]
    assert not (errors.nan_mismatch | errors.wrong_infinity | errors.wrong_zero_sign | errors.flushed)[0]


def test_a_wrong_infinity_says_how_far_it_is():
    almost = ball([2 - 2.0**-23, 1.0], exponent=127)
    errors = measure(np.array([np.inf, np.inf]), almost, FLOAT32)
    assert errors.wrong_infinity.all()
    assert errors.infinity_low.tolist() == [1.0, 2.0**23]


def test_a_format_without_infinity_may_saturate_or_give_nan():
    errors = measure(np.array([np.nan, 448.0, -448.0, 416.0]), ball(np.full(4, 1.0), exponent=20), E4M3)
    assert errors.rounded_certain.tolist() == [True, True, False, False]
    within = measure(np.array([np.nan, 448.0]), ball([448.0, 448.0]), E4M3)
    assert within.nan_mismatch.tolist() == [True, False]


def test_flushing_has_two_columns():
    errors = measure(np.array([0.0, 0.0, 1.0]), ball([1e-40, 0.4 * FLOAT32.quantum, 1.0]), FLOAT32)
    assert errors.flushed.tolist() == [True, False, False]
    assert errors.low[0] == pytest.approx(-71362.4, rel=1e-5)
    assert errors.tolerant_low[0] == errors.tolerant_high[0] == 0
    assert errors.low[1] == errors.tolerant_low[1] == pytest.approx(-0.4)


def test_a_sum_is_measured_at_the_scale_of_its_terms():
    truth = ball(2.0**-20)
    errors = measure(np.array([2.0**-20 + 2.0**-30]), truth, FLOAT32)
    assert errors.low[0] == 2.0**13
    low, high = errors.at_scale(np.array([1.5]), FLOAT32)
    assert low[0] == high[0] == 2.0**-7


def test_integer_distance_to_the_rounded_truth():
    answers = np.array([1.0, 1 + 2.0**-23, -(2.0**-149), np.nan])
    truth = ball([1 + 2.0**-60, 1 - 2.0**-24, 2.0**-149, 1.0])
    assert np.array_equal(ordinal_distance(answers, truth, FLOAT32), [0, 2, 2, np.nan], equal_nan=True)


def test_an_unknown_truth_accuses_nobody():
    errors = measure(np.array([1.0, np.inf]), ball([0.0, 0.0], rad=np.inf), FLOAT32)
    assert not errors.decided.any()
    assert not (errors.wrong_infinity | errors.rounded_impossible | errors.rounded_certain).any()
    assert errors.low[0] == -np.inf
    assert errors.high[0] == np.inf


def test_a_number_of_another_format_is_refused():
    with pytest.raises(ValueError, match=r"0\.1.*no number of float32"):
        measure(np.array([0.1]), ball(0.1), FLOAT32)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2,\).*\(1,\)"):
        measure(np.zeros(2), ball(0.1), FLOAT32)
