"""Windows over space: pooling, unfolding, padding, and their gradients.

A window is a row of flat indices into the input's space; windows are known before any number is.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oracle.reference.lazy import jax, jnp
from oracle.reference.lowerings.aten import aten, spread


def _positions(sizes: Sequence[int], per_axis: Sequence[np.ndarray]) -> np.ndarray:
    """Flat indices of windows from the indices along each axis, (windows, elements); -1 outside of the space.

    `per_axis` holds for each axis an array (windows on it, elements on it).
    """
    rank = len(sizes)
    flat, inside = np.zeros((1,) * (2 * rank), np.int64), np.ones((1,) * (2 * rank), bool)
    for axis, (size, index) in enumerate(zip(sizes, per_axis, strict=True)):
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = index.shape
        flat = flat * size + index.reshape(shape)
        inside = inside & ((index >= 0) & (index < size)).reshape(shape)
    count = math.prod(index.shape[0] for index in per_axis)
    return np.where(inside, flat, -1).reshape(count, -1)


def _window_count(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows fit; rounding up allows one that starts inside and ends beyond the padding."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


def _sliding(sizes: Sequence[int], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> list:
    """For each axis the indices (window, element) of sliding windows."""
    rank = len(sizes)
    kernel, padding, dilation = spread(kernel, rank), spread(padding, rank), spread(dilation, rank)
    stride = spread(stride, rank) if stride != [] else kernel
    return [
        np.arange(_window_count(n, k, s, p, d, ceil_mode))[:, None] * s + np.arange(k)[None, :] * d - p
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]


def _counts(per_axis: Sequence[np.ndarray]) -> tuple[int, ...]:
    return tuple(index.shape[0] for index in per_axis)


def _flat_space(x: Any, rank: int) -> Any:
    return jnp.reshape(x, (*x.shape[: x.ndim - rank], -1))


def _taken(x: Any, rank: int, windows: np.ndarray) -> Any:
    """The elements of each window, (..., windows, elements), zero outside."""
    flat = jnp.take(_flat_space(x, rank), np.maximum(windows, 0), axis=-1, mode="clip")
    return flat if (windows >= 0).all() else jnp.where(windows >= 0, flat, 0.0)


def _max_over(x: Any, per_axis: Sequence[np.ndarray]) -> tuple:
    """The largest element of each window and its flat index, the first of equal ones."""
    rank = len(per_axis)
    windows = _positions(x.shape[-rank:], per_axis)
    first = windows[np.arange(len(windows)), (windows >= 0).argmax(axis=1)]
    windows = np.where(windows >= 0, windows, first[:, None])
    elements = _taken(x, rank, windows)
    shape = (*x.shape[:-rank], *_counts(per_axis))
    which = jnp.argmax(elements, axis=-1)
    index = jnp.asarray(windows)[jnp.arange(len(windows)), which]
    return jnp.reshape(jnp.max(elements, axis=-1), shape), jnp.reshape(index, shape)


def _max_pool(rank: int) -> Callable:
    def pool(
        x: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
    ) -> tuple:
        sliding = _sliding(x.shape[-rank:], kernel, list(stride), padding, dilation, ceil_mode)
        return _max_over(x, sliding)

    return pool


def _to_recorded_places(rank: int) -> Callable:
    def backward(grad: Any, x: Any, *rest: Any) -> Any:
        """Each number of `grad` goes to the place that the forward pass recorded."""
        return _unpooled(grad, rest[-1], x.shape[-rank:])

    return backward


def _unpooled(grad: Any, index: Any, space: Sequence[int]) -> Any:
    rank = len(space)
    lead = grad.shape[: grad.ndim - rank]
    rows, places = jnp.reshape(grad, (math.prod(lead), -1)), jnp.reshape(index, (math.prod(lead), -1))
    empty = jnp.zeros((math.prod(lead), math.prod(space)))
    return jnp.reshape(empty.at[jnp.arange(len(rows))[:, None], places].add(rows), (*lead, *space))


for _rank in (2, 3):
    aten(f"max_pool{_rank}d_with_indices")(_max_pool(_rank))
    aten(f"max_pool{_rank}d_with_indices_backward")(_to_recorded_places(_rank))
aten("adaptive_max_pool2d_backward")(_to_recorded_places(2))


@aten("max_unpool2d")
def _max_unpool2d(x: Any, index: Any, output_size: Sequence[int]) -> Any:
    return _unpooled(x, index, output_size)


def _adaptive(sizes: Sequence[int], outputs: Sequence[int]) -> list[np.ndarray]:
    """Windows from floor(i n / m) to ceil((i + 1) n / m), padded to a common length with -1."""
    per_axis = []
    for n, m in zip(sizes, outputs, strict=True):
        starts, ends = np.arange(m) * n // m, -(-(np.arange(m) + 1) * n // m)
        index = starts[:, None] + np.arange((ends - starts).max())
        per_axis.append(np.where(index < ends[:, None], index, -1))
    return per_axis


@aten("adaptive_max_pool2d")
def _adaptive_max_pool2d(x: Any, output_size: Sequence[int]) -> tuple:
    return _max_over(x, _adaptive(x.shape[-2:], output_size))


def _averaged(x: Any, per_axis: Sequence[np.ndarray], divisor: np.ndarray | int) -> Any:
    rank = len(per_axis)
    sums = jnp.sum(_taken(x, rank, _positions(x.shape[-rank:], per_axis)), axis=-1)
    return jnp.reshape(sums / divisor, (*x.shape[:-rank], *_counts(per_axis)))


@aten("_adaptive_avg_pool2d", "_adaptive_avg_pool3d")
def _adaptive_avg_pool(x: Any, output_size: Sequence[int]) -> Any:
    rank = len(output_size)
    per_axis = _adaptive(x.shape[-rank:], output_size)
    return _averaged(x, per_axis, (_positions(x.shape[-rank:], per_axis) >= 0).sum(axis=1))


@aten("_adaptive_avg_pool2d_backward")
def _adaptive_avg_pool2d_backward(grad: Any, x: Any) -> Any:
    return jax.linear_transpose(lambda v: _adaptive_avg_pool(v, grad.shape[-2:]), x)(grad)[0]


@aten("_adaptive_avg_pool3d_backward")
def _adaptive_avg_pool3d_backward(grad: Any, x: Any) -> Any:
    return jax.linear_transpose(lambda v: _adaptive_avg_pool(v, grad.shape[-3:]), x)(grad)[0]


def _divisors(sizes: Sequence[int], per_axis: Sequence[np.ndarray], padding: Any, count_padding: bool) -> np.ndarray:
    """How many elements each average counts: with the padding, but never what lies beyond it."""
    extended = [
        np.where((i >= -p) & (i < n + p), 0, -1) if count_padding else np.where((i >= 0) & (i < n), 0, -1)
        for i, n, p in zip(per_axis, sizes, spread(padding, len(sizes)), strict=True)
    ]
    return (_positions((1,) * len(sizes), extended) >= 0).sum(axis=1)


@aten("avg_pool2d", "avg_pool3d")
def _avg_pool(
    x: Any, kernel: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:  # fmt: skip
    rank = len(kernel)
    sizes = x.shape[-rank:]
    per_axis = _sliding(sizes, kernel, list(stride), padding, 1, ceil_mode)
    return _averaged(x, per_axis, divisor_override or _divisors(sizes, per_axis, padding, count_include_pad))


@aten("avg_pool2d_backward", "avg_pool3d_backward")
def _avg_pool_backward(grad: Any, x: Any, *attributes: Any) -> Any:
    return jax.linear_transpose(lambda v: _avg_pool(v, *attributes), x)(grad)[0]


@aten("im2col")
def _im2col(x: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """Windows as columns: (N, C k, windows)."""
    per_axis = _sliding(x.shape[-2:], kernel, stride, padding, dilation, False)
    elements = _taken(x, 2, _positions(x.shape[-2:], per_axis))
    *lead, c, windows, k = elements.shape
    return jnp.reshape(jnp.swapaxes(elements, -1, -2), (*lead, c * k, windows))


@aten("col2im")
def _col2im(x: Any, output_size: Sequence[int], kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """The adjoint of `im2col`: what falls on one place is added."""
    shape = (*x.shape[:-2], x.shape[-2] // math.prod(kernel), *output_size)
    example = jax.ShapeDtypeStruct(shape, jnp.float64)
    return jax.linear_transpose(lambda v: _im2col(v, kernel, dilation, padding, stride), example)(x)[0]


@aten("constant_pad_nd")
def _constant_pad(x: Any, pad: Sequence[int], value: Any = 0) -> Any:
    """torch's pads: pairs (before, after) from the last axis on; negative ones cut."""
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return jax.lax.pad(x, jnp.asarray(value).astype(x.dtype), [(lo, hi, 0) for lo, hi in pairs])


def _reflected(index: np.ndarray, size: int) -> np.ndarray:
    return size - 1 - np.abs(size - 1 - np.abs(index))


def _clamped(index: np.ndarray, size: int) -> np.ndarray:
    return np.clip(index, 0, size - 1)


def _padder(inside: Callable[[np.ndarray, int], np.ndarray]) -> Callable:
    def padded(x: Any, padding: Sequence[int]) -> Any:
        for i, (lo, hi) in enumerate(zip(padding[::2], padding[1::2], strict=True)):
            size = x.shape[-1 - i]
            x = jnp.take(x, inside(np.arange(-lo, size + hi), size), axis=x.ndim - 1 - i, mode="clip")
        return x

    return padded


def _padder_backward(pad: Callable) -> Callable:
    return lambda grad, x, padding: jax.linear_transpose(lambda v: pad(v, padding), x)(grad)[0]


for (_name, _inside), _rank in itertools.product((("reflection", _reflected), ("replication", _clamped)), (1, 2, 3)):
    aten(f"{_name}_pad{_rank}d")(_padder(_inside))
    aten(f"{_name}_pad{_rank}d_backward")(_padder_backward(_padder(_inside)))
