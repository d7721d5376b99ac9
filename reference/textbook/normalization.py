"""Normalisations, one set of values at a time."""

from collections.abc import Iterable

import numpy as np
from mpmath import mp, mpf

from oracle.reference.operation import textbook
from oracle.reference.textbook.reductions import mean_of, variance_of

Array = np.ndarray


def _standardize(out: Array, sets: Iterable[tuple], eps: float) -> Array:
    """Replace the elements of `out` at each index expression by (v - mean)/√(variance + eps)."""
    for at in sets:
        values = list(np.ravel(out[at]))
        mean, root = mean_of(values), mp.sqrt(variance_of(values) + mpf(eps))
        out[at] = np.array([(v - mean) / root for v in values], object).reshape(out[at].shape)
    return out


def _affine(x: Array, weight: Array, bias: Array) -> Array:
    """Channel c (axis 1) times weight_c plus bias_c."""
    out = np.empty(x.shape, object)
    for c in range(x.shape[1]):
        out[:, c] = x[:, c] * weight[c] + bias[c]
    return out


@textbook("batch_norm_inference")
def batch_norm_inference(
    x: Array, weight: Array, bias: Array, running_mean: Array, running_var: Array, *, eps: float
) -> Array:
    """(x - mean)/√(var + eps) γ + β with the stored statistics of the channel."""
    out = np.empty(x.shape, object)
    for n, c, *rest in np.ndindex(x.shape):
        at = (n, c, *rest)
        out[at] = (x[at] - running_mean[c]) / mp.sqrt(running_var[c] + mpf(eps)) * weight[c] + bias[c]
    return out


@textbook("batch_norm_training")
def batch_norm_training(
    x: Array, weight: Array, bias: Array, running_mean: Array, running_var: Array, *, eps: float, momentum: float,
    running_ddof: int,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Each channel by its own mean and variance over the batch; the stored ones move by `momentum` towards these."""
    channels = range(x.shape[1])
    out = _affine(_standardize(x.copy(), [(slice(None), c) for c in channels], eps), weight, bias)
    values = [list(np.ravel(x[:, c])) for c in channels]
    m = mpf(momentum)
    mean = [running_mean[c] + m * (mean_of(values[c]) - running_mean[c]) for c in channels]
    var = [running_var[c] + m * (variance_of(values[c], running_ddof) - running_var[c]) for c in channels]
    return out, np.array(mean, object), np.array(var, object)


@textbook("layer_norm")
def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    """Each row of the last axis by its own statistics."""
    return _standardize(x.copy(), list(np.ndindex(x.shape[:-1])), eps) * weight + bias


@textbook("rms_norm")
def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    """Each row of the last axis divided by √(mean square + eps)."""
    out = np.empty(x.shape, object)
    for at in np.ndindex(x.shape[:-1]):
        square = sum(v**2 for v in x[at]) / mpf(x.shape[-1])
        out[at] = [w * v / mp.sqrt(square + mpf(eps)) for v, w in zip(x[at], weight, strict=True)]
    return out


@textbook("group_norm")
def group_norm(x: Array, weight: Array, bias: Array, groups: int, eps: float) -> Array:
    """Each run of channels / groups channels of each example by its own statistics."""
    size = x.shape[1] // groups
    sets = [(n, slice(g * size, (g + 1) * size)) for n in range(len(x)) for g in range(groups)]
    return _affine(_standardize(x.copy(), sets, eps), weight, bias)


@textbook("instance_norm")
def instance_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    """Each channel of each example by its own statistics."""
    return _affine(_standardize(x.copy(), list(np.ndindex(x.shape[:2])), eps), weight, bias)
