"""Softmax and its logarithm over the attribute `axis` of `x`, which is kept."""

import functools

from oracle.reference.lazy import jax, jnp, lax
from oracle.reference.operation import Config, operation

SOURCE = "Blanchard, Higham & Higham 2021, doi:10.1093/imanum/draa038"
normalized = functools.partial(
    operation,
    args=["x"],
    family="softmax",
    source=SOURCE,
    configs=[
        Config("rows", {"x": (33, 65)}, {"axis": -1}),
        Config("channels", {"x": (2, 7, 13)}, {"axis": 1}),
        Config("vocabulary", {"x": (3, 10007)}, {"axis": -1}, quick=False),
    ],
)


def shifted(x: "jax.Array", axis: int) -> "jax.Array":
    """`x` less its largest element over `axis`, through which no gradient flows because it cancels."""
    return x - lax.stop_gradient(jnp.max(x, axis, keepdims=True))


def log_probabilities(x: "jax.Array", axis: int) -> "jax.Array":
    """ln softmax(x) over `axis`."""
    y = shifted(x, axis)
    return y - jnp.log(jnp.sum(jnp.exp(y), axis, keepdims=True))


@normalized("softmax", formula="e^(x_i) / Σ e^(x_j)")
def softmax(x: "jax.Array", *, axis: int) -> "jax.Array":
    """Exponentials normalised to sum to one over `axis`."""
    e = jnp.exp(shifted(x, axis))
    return e / jnp.sum(e, axis, keepdims=True)


@normalized("log_softmax", formula="x_i - ln Σ e^(x_j)")
def log_softmax(x: "jax.Array", *, axis: int) -> "jax.Array":
    """Logarithm of softmax over `axis`."""
    return log_probabilities(x, axis)
