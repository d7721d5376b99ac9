"""R3: Arb on the demanded elements: it agrees with R0, and says nothing rather than anything wrong."""

import threading
from collections.abc import Callable

import flint
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb
from jax import lax

from oracle.reference import arb_blocks, arb_functions, functions, rules
from oracle.reference.arb import evaluate_arb, to_arb
from oracle.reference.arb_functions import COMPARISON, LOGICAL, REAL, convert, select
from oracle.reference.balls import Arithmetic, Ball, evaluate_balls
from oracle.reference.constants import constant_ball, exact, working_precision
from oracle.reference.demand import demanded
from oracle.reference.program import trace

NAN, INF, WIDE = arb("nan"), arb("inf"), arb(0, 1)


def both(fn: Callable, *args: np.ndarray, precision: int = 200) -> tuple[list[Ball], list[np.ndarray | None]]:
    """The outputs of `fn` by R0 and by Arb."""
    program = trace(fn, *args)
    known = evaluate_balls(program, [Ball(np.asarray(a)) for a in args], Arithmetic())
    wanted = {o: np.ones(program.variables[o].shape, bool) for o in program.outputs}
    values = evaluate_arb(program, args, known, demanded(program, wanted, known), precision)
    return [known[o] for o in program.outputs], [values[o] for o in program.outputs]


def apart(fn: Callable, *args: np.ndarray) -> str:
    """Where the balls of R0 and of Arb have no common value, or nothing."""
    for ball, values in zip(*both(fn, *args), strict=True):
        if values is None:  # decided in R0, integers
            assert not ball.is_real
            continue
        with working_precision(300):
            for place in np.ndindex(values.shape):
                found, mid, rad = values[place], ball.mid[place], float(ball.radius[place])
                if not ball.is_real:
                    disagree = rad == 0 and found != mid
                else:
                    disagree = found.is_finite() and rad < np.inf and not found.overlaps(arb(float(mid), rad))
                if disagree:
                    return f"{found} and {mid} ± {rad} at {place}"
    return ""


def test_every_rule_of_r0_has_one_in_arb() -> None:
    in_arb = {*REAL, *COMPARISON, *LOGICAL, *arb_blocks.BLOCKWISE}
    in_arb |= {"select_n", "convert_element_type", "is_finite", "integer_pow", "round", "iota"}
    assert {*rules.RULES, *functions.FUNCTIONS} == in_arb


X = np.array([[0.5, -1.25, 3.0, 0.1], [2.0, 2.0, -0.7, 1e-9], [-4.0, 0.25, 0.3, 5.0]])
RISING = (jnp.exp2, jnp.sinh, jnp.cosh, jnp.cbrt, jnp.arccosh, lax.lgamma, lax.digamma, jnp.log1p, lax.rsqrt, lax.erfc,
          lax.logistic)  # fmt: skip
BOUNDED = (jnp.arcsin, jnp.arctanh, lax.erf_inv, jnp.arctan, jnp.arcsinh, jnp.arccos, jnp.tan)


def softmax(x: jnp.ndarray) -> jnp.ndarray:
    weights = jnp.exp(x - jnp.max(x, 1, keepdims=True))
    return weights / jnp.sum(weights, 1, keepdims=True)


