"""Normalisations. `x` (batch, channel, h, w) unless said otherwise; `eps` is added to the variance."""

import functools

from oracle.reference.lazy import jax, jnp, lax
from oracle.reference.operation import POSITIVE, Arg, Config, operation
from oracle.reference.operations.convolutions import by_channel
from oracle.reference.operations.reductions import average
from oracle.reference.operations.scalars import complement

normalization = functools.partial(operation, family="normalization")
AFFINE = (Arg("x"), Arg("weight"), Arg("bias"))
RUNNING = (Arg("running_mean"), Arg("running_var", domain=POSITIVE))
STATE = (Arg("running_mean", differentiable=False), Arg("running_var", domain=POSITIVE, differentiable=False))
PLANE = {"x": (4, 5, 6, 7), "weight": (5,), "bias": (5,), "running_mean": (5,), "running_var": (5,)}


def _shapes(x: tuple[int, ...], features: int) -> dict[str, tuple[int, ...]]:
    return {"x": x, "weight": (features,), "bias": (features,)}


def standardized(x: "jax.Array", axes: tuple[int, ...], eps: float) -> "jax.Array":
    """`x` less its mean over `axes`, divided by the root of its variance plus `eps`."""
    deviation = x - average(x, axes)
    return deviation * lax.rsqrt(average(deviation * deviation, axes) + eps)


def _affine(x: "jax.Array", moments: tuple, weight: "jax.Array", bias: "jax.Array") -> "jax.Array":
    """x scale + (bias - mean scale): the statistics (mean, inverse deviation) folded into one affine map."""
    mean, inverse = moments
    scale = weight * inverse
    return x * scale + (bias - mean * scale)


def _moments(x: "jax.Array", axes: tuple[int, ...], eps: float) -> tuple["jax.Array", "jax.Array"]:
    mean = average(x, axes)
    deviation = x - mean
    return mean, lax.rsqrt(average(deviation * deviation, axes) + eps)


def _folded_layer(x: "jax.Array", weight: "jax.Array", bias: "jax.Array", *, eps: float) -> "jax.Array":
    return _affine(x, _moments(x, (-1,), eps), weight, bias)


def _folded_instance(x: "jax.Array", weight: "jax.Array", bias: "jax.Array", *, eps: float) -> "jax.Array":
    return _affine(x, _moments(x, (2, 3), eps), by_channel(weight, x.ndim), by_channel(bias, x.ndim))


def _folded_group(x: "jax.Array", weight: "jax.Array", bias: "jax.Array", *, groups: int, eps: float) -> "jax.Array":
    grouped = x.reshape(x.shape[0], groups, -1)
    wide = jnp.broadcast_to(by_channel(weight, x.ndim), x.shape).reshape(grouped.shape)
    shift = jnp.broadcast_to(by_channel(bias, x.ndim), x.shape).reshape(grouped.shape)
    return _affine(grouped, _moments(grouped, (-1,), eps), wide, shift).reshape(x.shape)


def _folded_training(
    x: "jax.Array",
    weight: "jax.Array",
    bias: "jax.Array",
    running_mean: "jax.Array",
    running_var: "jax.Array",
    **attrs: float,
) -> tuple["jax.Array", "jax.Array", "jax.Array"]:
    _, *running = batch_norm_training(x, weight, bias, running_mean, running_var, **attrs)
    moments = _moments(x, (0, *range(2, x.ndim)), attrs["eps"])
    return _affine(x, moments, by_channel(weight, x.ndim), by_channel(bias, x.ndim)), *running


def _folded(
    x: "jax.Array",
    weight: "jax.Array",
    bias: "jax.Array",
    running_mean: "jax.Array",
    running_var: "jax.Array",
    *,
    eps: float,
) -> "jax.Array":
    """x scale + (bias - mean scale): what a kernel computes that folds the statistics into one affine map."""
    scale = weight * lax.rsqrt(running_var + eps)
    return x * by_channel(scale, x.ndim) + by_channel(bias - running_mean * scale, x.ndim)


@normalization(
    "batch_norm_inference",
    (*AFFINE, *RUNNING),
    forms=(_folded,),
    formula="(x - running_mean)/√(running_var + eps) weight + bias",
    source="Ioffe & Szegedy 2015, arXiv:1502.03167",
    configs=[
        Config("eps_1e-5", PLANE, {"eps": 1e-5}),
        Config("eps_1e-3", PLANE, {"eps": 1e-3}, quick=False),
    ],
)
def batch_norm_inference(
    x: "jax.Array",
    weight: "jax.Array",
    bias: "jax.Array",
    running_mean: "jax.Array",
    running_var: "jax.Array",
    *,
    eps: float,
) -> "jax.Array":
    """Batch normalisation by stored statistics; all vectors (channel,)."""
    mean, variance = by_channel(running_mean, x.ndim), by_channel(running_var, x.ndim)
    normalized = (x - mean) * lax.rsqrt(variance + eps)
    return normalized * by_channel(weight, x.ndim) + by_channel(bias, x.ndim)


