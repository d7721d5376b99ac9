"""R0 on whole arrays: sums, products, extremes, sorting, selection, with corners of the balls against exact results."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from oracle.reference import rules
from oracle.reference.balls import Arithmetic, Ball, evaluate_balls
from oracle.reference.constants import working_precision
from oracle.reference.program import trace

EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
SHAPE = (3, 4)


def wild_ball(rng: np.random.Generator, shape: tuple[int, ...]) -> Ball:
    """Midpoints of all sizes, cancelling and repeated; radii from zero to wider than the midpoint."""
    mid = rng.choice([1.0, -1.0, 0.0, 3.0, 1e-200, -1e-200, 1e200, 1e-320, 1 + 2.0**-52], shape)
    ordinary = rng.random(shape) < rng.choice([0.0, 0.7, 1.0])
    mid = np.where(ordinary, rng.standard_normal(shape), mid)
    rad = np.abs(mid) * rng.choice([0.0, 0.0, 2.0**-53, 1e-3, 2.0], shape) + rng.choice([0.0, 0.0, 5e-324, 0.1], shape)
    return Ball(mid, rad * (rng.random() < 0.8))


def points(rng: np.random.Generator, ball: Ball) -> np.ndarray:
    """One exact point of every element's ball, often an end."""
    t = np.where(rng.random(ball.mid.shape) < 0.7, rng.choice([-1.0, 1.0], ball.mid.shape), 0.5)
    pick = np.vectorize(lambda m, r, s: arb(m) + arb(r) * s, otypes=[object])
    return pick(ball.mid, ball.radius, t)


