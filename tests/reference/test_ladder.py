"""The ladder: every element climbs as far as its question needs, and no further; what is open stays open."""

from collections.abc import Callable

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb
from jax import lax
from mpmath import mp, mpf

from oracle.reference import evaluate as ladder
from oracle.reference import rules
from oracle.reference.balls import Ball
from oracle.reference.constants import exact, working_precision
from oracle.reference.evaluate import FAR, R0, R3, R4, TruthViolation, evaluate, self_check, split_ball
from oracle.reference.formats import FORMATS
from oracle.reference.program import trace, vjp
from oracle.reference.truth import PLUS_INF, REAL, Truth

FLOAT32, FLOAT64, BFLOAT16 = (FORMATS[n] for n in ("float32", "float64", "bfloat16"))


def truth(fn: Callable, *args: np.ndarray, fmt: str = "float32", **more: int) -> Truth:
    args = [np.asarray(a) for a in args]
    (found,) = evaluate(trace(fn, *args), args, FORMATS[fmt], **more)
    return found


def holds(found: Truth, place: int, value: mpf) -> bool:
    """Whether the ball at the flat place holds `value`."""
    hi, lo, rad, exponent = (np.ravel(getattr(found, n))[place] for n in ("hi", "lo", "rad", "exponent"))
    return abs(value / mpf(2) ** int(exponent) - mpf(float(hi)) - mpf(float(lo))) <= mpf(float(rad)) * (
        1 + mpf(2) ** -60
    )


# ---- climbing --------------------------------------------------------------------------------------------------------


def test_float32_is_decided_by_r0_and_float64_climbs() -> None:
    x = np.linspace(0.1, 3, 50)
    assert np.all(truth(jnp.exp, x).rung == R0)
    climbed = truth(jnp.exp, x, fmt="float64")
    assert np.all(climbed.rung == R3)
    assert climbed.decided(FLOAT64).all()
    with mp.workprec(300):
        assert all(holds(climbed, i, mp.exp(mpf(v))) for i, v in enumerate(x))


def test_only_the_open_elements_climb() -> None:
    # 1e8 + x - 1e8 loses x; the other elements lose nothing.
    x = np.array([1e-20, 0.5, 2.0])
    found = truth(lambda x: (jnp.array([1e18, 1.0, 1.0]) + x) - jnp.array([1e18, 1.0, 1.0]), x)
    assert found.rung.tolist() == [R3, R0, R0]
    assert found.decided(FLOAT32).all()
    with mp.workprec(300):
        assert holds(found, 0, mpf(1e-20))


def test_cancellation_climbs_until_it_is_resolved() -> None:
    x = np.array([1e-100])
    found = truth(lambda x: jnp.exp(x) - 1 - x, x)
    assert found.decided(FLOAT32).all()
    with mp.workprec(2000):
        assert holds(found, 0, mp.exp(mpf(1e-100)) - 1 - mpf(1e-100))


def test_the_limit_caps_the_climbers_and_the_others_stay_open() -> None:
    x = np.linspace(0.1, 3, 40)
    found = truth(jnp.exp, x, fmt="float64", limit=7)
    assert 7 <= (found.rung == R3).sum() <= 8  # the self-check may add one
    open_ = ~found.decided(FLOAT64)
    assert open_.sum() == (found.rung == R0).sum()
    assert np.all(found.rad[open_] < 1e-13)  # open is not unknown: the ball of R0 remains


def test_what_nothing_decides_stays_undecided() -> None:
    def is_zero_plus_one(x: jax.Array) -> jax.Array:
        return jnp.where(exact("sqrt(2)") * exact("sqrt(2)") * x == 2 * x, 1.0, 3.0)

    found = truth(is_zero_plus_one, np.ones(2))
    assert not found.decided(FLOAT32).any()
    assert np.all(found.special == REAL)
    assert np.all(np.isnan(found.rounded(FLOAT32)))


def test_a_pole_that_nothing_proves_stays_undecided() -> None:
    found = truth(lambda x: 1 / (x * exact("sqrt(2)") * exact("sqrt(2)") - 2 * x), np.ones(2))
    assert np.all(np.isinf(found.rad))
    assert np.all(found.special == REAL)


# ---- far outside float64 ---------------------------------------------------------------------------------------------

