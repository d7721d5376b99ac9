"""Derivatives stated where JAX's own rule rounds a constant, cancels, or takes one side of a corner."""

from collections.abc import Callable

from oracle.reference.constants import exact
from oracle.reference.lazy import jax, jnp, lax


def with_derivative(function: Callable, derivative: Callable) -> Callable:
    """`function` of one variable whose derivative is `derivative(x, function(x))`."""
    differentiated = jax.custom_jvp(function)
    differentiated.defjvps(lambda tangent, y, x: tangent * derivative(x, y))
    return differentiated


def absolute(x: "jax.Array") -> "jax.Array":
    """|x|, whose derivative at zero is 0; JAX's is 1, torch's and TensorFlow's 0."""
    return with_derivative(lax.abs, lambda x, y: lax.sign(x))(x)


def erf(x: "jax.Array") -> "jax.Array":
    """The error function; JAX's derivative holds 2/√π rounded to float64, this one the real number."""
    return with_derivative(lax.erf, lambda x, y: exact("2/sqrt(pi)") * jnp.exp(-(x * x)))(x)


def erfc(x: "jax.Array") -> "jax.Array":
    """The complementary error function with an exact constant in its derivative."""
    return with_derivative(lax.erfc, lambda x, y: exact("-2/sqrt(pi)") * jnp.exp(-(x * x)))(x)


def erf_inv(x: "jax.Array") -> "jax.Array":
    """The inverse error function with an exact constant in its derivative."""
    return with_derivative(lax.erf_inv, lambda x, y: exact("sqrt(pi)/2") * jnp.exp(y * y))(x)
