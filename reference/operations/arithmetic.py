"""Arithmetic of two arrays of one shape, elementwise."""

import functools

from oracle.reference.constants import exact
from oracle.reference.lazy import jax, jnp, lax
from oracle.reference.operation import POSITIVE, Arg, operation
from oracle.reference.operations.kinks import equal_operands

arithmetic = functools.partial(operation, family="arithmetic", elementwise=True)


@arithmetic("add", ["a", "b"], formula="a + b", source="IEEE 754-2019 5.4.1", at_scale=True)
def add(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """Sum of `a` and `b`."""
    return a + b


@arithmetic("subtract", ["a", "b"], formula="a - b", source="IEEE 754-2019 5.4.1", at_scale=True)
def subtract(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """Difference of `a` and `b`."""
    return a - b


@arithmetic("multiply", ["a", "b"], formula="a b", source="IEEE 754-2019 5.4.1")
def multiply(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """Product of `a` and `b`."""
    return a * b


@arithmetic("divide", ["a", "b"], formula="a / b", source="IEEE 754-2019 5.4.1")
def divide(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """Quotient of `a` and `b`."""
    return a / b


@arithmetic("maximum", ["a", "b"], formula="max(a, b)", source="IEEE 754-2019 9.6", kinks=equal_operands)
def maximum(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """The larger of `a` and `b`; a tie shares the gradient by halves."""
    return lax.max(a, b)


@arithmetic("minimum", ["a", "b"], formula="min(a, b)", source="IEEE 754-2019 9.6", kinks=equal_operands)
def minimum(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """The smaller of `a` and `b`; a tie shares the gradient by halves."""
    return lax.min(a, b)


@arithmetic("pow", [Arg("x", domain=POSITIVE), "y"], formula="x^y", source="DLMF 4.2.26")
def power(x: "jax.Array", y: "jax.Array") -> "jax.Array":
    """The positive base `x` to the real power `y`."""
    return lax.pow(x, y)


@arithmetic("atan2", ["y", "x"], formula="angle of the point (x, y) in (-π, π]", source="IEEE 754-2019 9.2")
def atan2(y: "jax.Array", x: "jax.Array") -> "jax.Array":
    """Angle of the point with ordinate `y` (the first argument) and abscissa `x`."""
    return lax.atan2(y, x)


@arithmetic("logaddexp", ["a", "b"], formula="ln(e^a + e^b)", source="NumPy reference, numpy.logaddexp")
def logaddexp(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """Logarithm of the sum of two exponentials.

    Equal arguments are a case of their own so that two equal infinities give that infinity and not inf - inf.
    """
    larger = lax.max(a, b) + jnp.log1p(jnp.exp(-jnp.abs(a - b)))
    return jnp.where(a == b, 0.5 * a + 0.5 * b + exact("log(2)"), larger)
