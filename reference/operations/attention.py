"""Scaled dot-product attention. `query` (batch, head, n, d), `key` and `value` (batch, head, m, d)."""

import functools

from oracle.reference.constants import exact
from oracle.reference.lazy import jax, jnp, lax, np
from oracle.reference.operation import Arg, Config, operation

attention = functools.partial(
    operation,
    family="attention",
    at_scale=True,
    formula="softmax(query keyᵀ / √d) value",
    source="Vaswani et al. 2017, arXiv:1706.03762",
)
QKV = (Arg("query"), Arg("key"), Arg("value"))
EVEN = {"query": (2, 3, 9, 16), "key": (2, 3, 9, 16), "value": (2, 3, 9, 16)}
CROSS = {"query": (2, 3, 7, 8), "key": (2, 3, 17, 8), "value": (2, 3, 17, 8)}
LONG = {"query": (1, 2, 65, 32), "key": (1, 2, 65, 32), "value": (1, 2, 65, 32)}


def _scores(query: "jax.Array", key: "jax.Array") -> "jax.Array":
    return jnp.einsum("bhnd,bhmd->bhnm", query, key) / exact(f"sqrt({query.shape[-1]})")


def _weighted(scores: "jax.Array", value: "jax.Array", allowed: "jax.Array | np.ndarray") -> "jax.Array":
    """Softmax over the allowed keys, then the mean of their values.

    A forbidden score is replaced by the smallest one before the shift, so that no infinity enters the
    arithmetic.
    """
    smallest = jnp.min(scores, -1, keepdims=True)
    shift = lax.stop_gradient(jnp.max(jnp.where(allowed, scores, smallest), -1, keepdims=True))
    e = jnp.where(allowed, jnp.exp(jnp.where(allowed, scores - shift, 0)), 0)
    return jnp.einsum("bhnm,bhmd->bhnd", e / jnp.sum(e, -1, keepdims=True), value)


@attention(
    "scaled_dot_product_attention",
    QKV,
    configs=[
        Config("plain", EVEN, {"causal": False}),
        Config("cross", CROSS, {"causal": False}),
        Config("causal", EVEN, {"causal": True}),
        Config("long", LONG, {"causal": True}, quick=False),
    ],
)
def scaled_dot_product_attention(
    query: "jax.Array", key: "jax.Array", value: "jax.Array", *, causal: bool
) -> "jax.Array":
    """Attention of each query to all keys, or with `causal` (then n = m) to those not after it."""
    n, m = query.shape[-2], key.shape[-2]
    allowed = np.tril(np.ones((n, m), bool)) if causal else np.ones((n, m), bool)
    return _weighted(_scores(query, key), value, allowed)


@attention(
    "masked_attention",
    (*QKV, Arg("mask", kind="mask")),
    configs=[
        Config("shared_mask", {**CROSS, "mask": (7, 17)}),
        Config("padding", {**CROSS, "mask": (2, 1, 1, 17)}),
    ],
)
def masked_attention(query: "jax.Array", key: "jax.Array", value: "jax.Array", mask: "jax.Array") -> "jax.Array":
    """Attention of each query to the keys where the boolean `mask`, broadcast to (batch, head, n, m), is
    true.

    A row with no key allowed has no value (0/0).
    """
    return _weighted(_scores(query, key), value, mask)
