"""TensorFlow's matrix products, convolutions and their gradients. Source: math_ops.cc, nn_ops.cc."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle.reference.lazy import jax, jnp, lax
from oracle.reference.lowerings.tensorflow import op


@op("MatMul")
def matmul(a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


@op("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def batch_matmul(a: Any, b: Any, adj_x: bool, adj_y: bool, Tout: str = "") -> Any:
    return (a.mT if adj_x else a) @ (b.mT if adj_y else b)


@op("Einsum")
def einsum(*operands: Any, equation: str) -> Any:
    return jnp.einsum(equation, *operands)


@op("BiasAdd")
def bias_add(x: Any, bias: Any, data_format: str) -> Any:
    return x + bias.reshape(-1, *[1] * (x.ndim - 2)) if data_format == "NCHW" else x + bias


@op("BiasAddGrad")
def bias_add_grad(dy: Any, data_format: str) -> Any:
    channel = 1 if data_format == "NCHW" else dy.ndim - 1
    return jnp.sum(dy, [a for a in range(dy.ndim) if a != channel])


@op("Conv2D", "Conv3D")
def conv(x: Any, kernel: Any, **attrs: Any) -> Any:
    """Cross-correlation; the kernel is (spatial..., channels of a group, outputs)."""
    layout = attrs["data_format"]
    strides, dilations = _windows(attrs, x.ndim)
    padding = _padding(attrs, x.ndim)
    groups = x.shape[layout.index("C")] // kernel.shape[-2]
    names = (layout, "DHWIO"[-x.ndim :], layout)
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        rhs_dilation=dilations,
        dimension_numbers=names,
        feature_group_count=groups,
    )


@op("DepthwiseConv2dNative")
def depthwise_conv(x: Any, kernel: Any, **attrs: Any) -> Any:
    """Each channel with its own kernels; the kernel is (height, width, channels, multiplier)."""
    height, width, channels, multiplier = kernel.shape
    return conv(x, kernel.reshape(height, width, 1, channels * multiplier), **attrs)


@op("Conv2DBackpropInput", "Conv3DBackpropInputV2", static=(0,))
def conv_backprop_input(shape: Any, kernel: Any, dy: Any, **attrs: Any) -> Any:
    shape = _input_shape(shape, kernel.shape[-2], dy, attrs["data_format"])
    return _transposed(lambda x: conv(x, kernel, **attrs), shape, dy)


@op("Conv2DBackpropFilter", "Conv3DBackpropFilterV2", static=(1,))
def conv_backprop_filter(x: Any, shape: Any, dy: Any, **attrs: Any) -> Any:
    return _transposed(lambda kernel: conv(x, kernel, **attrs), shape, dy)


@op("DepthwiseConv2dNativeBackpropInput", static=(0,))
def depthwise_backprop_input(shape: Any, kernel: Any, dy: Any, **attrs: Any) -> Any:
    return _transposed(lambda x: depthwise_conv(x, kernel, **attrs), shape, dy)


@op("DepthwiseConv2dNativeBackpropFilter", static=(1,))
def depthwise_backprop_filter(x: Any, shape: Any, dy: Any, **attrs: Any) -> Any:
    return _transposed(lambda kernel: depthwise_conv(x, kernel, **attrs), shape, dy)


def _transposed(linear: Any, shape: Sequence[int], dy: Any) -> Any:
    """The transpose, applied to `dy`, of a linear function of an array of `shape`."""
    shape = tuple(int(n) for n in np.ravel(shape))
    (dx,) = jax.linear_transpose(linear, jax.ShapeDtypeStruct(shape, dy.dtype))(dy)
    return dx


def _windows(attrs: dict[str, Any], rank: int) -> tuple[list[int], list[int]]:
    """Strides and dilations of the spatial axes."""
    spatial = [i for i, name in enumerate(attrs["data_format"]) if name not in "NC"]
    return [attrs["strides"][i] for i in spatial], [(attrs.get("dilations") or [1] * rank)[i] for i in spatial]


def _padding(attrs: dict[str, Any], rank: int) -> str | list[tuple[int, int]]:
    if attrs["padding"] != "EXPLICIT":
        return attrs["padding"]
    pairs = np.reshape(attrs["explicit_paddings"], (rank, 2))
    return [(int(a), int(b)) for name, (a, b) in zip(attrs["data_format"], pairs, strict=True) if name not in "NC"]


def _input_shape(sizes: Any, channels: int, dy: Any, data_format: str) -> tuple[int, ...]:
    """The input's shape; TensorFlow also accepts the spatial sizes alone."""
    sizes = [int(n) for n in np.ravel(sizes)]
    if len(sizes) == dy.ndim:
        return tuple(sizes)
    batch = dy.shape[0]
    return (batch, channels, *sizes) if data_format[1] == "C" else (batch, *sizes, channels)