OUTSIDE: dict[str, tuple[Callable, float, Callable]] = {
    "exp_up": (jnp.exp, 1e4, mp.exp),
    "exp_down": (jnp.exp, -1e4, mp.exp),
    "expm1": (jnp.expm1, 5e3, mp.expm1),
    "square": (lambda x: x * x, 1e300, lambda x: x * x),
    "product_down": (lambda x: x * x, 1e-300, lambda x: x * x),
    "power": (lambda x: x ** jnp.float64(-30.5), 1e30, lambda x: x ** mpf(-30.5)),
    "erfc": (lax.erfc, 50.0, mp.erfc),
    "sinh": (jnp.sinh, -2e4, mp.sinh),
    "lgamma_up": (lambda x: jnp.exp(lax.lgamma(x)), 500.0, mp.gamma),
}


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("fmt", ["float32", "float64"])
def test_overflow_and_underflow_far_outside_float64(name: str, fmt: str) -> None:
    fn, x, expected = OUTSIDE[name]
    found = truth(fn, np.array([x]), fmt=fmt)
    assert found.decided(FORMATS[fmt]).all()
    with mp.workprec(300):
        value = expected(mpf(x))
        assert holds(found, 0, value) or np.isinf(found.rad[0])
        if abs(value) > FORMATS[fmt].max_finite * 2:
            assert np.isinf(found.rounded(FORMATS[fmt])[0])
        if abs(value) < FORMATS[fmt].quantum / 4:
            assert found.rounded(FORMATS[fmt])[0] == 0


def test_a_quotient_of_overflows_is_an_ordinary_number() -> None:
    found = truth(lambda x: jnp.exp(x + 1) / jnp.exp(x), np.array([2e3, -3e3]), fmt="float64")
    assert found.decided(FLOAT64).all()
    assert found.rounded(FLOAT64).tolist() == [np.e, np.e]


@pytest.mark.parametrize("x", [1e40, 1e300])
def test_exponents_beyond_arb_s_own_reduction(x: float) -> None:
    found = truth(jnp.exp, np.array([x, -x]), fmt="float64")
    assert found.decided(FLOAT64).all()
    assert found.rounded(FLOAT64).tolist() == [np.inf, 0.0]


def test_subnormal_results() -> None:
    x = np.array([-735.0, -744.0])
    found = truth(jnp.exp, x, fmt="float64")
    assert found.decided(FLOAT64).all()
    with mp.workprec(300):
        assert all(holds(found, i, mp.exp(mpf(v))) for i, v in enumerate(x))


# ---- splitting an Arb ball -------------------------------------------------------------------------------------------

UNIT, FAR_OUT = arb(0, 1), 2**25
BALLS = [
    arb(0), arb(1), arb(1) / 3, UNIT, arb(1, 1e-300), arb((1, 5000)), arb((1, -5000)) / 3, arb(1e300, 1e10),
    arb((1, -FAR_OUT)), arb((1, FAR_OUT)), -arb((3, FAR_OUT)), UNIT * arb((1, FAR_OUT)), arb((1, -FAR_OUT), 1.0),
    UNIT * arb((1, -FAR_OUT)), 1 + UNIT * arb((1, -3000)), arb((1, 1022)) * 1.9, arb(5e-324, 5e-324),
]  # fmt: skip


@pytest.mark.parametrize("ball", BALLS, ids=lambda b: b.str(5))
def test_the_parts_hold_the_whole_ball(ball: arb) -> None:
    with working_precision(9000):
        hi, lo, rad, exponent = split_ball(ball)
        if rad == np.inf:
            return
        if abs(exponent) == FAR and rad == 0:  # larger than every format
            assert abs(ball) > arb((1, FAR))
            assert (ball > 0) == (hi > 0)
            return
        for end in (ball.lower(), ball.upper()):
            assert abs(end * arb((1, -exponent)) - hi - lo) <= arb(rad)


def test_a_huge_ball_around_zero_is_no_overflow() -> None:
    assert split_ball(arb(0, 1) * arb((1, 2**26)))[2] == np.inf


def test_a_radius_below_float64_is_not_lost() -> None:
    with working_precision(9000):
        assert split_ball(arb(1) + arb(0, 1) * arb((1, -5000)))[2] > 0


# ---- integers, booleans, repeated outputs ----------------------------------------------------------------------------


def test_integer_and_boolean_outputs() -> None:
    x = np.array([0.5, -1.0, 2.0])

    def fn(x: jax.Array) -> tuple:
        return x > 0, jnp.argmax(x), x.astype(int), x, x, jnp.ones(2), x * 2

    for rate in (0.0, 1.0):  # the self-check meets integers too
        saved, ladder.SELF_CHECK_RATE = ladder.SELF_CHECK_RATE, rate
        try:
            truths = evaluate(trace(fn, x), [x], FLOAT64)
        finally:
            ladder.SELF_CHECK_RATE = saved
        assert truths[0].hi.tolist() == [1, 0, 1]
        assert truths[1].hi == 2
        assert truths[2].hi.tolist() == [0, -1, 2]
        assert truths[3].hi.tolist() == truths[4].hi.tolist() == x.tolist()
        assert all(t.decided(FLOAT64).all() for t in truths)


