"""Attention, one query at a time; and the embedding's rows."""

import numpy as np
from mpmath import mp, mpf

from oracle.reference.operation import textbook

Array = np.ndarray


def _attend(query: Array, key: Array, value: Array, allowed: Array) -> Array:
    """One query (d,) over the keys (m, d) that are allowed: Σ_j p_j v_j with p_j ~ e^(q k_j / √d)."""
    d = mpf(len(query))
    chosen = [j for j in range(len(key)) if allowed[j]]
    strength = [mp.exp(sum(q * k for q, k in zip(query, key[j], strict=True)) / mp.sqrt(d)) for j in chosen]
    total = sum(strength)
    return sum(s / total * value[j] for s, j in zip(strength, chosen, strict=True))


@textbook("masked_attention")
def masked_attention(query: Array, key: Array, value: Array, mask: Array) -> Array:
    """Each query of each head of each example over the keys that its row of the mask allows."""
    out = np.empty((*query.shape[:-1], value.shape[-1]), object)
    mask = np.broadcast_to(mask, (*query.shape[:-1], key.shape[2]))
    for b, h, i in np.ndindex(query.shape[:-1]):
        out[b, h, i] = _attend(query[b, h, i], key[b, h], value[b, h], mask[b, h, i])
    return out


@textbook("scaled_dot_product_attention")
def scaled_dot_product_attention(query: Array, key: Array, value: Array, causal: bool) -> Array:
    """Query i over all keys, or over keys 0 to i."""
    n, m = query.shape[2], key.shape[2]
    allowed = np.array([[not causal or j <= i for j in range(m)] for i in range(n)])
    return masked_attention(query, key, value, allowed)


@textbook("embedding")
def embedding(weight: Array, indices: Array) -> Array:
    """The row of each index."""
    out = np.empty((*indices.shape, weight.shape[1]), object)
    for at in np.ndindex(indices.shape):
        out[at] = weight[int(indices[at])]
    return out