PROGRAMS: dict[str, Callable] = {
    "functions": lambda x: [f(jnp.abs(x) + 1.1) for f in RISING],
    "bounded": lambda x: [f(x / 6) for f in BOUNDED],
    "negative": lambda x: [lax.lgamma(x - 0.3), lax.digamma(x - 0.3), jnp.cbrt(x), jnp.expm1(x), jnp.exp(x)],
    "polygamma": lambda x: [lax.polygamma(jnp.full(x.shape, n), x - 0.3) for n in (0.0, 1.0, 2.0)],
    "whole": lambda x: [jnp.floor(3 * x), jnp.ceil(x / 3), jnp.round(7 * x), lax.round(7 * x), jnp.sign(x - 0.1)],
    "remainders": lambda x: [lax.rem(x, 0 * x + 0.3), x % 0.3, x // 0.7],
    "reductions": lambda x: [jnp.sum(x / 3, 1), jnp.prod(x / 3, 0), jnp.max(x / 3), jnp.min(x / 3, 1), jnp.mean(x)],
    "running": lambda x: [lax.cumsum(x / 3, 1, reverse=True), lax.cumprod(x / 3, 0), lax.cummax(x / 3, 1)],
    "products": lambda x: [(x / 3) @ x.T, jnp.einsum("ij,kj->jik", x / 3, x), x[:, :0] @ x[:0, :]],
    "sorted": lambda x: [jnp.sort(x / 3, 1), lax.top_k(x / 3, 2)[0], jnp.argsort(x / 3, 1), jnp.median(x / 3)],
    "sorted_ties": lambda x: [jnp.sort(jnp.zeros(3) + x[0, 0] / 3), jnp.argsort(jnp.zeros(3) + x[0, 0])],
    "places": lambda x: [x.at[jnp.array([0, 2, 2, 9])].add(1 / 3, mode="drop"), x.at[1].set(x[0] / 3)],
    "gathered": lambda x: [x[jnp.array([2, 0])] / 3, jnp.take(x / 3, jnp.array([1, 7]), axis=0)],
    "arguments": lambda x: [jnp.argmax(x / 3, 1), jnp.argmin(x / 3, 0), lax.top_k(x / 3, 2)[1]],
    "decisions": lambda x: [x / 3 > 0.1, jnp.any(x / 3 > 1, 1), jnp.all(x / 3 > -2), jnp.isfinite(x / 3)],
    "logical": lambda x: (x / 3 > 0) & (x < 1) | ~(x / 3 > 2) ^ (x == 2),
    "selected": lambda x: [jnp.where(x / 3 > 0.1, x, -x), jnp.clip(x / 3, -0.1, 0.4), jnp.maximum(x / 3, 0)],
    "numbers": lambda x: [(x / 3).astype(int), (x / 3 > 0).astype(int).sum(1), (x / 3 > 0).astype(float)],
    "powers": lambda x: [x**3, x**-2, jnp.abs(x) ** (x / 3), x ** jnp.arange(4), jnp.abs(x) ** 0.5],
    "constants": lambda x: [x * exact("sqrt(2)"), exact("1/3") + x, jnp.full(3, 2.0)],
    "scanned": lambda x: lax.scan(lambda h, v: (jnp.tanh(h + v), h * v), x[0, 0], x[1]),
    "moves": lambda x: [jnp.pad(x / 3, 1), jnp.flip(x / 3), x.T / 3, lax.dynamic_slice(x / 3, (1, 1), (2, 2))],
    "angles": lambda x: [jnp.arctan2(x, x[::-1]), jnp.arctan2(0 * x, x), jnp.arctan2(-0.0 * jnp.abs(x), x)],
    "softmax": softmax,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_arb_agrees_with_r0(name: str) -> None:
    assert apart(PROGRAMS[name], X) == ""


def test_a_disagreement_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REAL, "cbrt", arb.sqrt)
    assert apart(PROGRAMS["negative"], X) != "" or apart(PROGRAMS["functions"], X) != ""
    monkeypatch.setitem(arb_blocks.BLOCKWISE, "reduce_max", arb_blocks.BLOCKWISE["reduce_min"])
    assert apart(PROGRAMS["reductions"], X) != ""


# ---- infinities, NaN, and what no precision decides ------------------------------------------------------------------


def test_infinite_and_nan_operands_never_give_a_finite_wrong_answer() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5])
    x, y = (a.reshape(-1) for a in np.meshgrid(values, values))
    pairs = (lax.add, lax.sub, lax.mul, lax.div, lax.max, lax.min, lax.rem, lax.pow, lax.atan2)
    singles = (jnp.sin, jnp.exp, jnp.tanh, lax.erf, lax.erfc, lax.logistic, jnp.sign, jnp.floor, jnp.abs, jnp.sqrt,
               jnp.log, lax.lgamma, jnp.arctan, lambda v: jnp.clip(v, -1, 1),
               lambda v: jnp.where(v > 0, v, -1.0))  # fmt: skip
    for fn in [*pairs, *[lambda a, b, f=f: f(a) + 0 * b for f in singles]]:
        (ball,), (found,) = both(fn, x, y)
        for place in np.flatnonzero([v.is_finite() for v in found]):
            assert np.isfinite(ball.mid[place]), (
                f"{fn}({x[place]}, {y[place]}) is {ball.mid[place]}, not {found[place]}"
            )
            with working_precision(100):
                assert abs(found[place] - arb(float(ball.mid[place]))) < 1e-9


def test_a_branch_that_nothing_decides_is_the_hull_of_both() -> None:
    hull = select(None, arb(1), arb(3), arb(2))
    assert hull.contains(arb(1))
    assert hull.contains(arb(3))
    assert not select(None, arb(1), NAN).is_finite()
    assert select(None, True, True) is True
    assert select(None, 3, 4) is None
    assert select(True, None, 5) == 5


def test_comparisons_know_what_they_do_not_know() -> None:
    assert COMPARISON["lt"](arb(1), arb(2)) is True
    assert COMPARISON["lt"](WIDE, arb(2)) is True
    assert COMPARISON["lt"](WIDE, arb(0.5)) is None
    assert COMPARISON["eq"](WIDE, arb(WIDE)) is None
    assert COMPARISON["eq"](WIDE, WIDE) is True
    assert COMPARISON["ne"](WIDE, arb(3)) is True
    assert COMPARISON["le"](NAN, arb(3)) is None
    assert COMPARISON["gt"](None, 3) is None
    assert LOGICAL["and"](None, False) is False
    assert LOGICAL["and"](None, True) is None
    assert LOGICAL["or"](True, None) is True