@normalization(
    "batch_norm_training",
    (*AFFINE, *STATE),
    forms=(_folded_training,),
    outputs=("out", "running_mean", "running_var"),
    formula="(x - mean)/√(var + eps) weight + bias; running += momentum (batch - running)",
    source="Ioffe & Szegedy 2015, arXiv:1502.03167",
    configs=[
        Config("unbiased_running", PLANE, {"eps": 1e-5, "momentum": 0.125, "running_ddof": 1}),
        Config("biased_running", PLANE, {"eps": 1e-3, "momentum": 0.125, "running_ddof": 0}),
    ],
)
def batch_norm_training(
    x: "jax.Array",
    weight: "jax.Array",
    bias: "jax.Array",
    running_mean: "jax.Array",
    running_var: "jax.Array",
    *,
    eps: float,
    momentum: float,
    running_ddof: int,
) -> tuple["jax.Array", "jax.Array", "jax.Array"]:
    """Batch normalisation by the statistics of the batch, over all axes but the channel.

    `momentum` is the weight of the new statistics (PyTorch's sense; Keras's is 1 - momentum). The
    normalisation divides by n, the stored variance by n - `running_ddof` (PyTorch 1, Keras 0). Outputs: out,
    running_mean, running_var.
    """
    axes = (0, *range(2, x.ndim))
    count = x.size // x.shape[1]
    mean = average(x, axes)
    deviation = x - mean
    squares = jnp.sum(deviation * deviation, axes)
    inverse = by_channel(lax.rsqrt(squares / count + eps), x.ndim)
    out = deviation * inverse * by_channel(weight, x.ndim) + by_channel(bias, x.ndim)
    keep = complement(momentum)
    new_mean = keep * running_mean + momentum * mean.reshape(-1)
    new_var = keep * running_var + momentum * (squares / (count - running_ddof))
    return out, new_mean, new_var


@normalization(
    "layer_norm",
    AFFINE,
    forms=(_folded_layer,),
    formula="(x - mean)/√(var + eps) weight + bias over the last axis",
    source="Ba et al. 2016, arXiv:1607.06450",
    configs=[
        Config("rows", _shapes((33, 65), 65), {"eps": 1e-5}),
        Config("sequence", _shapes((2, 5, 48), 48), {"eps": 1e-3}),
        Config("wide", _shapes((3, 4099), 4099), {"eps": 1e-12}, quick=False),
    ],
)
def layer_norm(x: "jax.Array", weight: "jax.Array", bias: "jax.Array", *, eps: float) -> "jax.Array":
    """Layer normalisation of `x` (..., feature) over its last axis; `weight` and `bias` (feature,)."""
    return standardized(x, (-1,), eps) * weight + bias


@normalization(
    "rms_norm",
    [Arg("x"), Arg("weight")],
    formula="x/√(Σ x²/n + eps) weight over the last axis",
    source="Zhang & Sennrich 2019, arXiv:1910.07467",
    configs=[
        Config("rows", {"x": (33, 65), "weight": (65,)}, {"eps": 1e-6}),
        Config("wide", {"x": (3, 4099), "weight": (4099,)}, {"eps": 1e-5}, quick=False),
    ],
)
def rms_norm(x: "jax.Array", weight: "jax.Array", *, eps: float) -> "jax.Array":
    """Root mean square normalisation of `x` (..., feature) over its last axis; `weight` (feature,)."""
    return x * lax.rsqrt(average(x * x, (-1,)) + eps) * weight


@normalization(
    "group_norm",
    AFFINE,
    forms=(_folded_group,),
    formula="(x - mean)/√(var + eps) weight + bias over each group of channels",
    source="Wu & He 2018, arXiv:1803.08494",
    configs=[
        Config("three_groups", _shapes((2, 6, 5, 7), 6), {"groups": 3, "eps": 1e-5}),
        Config("one_group", _shapes((2, 6, 5, 7), 6), {"groups": 1, "eps": 1e-3}),
    ],
)
def group_norm(x: "jax.Array", weight: "jax.Array", bias: "jax.Array", *, groups: int, eps: float) -> "jax.Array":
    """Normalisation over the plane and each of `groups` runs of consecutive channels; vectors (channel,)."""
    grouped = x.reshape(x.shape[0], groups, -1)
    normalized = standardized(grouped, (-1,), eps).reshape(x.shape)
    return normalized * by_channel(weight, x.ndim) + by_channel(bias, x.ndim)


@normalization(
    "instance_norm",
    AFFINE,
    forms=(_folded_instance,),
    formula="(x - mean)/√(var + eps) weight + bias over the plane",
    source="Ulyanov et al. 2016, arXiv:1607.08022",
    configs=[
        Config("odd", _shapes((2, 5, 7, 9), 5), {"eps": 1e-5}),
    ],
)
def instance_norm(x: "jax.Array", weight: "jax.Array", bias: "jax.Array", *, eps: float) -> "jax.Array":
    """Normalisation of each channel of each example over its plane; vectors (channel,)."""
    return standardized(x, (2, 3), eps) * by_channel(weight, x.ndim) + by_channel(bias, x.ndim)
