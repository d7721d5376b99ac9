"""Resampling: nearest, linear and cubic interpolation, grid sampling, and their gradients.

Source coordinates are exact rationals of the sizes (or of the scale factor that was given), not rounded to a format.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from oracle.reference.lazy import jax, jnp
from oracle.reference.lowerings.aten import aten


def _scale(size: int, out: int, factor: float | None) -> Fraction:
    """Input steps per output step."""
    return 1 / Fraction(factor) if factor else Fraction(size, out)


def _centres(size: int, out: int, align: bool, factor: float | None) -> tuple[list[Fraction], Any]:
    """Where each output element lies in the input, exactly and as the arithmetic computes it."""
    index = np.arange(float(out))
    if align:
        step = Fraction(size - 1, out - 1) if out > 1 else Fraction(0)
        return [i * step for i in range(out)], index * (jnp.asarray(float(size - 1)) / max(out - 1, 1))
    half, scale = Fraction(1, 2), _scale(size, out, factor)
    computed = 1 / jnp.asarray(factor) if factor else jnp.asarray(float(size)) / out
    return [(i + half) * scale - half for i in range(out)], (index + 0.5) * computed - 0.5


def _weighted(x: Any, axis: int, index: np.ndarray, weights: Sequence[Any]) -> Any:
    """The sum over k of weights[k] times the elements of `x` at index[k] along `axis` (clamped to the edge)."""
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    inside = np.clip(index, 0, x.shape[axis] - 1)
    terms = [
        jnp.take(x, row, axis=axis, mode="clip") * jnp.reshape(w, shape) for row, w in zip(inside, weights, strict=True)
    ]
    return sum(terms[1:], start=terms[0])


def _linear_axis(x: Any, axis: int, out: int, align: bool, factor: float | None) -> Any:
    size = x.shape[axis]
    if out == size and not factor:
        return x
    places, computed = _centres(size, out, align, factor)
    low = np.array([min(max(math.floor(p), 0), size - 1) for p in places])
    inside = np.array([0 <= p < size - 1 for p in places])
    t = jnp.where(inside, computed - low, 0.0)
    return _weighted(x, axis, np.stack([low, low + 1]), [1 - t, t])


def _cubic_axis(x: Any, axis: int, out: int, align: bool, factor: float | None) -> Any:
    """Keys' cubic convolution with a = -3/4."""
    places, computed = _centres(x.shape[axis], out, align, factor)
    low = np.array([math.floor(p) for p in places])
    t = computed - low
    index = np.stack([low - 1, low, low + 1, low + 2])
    return _weighted(x, axis, index, [_far(t + 1), _near(t), _near(1 - t), _far(2 - t)])


def _near(d: Any) -> Any:
    return (1.25 * d - 2.25) * d * d + 1


def _far(d: Any) -> Any:
    return ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0


def _interpolated(x: Any, size: Sequence[int], align: bool, factors: Sequence[Any], along: Callable) -> Any:
    rank = len(size)
    factors = [*factors, *[None] * (rank - len(factors))]
    for i, (out, factor) in enumerate(zip(size, factors, strict=True)):
        x = along(x, x.ndim - rank + i, out, align, factor)
    return x


def _nearest(x: Any, size: Sequence[int], factors: Sequence[Any], shift: Fraction) -> Any:
    """The element at floor((i + shift) scale)."""
    rank = len(size)
    factors = [*factors, *[None] * (rank - len(factors))]
    for i, (out, factor) in enumerate(zip(size, factors, strict=True)):
        axis = x.ndim - rank + i
        scale = _scale(x.shape[axis], out, factor)
        index = [min(math.floor((k + shift) * scale), x.shape[axis] - 1) for k in range(out)]
        x = jnp.take(x, np.array(index), axis=axis, mode="clip")
    return x


