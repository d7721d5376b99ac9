"""R0: no ball that does not hold the truth. Every rule at balls drawn to break it, against exact points in Arb."""

import math
from collections.abc import Callable, Sequence

import flint
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from oracle.reference import functions, rules
from oracle.reference.balls import Arithmetic, Ball, evaluate_balls
from oracle.reference.constants import working_precision
from oracle.reference.program import trace

R0 = Arithmetic()
EXACT_BITS = 2400  # holds mid + t·rad exactly for all float64 numbers
INF, NAN, TINY = math.inf, math.nan, 5e-324
EXAMPLES = settings(max_examples=25, deadline=None, derandomize=True)
MANY = settings(max_examples=50, deadline=None, derandomize=True)

# ---- balls that break rules ------------------------------------------------------------------------------------------

EDGES = [0.0, 1.0, 0.5, 2.0, 3.0, 1 - 2.0**-53, 1 + 2.0**-52, math.pi / 2, 27.0, 709.7, 745.2, 1e-8, 1e-160, 1e-200,
         1e-300, 2.0**-1022, TINY, 1e-310, 1e160, 1e300, 1.7e308, 2.0**53, 1.4616321449683622]  # fmt: skip
MIDS = st.one_of(
    st.sampled_from(EDGES + [-x for x in EDGES]),
    st.floats(-4, 4),
    st.floats(-1, 1).map(lambda x: 1 + x * 2.0**-40),
    st.integers(-1000, 1000).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
)
PARTS = st.one_of(
    st.sampled_from([0.0, 2.0**-60, 2.0**-53, 1.5 * 2.0**-54, 1e-9, 0.4, 1 - 2.0**-53, 1.0, 1 + 2.0**-52, 3.0]),
    st.floats(0, 1),
)


@st.composite
def balls(draw: st.DrawFn, mids: st.SearchStrategy[float] = MIDS) -> tuple[float, float]:
    """A midpoint and a radius: exact, relative to the midpoint or to its distance from 1, subnormal, or anything."""
    mid, part = draw(mids), draw(PARTS)
    rad = draw(st.sampled_from([0.0, abs(mid) * part, abs(1 - abs(mid)) * part, TINY * round(8 * part), part]))
    return mid, rad if math.isfinite(rad) else 0.0


def lists(of: st.SearchStrategy) -> st.SearchStrategy[list]:
    return st.lists(of, min_size=1, max_size=6)


def as_ball(drawn: Sequence[tuple[float, float]]) -> Ball:
    mid, rad = np.array(drawn, np.float64).reshape(-1, 2).T
    return Ball(mid.copy(), rad.copy() if rad.any() else None)


def results(fn: Callable, *operands: Ball, arithmetic: Arithmetic = R0) -> list[Ball]:
    """What R0 says of `fn` at balls."""
    program = trace(fn, *[b.mid for b in operands])
    values = evaluate_balls(program, list(operands), arithmetic)
    return [values[o] for o in program.outputs]


def points(ball: Ball, place: tuple[int, ...]) -> list[arb]:
    """Exact points of a ball: its ends, its midpoint, and some between."""
    mid, rad = arb(float(ball.mid[place])), arb(float(ball.radius[place]))
    return [mid] if rad == 0 else [mid + rad * t for t in (-1, 1, 0, arb(-63) / 64, arb(0.75), arb(1) / 1024)]


def outside(ball: Ball, place: tuple[int, ...], true: arb) -> bool:
    """Whether the ball at `place` claims to hold `true` and certainly does not; of no number it must be unsure."""
    mid, rad = float(ball.mid[place]), float(ball.radius[place])
    if rad == INF:
        return False
    if not true.is_finite():
        return math.isfinite(mid)
    return not math.isfinite(mid) or bool(abs(true - arb(mid)) > arb(rad))


