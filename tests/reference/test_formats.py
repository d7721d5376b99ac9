"""Number formats against ml_dtypes and NumPy, and against exact rational arithmetic."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.reference.formats import FORMATS, edge_values, format_named, format_of

each_format = pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda f: f.name)
each_small_format = pytest.mark.parametrize("fmt", [f for f in FORMATS.values() if f.bits <= 16], ids=lambda f: f.name)
formats = st.sampled_from(list(FORMATS.values()))
reals = st.floats(allow_nan=False, allow_infinity=False)


def rounded_exactly(x: Fraction, fmt) -> Fraction:
    """Nearest multiple of the ulp, ties to even, without a largest number: the definition."""
    size = abs(x)
    exponent = size.numerator.bit_length() - size.denominator.bit_length() if size else fmt.e_min
    exponent -= Fraction(2) ** exponent > size > 0
    ulp = Fraction(2) ** (max(exponent, fmt.e_min) - fmt.precision + 1)
    return round(x / ulp) * ulp


@each_format
def test_parameters_agree_with_ml_dtypes(fmt):
    info = ml_dtypes.finfo(fmt.dtype)
    assert fmt.max_finite == float(info.max)
    assert fmt.tiny == float(info.smallest_normal)
    assert fmt.quantum == float(info.smallest_subnormal)
    assert 2 * fmt.u == float(info.eps)
    assert fmt.bits == info.bits
    assert format_of(fmt.dtype) is fmt is format_named(fmt.name)


def test_an_unknown_format_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'float31'.*expected one of float64"):
        format_named("float31")


@each_small_format
def test_every_value_survives_rounding_and_its_ordinal(fmt):
    with np.errstate(invalid="ignore"):
        values = fmt.all_values().astype(np.float64)
    assert values.size == 2**fmt.bits
    assert fmt.is_representable(values)
    finite = values[np.isfinite(values)]
    assert np.array_equal(fmt.from_ordinals(fmt.ordinals(finite)), finite)
    assert np.array_equal(np.diff(fmt.ordinals(np.unique(finite))), np.ones(np.unique(finite).size - 1))


@each_small_format
def test_midpoints_round_to_even_and_their_neighbours_do_not(fmt):
    """ml_dtypes converts float64 through float32; the format must not inherit its double rounding."""
    with np.errstate(invalid="ignore"):
        values = np.unique(fmt.all_values().astype(np.float64))
    values = values[np.isfinite(values)]
    middle = (values[1:] + values[:-1]) / 2
    even = np.where(fmt.ordinals(values[1:]) % 2 == 0, values[1:], values[:-1])
    assert np.array_equal(fmt.round(middle).astype(np.float64), even)
    assert np.array_equal(fmt.round(np.nextafter(middle, np.inf)).astype(np.float64), values[1:])
    assert np.array_equal(fmt.round(np.nextafter(middle, -np.inf)).astype(np.float64), values[:-1])


def test_the_format_does_not_round_twice_where_ml_dtypes_does():
    above_tie = np.array(1 + 2.0**-8 + 2.0**-30)
    assert float(above_tie.astype(ml_dtypes.bfloat16)) == 1.0  # the trap; if this fails the work-around can go
    assert float(format_named("bfloat16").round(above_tie)) == 1 + 2.0**-7


@given(formats, reals)
def test_rounding_is_the_definition(fmt, x):
    expected = rounded_exactly(Fraction(x), fmt)
    rounded = float(fmt.round(np.array(x)))
    if abs(expected) <= fmt.max_finite:
        assert Fraction(rounded) == expected
    else:
        assert rounded == np.copysign(np.inf, x) if fmt.has_inf else np.isnan(rounded)


@given(formats, reals)
def test_ulp_exponent_is_the_spacing(fmt, x):
    x = float(fmt.round(np.clip(x, -fmt.max_finite / 2, fmt.max_finite / 2)))
    above = float(fmt.from_ordinals(fmt.ordinals(np.array(abs(x))) + 1))
    exponent = np.frexp(x)[1] - 1 if x else fmt.e_min
    assert Fraction(above) - Fraction(abs(x)) == Fraction(2) ** int(fmt.ulp_exponent(np.array(exponent)))


@each_format
def test_edge_values_are_representable_distinct_and_reach_the_limits(fmt):
    values = edge_values(fmt)
    assert fmt.is_representable(values)
    assert np.unique(values.view(np.uint64)).size == values.size
    for limit in (fmt.quantum, fmt.tiny, fmt.tiny - fmt.quantum, 1.0, fmt.max_finite):
        assert limit in values
        assert -limit in values
    assert np.signbit(values[values == 0]).tolist().count(True) == 1


def test_only_small_formats_are_enumerated():
    with pytest.raises(ValueError, match=r"2\^32"):
        format_named("float32").all_values()
