"""Scaled dot-product attention: the fused kernels, forward and backward.

The backward kernels are functions of the recorded output and log-sum-exp, which they are given instead of the weights.
"""

from typing import Any

import numpy as np

from oracle.reference.lazy import jnp
from oracle.reference.lowerings.aten import aten
from oracle.reference.lowerings.aten_activations import _gelu, _relu
from oracle.reference.lowerings.aten_norms import _layer_norm

_NO_MEANING = (None,) * 2


def _scores(q: Any, k: Any, mask: Any, causal: bool, scale: float | None) -> tuple[Any, Any]:
    """q kᵀ scale + mask, and which entries take part; those that do not are set to an ordinary number."""
    scores = jnp.matmul(q, jnp.swapaxes(k, -1, -2)) * (_default_scale(q) if scale is None else scale)
    allowed: Any = np.ones((1, 1), bool)
    if causal:
        allowed = np.tri(q.shape[-2], k.shape[-2], dtype=bool)
    if mask is not None:
        mask = jnp.asarray(mask)
        open_ = mask if mask.dtype == bool else mask > -jnp.inf
        allowed = open_ & allowed
        scores = scores if mask.dtype == bool else scores + jnp.where(open_, mask, 0.0)
    allowed = jnp.broadcast_to(allowed, scores.shape)
    return scores, allowed


def _default_scale(q: Any) -> Any:
    return 1 / jnp.sqrt(jnp.asarray(float(q.shape[-1])))


