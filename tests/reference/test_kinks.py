"""Derivatives at zero: where the mathematics is smooth, no convention of max or |x| may show."""

import mpmath
import numpy as np
import pytest

from oracle.reference.formats import FORMATS
from oracle.reference.operation import operations, textbook_definition
from oracle.reference.true_value import true_value

FLOAT64 = FORMATS["float64"]
_STEP = mpmath.mpf(10) ** -20
SMOOTH_AT_ZERO = [
    name
    for name, op in operations().items()
    if op.elementwise and len(op.args) == 1 and op.differentiable and op.args[0].domain[0] < 0 < op.args[0].domain[1]
]


def _derivative(name: str) -> float | None:
    """The derivative at zero where both one-sided ones agree, else None."""
    operation, define = operations()[name], textbook_definition(name)
    attrs = operation.configs[0].attrs
    with mpmath.workdps(60):
        try:
            left, here, right = (define(mpmath.mpf(k) * _STEP, **attrs) for k in (-1, 0, 1))
        except (ValueError, ZeroDivisionError):
            return None
        below, above = (here - left) / _STEP, (right - here) / _STEP
        return float(above) if abs(above - below) < mpmath.mpf(10) ** -12 else None


def _true_derivative(name: str) -> float:
    operation = operations()[name]
    (truth,) = true_value(operation, operation.configs[0], [np.zeros(1), np.ones(1)], FLOAT64)
    return float(truth.values()[0])


@pytest.mark.parametrize("name", SMOOTH_AT_ZERO)
def test_the_derivative_at_zero_is_that_of_the_textbook(name):
    expected = _derivative(name)
    if expected is None:
        pytest.skip("not differentiable at zero: a convention decides")
    assert _true_derivative(name) == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_a_convention_that_shows_is_caught():
    """max(x, 0) + ln(1 + e^-|x|) in JAX's own derivative: 1/2 - 1/2 at zero, where the derivative is 1/2."""
    from oracle.reference.evaluate import evaluate  # noqa: PLC0415 - this test alone
    from oracle.reference.lazy import jnp, lax  # noqa: PLC0415
    from oracle.reference.program import trace, vjp  # noqa: PLC0415

    def kinked(x):
        return lax.max(x, jnp.zeros_like(x)) + jnp.log1p(jnp.exp(-jnp.abs(x)))

    (truth,) = evaluate(trace(vjp(kinked, [0], 1), np.zeros(1), np.zeros(1)), [np.zeros(1), np.ones(1)])
    assert truth.values()[0] != pytest.approx(_derivative("softplus"))