def violation(fn: Callable, true_function: Callable[..., arb], operands: Sequence[Ball]) -> str:
    """The first element of which the ball of `fn` misses the exact value at a point of the operands, or nothing."""
    (result,) = results(fn, *operands)
    assert not np.isnan(result.radius).any(), "a radius is never NaN"
    with working_precision(EXACT_BITS):
        for place in np.ndindex(result.mid.shape):
            corners = [points(b, place) for b in operands]
            for number in range(max(map(len, corners)) ** len(corners)):
                chosen = []
                for candidates in corners:
                    number, i = divmod(number, len(candidates))  # noqa: PLW2901 - digits of the number
                    chosen.append(candidates[i])
                true = true_function(*chosen)
                if outside(result, place, true):
                    at = ", ".join(x.str(20) for x in chosen)
                    return f"{true.str(25)} at {at} is not in {result.mid[place]!r} ± {result.radius[place]!r}"
    return ""


# ---- arithmetic ------------------------------------------------------------------------------------------------------

BINARY = {
    "add": (lax.add, lambda x, y: x + y),
    "sub": (lax.sub, lambda x, y: x - y),
    "mul": (lax.mul, lambda x, y: x * y),
    "div": (lax.div, lambda x, y: x / y),
    "max": (lax.max, lambda x, y: x.max(y)),
    "min": (lax.min, lambda x, y: x.min(y)),
}
WHOLE = {
    "floor": (lax.floor, arb.floor),
    "ceil": (lax.ceil, arb.ceil),
    "sign": (jnp.sign, lambda x: arb(0) if x.is_zero() else x.sgn()),
    "abs": (lax.abs, abs),
    "neg": (lax.neg, lambda x: -x),
    "square": (lambda x: lax.integer_pow(x, 2), lambda x: x * x),
    "round": (
        lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO),
        lambda x: (abs(x) + 0.5).floor() * (0 if x.is_zero() else x.sgn()),
    ),
    "round_even": (
        lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN),
        lambda x: (x + 0.5).floor() - (1 if (x - 0.5).is_integer() and not ((x + 0.5) / 2).is_integer() else 0),
    ),
}


@pytest.mark.parametrize("name", BINARY)
@MANY
@given(data=st.data())
def test_arithmetic_of_two_balls(name: str, data: st.DataObject) -> None:
    pairs = data.draw(lists(st.tuples(balls(), balls())))
    operands = [as_ball([p[i] for p in pairs]) for i in range(2)]
    assert violation(*BINARY[name], operands) == ""


@pytest.mark.parametrize("name", WHOLE)
@MANY
@given(drawn=lists(balls()))
def test_arithmetic_of_one_ball(name: str, drawn: list) -> None:
    assert violation(*WHOLE[name], [as_ball(drawn)]) == ""


@pytest.mark.parametrize("y", [-7, -3, -2, -1, 0, 1, 2, 3, 5, 20])
@EXAMPLES
@given(drawn=lists(balls()))
def test_integer_powers(y: int, drawn: list) -> None:
    assert violation(lambda x: lax.integer_pow(x, y), lambda x: x**y, [as_ball(drawn)]) == ""


@MANY
@given(drawn=lists(st.tuples(balls(), balls(), balls())))
def test_clamping(drawn: list) -> None:
    low, x, high = (as_ball([d[i] for d in drawn]) for i in range(3))
    assert violation(lax.clamp, lambda p, q, r: q.max(p).min(r), [low, x, high]) == ""


@MANY
@given(drawn=lists(st.tuples(balls(st.floats(-3, 800)), balls(st.floats(-60, 60)))))
def test_powers(drawn: list) -> None:
    def power(x: arb, y: arb) -> arb:
        n = y.unique_fmpz() if y.is_integer() else None
        return x**n if n is not None else arb(0) if x.is_zero() and y > 0 else x**y

    assert violation(lax.pow, power, [as_ball([d[i] for d in drawn]) for i in range(2)]) == ""


@MANY
@given(drawn=lists(st.tuples(balls(), balls())))
def test_angles(drawn: list) -> None:
    def angle(y: arb, x: arb) -> arb:
        return arb.atan2(y, x)

    drawn = [tuple((mid + 0.0, rad) for mid, rad in pair) for pair in drawn]  # Arb has no -0
    assert violation(lax.atan2, angle, [as_ball([d[i] for d in drawn]) for i in range(2)]) == ""


