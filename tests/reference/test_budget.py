"""The rounding budget: what it grants, and what it does not."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from oracle.reference.budget import rounding_budget
from oracle.reference.constants import exact
from oracle.reference.formats import FORMATS, format_named
from oracle.reference.program import trace

FLOAT32 = format_named("float32")


def budget(define, *inputs, fmt=FLOAT32):
    inputs = [np.asarray(x, float) for x in inputs]
    (found,) = rounding_budget(trace(define, *inputs), inputs, fmt)
    return found


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda f: f.name)
def test_a_single_rounding_is_half_an_ulp_and_hardly_more(fmt):
    found = budget(lambda x, y: x * y, [1.0, 1.5], [1.0, 1.0], fmt=fmt)
    assert np.all(found.fused <= (1.01 * fmt.u + 2.0**-53) * np.array([1.0, 1.5]))
    assert np.all(found.fused <= found.stepwise)


@pytest.mark.parametrize("constant", [0.1, 1 / 3])
def test_a_constant_is_granted_its_rounding(constant):
    exactly = budget(lambda x: x * 0.5, [1.0]).fused[0]
    rounded = budget(lambda x: x * constant, [1.0]).fused[0]
    assert rounded - constant / 0.5 * exactly == pytest.approx(abs(float(np.float32(constant)) - constant), rel=1e-3)


def test_an_exact_constant_that_float64_holds_is_rounded_too():
    plain, symbolic = (budget(f, [1.0]).fused[0] for f in (lambda x: x * 0.1, lambda x: x * exact(str(Fraction(0.1)))))
    assert symbolic == pytest.approx(plain, rel=1e-3)


def test_a_count_that_the_format_cannot_hold_is_not_kept_in_it():
    e4m3 = format_named("float8_e4m3fn")
    assert np.isfinite(budget(lambda x: x / 561.0, [100.0], fmt=e4m3).stepwise).all()


def test_an_overflowing_intermediate_makes_the_budget_infinite():
    found = budget(lambda x: jnp.sqrt(x * x), [1e10, 1e30])
    assert np.isinf(found.fused).tolist() == [False, True]


def test_flushing_counts_only_where_something_underflows():
    found = budget(lambda x: (x * 1e-30) * 1e30, [1.0, 1e-5, 1e-9])
    assert found.flushing[0] == found.fused[0]
    assert found.flushing[1] == found.fused[1]
    assert found.flushing[2] >= 1e-9 > 1000 * found.fused[2]


def test_a_quotient_by_what_may_be_flushed_has_no_bound():
    found = budget(lambda x: 1 / (x * 1e-30), [1.0, 1e-8])
    assert np.isfinite(found.stepwise).all()
    assert np.isinf(found.flushing).tolist() == [False, True]
