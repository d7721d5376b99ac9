"""R4: infinities and NaN decided by case: as IEEE 754 has them, and never where an unknown number has a part in it."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from oracle.reference.balls import Arithmetic, Ball, evaluate_balls
from oracle.reference.evaluate import R4, evaluate
from oracle.reference.formats import FORMATS
from oracle.reference.program import trace
from oracle.reference.truth import MINUS_INF, NAN, PLUS_INF, REAL

INF, NOT = np.inf, np.nan
VALUES = np.array([INF, -INF, NOT, 0.0, 1.0, -2.0, 1e200, 0.5])
UNKNOWN = Ball(np.array(1.0), np.array(INF))

PAIRS: dict[str, tuple[Callable, Callable]] = {
    "add": (lax.add, np.add), "sub": (lax.sub, np.subtract), "mul": (lax.mul, np.multiply), "div": (lax.div, np.divide),
    "max": (lax.max, np.maximum), "min": (lax.min, np.minimum), "pow": (lax.pow, np.power), "rem": (lax.rem, np.fmod),
    "atan2": (lax.atan2, np.arctan2),
}  # fmt: skip
LINES: dict[str, tuple[Callable, Callable]] = {
    "sum": (lambda x: jnp.sum(x, 1), lambda x: np.sum(x, 1)),
    "prod": (lambda x: jnp.prod(x, 1), lambda x: np.prod(x, 1)),
    "max": (lambda x: jnp.max(x, 1), lambda x: np.max(x, 1)),
    "min": (lambda x: jnp.min(x, 1), lambda x: np.min(x, 1)),
    "cumsum": (lambda x: lax.cumsum(x, 1, reverse=True), lambda x: np.cumsum(x[:, ::-1], 1)[:, ::-1]),
    "cummax": (lambda x: lax.cummax(x, 1), lambda x: np.maximum.accumulate(x, 1)),
    "matmul": (lambda x: x @ x.T, lambda x: np.einsum("ik,jk->ij", x, x)),
    "scatter_add": (lambda x: jnp.zeros(len(x)).at[jnp.arange(len(x))].add(x[:, 0]).at[0].add(x[0, 1]),
                    lambda x: np.concatenate([[x[0, 0] + x[0, 1]], x[1:, 0]])),
    "square": (lambda x: x * x, lambda x: x * x),
    "cube": (lambda x: lax.integer_pow(x, 3), lambda x: x**3),
    "inverse": (lambda x: lax.integer_pow(x, -1), lambda x: 1 / x),
    "abs": (jnp.abs, np.abs),
    "floor": (jnp.floor, np.floor),
    "sign": (jnp.sign, np.sign),
    "sqrt": (jnp.sqrt, np.sqrt),
    "exp": (lambda x: jnp.exp(jnp.where(x == 1e200, 0, x)), lambda x: np.exp(np.where(x == 1e200, 0, x))),
    "clip": (lambda x: jnp.clip(x, -1, 1), lambda x: np.clip(x, -1, 1)),
}  # fmt: skip


def of(fn: Callable, *operands: Ball) -> Ball:
    program = trace(fn, *[b.mid for b in operands])
    return evaluate_balls(program, list(operands), Arithmetic())[program.outputs[0]]


def disagreement(found: Ball, expected: np.ndarray) -> str:
    """Where an exact NaN or infinity of IEEE 754 is not decided, or decided otherwise."""
    special = ~np.isfinite(expected)
    claimed = np.where(found.is_exact & ~np.isfinite(found.mid), found.mid, 0.0)
    wanted = np.where(special, expected, 0.0)
    same = (claimed == wanted) | (np.isnan(claimed) & np.isnan(wanted))
    return "" if same.all() else f"claimed {claimed[~same]}, IEEE 754 has {wanted[~same]}"


@pytest.mark.parametrize("name", PAIRS)
def test_exact_pairs_are_as_ieee_754_has_them(name: str) -> None:
    fn, ieee = PAIRS[name]
    x, y = (a.reshape(-1) for a in np.meshgrid(VALUES, VALUES))
    calm = np.where(x == 1e200, 3.0, x), np.where(y == 1e200, 3.0, y)  # the same without overflow
    with np.errstate(all="ignore"):
        expected = ieee(*calm)
    assert disagreement(of(fn, Ball(calm[0]), Ball(calm[1])), expected) == ""


@pytest.mark.parametrize("name", LINES)
def test_exact_lines_are_as_ieee_754_has_them(name: str) -> None:
    fn, ieee = LINES[name]
    rng = np.random.default_rng(3)
    x = rng.choice(np.append(VALUES[VALUES != 1e200], [1.0, 3.0, -1.0, 2.0]), (200, 3))
    with np.errstate(all="ignore"):
        expected = ieee(x)
    assert disagreement(of(fn, Ball(x)), expected) == ""


def test_the_comparison_is_seen_to_fail() -> None:
    expected = np.array([INF, NOT, 1.0])
    assert disagreement(Ball(expected.copy()), expected) == ""
    assert disagreement(Ball(np.array([INF, NOT, NOT])), expected) != ""
    assert disagreement(Ball(np.array([-INF, NOT, 1.0])), expected) != ""
    assert disagreement(Ball(expected.copy(), np.array([INF, 0.0, 0.0])), expected) != ""


@pytest.mark.parametrize("name", [n for n in PAIRS if n not in ("rem", "atan2")])
@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_beside_a_ball_only_what_all_its_points_give(name: str, seed: int) -> None:
    fn, ieee = PAIRS[name]
    rng = np.random.default_rng(seed)
    mids, radii = rng.choice(VALUES, (2, 8)), rng.choice([0.0, 0.25, 1.0, 5.0, INF], (2, 8))
    radii = np.where(np.isfinite(mids), radii, 0.0)
    found = of(fn, *[Ball(m, r) for m, r in zip(mids, radii, strict=True)])
    claimed = found.is_exact & ~np.isfinite(found.mid)
    for t in (-1.0, 1.0, 0.0, -1 / 3):
        for s in (-1.0, 1.0, 0.0):
            shifts = np.where(np.isfinite(radii), radii, 1e3) * np.array([[t], [s]])
            with np.errstate(all="ignore"):
                point = ieee(*(mids + shifts))
            assert np.array_equal(found.mid[claimed], point[claimed], equal_nan=True)


def test_an_infinity_beside_an_unknown_number_stays_unknown() -> None:
    infinite = Ball(np.array(INF))
    for fn in (lax.add, lax.sub, lax.mul, lax.div, lax.max):
        assert of(fn, infinite, UNKNOWN).radius == INF
    assert np.isnan(of(lax.add, Ball(np.array(NOT)), UNKNOWN).mid)
    assert of(lax.add, Ball(np.array(NOT)), UNKNOWN).radius == 0


def test_an_overflow_is_no_infinity() -> None:
    x = np.array([1e200, 800.0, -1e200])
    for fn in (lambda x: x * x, jnp.exp, jnp.sinh, lambda x: lax.integer_pow(x, 4), lambda x: jnp.sum(x * 1e150)[None]):
        found = of(fn, Ball(x))
        assert not np.any(found.is_exact & ~np.isfinite(found.mid))
    assert not np.any(of(jnp.isfinite, Ball(x)).radius)
    assert np.isinf(of(lambda x: jnp.isfinite(x * x), Ball(x)).radius[0])


def test_one_element_s_infinity_decides_nothing_about_another() -> None:
    # The second element is 1 / (sin^2 + cos^2 - 1), of which no precision finds out that it does not exist.
    program = trace(lambda x: 1 / (jnp.sin(x) ** 2 + jnp.cos(x) ** 2 - 1), np.zeros(2))
    (truth,) = evaluate(program, [np.array([INF, 1.0])], FORMATS["float32"])
    assert truth.special.tolist() == [NAN, REAL]
    assert truth.rung[0] == R4
    assert not truth.decided(FORMATS["float32"])[1]


def test_poles_and_infinities_reach_the_truth() -> None:
    x = np.array([0.0, -1.0, INF, -INF, 1.0, NOT])
    (log,) = evaluate(trace(jnp.log, x), [x], FORMATS["float64"])
    assert log.special.tolist() == [MINUS_INF, NAN, PLUS_INF, NAN, REAL, NAN]
    (inverse,) = evaluate(trace(lambda x: 1 / x, x), [x], FORMATS["float64"])
    assert inverse.special.tolist() == [PLUS_INF, REAL, REAL, REAL, REAL, NAN]
    assert inverse.decided(FORMATS["float64"]).all()
    (lgamma,) = evaluate(trace(lax.lgamma, x), [x], FORMATS["float64"])
    assert lgamma.special.tolist() == [PLUS_INF, PLUS_INF, PLUS_INF, PLUS_INF, REAL, NAN]


def test_masked_attention_is_decided() -> None:
    scores = np.array([[0.5, -INF, 2.0], [-INF, -INF, -INF]])

    def fn(x: jnp.ndarray) -> jnp.ndarray:
        weights = jnp.exp(x - jnp.max(x, 1, keepdims=True))
        return weights / jnp.sum(weights, 1, keepdims=True)

    (truth,) = evaluate(trace(fn, scores), [scores], FORMATS["float64"])
    assert truth.decided(FORMATS["float64"]).all()
    assert truth.special.tolist() == [[REAL] * 3, [NAN] * 3]
    assert truth.hi[0, 1] == 0
    assert truth.rad[0, 1] == 0
