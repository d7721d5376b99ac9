"""Convolutions and pooling by their defining sums over windows of the unpadded input."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from mpmath import mpf

from oracle.reference.operation import textbook

Array = np.ndarray
Spatial = tuple[int, ...]


def _leading_zeros(size: int, kernel: int, padding: str | int, hops: tuple[int, int]) -> tuple[int, int]:
    """How many zeros stand before the input along one axis, and how many positions the output has."""
    stride, dilation = hops
    reach = dilation * (kernel - 1) + 1
    if padding == "same":
        count = math.ceil(size / stride)
        return max((count - 1) * stride + reach - size, 0) // 2, count
    return int(padding), (size + 2 * int(padding) - reach) // stride + 1


def _window(center: Spatial, kernel: Spatial, hops: list[tuple[int, int]], size: Spatial) -> Iterator[tuple]:
    """Pairs (kernel index, input index) of the window starting at `center` that lie within the input."""
    for k in itertools.product(*map(range, kernel)):
        place = tuple(c + offset * dilation for c, offset, (_, dilation) in zip(center, k, hops, strict=True))
        if all(0 <= p < n for p, n in zip(place, size, strict=True)):
            yield k, place


def _convolve(x: Array, weight: Array, bias: Array, attrs: dict) -> Array:
    size, kernel = x.shape[2:], weight.shape[2:]
    hops = list(zip(attrs["stride"], attrs["dilation"], strict=True))
    paddings = ["same"] * len(size) if attrs["padding"] == "same" else attrs["padding"]
    layout = [_leading_zeros(*axis) for axis in zip(size, kernel, paddings, hops, strict=True)]
    out = np.empty((len(x), len(weight), *(count for _, count in layout)), object)
    per_group = weight.shape[1]
    for n, o, *position in np.ndindex(out.shape):
        first = o // (len(weight) // attrs["groups"]) * per_group
        start = tuple(p * s - zeros for p, (s, _), (zeros, _) in zip(position, hops, layout, strict=True))
        total = bias[o]
        for k, place in _window(start, kernel, hops, size):
            total += sum(weight[(o, c, *k)] * x[(n, first + c, *place)] for c in range(per_group))
        out[(n, o, *position)] = total
    return out


@textbook("conv1d")
@textbook("conv2d")
def convolution(x: Array, weight: Array, bias: Array, **attrs: object) -> Array:
    """y_o(p) = b_o + Σ_c Σ_k w_ock x_c(stride p + dilation k - padding), x zero outside."""
    return _convolve(x, weight, bias, attrs)


@textbook("depthwise_conv2d")
def depthwise_conv2d(x: Array, weight: Array, bias: Array, **attrs: object) -> Array:
    """Each output channel sees one input channel."""
    return _convolve(x, weight, bias, {**attrs, "groups": x.shape[1]})


@textbook("conv_transpose2d")
def conv_transpose2d(x: Array, weight: Array, bias: Array, output_padding: Spatial, **attrs: Spatial) -> Array:
    """Every input value adds its multiple of the kernel at stride p + dilation k - padding of the output."""
    axes = list(
        zip(
            x.shape[2:],
            weight.shape[2:],
            attrs["stride"],
            attrs["dilation"],
            attrs["padding"],
            output_padding,
            strict=True,
        )
    )
    size = [(n - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, k, s, d, p, extra in axes]
    out = np.empty((len(x), len(bias), *size), object)
    for n, o, *position in np.ndindex(out.shape):
        out[(n, o, *position)] = bias[o]
    for n, c, *p in np.ndindex(x.shape):
        for o, *k in np.ndindex(weight.shape[1:]):
            place = tuple(s * i + d * j - pad for i, j, (_, _, s, d, pad, _) in zip(p, k, axes, strict=True))
            if all(0 <= q < m for q, m in zip(place, size, strict=True)):
                out[(n, o, *place)] += weight[(c, o, *k)] * x[(n, c, *p)]
    return out


def _pooled(x: Array, attrs: dict) -> Iterator[tuple[tuple, list[mpf]]]:
    """Each output index with the values of its window that lie within the input."""
    hops = [(s, 1) for s in attrs["stride"]]
    size = x.shape[2:]
    layout = [_leading_zeros(*axis) for axis in zip(size, attrs["window"], attrs["padding"], hops, strict=True)]
    for n, c, *position in np.ndindex(*x.shape[:2], *(count for _, count in layout)):
        start = tuple(p * s - zeros for p, (s, _), (zeros, _) in zip(position, hops, layout, strict=True))
        yield (n, c, *position), [x[(n, c, *place)] for _, place in _window(start, attrs["window"], hops, size)]


def _gathered(values: dict[tuple, mpf]) -> Array:
    out = np.empty(tuple(1 + max(axis) for axis in zip(*values, strict=True)), object)
    for index, value in values.items():
        out[index] = value
    return out


@textbook("max_pool2d")
def max_pool2d(x: Array, **attrs: object) -> Array:
    """Largest value of each window."""
    return _gathered({index: max(values) for index, values in _pooled(x, attrs)})


@textbook("avg_pool2d")
def avg_pool2d(x: Array, count_padding: bool, **attrs: Spatial) -> Array:
    """Mean of each window, whose zeros of padding count or not."""
    full = math.prod(attrs["window"])
    return _gathered(
        {index: sum(values) / mpf(full if count_padding else len(values)) for index, values in _pooled(x, attrs)}
    )


@textbook("global_avg_pool2d")
def global_avg_pool2d(x: Array) -> Array:
    """Mean of each channel of each example."""
    return np.array([[sum(plane.ravel()) / mpf(plane.size) for plane in example] for example in x], object)
