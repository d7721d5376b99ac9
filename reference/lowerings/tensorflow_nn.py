"""TensorFlow's pooling, batch normalization, image resizing. Source: core/ops/nn_ops.cc, image_ops.cc."""

from typing import Any

import numpy as np

from oracle.reference.lazy import jax, jnp, lax
from oracle.reference.lowerings.tensorflow import op
from oracle.reference.lowerings.tensorflow_linear import _padding


@op("MaxPool", "MaxPool3D")
def max_pool(x: Any, **attrs: Any) -> Any:
    """The maximum of each window; padding never wins."""
    return lax.reduce_window(x, -np.inf, lax.max, *_pool(attrs, x.ndim, x.shape))


@op("MaxPoolGrad", "MaxPool3DGrad")
def max_pool_grad(x: Any, y: Any, dy: Any, **attrs: Any) -> Any:
    """Convention: among equal maxima of a window, the first in scan order receives the gradient."""
    _, pull_back = jax.vjp(lambda x: max_pool(x, **attrs), x)
    return pull_back(dy)[0]


@op("AvgPool", "AvgPool3D")
def avg_pool(x: Any, **attrs: Any) -> Any:
    """The mean of each window over the elements it has in the array: padding is not counted."""
    window = _pool(attrs, x.ndim, x.shape)
    return lax.reduce_window(x, 0.0, lax.add, *window) / _counts(x.shape, window)


@op("AvgPoolGrad", "AvgPool3DGrad", static=(0,))
def avg_pool_grad(shape: Any, dy: Any, **attrs: Any) -> Any:
    shape = tuple(int(n) for n in np.ravel(shape))
    window = _pool(attrs, len(shape), shape)
    summed = lambda x: lax.reduce_window(x, 0.0, lax.add, *window)  # noqa: E731 - transposed below
    (dx,) = jax.linear_transpose(summed, jax.ShapeDtypeStruct(shape, dy.dtype))(dy / _counts(shape, window))
    return dx


def _pool(attrs: dict[str, Any], rank: int, shape: Any) -> tuple[Any, Any, Any]:
    """Window, strides and padding of every axis."""
    window, strides = tuple(attrs["ksize"]), tuple(attrs["strides"])
    padding = _padding(attrs, rank)
    if isinstance(padding, str):
        return window, strides, lax.padtype_to_pads(shape, window, strides, padding)
    spatial = iter(padding)
    return window, strides, [(0, 0) if axis in "NC" else next(spatial) for axis in attrs["data_format"]]