def _smooth(along: Callable) -> tuple[Callable, Callable]:
    def resize(x: Any, size: Sequence[int], align: bool, *factors: Any) -> Any:
        return _interpolated(x, size, align, factors, along)

    def backward(grad: Any, size: Any, input_size: Sequence[int], align: bool, *factors: Any) -> Any:
        return _adjoint(lambda x: resize(x, size, align, *factors), input_size, grad)

    return resize, backward


def _stepped(shift: Fraction) -> tuple[Callable, Callable]:
    def resize(x: Any, size: Sequence[int], *factors: Any) -> Any:
        return _nearest(x, size, factors, shift)

    def backward(grad: Any, size: Any, input_size: Sequence[int], *factors: Any) -> Any:
        return _adjoint(lambda x: resize(x, size, *factors), input_size, grad)

    return resize, backward


def _adjoint(function: Callable, shape: Sequence[int], grad: Any) -> Any:
    return jax.linear_transpose(function, jax.ShapeDtypeStruct(tuple(shape), jnp.float64))(grad)[0]


_RESIZES = {
    "upsample_linear1d": _smooth(_linear_axis),
    "upsample_bilinear2d": _smooth(_linear_axis),
    "upsample_trilinear3d": _smooth(_linear_axis),
    "upsample_bicubic2d": _smooth(_cubic_axis),
    **{f"upsample_nearest{d}d": _stepped(Fraction(0)) for d in (1, 2, 3)},
    **{f"_upsample_nearest_exact{d}d": _stepped(Fraction(1, 2)) for d in (1, 2, 3)},
}
for _name, (_forward, _backward) in _RESIZES.items():
    aten(_name)(_forward)
    aten(f"{_name}_backward")(_backward)


@aten("grid_sampler_2d")
def _grid_sampler(x: Any, grid: Any, interpolation: int, padding: int, align: bool) -> Any:
    """Bilinear sampling of (N, C, H, W) at grid (N, H', W', 2) of (x, y) in [-1, 1]; zeros or the border outside."""
    if interpolation != 0 or padding == 2:
        raise ValueError("grid_sampler_2d is defined here for bilinear sampling with zero or border padding")
    places = [_unnormalised(grid[..., i], x.shape[-1 - i], align) for i in (0, 1)]
    if padding == 1:
        places = [jnp.clip(p, 0.0, float(x.shape[-1 - i] - 1)) for i, p in enumerate(places)]
    low = [jnp.floor(p) for p in places]
    result = 0.0
    for dx, dy in itertools.product((0, 1), (0, 1)):
        column, row = low[0] + dx, low[1] + dy
        weight = (1 - jnp.abs(places[0] - column)) * (1 - jnp.abs(places[1] - row))
        result = result + _at(x, row, column) * weight[:, None]
    return result


def _unnormalised(c: Any, size: int, align: bool) -> Any:
    return (c + 1) * (size - 1) / 2 if align else ((c + 1) * size - 1) / 2


def _at(x: Any, row: Any, column: Any) -> Any:
    """The elements at whole coordinates, zero outside, (N, C, H', W')."""
    h, w = x.shape[-2:]
    inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
    flat = (jnp.clip(row, 0, h - 1) * w + jnp.clip(column, 0, w - 1)).astype(jnp.int64)
    values = jnp.take_along_axis(
        jnp.reshape(x, (*x.shape[:2], h * w)), jnp.reshape(flat, (len(flat), 1, -1)), axis=2, mode="clip"
    )
    return jnp.where(inside[:, None], jnp.reshape(values, (*x.shape[:2], *row.shape[1:])), 0.0)


@aten("grid_sampler_2d_backward")
def _grid_sampler_backward(grad: Any, x: Any, grid: Any, mode: int, padding: int, align: bool, mask: Any) -> tuple:
    _, pull = jax.vjp(lambda a, b: _grid_sampler(a, b, mode, padding, align), x, grid)
    return tuple(g if wanted else None for g, wanted in zip(pull(grad), mask, strict=True))
