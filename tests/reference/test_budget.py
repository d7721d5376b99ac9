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


# ---- honest kernels are inside, whatever their order -----------------------------------------------------------------


def pairwise(x):
    return x[0] if len(x) == 1 else pairwise(x[: len(x) // 2]) + pairwise(x[len(x) // 2 :])


def sequential(x):
    total = x[0]
    for term in x[1:]:
        total = total + term
    return total


def lanes(x):
    return sequential([sequential(x[i::4]) for i in range(4)])


def backward(x):
    return sequential(x[::-1])


ORDERS = {"sequential": sequential, "backward": backward, "pairwise": pairwise, "lanes": lanes}


def f32(x):
    return np.asarray(x, np.float32)


def used(found, output, truth):
    """The largest share of the fused budget that an output of float32 uses."""
    error = np.abs(np.asarray(output, np.float64) - truth)
    return float(np.max(np.where(error == 0, 0.0, error / np.where(found.fused > 0, found.fused, 1e-300))))


def operand(n, offset=0.0, seed=5):
    return f32(np.random.default_rng(seed).normal(offset, 1, n))


@pytest.mark.parametrize("add", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_honest_kernels_are_within_the_fused_budget(add, offset):
    x, y = operand(203, offset), operand(203, seed=6)
    wide_x, wide_y = x.astype(float), y.astype(float)
    assert used(budget(jnp.sum, x), add(x), wide_x.sum()) <= 1
    assert used(budget(lambda x, y: x @ y, x, y), add(x * y), wide_x @ wide_y) <= 1
    assert used(budget(jnp.mean, x), add(x) * f32(1 / 203), wide_x.mean()) <= 1
    deviation = x - add(x) / f32(203)
    assert used(budget(lambda x: jnp.mean((x - jnp.mean(x)) ** 2), x), add(deviation**2) / f32(203), wide_x.var()) <= 1
    weights = np.exp(x - x.max())
    softmax = budget(lambda x: jnp.exp(x - jnp.max(x)) / jnp.sum(jnp.exp(x - jnp.max(x))), x)
    exact_weights = np.exp(wide_x - wide_x.max())
    assert used(softmax, weights / add(weights), exact_weights / exact_weights.sum()) <= 1
    assert used(softmax, weights * (f32(1) / add(weights)), exact_weights / exact_weights.sum()) <= 1


def test_running_sums_are_granted_as_many_roundings_as_they_have_terms():
    x = operand(1000)
    found = budget(jnp.cumsum, x)
    assert used(found, np.cumsum(x), np.cumsum(x.astype(float))) <= 1
    assert found.fused[0] < 1e-6 < found.fused[-1] * 1e3
    assert found.fused[1] <= 2.01 * FLOAT32.u * (abs(x[0]) + abs(x[1]))


def test_scatters_are_granted_as_many_roundings_as_meet_at_a_place():
    x = np.ones(64)
    found = budget(lambda x: jnp.zeros(3).at[jnp.array([0] + [1] * 2 + [2] * 61)].add(x / 3), x)
    assert found.fused[0] == pytest.approx(budget(lambda x: x / 3, np.ones(1)).fused[0])
    assert found.fused[0] < found.fused[1] < found.fused[2] / 100


def bfloat16(x):
    return FORMATS["bfloat16"].round(np.asarray(x, float)).astype(np.float32)


def test_accumulation_in_bfloat16_is_outside():
    x, y = operand(203), operand(203, seed=6)
    total = np.float32(0)
    for term in x * y:
        total = bfloat16(total + term)
    assert used(budget(lambda x, y: x @ y, x, y), total, x.astype(float) @ y.astype(float)) > 10


def test_a_dropped_term_is_outside():
    x, y = operand(203), operand(203, seed=6)
    assert used(budget(lambda x, y: x @ y, x, y), sequential((x * y)[1:]), x.astype(float) @ y.astype(float)) > 10


def test_the_variance_in_one_pass_is_outside_on_offset_data():
    x = operand(203, offset=1e5)
    one_pass = np.mean(x * x, dtype=np.float32) - np.mean(x, dtype=np.float32) ** 2
    found = budget(lambda x: jnp.mean((x - jnp.mean(x)) ** 2), x)
    assert used(found, one_pass, x.astype(float).var()) > 10


def test_a_constant_rounded_to_float32_is_outside_in_float64():
    x = np.linspace(0.1, 3, 20)
    found = budget(lambda x: jnp.exp(-x * exact("sqrt(2)")), x, fmt=FORMATS["float64"])
    truth = np.exp(-x * np.sqrt(2))
    assert used(found, truth, truth) <= 1
    assert used(found, np.exp(-x * np.float64(np.float32(np.sqrt(2)))), truth) > 1e4


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda f: f.name)
def test_the_scale_of_a_product_is_the_magnitude_of_its_terms(fmt):
    x, y = np.array([1.0, -2.0, 0.5]), np.array([3.0, 1.5, 0.25])
    found = budget(lambda x, y: x @ y, x, y, fmt=fmt)
    assert found.scale == pytest.approx(np.abs(x) @ np.abs(y), rel=1e-2)
    assert found.scale >= abs(x @ y)


# ---- infinite and zero budgets ---------------------------------------------------------------------------------------


def test_a_partial_sum_that_overflows_makes_the_budget_infinite():
    big = float(FLOAT32.max_finite) * 0.6
    found = budget(lambda x: jnp.sum(x, 1), [[big, big, -big, -big], [big, -big, 1.0, 1.0]])
    assert np.isinf(found.fused).tolist() == [True, False]
    half = FORMATS["float16"]
    fine = budget(lambda x: jnp.sum(x, 1), [[4e4, 4e4, -4e4]], fmt=half)
    assert np.isfinite(fine.stepwise).all()  # partial sums of float16 live in float32


@pytest.mark.parametrize("fmt", [f for f in FORMATS.values() if f.name != "float64"], ids=lambda f: f.name)
def test_the_largest_number_may_be_copied_and_multiplied_by_one(fmt):
    found = budget(lambda x: x * 1.0, [fmt.max_finite], fmt=fmt)
    assert np.isfinite(found.fused).all()
    assert np.isinf(budget(lambda x: x * 2.0, [fmt.max_finite], fmt=fmt).fused).all()


def test_what_is_exact_has_no_budget_and_what_underflows_has_a_quantum():
    assert budget(lambda x: x * 0 + 0, [1.0, 3.0]).fused.tolist() == [0.0, 0.0]
    assert budget(lambda x: jnp.maximum(x, 0), [1.5, -2.0]).fused.tolist() == [0.0, 0.0]
    tiny = budget(lambda x: x * x, [1e-25]).fused[0]
    assert 0.5 * FLOAT32.quantum <= tiny <= 3 * FLOAT32.quantum


def test_a_product_whose_partial_products_underflow_may_lose_everything():
    x = f32([1e-30, 1e-30, 1e30, 1e25])
    found = budget(jnp.prod, x)
    assert used(found, np.prod(x), np.prod(x.astype(float))) <= 1
    assert found.fused >= np.prod(x.astype(float))


def test_nothing_in_a_budget_is_nan():
    x = np.array([0.0, np.inf, -np.inf, np.nan, 1e38, 1e-45, -1.0])
    for fn in (jnp.exp, jnp.log, lambda x: x / x, lambda x: x * jnp.tanh(x), lambda x: x - jnp.max(x), jnp.sqrt):
        for fmt in FORMATS.values():
            found = budget(fn, fmt.round(x).astype(float), fmt=fmt)
            assert not any(np.isnan(part).any() for part in (found.fused, found.stepwise, found.probable))
