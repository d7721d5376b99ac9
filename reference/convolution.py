"""Convolution in float64 by matrix products, whatever the shapes that differentiation makes of it.

A convolution pairs output places p, input places q and taps k with p·stride + k·dilation - padding = q·input dilation:

    out[n, o, p] = sum over c, k of x[n, c, q(p, k)] · w[o, c, k].

Gathering copies the windows x[n, c, q(p, k)] and multiplies once; scattering multiplies all x[n, c, q] with all
w[o, c, k] and adds each product to its p. The gradient of a convolution is a convolution whose kernel is as large as
an image, and the gradient of that one has an image as small as a kernel: which way is cheaper depends on the shapes.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray

_FLOPS_PER_MOVE = 24.0  # what a matrix product does in the time of copying one number
_WINDOWS = 1 << 23  # numbers copied at once


@dataclass(frozen=True)
class Geometry:
    """Sizes and steps along the spatial axes."""

    inputs: tuple[int, ...]
    taps: tuple[int, ...]
    outputs: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    spread: tuple[int, ...]
    dilation: tuple[int, ...]


def convolve(
    x: Array,
    w: Array,
    *,
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    **_: Any,
) -> Array:
    """`lax.conv_general_dilated` in float64 (all strides, dilations, paddings, feature and batch groups)."""
    spec = dimension_numbers
    x, w = x.transpose(spec.lhs_spec), w.transpose(spec.rhs_spec)
    x, spread = _one_of(x, window_strides, lhs_dilation)
    (n, c, *inputs), (o, _, *taps) = x.shape, w.shape
    sizes = zip(inputs, taps, window_strides, padding, spread, rhs_dilation, strict=True)
    outputs = tuple(max(((i - 1) * e + 1 + lo + hi - (k - 1) * d - 1) // s + 1, 0) for i, k, s, (lo, hi), e, d in sizes)
    around = tuple((low, high) for low, high in padding)
    g = Geometry(
        tuple(inputs), tuple(taps), outputs, tuple(window_strides), around, spread, tuple(rhs_dilation)
    )  # fmt: skip
    batches, features = batch_group_count, feature_group_count
    groups = batches * features
    x = x.reshape(batches, n // batches, features, c // features, *inputs)
    x = x.swapaxes(1, 2).reshape(groups, n // batches, c // features, *inputs)
    w = w.reshape(groups, o // groups, c // features, *taps)
    way = _scattered if _scattering_is_cheaper(x, w, g) else _gathered
    out = way(x, w, g)  # (groups, n, o, *outputs)
    out = out.swapaxes(0, 1).reshape(n // batches, o, *outputs)
    return out.transpose(np.argsort(spec.out_spec))


def _one_of(x: Array, stride: Sequence[int], spread: Sequence[int]) -> tuple[Array, tuple[int, ...]]:
    """The input and its dilation, made explicit by zeros along axes that have a stride too."""
    explicit = [e if s > 1 else 1 for s, e in zip(stride, spread, strict=True)]
    if max(explicit, default=1) > 1:
        sizes = [(n - 1) * e + 1 if n else 0 for n, e in zip(x.shape[2:], explicit, strict=True)]
        wide = np.zeros((*x.shape[:2], *sizes))
        wide[:, :, *(slice(None, None, e) for e in explicit)] = x
        x = wide
    return x, tuple(e // f for e, f in zip(spread, explicit, strict=True))


def _scattering_is_cheaper(x: Array, w: Array, g: Geometry) -> bool:
    (_, n, c, *_), o = x.shape, w.shape[1]
    p, q, k = math.prod(g.outputs), math.prod(g.inputs), math.prod(g.taps)
    upright = _upright(w)[0]
    gathering = n * p * c * k * (1 + 2 * o / _FLOPS_PER_MOVE) + w[0].size * (not upright.flags.c_contiguous)
    turned = upright.swapaxes(1, 2)
    scattering = n * q * o * k * (2 + 2 * c / _FLOPS_PER_MOVE) + w[0].size * (not turned.flags.c_contiguous)
    return scattering < gathering


def _upright(w: Array) -> tuple[Array, tuple[bool, ...]]:
    """The kernel with its reversed axes turned back, so that it need not be copied, and which axes those are."""
    turned = tuple(s < 0 for s in w.strides[3:])
    return w[(..., *(slice(None, None, -1) if t else slice(None) for t in turned))], turned


def _gathered(x: Array, w: Array, g: Geometry) -> Array:
    groups, n, c, *_ = x.shape
    o, k, p = w.shape[1], math.prod(g.taps), math.prod(g.outputs)
    w, turned = _upright(w)
    rows = w.reshape(groups, o, c * k)
    windows = _windows(_padded(x, g), g, turned)
    if k == 1 and p == math.prod(g.inputs) and not any(map(any, g.padding)):  # the image itself: nothing to copy
        return (rows[:, None] @ windows.reshape(groups, n, c, p)).reshape(groups, n, o, *g.outputs)
    out = np.empty((groups, n, o, *g.outputs))
    rank = len(g.taps)
    places, taps = tuple(range(3, 3 + rank)), tuple(range(3 + rank, 3 + 2 * rank))
    at_once = max(_WINDOWS // max(groups * c * k * p, 1), 1)
    for start in range(0, n, at_once):
        part = windows[:, start : start + at_once]
        count = part.shape[1]
        if k > p:
            columns = part.transpose(0, 1, *places, 2, *taps).reshape(groups, count * p, c * k).swapaxes(1, 2)
        else:
            columns = part.transpose(0, 2, *taps, 1, *places).reshape(groups, c * k, count * p)
        product = (rows @ columns).reshape(groups, o, count, *g.outputs)
        out[:, start : start + at_once] = product.swapaxes(1, 2)
    return out


def _padded(x: Array, g: Geometry) -> Array:
    """The image with zeros around and between its numbers; negative padding crops."""
    for axis, (size, spread, (lo, hi)) in enumerate(zip(g.inputs, g.spread, g.padding, strict=True), 3):
        if lo == hi == 0 and spread == 1:
            continue
        length = max((size - 1) * spread + 1, 0)
        wide = np.zeros((*x.shape[:axis], max(lo, 0) + length + max(hi, 0), *x.shape[axis + 1 :]))
        whole: tuple[slice, ...] = (slice(None),) * axis
        wide[(*whole, slice(max(lo, 0), max(lo, 0) + length, spread))] = x
        x = wide[(*whole, slice(max(-lo, 0), wide.shape[axis] - max(-hi, 0)))]
    return x


def _windows(x: Array, g: Geometry, turned: Sequence[bool]) -> Array:
    """The view (groups, n, c, *outputs, *taps) of a padded image, taps reversed where `turned`."""
    own = x.strides[3:]
    steps = [s * stride for s, stride in zip(own, g.stride, strict=True)]
    inner = [s * d for s, d in zip(own, g.dilation, strict=True)]
    view = np.lib.stride_tricks.as_strided(
        x, (*x.shape[:3], *g.outputs, *g.taps), (*x.strides[:3], *steps, *inner), writeable=False
    )
    return view[(..., *(slice(None, None, -1) if t else slice(None) for t in turned))]


def _scattered(x: Array, w: Array, g: Geometry) -> Array:
    groups, n, c, *_ = x.shape
    o, k, q, rank = w.shape[1], math.prod(g.taps), math.prod(g.inputs), len(g.taps)
    w, turned = _upright(w)
    rows = w.swapaxes(1, 2).reshape(groups, c, o * k).swapaxes(1, 2)
    back = (..., *(slice(None, None, -1) if t else slice(None) for t in turned), *(slice(None),) * (1 + rank))
    by_input = q < k and all(1 in pair for pair in zip(g.stride, g.dilation, strict=True))
    meetings = list(_meetings(g, by_input))
    out = np.zeros((groups, n, o, *g.outputs))
    at_once = max(_WINDOWS // max(groups * o * k * q, 1), 1)
    for start in range(0, n, at_once):
        part = x[:, start : start + at_once]
        count = part.shape[1]
        product = rows @ part.swapaxes(1, 2).reshape(groups, c, count * q)
        product = product.reshape(groups, o, *g.taps, count, *g.inputs)[back]
        target = out[:, start : start + at_once].swapaxes(1, 2)
        for taps, inputs, outputs in meetings:
            met = product[(slice(None), slice(None), *taps, slice(None), *inputs)]
            target[(..., *outputs)] += np.moveaxis(met, -1, 2) if by_input else met
    return out


Meeting = tuple[Any, Any, slice]
"""Taps, inputs and outputs along one axis that belong together: one of a kind as a number, the others as slices."""


def _meetings(g: Geometry, by_input: bool) -> Iterator[tuple[tuple, tuple, tuple]]:
    """Taps, inputs and outputs that belong together, tap by tap or input by input."""
    lows = [low for low, _ in g.padding]
    axes = zip(g.inputs, g.taps, g.outputs, g.stride, lows, g.spread, g.dilation, strict=True)
    for combination in itertools.product(*[(_by_input if by_input else _by_tap)(*axis) for axis in axes]):
        yield tuple(zip(*combination, strict=True)) if combination else ((), (), ())  # type: ignore[misc]


def _by_tap(inputs: int, taps: int, outputs: int, *steps: int) -> list[Meeting]:
    stride, low, spread, dilation = steps
    found: list[Meeting] = []
    for k in range(taps):
        offset = low - k * dilation  # output · stride = input · spread + offset
        if stride == 1:
            pair = _line(outputs, inputs, spread, offset)
            found += [(k, pair[1], pair[0])] if pair else []
        else:
            pair = _line(inputs, outputs, stride, -offset)
            found += [(k, pair[0], pair[1])] if pair else []
    return found


def _by_input(inputs: int, taps: int, outputs: int, *steps: int) -> list[Meeting]:
    stride, low, spread, dilation = steps
    found: list[Meeting] = []
    for q in range(inputs):
        offset = low + q * spread  # output · stride = offset - tap · dilation
        if stride == 1:
            pair = _line(outputs, taps, -dilation, offset)
            found += [(pair[1], q, pair[0])] if pair else []
        else:
            pair = _line(taps, outputs, -stride, offset)
            found += [(pair[0], q, pair[1])] if pair else []
    return found


def _line(a_size: int, b_size: int, step: int, offset: int) -> tuple[slice, slice] | None:
    """The a and b inside their ranges with a = step · b + offset, as slices; None where there are none."""
    if step > 0:
        first, last = -(offset // step), (a_size - 1 - offset) // step
    else:
        first, last = -((a_size - 1 - offset) // -step), offset // -step
    first, last = max(first, 0), min(last, b_size - 1)
    if last < first:
        return None
    start, stop = step * first + offset, step * last + offset
    beyond = stop + (1 if step > 0 else -1)
    return slice(start, beyond if beyond >= 0 else None, step), slice(first, last + 1)