def _counts(shape: Any, pool: tuple[Any, Any, Any]) -> np.ndarray:
    """How many elements each window has inside the array: a product over the axes."""
    counts = np.ones((1,) * len(shape))
    for axis, (n, k, stride, (low, high)) in enumerate(zip(shape, *pool, strict=True)):
        starts = np.arange((n + low + high - k) // stride + 1) * stride - low
        inside = np.minimum(starts + k, n) - np.maximum(starts, 0)
        counts = counts * inside.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return counts


@op("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def fused_batch_norm(
    x: Any, scale: Any, offset: Any, mean: Any, variance: Any, *, epsilon: float, data_format: str,
    is_training: bool, exponential_avg_factor: float = 1.0,
) -> tuple[Any, ...]:  # fmt: skip
    """y = scale (x - m) / sqrt(v + epsilon) + offset, with the batch's moments in training.

    The returned running variance is the unbiased one, the reserved one (used by the gradient) the biased one.
    """
    axes, shape, count = _normalized(x, data_format)
    batch_mean, batch_variance = mean, variance
    if is_training:
        batch_mean = jnp.mean(x, axes)
        batch_variance = jnp.mean(jnp.square(x - batch_mean.reshape(shape)), axes)
    centred = x - batch_mean.reshape(shape)
    y = centred * (scale / jnp.sqrt(batch_variance + epsilon)).reshape(shape) + offset.reshape(shape)
    if not is_training:
        return y, mean, variance, mean, variance, None
    unbiased = batch_variance * count / max(count - 1, 1)
    running = [_blend(old, new, exponential_avg_factor) for old, new in ((mean, batch_mean), (variance, unbiased))]
    return y, *running, batch_mean, batch_variance, None


def _blend(old: Any, new: Any, factor: float) -> Any:
    return new if factor == 1 else (1 - factor) * old + factor * new


def _normalized(x: Any, data_format: str) -> tuple[list[int], list[int], int]:
    """Axes that are averaged, the shape in which a vector of channels broadcasts, and the number averaged."""
    channel = 1 if data_format[1] == "C" else x.ndim - 1
    axes = [a for a in range(x.ndim) if a != channel]
    shape = [-1 if a == channel else 1 for a in range(x.ndim)]
    return axes, shape, int(np.prod([x.shape[a] for a in axes]))


@op("FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3")
def fused_batch_norm_grad(
    dy: Any,
    x: Any,
    scale: Any,
    mean: Any,
    variance: Any,
    *_: Any,
    epsilon: float,
    data_format: str,
    is_training: bool,
) -> tuple[Any, ...]:
    """Gradients of x, scale, offset from the reserved mean and biased variance.

    In training dx = scale r (dy - mean(dy) - x̂ mean(dy x̂)) with r = 1/sqrt(v + epsilon), x̂ = (x - m) r.
    """
    axes, shape, count = _normalized(x, data_format)
    r = 1 / jnp.sqrt(variance + epsilon)
    normal = (x - mean.reshape(shape)) * r.reshape(shape)
    d_offset, d_scale = jnp.sum(dy, axes), jnp.sum(dy * normal, axes)
    factor = (scale * r).reshape(shape)
    if not is_training:
        return dy * factor, d_scale, d_offset, None, None
    dx = factor * (dy - d_offset.reshape(shape) / count - normal * (d_scale.reshape(shape) / count))
    return dx, d_scale, d_offset, None, None


@op("ResizeBilinear", static=(1,))
def resize_bilinear(x: Any, size: Any, align_corners: bool, half_pixel_centers: bool) -> Any:
    """Separable linear interpolation between the two nearest rows and columns of an NHWC image."""
    for axis, n in zip((1, 2), (int(v) for v in np.ravel(size)), strict=True):
        low, high, weight = _taps(x.shape[axis], n, align_corners, half_pixel_centers)
        weight = weight.reshape([-1 if a == axis else 1 for a in range(4)])
        below = jnp.take(x, low, axis, mode="clip")
        x = below + (jnp.take(x, high, axis, mode="clip") - below) * weight
    return x


@op("ResizeBilinearGrad")
def resize_bilinear_grad(dy: Any, x: Any, align_corners: bool, half_pixel_centers: bool) -> Any:
    size = dy.shape[1:3]
    forward = lambda x: resize_bilinear(x, size, align_corners, half_pixel_centers)  # noqa: E731
    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(x.shape, dy.dtype))(dy)[0]


@op("ResizeNearestNeighbor", static=(1,))
def resize_nearest(x: Any, size: Any, align_corners: bool, half_pixel_centers: bool) -> Any:
    for axis, n in zip((1, 2), (int(v) for v in np.ravel(size)), strict=True):
        x = jnp.take(x, _nearest(x.shape[axis], n, align_corners, half_pixel_centers), axis, mode="clip")
    return x


@op("ResizeNearestNeighborGrad", static=(1,))
def resize_nearest_grad(dy: Any, size: Any, align_corners: bool, half_pixel_centers: bool) -> Any:
    height, width = (int(v) for v in np.ravel(size))
    shape = (dy.shape[0], height, width, dy.shape[3])
    forward = lambda x: resize_nearest(x, dy.shape[1:3], align_corners, half_pixel_centers)  # noqa: E731
    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(shape, dy.dtype))(dy)[0]


def _ratio(source: int, target: int, align_corners: bool) -> tuple[int, int]:
    return (source - 1, target - 1) if align_corners and target > 1 else (source, target)


def _taps(source: int, target: int, align_corners: bool, half_pixel: bool) -> tuple[Any, Any, Any]:
    """Lower and upper neighbour (from exact integers) and the weight of the upper.

    The weight is the fractional part of a position that kernels compute in their own format: so does the budget.
    """
    a, b = _ratio(source, target, align_corners)
    i = np.arange(target)
    floor = ((2 * i + 1) * a - b) // (2 * b) if half_pixel else i * a // b
    scale = jnp.asarray(float(a)) / float(b)
    position = jnp.asarray(i + 0.5) * scale - 0.5 if half_pixel else jnp.asarray(i * 1.0) * scale
    return np.maximum(floor, 0), np.minimum(floor + 1, source - 1), position - floor


def _nearest(source: int, target: int, align_corners: bool, half_pixel: bool) -> np.ndarray:
    a, b = _ratio(source, target, align_corners)
    i = np.arange(target)
    position = (2 * i + 1) * a // (2 * b) if half_pixel else (2 * i * a + b) // (2 * b) if align_corners else i * a // b
    return np.minimum(position, source - 1)