def test_conversions_of_what_is_undecided() -> None:
    real, boolean, integer = np.dtype(float), np.dtype(bool), np.dtype(int)
    assert convert(arb(2.5, 0.6), real, integer) is None
    assert convert(arb(-2.5, 0.4), real, integer) == -2
    assert convert(WIDE, real, boolean) is None
    assert convert(arb(3, 1), real, boolean) is True
    assert convert(None, boolean, real).contains(arb(1))
    assert not convert(None, integer, real).is_finite()
    assert not convert(NAN, real, integer)


def test_signs_and_roundings_of_wide_balls() -> None:
    assert not REAL["sign"](NAN).is_finite()
    assert REAL["sign"](WIDE).contains(arb(-1))
    assert REAL["sign"](INF) == 1
    wide = arb_functions._rounded(arb(2.5, 0.1), to_even=True)
    assert wide.contains(arb(2))
    assert wide.contains(arb(3))
    assert arb_functions._rounded(arb(2.5), to_even=True) == 2
    assert arb_functions._rounded(arb(-2.5), to_even=False) == -3
    assert arb_functions._rounded(arb(2.5).max(arb(2.49)), to_even=False) == 3
    assert not REAL["rem"](arb(1, 0.5), arb(0.5)).is_finite()


def test_powers() -> None:
    power = REAL["pow"]
    assert power(arb(-2), arb(3)) == -8
    assert power(arb(0), arb(0.5)).is_zero()
    assert power(arb(0), arb(0)) == 1
    assert not power(arb(0), arb(-1)).is_finite()
    assert not power(arb(-2), arb(0.5)).is_finite()
    assert power(arb(-1), arb(2**30 + 1)) == -1
    assert power(arb(3), 2) == 9
    assert not power(arb(-1, 2), arb(0.5)).is_finite()


@pytest.mark.parametrize("name", ["exp", "sinh", "cosh", "expm1", "exp2"])
def test_results_whose_exponent_is_longer_than_arb_likes(name: str) -> None:
    with working_precision(200):
        huge = REAL[name](arb(1e300))
        assert huge.is_finite()
        assert huge > arb((1, 2**200))
        ratio = REAL[name](arb(1e300) + 1) / huge
        assert ratio.overlaps(arb(2) if name == "exp2" else arb.const_e())


def test_order_statistics_of_overlapping_balls() -> None:
    keys = [arb(1, 0.5), arb(1.2, 0.1), arb(0)]
    (line,) = arb_blocks._sorted([keys], 1)
    assert line[0] == 0
    assert line[1].contains(arb(0.5))
    assert line[2].contains(arb(1.5))
    lines = arb_blocks._sorted([keys, [10, 11, 12]], 1)
    assert lines[1] == [None, None, None]
    assert arb_blocks._sorted([[arb(2), arb(1), arb(2)], [0, 1, 2]], 1)[1] == [1, 0, 2]


def test_two_updates_of_one_place_decide_nothing() -> None:
    (ball,), _ = both(lambda x: jnp.zeros(2).at[jnp.array([0, 0])].set(x) / 3, np.array([1.0, 2.0]))
    assert ball.radius[0] == np.inf
    (ball,), (found,) = both(lambda x: jnp.zeros(2).at[jnp.array([0, 0])].set(x) / 3, np.array([2.0, 2.0]))
    assert ball.radius[0] < 1e-15
    assert found[0].overlaps(arb(2) / 3)


def test_places_that_r0_cannot_find_say_nothing() -> None:
    x = np.array([1 / 3, 1 / 3 + 2.0**-54])

    def fn(x: jnp.ndarray) -> list:
        at = jnp.argmax(jnp.sin(x) ** 2 + jnp.cos(x) ** 2)  # both are one: no precision tells them apart
        return [x[at], jnp.zeros(2).at[at].add(1.0), lax.dynamic_slice(x, (at,), (1,)), (at + 1).astype(float)]

    balls, values = both(fn, x)
    assert all(np.all(np.isinf(b.radius)) for b in balls)
    assert not any(v.is_finite() for array in values for v in np.ravel(array))


def test_empty_and_scalar_arrays() -> None:
    assert apart(lambda x: [jnp.sum(x[:0], 0) / 3, jnp.prod(x[:0]), x[:0] / 3, jnp.sin(x[0, 0])], X) == ""


def test_only_the_demanded_elements_are_converted() -> None:
    mask = np.array([True, False, True])
    values = to_arb(np.array([1.0, 2.0, np.inf]), mask)
    assert values[0] == 1
    assert values[1] is None
    assert not values[2].is_finite()


def test_the_working_precision_is_one_thread_s_at_a_time() -> None:
    before, seen = flint.ctx.prec, []

    def work(bits: int) -> None:
        for _ in range(20):
            with working_precision(bits):
                seen.append((bits, constant_ball("sqrt(2)").rel_accuracy_bits()))

    threads = [threading.Thread(target=work, args=(bits,)) for bits in (60, 700)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(abs(accuracy - bits) < 10 for bits, accuracy in seen)
    assert flint.ctx.prec == before