# ---- functions -------------------------------------------------------------------------------------------------------

FUNCTIONS = {
    "exp": (jnp.exp, arb.exp), "exp2": (jnp.exp2, lambda x: arb(2) ** x), "expm1": (jnp.expm1, arb.expm1),
    "log": (jnp.log, arb.log), "log1p": (jnp.log1p, arb.log1p), "sin": (jnp.sin, arb.sin), "cos": (jnp.cos, arb.cos),
    "tan": (jnp.tan, arb.tan), "sinh": (jnp.sinh, arb.sinh), "cosh": (jnp.cosh, arb.cosh), "tanh": (jnp.tanh, arb.tanh),
    "asin": (jnp.arcsin, arb.asin), "acos": (jnp.arccos, arb.acos), "atan": (jnp.arctan, arb.atan),
    "asinh": (jnp.arcsinh, arb.asinh), "acosh": (jnp.arccosh, arb.acosh), "atanh": (jnp.arctanh, arb.atanh),
    "sqrt": (jnp.sqrt, arb.sqrt), "rsqrt": (lax.rsqrt, arb.rsqrt),
    "cbrt": (jnp.cbrt, lambda x: x.root(3) if x >= 0 else -((-x).root(3))),
    "logistic": (lax.logistic, lambda x: 1 / (1 + (-x).exp()) if x > 0 else x.exp() / (1 + x.exp())),
    "erf": (lax.erf, arb.erf), "erfc": (lax.erfc, arb.erfc), "erf_inv": (lax.erf_inv, arb.erfinv),
    "lgamma": (lax.lgamma, lambda x: x.lgamma() if x > 0 else abs(x.gamma()).log()),
    "digamma": (lax.digamma, arb.digamma),
    "polygamma": (lambda x: lax.polygamma(jnp.full(x.shape, 2.0), x), lambda x: flint.acb(x).polygamma(2).real),
}  # fmt: skip
REACH = {"lgamma": 200.0, "digamma": 200.0, "polygamma": 50.0}  # far out Arb alone takes seconds


@pytest.mark.parametrize("name", FUNCTIONS)
@EXAMPLES
@given(data=st.data())
def test_functions_of_a_ball(name: str, data: st.DataObject) -> None:
    mids = MIDS if name not in REACH else MIDS.filter(lambda x: abs(x) < REACH[name])
    assert violation(*FUNCTIONS[name], [as_ball(data.draw(lists(balls(mids))))]) == ""


def test_functions_cover_all_rules() -> None:
    assert set(FUNCTIONS) | {"square", "integer_pow", "pow", "atan2"} == set(functions.FUNCTIONS)


# ---- points that random draws rarely find ----------------------------------------------------------------------------

RARE = {
    "exp of an underflowed midpoint": (jnp.exp, arb.exp, [(-760.0, 100.0)]),
    "exp2 of an underflowed midpoint": (jnp.exp2, lambda x: arb(2) ** x, [(-1100.0, 100.0)]),
    "log next to its pole": (jnp.log, arb.log, [(1.0, 1 - 2.0**-53)]),
    "log1p next to its pole": (jnp.log1p, arb.log1p, [(0.3, 1.3 * (1 - 2.0**-53))]),
    "asin next to one": (jnp.arcsin, arb.asin, [(1 - 2.0**-53, 0.49 * 2.0**-53)]),
    "atanh next to one": (jnp.arctanh, arb.atanh, [(1 - 2.0**-53, 0.49 * 2.0**-53)]),
    "floor just below an integer": (jnp.floor, arb.floor, [(3.0, 1e-20)]),
    "sign of a ball around zero": (jnp.sign, lambda x: arb(0) if x.is_zero() else x.sgn(), [(0.1, 1.0)]),
    "lgamma of a subnormal number": (lax.lgamma, lambda x: abs(x.gamma()).log(), [(-6.4e-321, 0.0)]),
    "digamma of a subnormal number": (lax.digamma, arb.digamma, [(1e-320, 0.0)]),
    "logistic of a subnormal result": (lax.logistic, lambda x: x.exp() / (1 + x.exp()), [(-709.81, 0.0)]),
    "erfc of a subnormal result": (lax.erfc, arb.erfc, [(26.65, 0.0)]),
    "product that underflows": (lambda x: x * x, lambda x: x * x, [(1e-200, 0.0), (1e-160, 1e-170)]),
    "asinh whose square overflows": (jnp.arcsinh, arb.asinh, [(1.3407807943350406e154, 1.34e145)]),
    "acosh whose square overflows": (jnp.arccosh, arb.acosh, [(1.3407807943350406e154, 1.34e145)]),
    "sine of a huge number": (jnp.sin, arb.sin, [(1e300, 0.0), (2.0**1000, 0.0)]),
}