def fold(combine: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """The last axis of an object array combined from the left."""

    def folded(x: np.ndarray) -> np.ndarray:
        total = x[..., 0]
        for i in range(1, x.shape[-1]):
            total = np.frompyfunc(combine, 2, 1)(total, x[..., i])
        return total

    return folded


def running(combine: Callable) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.stack([fold(combine)(x[..., : i + 1]) for i in range(x.shape[-1])], -1)


def key(x: arb) -> float:
    return x.mid()


def ordered(x: np.ndarray) -> np.ndarray:
    return np.apply_along_axis(lambda line: np.array(sorted(line, key=key), object), -1, x)


SUM, PRODUCT = (lambda p, q: p + q), (lambda p, q: p * q)
LARGER, SMALLER = (lambda p, q: p.max(q)), (lambda p, q: p.min(q))
TARGET = jnp.array([0, 2, 2, 7, 1])
REAL = {
    "sum": (lambda x: jnp.sum(x, -1), fold(SUM)),
    "prod": (lambda x: jnp.prod(x, -1), fold(PRODUCT)),
    "max": (lambda x: jnp.max(x, -1), fold(LARGER)),
    "min": (lambda x: jnp.min(x, -1), fold(SMALLER)),
    "cumsum": (lambda x: lax.cumsum(x, 1), running(SUM)),
    "cumsum_reversed": (lambda x: lax.cumsum(x, 1, reverse=True), lambda x: running(SUM)(x[:, ::-1])[:, ::-1]),
    "cumprod": (lambda x: lax.cumprod(x, 1), running(PRODUCT)),
    "cummax": (lambda x: lax.cummax(x, 1), running(LARGER)),
    "cummin": (lambda x: lax.cummin(x, 1), running(SMALLER)),
    "sort": (lambda x: jnp.sort(x, -1), ordered),
    "top_k": (lambda x: lax.top_k(x, 2)[0], lambda x: ordered(x)[:, :-3:-1]),
    "matmul": (lambda x: x @ x.T, lambda x: x.dot(x.T)),
    "scatter_add": (
        lambda x: jnp.ones(3).at[jnp.array([0, 2, 2, 7])].add(x[0], mode="drop"),
        lambda x: np.array([1 + x[0, 0], arb(1), 1 + x[0, 1] + x[0, 2]], object),
    ),
    "select": (
        lambda x: jnp.where(x[0] > x[1], x[2], -x[2]),
        lambda x: np.array([c if a > b else -c for a, b, c in x.T], object),
    ),
    "bool_to_real": (
        lambda x: jnp.sum((x[0] > x[1]).astype(float)),
        lambda x: np.array(sum((arb(int(a > b)) for a, b in x[:2].T), arb(0)), object),
    ),
    "scatter_where": (
        lambda x: jnp.zeros(3).at[jnp.argmax(x, 1)].add(1.0),
        lambda x: np.array([arb(sum(max(line, key=key) is line[i] for line in x)) for i in range(3)], object),
    ),
    "one_hot": (
        lambda x: (jnp.argmax(x, 1)[:, None] == jnp.arange(4)).astype(float),
        lambda x: np.array([[arb(int(first(line, 1) == i)) for i in range(4)] for line in x], object),
    ),
    "gather_where": (
        lambda x: x[0][jnp.argmax(x, 1)],
        lambda x: np.array([x[0][first(line, 1)] for line in x], object),
    ),
    "ceil_to_int": (
        lambda x: jnp.where(x[0].astype(int) == 1, 1.0, 0.0),
        lambda x: np.array([arb(int(1 <= v < 2)) for v in x[0]], object),
    ),
}


def first(line: np.ndarray, sign: int) -> int:
    """The place of the first largest (smallest)."""
    best = 0
    for i, value in enumerate(line):
        if sign * (value - line[best]) > 0:
            best = i
    return best


INTEGER = {
    "argmax": (lambda x: jnp.argmax(x, 1), lambda x: [first(line, 1) for line in x]),
    "argmin": (lambda x: jnp.argmin(x, 1), lambda x: [first(line, -1) for line in x]),
    "argsort": (lambda x: jnp.argsort(x, 1), lambda x: [sorted(range(4), key=line.__getitem__) for line in x]),
    "lt": (lambda x: x[0] < x[1], lambda x: [bool(a < b) for a, b in x[:2].T]),
    "le": (lambda x: x[0] <= x[1], lambda x: [bool(a <= b) for a, b in x[:2].T]),
    "eq": (lambda x: x[0] == x[1], lambda x: [bool(a == b) for a, b in x[:2].T]),
    "any": (lambda x: jnp.any(x > 0, 1), lambda x: [any(v > 0 for v in line) for line in x]),
    "all": (lambda x: jnp.all(x > 0, 1), lambda x: [all(v > 0 for v in line) for line in x]),
    "and_or": (
        lambda x: ((x[0] > 0) & (x[1] > 0)) | ~(x[2] > 0),
        lambda x: [(a > 0 and b > 0) or not c > 0 for a, b, c in x.T],
    ),
    "count": (lambda x: jnp.sum(x > 0, 1), lambda x: [sum(v > 0 for v in line) for line in x]),
    "running_count": (lambda x: jnp.cumsum(x[0] > 0), lambda x: np.cumsum([v > 0 for v in x[0]])),
    "to_int": (
        lambda x: jnp.clip(x[0], -9, 9).astype(int),
        lambda x: [int(v.max(-9).min(9).unique_fmpz() or trunc(v)) for v in x[0]],
    ),
    "to_bool": (lambda x: x[0].astype(bool), lambda x: [not v.is_zero() for v in x[0]]),
    "is_finite": (lambda x: jnp.isfinite(x[0]), lambda x: [True] * 4),
    "is_nan": (lambda x: jnp.isnan(x[0]), lambda x: [False] * 4),
    "matmul": (
        lambda x: (x > 0).astype(int) @ jnp.ones((4, 2), int),
        lambda x: [[sum(v > 0 for v in line)] * 2 for line in x],
    ),
}


def trunc(x: arb) -> int:
    bounded = x.max(-9).min(9)
    return int((bounded.floor() if bounded > 0 else bounded.ceil()).unique_fmpz())


def evaluated(fn: Callable, ball: Ball) -> Ball:
    program = trace(fn, ball.mid)
    return evaluate_balls(program, [ball], Arithmetic())[program.outputs[0]]


def miss(result: Ball, true: np.ndarray) -> str:
    """Where the result certainly does not hold the true value, or nothing."""
    assert not np.isnan(result.radius).any(), "a radius is never NaN"
    assert result.mid.shape == np.shape(true) == np.shape(result.radius)
    for place in np.ndindex(result.mid.shape):
        mid, rad = result.mid[place], float(result.radius[place])
        if rad < np.inf and (result.mid.dtype.kind != "f" or not np.isfinite(mid)):
            if mid != true[place]:
                return f"{mid!r} at {place} is {true[place]}"
        elif rad < np.inf and abs(true[place] - arb(float(mid))) > arb(rad):
            return f"{mid!r} ± {rad!r} at {place} does not hold {true[place].str(20)}"
    return ""


@pytest.mark.parametrize("name", REAL)
@EXAMPLES
@given(seed=SEEDS)
def test_real_results_lie_in_the_ball(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ball = wild_ball(rng, SHAPE)
    fn, exact = REAL[name]
    result = evaluated(fn, ball)
    with working_precision(5000):
        for _ in range(4):
            assert miss(result, exact(points(rng, ball))) == ""


@pytest.mark.parametrize("name", INTEGER)
@EXAMPLES
@given(seed=SEEDS)
def test_what_is_decided_holds_in_the_whole_ball(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ball = wild_ball(rng, SHAPE)
    fn, exact = INTEGER[name]
    result = evaluated(fn, ball)
    with working_precision(5000):
        for _ in range(4):
            assert miss(result, np.array(exact(points(rng, ball)))) == ""


# ---- the check is seen to fail ---------------------------------------------------------------------------------------


def _sum_without_roundings(a: Arithmetic, x: Ball, *, axes: tuple[int, ...], **_: object) -> Ball:
    return Ball(x.mid.sum(tuple(axes)), x.radius.sum(tuple(axes)))


def _largest_with_its_own_radius(a: Arithmetic, x: Ball, *, axes: tuple[int, ...], **_: object) -> Ball:
    winner = np.argmax(x.mid, axes[0])[:, None]
    return Ball(np.take_along_axis(x.mid, winner, 1)[:, 0], np.take_along_axis(x.radius, winner, 1)[:, 0])


def _place_of_the_midpoint(a: Arithmetic, x: Ball, *, axes: tuple[int, ...], **_: object) -> Ball:
    return Ball(np.argmax(x.mid, axes[0]))


FAULTS = {
    "sum": ("reduce_sum", _sum_without_roundings, REAL),
    "max": ("reduce_max", _largest_with_its_own_radius, REAL),
    "argmax": ("argmax", _place_of_the_midpoint, INTEGER),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_rule_that_is_too_narrow_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    primitive, rule, table = FAULTS[name]
    monkeypatch.setitem(rules.RULES, primitive, rule)
    fn, exact = table[name]
    missed = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        ball = wild_ball(rng, SHAPE)
        with working_precision(5000):
            missed += miss(evaluated(fn, ball), np.array(exact(points(rng, ball)))) != ""
    assert missed > 0
