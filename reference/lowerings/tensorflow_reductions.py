"""TensorFlow's reductions, scans, softmax and segment sums. Source: core/ops/math_ops.cc, nn_ops.cc."""

import itertools
import math
import operator
from typing import Any

import numpy as np

from oracle.reference.lazy import jnp, lax
from oracle.reference.lowerings.tensorflow import carrier, op


def _axes(axes: Any, rank: int) -> tuple[int, ...]:
    return tuple(sorted({int(a) % rank for a in np.ravel(axes)})) if rank else ()


for _raw, _name in {
    "Sum": "sum",
    "Prod": "prod",
    "Max": "max",
    "Min": "min",
    "All": "all",
    "Any": "any",
}.items():

    @op(_raw, static=(1,))
    def _reduce(x: Any, axes: Any, keep_dims: bool, _name: str = _name) -> Any:
        return getattr(jnp, _name)(x, axis=_axes(axes, x.ndim), keepdims=keep_dims)


@op("Mean", static=(1,))
def mean(x: Any, axes: Any, keep_dims: bool) -> Any:
    over = _axes(axes, x.ndim)
    total = jnp.sum(x, axis=over, keepdims=keep_dims)
    count = math.prod(x.shape[a] for a in over)
    return total / count if x.dtype.kind == "f" else lax.div(total, np.asarray(count, total.dtype))


@op("EuclideanNorm", static=(1,))
def euclidean_norm(x: Any, axes: Any, keep_dims: bool) -> Any:
    return jnp.sqrt(jnp.sum(jnp.square(x), axis=_axes(axes, x.ndim), keepdims=keep_dims))


@op("ArgMax", static=(1,))
def argmax(x: Any, axis: Any, output_type: str) -> Any:
    return jnp.argmax(x, int(axis)).astype(output_type)


@op("ArgMin", static=(1,))
def argmin(x: Any, axis: Any, output_type: str) -> Any:
    return jnp.argmin(x, int(axis)).astype(output_type)


@op("TopKV2", static=(1,))
def top_k(x: Any, k: Any, sorted: bool) -> Any:
    return lax.top_k(x, int(k))


@op("InTopKV2", "InTopK")
def in_top_k(predictions: Any, targets: Any, k: Any) -> Any:
    of_target = jnp.take_along_axis(predictions, targets[:, None], 1)
    return jnp.sum(predictions > of_target, 1) < k


@op("Cumsum", static=(1,))
def cumsum(x: Any, axis: Any, exclusive: bool, reverse: bool) -> Any:
    return _scan(lax.cumsum, 0, x, int(axis), exclusive, reverse)


@op("Cumprod", static=(1,))
def cumprod(x: Any, axis: Any, exclusive: bool, reverse: bool) -> Any:
    return _scan(_running_product, 1, x, int(axis), exclusive, reverse)


def _running_product(x: Any, axis: int, reverse: bool) -> Any:
    parts = [lax.index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis])]
    running = list(itertools.accumulate(parts[::-1] if reverse else parts, operator.mul))
    return jnp.stack(running[::-1] if reverse else running, axis)


def _scan(accumulate: Any, unit: int, x: Any, axis: int, exclusive: bool, reverse: bool) -> Any:
    """An exclusive scan is the inclusive one of the array shifted by one, with the unit at the vacant end."""
    axis %= x.ndim
    if exclusive:
        kept = lax.slice_in_dim(x, 1, None, axis=axis) if reverse else lax.slice_in_dim(x, 0, -1, axis=axis)
        vacant = jnp.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), unit, x.dtype)
        x = jnp.concatenate([kept, vacant] if reverse else [vacant, kept], axis)
    return accumulate(x, axis=axis, reverse=reverse)


@op("L2Loss")
def l2_loss(x: Any) -> Any:
    return jnp.sum(jnp.square(x)) / 2


@op("Softmax")
def softmax(logits: Any) -> Any:
    return softmax_and_log(logits)[0]


@op("LogSoftmax")
def log_softmax(logits: Any) -> Any:
    return softmax_and_log(logits)[1]


def softmax_and_log(logits: Any) -> tuple[Any, Any]:
    """Softmax and its logarithm over the last axis, shifted by the maximum: exp never exceeds 1."""
    shifted = logits - lax.stop_gradient(jnp.max(logits, -1, keepdims=True))
    powers = jnp.exp(shifted)
    total = jnp.sum(powers, -1, keepdims=True)
    return powers / total, shifted - jnp.log(total)


@op("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy(features: Any, labels: Any) -> tuple[Any, Any]:
    """sum_j -l_j log p_j per row, and the derivative TensorFlow returns, p - l (labels that sum to 1)."""
    features, labels = jnp.broadcast_arrays(features, labels)
    p, log_p = softmax_and_log(features)
    return -jnp.sum(jnp.where(labels == 0, 0, labels * log_p), -1), p - labels


@op("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy(features: Any, labels: Any) -> tuple[Any, Any]:
    """-log p[label] per row, and p - onehot(label), at the label minus the sum of the others."""
    p, log_p = softmax_and_log(features)
    at_label = labels[:, None] == jnp.arange(features.shape[-1], dtype=labels.dtype)
    others = jnp.where(at_label, 0, p)
    loss = -jnp.sum(jnp.where(at_label, log_p, 0), -1)
    return loss, jnp.where(at_label, -jnp.sum(others, -1, keepdims=True), others)


@op("UnsortedSegmentSum", static=(2,))
def unsorted_segment_sum(data: Any, ids: Any, count: Any) -> Any:
    """Rows of `data` added where their id says; a negative id drops its row."""
    count = int(count)
    rows = data.reshape(-1, *data.shape[ids.ndim :])
    places = jnp.where(ids < 0, count, ids).reshape(-1)
    return jnp.zeros((count, *rows.shape[1:]), data.dtype).at[places].add(rows, mode="drop")


@op("Bincount", static=(1,))
def bincount(values: Any, size: Any, weights: Any) -> Any:
    weights = weights if weights.size else jnp.ones(values.shape, carrier(str(weights.dtype)))
    return jnp.zeros(int(size), weights.dtype).at[values.reshape(-1)].add(weights.reshape(-1), mode="drop")