def test_an_argument_that_r0_cannot_find_climbs() -> None:
    x = np.array([0.1, 0.2])
    found = truth(lambda x: jnp.argmax(jnp.stack([x[0] + x[1], 0.3 * (1 + 1e-17 + 0 * x[0]), x[1] - 1])), x)
    assert found.rung == R3
    assert found.hi == 0  # 0.1 + 0.2 of the stored numbers is above the stored 0.3
    assert found.decided(FLOAT64)


def test_large_integers_are_exact() -> None:
    found = truth(lambda n: n * 1, np.array([2**60 + 1, -(2**62) + 3]), fmt="float64")
    assert [int(h) + int(low) for h, low in zip(found.hi, found.lo, strict=True)] == [2**60 + 1, -(2**62) + 3]


def test_empty_and_scalar_outputs() -> None:
    assert truth(lambda x: x / 3, np.zeros((0, 2))).shape == (0, 2)
    assert truth(lambda x: jnp.sum(x / 3), np.ones(4), fmt="float64").decided(FLOAT64)


USED = (jax.nn.softplus, jax.nn.gelu, jax.nn.silu, jax.nn.log_sigmoid, jax.nn.logsumexp, jax.nn.elu, jax.nn.softmax,
        jax.nn.selu, jax.nn.standardize, jnp.linalg.norm, jnp.var, jnp.median, lambda x: jax.nn.relu(x / 3),
        lambda x: jax.nn.one_hot(jnp.argmax(x), 3))  # fmt: skip


@pytest.mark.parametrize("fn", USED)
@pytest.mark.parametrize("fmt", ["float32", "float64"])
def test_what_users_write_is_decided(fn: Callable, fmt: str) -> None:
    x = np.array([0.3, -1.7, 2.9, 0.0])
    found = truth(fn, x, fmt=fmt)
    assert found.decided(FORMATS[fmt]).all()
    program = trace(vjp(fn, (0,), 1), x, found.hi)
    (gradient,) = evaluate(program, [x, np.ones(found.shape)], FORMATS[fmt])
    assert gradient.decided(FORMATS[fmt]).all()


# ---- specials reach the outputs --------------------------------------------------------------------------------------


def test_a_pole_is_exact() -> None:
    found = truth(lambda x: 1 / x, np.array([0.0, 2.0]))
    assert found.special.tolist() == [PLUS_INF, REAL]
    assert found.rung.tolist() == [R4, R0]


# ---- the judges of the judge -----------------------------------------------------------------------------------------


def test_a_planted_radius_that_is_too_small_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(0.1, 1, 5)
    rule = rules.FUNCTIONS["exp"]

    def shifted(a: object, x: Ball, **more: object) -> Ball:
        found = rule(a, x, **more)
        return Ball(found.mid * (1 + 1e-9), found.rad)

    monkeypatch.setitem(rules.FUNCTIONS, "exp", shifted)
    monkeypatch.setattr(ladder, "SELF_CHECK_RATE", 1.0)
    with pytest.raises(TruthViolation, match=r"element 0: .* have no common value\. This is a bug of the oracle"):
        truth(jnp.exp, x)


def test_climbers_are_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        rules.FUNCTIONS, "exp", lambda a, x, **_: Ball(np.exp(x.mid) * 1.001, np.full(x.mid.shape, 1e-5))
    )
    with pytest.raises(TruthViolation):
        truth(jnp.exp, np.ones(3), fmt="float64")


def test_the_self_check_samples_about_one_in_ten_thousand() -> None:
    elements, checked = self_check.elements, self_check.checked
    truth(lambda x: x * 3, np.ones(200_000))
    assert self_check.elements - elements == 200_000
    assert 2 <= self_check.checked - checked <= 60


def test_a_flushing_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "_SMALLEST", np.array([0.0]))
    with pytest.raises(RuntimeError, match="flushes subnormal numbers to zero"):
        truth(jnp.exp, np.ones(2))


def test_the_working_precision_is_restored() -> None:
    before = flint.ctx.prec
    truth(jnp.exp, np.ones(3), fmt="float64")
    assert flint.ctx.prec == before