def _repeated(x: Any, heads: int) -> Any:
    """Key or value heads repeated for grouped queries."""
    return x if x.shape[1] == heads else jnp.repeat(x, heads // x.shape[1], axis=1)


def _attention(q: Any, k: Any, v: Any, mask: Any, causal: bool, scale: float | None) -> tuple[Any, Any]:
    """softmax(q kᵀ scale + mask) v, and the log-sum-exp of each row of scores. A row with nothing allowed is zero."""
    k, v = _repeated(k, q.shape[1]), _repeated(v, q.shape[1])
    scores, allowed = _scores(q, k, mask, causal, scale)
    lowest = jnp.min(scores, axis=-1, keepdims=True)
    top = jnp.max(jnp.where(allowed, scores, lowest), axis=-1, keepdims=True)
    e = jnp.where(allowed, jnp.exp(jnp.where(allowed, scores, top) - top), 0.0)
    total = jnp.sum(e, axis=-1, keepdims=True)
    some = total > 0
    out = jnp.matmul(e, v) / jnp.where(some, total, 1.0)
    logsumexp = jnp.where(some, top + jnp.log(jnp.where(some, total, 1.0)), -jnp.inf)
    return out, jnp.squeeze(logsumexp, -1)


def _attention_backward(
    grad: Any, q: Any, k: Any, v: Any, out: Any, logsumexp: Any, mask: Any, causal: bool, scale: float | None
) -> tuple[Any, Any, Any, Any]:
    """Gradients in query, key, value and scores, from the weights exp(score - logsumexp)."""
    groups = q.shape[1] // k.shape[1]
    wide_k, wide_v = _repeated(k, q.shape[1]), _repeated(v, q.shape[1])
    scores, allowed = _scores(q, wide_k, mask, causal, scale)
    rows = logsumexp[..., None]
    some = rows > -jnp.inf
    weights = jnp.where(
        allowed & some, jnp.exp(jnp.where(allowed & some, scores - jnp.where(some, rows, 0.0), 0.0)), 0.0
    )
    of_weights = jnp.matmul(grad, jnp.swapaxes(wide_v, -1, -2))
    of_scores = weights * (of_weights - jnp.sum(grad * out, axis=-1, keepdims=True))
    factor = _default_scale(q) if scale is None else scale
    of_q = jnp.matmul(of_scores, wide_k) * factor
    of_k = jnp.matmul(jnp.swapaxes(of_scores, -1, -2), q) * factor
    of_v = jnp.matmul(jnp.swapaxes(weights, -1, -2), grad)
    return of_q, _gathered(of_k, groups), _gathered(of_v, groups), of_scores


def _gathered(x: Any, groups: int) -> Any:
    """The sum over the query heads that share one key head."""
    if groups == 1:
        return x
    n, heads, *rest = x.shape
    return jnp.sum(jnp.reshape(x, (n, heads // groups, groups, *rest)), axis=2)


def _no_dropout(p: float) -> None:
    if p:
        raise ValueError("a fused attention kernel with dropout draws inside: its draw is not recorded")


@aten("_scaled_dot_product_flash_attention_for_cpu")
def _flash_cpu(
    q: Any, k: Any, v: Any, dropout_p: float = 0.0, is_causal: bool = False, attn_mask: Any = None, scale: Any = None
) -> tuple:
    _no_dropout(dropout_p)
    return _attention(q, k, v, attn_mask, is_causal, scale)


@aten("_scaled_dot_product_flash_attention_for_cpu_backward")
def _flash_cpu_backward(
    grad: Any, q: Any, k: Any, v: Any, out: Any, logsumexp: Any, dropout_p: float, is_causal: bool,
    attn_mask: Any = None, scale: Any = None,
) -> tuple:  # fmt: skip
    _no_dropout(dropout_p)
    return _attention_backward(grad, q, k, v, out, logsumexp, attn_mask, is_causal, scale)[:3]


@aten("_scaled_dot_product_flash_attention")
def _flash(
    q: Any, k: Any, v: Any, dropout_p: float = 0.0, is_causal: bool = False, debug: bool = False, scale: Any = None
) -> tuple:
    _no_dropout(dropout_p)
    return (*_attention(q, k, v, None, is_causal, scale), *_NO_MEANING, None, None, None)


@aten("_scaled_dot_product_flash_attention_backward")
def _flash_backward(
    grad: Any, q: Any, k: Any, v: Any, out: Any, logsumexp: Any, cum_q: Any, cum_k: Any, max_q: int, max_k: int,
    dropout_p: float, is_causal: bool, seed: Any, offset: Any, scale: Any = None,
) -> tuple:  # fmt: skip
    _no_dropout(dropout_p)
    return _attention_backward(grad, q, k, v, out, logsumexp, None, is_causal, scale)[:3]


@aten("_scaled_dot_product_efficient_attention")
def _efficient(
    q: Any, k: Any, v: Any, attn_bias: Any, compute_log_sumexp: bool, dropout_p: float = 0.0, is_causal: bool = False,
    scale: Any = None,
) -> tuple:  # fmt: skip
    """The log-sum-exp is padded by the kernel to a multiple of its tile: its recorded value is used."""
    _no_dropout(dropout_p)
    return (_attention(q, k, v, attn_bias, is_causal, scale)[0], None, *_NO_MEANING)


@aten("_scaled_dot_product_efficient_attention_backward")
def _efficient_backward(
    grad: Any, q: Any, k: Any, v: Any, attn_bias: Any, out: Any, logsumexp: Any, seed: Any, offset: Any,
    dropout_p: float, mask: Any, is_causal: bool = False, scale: Any = None,
) -> tuple:  # fmt: skip
    _no_dropout(dropout_p)
    rows = logsumexp[..., : q.shape[-2]]
    parts = _attention_backward(grad, q, k, v, out, rows, attn_bias, is_causal, scale)
    return tuple(p if wanted else None for p, wanted in zip(parts, mask, strict=True))


@aten("_scaled_dot_product_cudnn_attention")
def _cudnn(
    q: Any, k: Any, v: Any, attn_bias: Any, compute_log_sumexp: bool, dropout_p: float = 0.0, is_causal: bool = False,
    debug: bool = False, scale: Any = None,
) -> tuple:  # fmt: skip
    _no_dropout(dropout_p)
    return (_attention(q, k, v, attn_bias, is_causal, scale)[0], None, *_NO_MEANING, *_NO_MEANING, None)


@aten("_native_multi_head_attention")
def _multi_head_attention(
    query: Any, key: Any, value: Any, embed_dim: int, num_head: int, qkv_weight: Any, qkv_bias: Any, proj_weight: Any,
    proj_bias: Any, mask: Any = None, need_weights: bool = True, average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple:  # fmt: skip
    """Projected attention over (batch, length, features); a mask is true where attention is closed."""
    weights, biases = jnp.split(qkv_weight, 3), jnp.split(qkv_bias, 3)
    q, k, v = (
        _heads(jnp.matmul(x, jnp.transpose(w)) + b, num_head)
        for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )
    allowed = None if mask is None else ~_spread_mask(mask, mask_type)
    out, logsumexp = _attention(q, k, v, allowed, False, None)
    merged = jnp.reshape(jnp.swapaxes(out, 1, 2), query.shape)
    result = jnp.matmul(merged, jnp.transpose(proj_weight)) + proj_bias
    if not need_weights:
        return result, None
    scores, open_ = _scores(q, k, allowed, False, None)
    shares = jnp.where(open_, jnp.exp(jnp.where(open_, scores - logsumexp[..., None], 0.0)), 0.0)
    return result, jnp.mean(shares, axis=1) if average_attn_weights else shares


def _heads(x: Any, count: int) -> Any:
    """(batch, length, features) to (batch, heads, length, features of a head)."""
    return jnp.swapaxes(jnp.reshape(x, (*x.shape[:2], count, -1)), 1, 2)


def _spread_mask(mask: Any, kind: int | None) -> Any:
    """The mask as (batch, heads, queries, keys): kind 0 is queries by keys, 1 is batch by keys."""
    mask = jnp.asarray(mask) != 0
    return mask[:, None, None, :] if kind == 1 else mask


@aten("_transformer_encoder_layer_fwd")
def _encoder_layer(
    x: Any, embed_dim: int, num_heads: int, qkv_weight: Any, qkv_bias: Any, proj_weight: Any, proj_bias: Any,
    use_gelu: bool, norm_first: bool, eps: float, norm_weight_1: Any, norm_bias_1: Any, norm_weight_2: Any,
    norm_bias_2: Any, ffn_weight_1: Any, ffn_bias_1: Any, ffn_weight_2: Any, ffn_bias_2: Any, mask: Any = None,
    mask_type: int | None = None,
) -> Any:  # fmt: skip
    """A whole encoder layer in inference: attention and a feed-forward network, each added and normalised."""

    def attend(y: Any) -> Any:
        projections = (qkv_weight, qkv_bias, proj_weight, proj_bias)
        return _multi_head_attention(y, y, y, embed_dim, num_heads, *projections, mask, False, True, mask_type)[0]

    def feed_forward(y: Any) -> Any:
        hidden = jnp.matmul(y, jnp.transpose(ffn_weight_1)) + ffn_bias_1
        return jnp.matmul(_gelu(hidden) if use_gelu else _relu(hidden), jnp.transpose(ffn_weight_2)) + ffn_bias_2

    norms = ((norm_weight_1, norm_bias_1), (norm_weight_2, norm_bias_2))
    for block, (weight, bias) in zip((attend, feed_forward), norms, strict=True):
        if norm_first:
            x = x + block(_layer_norm(x, (embed_dim,), weight, bias, eps)[0])
        else:
            x = _layer_norm(x + block(x), (embed_dim,), weight, bias, eps)[0]
    return x