@pytest.mark.parametrize("case", RARE)
def test_rare_points(case: str) -> None:
    fn, true_function, drawn = RARE[case]
    assert violation(fn, true_function, [as_ball(drawn)]) == ""


def test_the_larger_of_a_number_and_a_ball_that_starts_there() -> None:
    assert violation(*BINARY["max"], [as_ball([(1.0, 0.0)]), as_ball([(1.0, 1e-20)])]) == ""


def test_a_tiny_denominator_does_not_lose_its_radius() -> None:
    assert violation(*BINARY["div"], [as_ball([(1e-310, 0.0)]), as_ball([(1e-300, 3e-320)])]) == ""


def test_the_angle_of_numbers_whose_distance_overflows() -> None:
    far = as_ball([(1.7e308, 1e300)])
    assert violation(lax.atan2, arb.atan2, [far, far]) == ""


# ---- the check is seen to fail ---------------------------------------------------------------------------------------


def _without_cross_term(a: Arithmetic, x: Ball, y: Ball, **_: object) -> Ball:
    return a.rounded(x.mid * y.mid, np.abs(x.mid) * y.radius + np.abs(y.mid) * x.radius)


FAULTS = {
    "mul": (_without_cross_term, [(1.0, 0.5)]),
    "add": (lambda a, x, y, **_: Ball(x.mid + y.mid, np.maximum(x.radius, y.radius)), [(1.0, 0.5)]),
    "sub": (lambda a, x, y, **_: a.rounded(x.mid - y.mid, 0.0), [(1.0, 0.5)]),
    "div": (lambda a, x, y, **_: a.rounded(x.mid / y.mid, x.radius + y.radius / y.mid**2), [(2.0, 1.0)]),
    "max": (lambda a, x, y, **_: Ball(np.maximum(x.mid, y.mid), x.radius), [(1.0, 0.5)]),
    "floor": (lambda a, x, **_: Ball(np.floor(x.mid), np.floor(x.mid + x.radius) - np.floor(x.mid)), [(3.0, 0.1)]),
    "sign": (lambda a, x, **_: Ball(np.sign(x.mid), np.where(x.radius > 0, 1.0, 0.0)), [(0.1, 1.0)]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_rule_that_is_too_narrow_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, drawn = FAULTS[name]
    checked = {**BINARY, **WHOLE}[name]
    operands = [as_ball(drawn)] if name in WHOLE else [as_ball([(1.0, 0.0)]), as_ball(drawn)]
    if name in ("add", "mul"):
        operands[0] = operands[1]
    assert violation(*checked, operands) == ""
    monkeypatch.setitem(rules.RULES, name, rule)
    assert violation(*checked, operands) != ""


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in ("floor", "lgamma", "digamma", "polygamma")])
def test_a_function_without_the_spread_of_its_argument_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ball = as_ball([(1.5 if name == "acosh" else 0.5, 0.25)])
    rule = functions.FUNCTIONS[name]
    assert violation(*FUNCTIONS[name], [ball]) == ""
    monkeypatch.setitem(functions.FUNCTIONS, name, lambda a, x, **_: rule(a, Ball(x.mid)))
    assert violation(*FUNCTIONS[name], [ball]) != ""
