"""Exact constants: read as real numbers, rounded by each rung for itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp, mpf

from oracle.reference.balls import Arithmetic, evaluate_balls
from oracle.reference.constants import constant_ball, exact, nearest_float64, working_precision
from oracle.reference.evaluate import evaluate
from oracle.reference.formats import FORMATS
from oracle.reference.program import trace

EXPRESSIONS = [
    "pi",
    "e",
    "euler",
    "sqrt(2)",
    "log(2)",
    "1/3",
    "0.044715",
    "-sqrt(2/pi)",
    "1 - 0.9",
    "(3 + 1e-3) * 2",
    "0",
]


def by_mpmath(expression: str) -> mpf:
    names = {"pi": mp.pi, "e": mp.e, "euler": mp.euler, "sqrt": mp.sqrt, "log": mp.log}
    quoted = (
        expression.replace("0.044715", "mpf('0.044715')").replace("1e-3", "mpf('1e-3')").replace("0.9", "mpf('0.9')")
    )
    return mpf(eval(quoted.replace("1/3", "mpf(1)/3"), {**names, "mpf": mpf}))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_ball_holds_the_constant_at_every_precision(expression: str) -> None:
    for bits in (60, 300):
        with working_precision(bits), mp.workprec(bits + 64):
            ball, expected = constant_ball(expression), by_mpmath(expression)
            assert abs(mpf(str(ball.mid().str(120, radius=False))) - expected) <= mpf(2) ** (8 - bits)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_r0_s_ball_holds_it_and_knows_whether_it_is_exact(expression: str) -> None:
    nearest, is_exact = nearest_float64(expression)
    with mp.workprec(300):
        error = abs(mpf(nearest) - by_mpmath(expression))
        assert (error == 0) == is_exact
        program = trace(lambda: exact(expression) * 1)
        (ball,) = [evaluate_balls(program, [], Arithmetic())[o] for o in program.outputs]
        assert error <= mpf(float(ball.radius))


def test_a_rounded_constant_is_told_from_an_exact_one() -> None:
    # 1.4142135623730951 is off by 0.4 ulps of float64: a float64 truth must tell the two programs apart.
    x = np.ones(1)
    (symbolic,) = evaluate(trace(lambda x: x * exact("sqrt(2)"), x), [x], FORMATS["float64"])
    (literal,) = evaluate(trace(lambda x: x * 2**0.5, x), [x], FORMATS["float64"])
    assert symbolic.lo[0] != 0
    assert literal.lo[0] == 0


def test_xla_gets_the_nearest_number_of_its_precision() -> None:
    assert float(jax.jit(lambda: exact("sqrt(2)"))()) == float(np.float32(np.sqrt(2)))
    with jax.enable_x64(True):
        assert float(jax.jit(lambda: exact("sqrt(2)"))()) == np.sqrt(2)
        assert np.all(np.asarray(jax.vmap(lambda x: x * exact("1/3"))(jnp.ones(3))) == 1 / 3)


@pytest.mark.parametrize("wrong", ["sqrt(", "x", "2**3", "True", "__import__('os')", "log(2, 3)", "", "'pi'"])
def test_what_is_no_constant_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match="cannot read the exact constant"):
        exact(wrong)


@pytest.mark.parametrize("undefined", ["1/0", "log(-1)", "sqrt(-2)", "1e400", "1e-400", "log(0)", "pi - pi"])
def test_what_is_no_real_number_within_range_is_named(undefined: str) -> None:
    with pytest.raises(ValueError, match="is no real number within float64's range"):
        exact(undefined)
