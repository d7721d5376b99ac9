"""Operations that move numbers without changing them: views, joins, slices, and their gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle.reference.lazy import jax, jnp
from oracle.reference.lowerings import lowers
from oracle.reference.lowerings.aten import aten, axes_of, element_at, real, storage_positions, take_flat


@aten("view", "_unsafe_view", "_reshape_alias", "_reshape_copy", "view_copy", ignores=("stride",))
def _view(x: Any, size: Sequence[int], *_: Any) -> Any:
    return jnp.reshape(x, tuple(size))


@aten("clone", "lift_fresh_copy", "alias_copy")
def _same(x: Any, **_: Any) -> Any:
    return x


@aten("t", "t_copy", "t_")
def _t(x: Any) -> Any:
    return jnp.transpose(x)


@aten("transpose.int", "transpose_copy.int", "transpose_")
def _transpose(x: Any, dim0: int, dim1: int) -> Any:
    return jnp.swapaxes(x, dim0, dim1) if jnp.ndim(x) else x


@aten("permute", "permute_copy")
def _permute(x: Any, dims: Sequence[int]) -> Any:
    return jnp.transpose(x, tuple(d % len(dims) for d in dims))


@aten("expand", "expand_copy")
def _expand(x: Any, size: Sequence[int], implicit: bool = False) -> Any:
    lead = len(size) - jnp.ndim(x)
    shape = [x.shape[i - lead] if n == -1 else n for i, n in enumerate(size)]
    return jnp.broadcast_to(x, shape)


@aten("unsqueeze", inplace=True)
def _unsqueeze(x: Any, dim: int) -> Any:
    return jnp.expand_dims(x, dim)


@aten("squeeze", "squeeze.dim", "squeeze.dims", inplace=True)
def _squeeze(x: Any, dim: int | Sequence[int] | None = None) -> Any:
    return jnp.squeeze(x, tuple(a for a in axes_of(dim, jnp.ndim(x)) if x.shape[a] == 1))


@aten("select.int", "select_copy.int")
def _select(x: Any, dim: int, index: int) -> Any:
    return jax.lax.index_in_dim(x, index % x.shape[dim], dim % x.ndim, keepdims=False)


def _slicer(shape: Sequence[int], dim: int, start: int | None, end: int | None, step: int) -> tuple[slice, ...]:
    """Python's slice for torch's: an end beyond the axis means the axis' end."""
    bounds = slice(*slice(start, end, step).indices(shape[dim]))
    return tuple(bounds if i == dim % len(shape) else slice(None) for i in range(len(shape)))


@aten("slice.Tensor", "slice_copy.Tensor")
def _slice(x: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return x[_slicer(x.shape, dim, start, end, step)]


@aten("split.Tensor", "unsafe_split.Tensor", "split_copy.Tensor")
def _split(x: Any, split_size: int, dim: int = 0) -> tuple:
    cuts = range(split_size, x.shape[dim], split_size) if split_size else ()
    return tuple(jnp.split(x, list(cuts), dim))


@aten("split_with_sizes", "unsafe_split_with_sizes", "split_with_sizes_copy")
def _split_with_sizes(x: Any, split_sizes: Sequence[int], dim: int = 0) -> tuple:
    return tuple(jnp.split(x, [int(c) for c in np.cumsum(split_sizes)[:-1]], dim))


@aten("unbind.int", "unbind_copy.int")
def _unbind(x: Any, dim: int = 0) -> tuple:
    return tuple(jax.lax.index_in_dim(x, i, dim % x.ndim, keepdims=False) for i in range(x.shape[dim]))


@aten("cat")
def _cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    return jnp.concatenate([t for t in tensors if t.shape != (0,)] or [tensors[0]], dim)


@aten("stack")
def _stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    return jnp.stack(tensors, dim)


@aten("flip")
def _flip(x: Any, dims: Sequence[int]) -> Any:
    return jnp.flip(x, tuple(dims))


@aten("roll")
def _roll(x: Any, shifts: Sequence[int], dims: Sequence[int] = ()) -> Any:
    return jnp.roll(x, tuple(shifts), tuple(dims)) if dims else jnp.roll(x, shifts[0])


@aten("repeat")
def _repeat(x: Any, repeats: Sequence[int]) -> Any:
    shape = (1,) * (len(repeats) - x.ndim) + x.shape
    blocks = jnp.reshape(x, [n for size in shape for n in (1, size)])
    spread = jnp.broadcast_to(blocks, [n for r, size in zip(repeats, shape, strict=True) for n in (r, size)])
    return jnp.reshape(spread, [r * size for r, size in zip(repeats, shape, strict=True)])


@aten("repeat_interleave.Tensor", static=(0,))
def _repeat_interleave(repeats: Any, output_size: int | None = None) -> Any:
    counts = np.asarray(repeats)
    return jnp.asarray(np.repeat(np.arange(counts.size), counts))


@aten("diagonal", "diagonal_copy")
def _diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    square = jnp.moveaxis(x, (dim1, dim2), (-2, -1))  # jnp.diagonal branches by platform, which no rule knows
    rows, columns = square.shape[-2:]
    count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    first = max(-offset, 0) * columns + max(offset, 0)
    flat = jnp.reshape(square, (*square.shape[:-2], rows * columns))
    return jnp.take(flat, first + np.arange(count) * (columns + 1), axis=-1, mode="clip")


@aten("diag_embed")
def _diag_embed(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    n = x.shape[-1] + abs(offset)
    rank = x.ndim + 1
    where = np.eye(n, k=offset, dtype=bool)
    before, after = max(-offset, 0), max(offset, 0)
    rows = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)])
    square = jnp.where(where, rows[..., :, None], jnp.zeros((), x.dtype))
    return jnp.moveaxis(square, (-2, -1), (dim1 % rank, dim2 % rank))


@aten("trace")
def _trace(x: Any) -> Any:
    return jnp.sum(_diagonal(x))


@aten("tril", inplace=True)
def _tril(x: Any, diagonal: int = 0) -> Any:
    return jnp.where(np.tri(x.shape[-2], x.shape[-1], diagonal, dtype=bool), x, jnp.zeros((), x.dtype))


@aten("triu", inplace=True)
def _triu(x: Any, diagonal: int = 0) -> Any:
    return jnp.where(np.tri(x.shape[-2], x.shape[-1], diagonal - 1, dtype=bool), jnp.zeros((), x.dtype), x)


@aten("unfold", "unfold_copy")
def _unfold(x: Any, dimension: int, size: int, step: int) -> Any:
    count = (x.shape[dimension] - size) // step + 1
    index = np.arange(count)[:, None] * step + np.arange(size)
    return jnp.moveaxis(jnp.take(x, index, axis=dimension, mode="clip"), dimension % x.ndim + 1, -1)


@aten("pixel_shuffle")
def _pixel_shuffle(x: Any, factor: int) -> Any:
    *lead, c, h, w = x.shape
    blocks = jnp.reshape(x, (*lead, c // factor**2, factor, factor, h, w))
    n = len(lead)
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return jnp.reshape(jnp.transpose(blocks, order), (*lead, c // factor**2, h * factor, w * factor))


@aten("pixel_unshuffle")
def _pixel_unshuffle(x: Any, factor: int) -> Any:
    *lead, c, h, w = x.shape
    blocks = jnp.reshape(x, (*lead, c, h // factor, factor, w // factor, factor))
    n = len(lead)
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return jnp.reshape(jnp.transpose(blocks, order), (*lead, c * factor**2, h // factor, w // factor))


@aten("channel_shuffle", "native_channel_shuffle")
def _channel_shuffle(x: Any, groups: int) -> Any:
    n, c, *rest = x.shape
    return jnp.reshape(jnp.swapaxes(jnp.reshape(x, (n, groups, c // groups, *rest)), 1, 2), x.shape)


@aten("copy", inplace=True)
def _copy(x: Any, source: Any, non_blocking: bool = False) -> Any:
    source = jnp.broadcast_to(source, x.shape)
    if jnp.issubdtype(x.dtype, jnp.inexact):
        return real(source)
    return source != 0 if x.dtype == bool else source.astype(x.dtype)


def _transposed(function: Any, shape: Sequence[int], grad: Any) -> Any:
    """The transpose of a linear map: where each number of `grad` came from receives it."""
    example = jax.ShapeDtypeStruct(tuple(shape), jnp.float64)
    return jax.linear_transpose(function, example)(grad)[0]


@aten("select_backward")
def _select_backward(grad: Any, input_sizes: Sequence[int], dim: int, index: int) -> Any:
    return _transposed(lambda x: _select(x, dim, index), input_sizes, grad)


@aten("slice_backward")
def _slice_backward(grad: Any, input_sizes: Sequence[int], dim: int, *bounds: int) -> Any:
    return _transposed(lambda x: _slice(x, dim, *bounds), input_sizes, grad)


@aten("diagonal_backward")
def _diagonal_backward(grad: Any, input_sizes: Sequence[int], offset: int, dim1: int, dim2: int) -> Any:
    return _transposed(lambda x: _diagonal(x, offset, dim1, dim2), input_sizes, grad)


@aten("unfold_backward")
def _unfold_backward(grad: Any, input_sizes: Sequence[int], dim: int, size: int, step: int) -> Any:
    return _transposed(lambda x: _unfold(x, dim, size, step), input_sizes, grad)


@aten("select_scatter")
def _select_scatter(x: Any, source: Any, dim: int, index: int) -> Any:
    where = tuple(index if i == dim % x.ndim else slice(None) for i in range(x.ndim))
    return jnp.asarray(x).at[where].set(source)


@aten("slice_scatter")
def _slice_scatter(x: Any, source: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    return jnp.asarray(x).at[_slicer(x.shape, dim, start, end, step)].set(source)


@aten("as_strided", "as_strided_")
def _as_strided(x: Any, size: Sequence[int], stride: Sequence[int], offset: int | None = None, *, base: Any) -> Any:
    """`base` is the geometry of `x` in memory, which the recorder adds: strides are about memory."""
    start = base[0] if offset is None else offset
    return _view_of_memory(x, base, [start, size, stride])


@lowers("torch", "oracle.view")
def _view_of_memory(x: Any, base: Sequence[Any], geometry: Sequence[Any]) -> Any:
    """The view with `geometry` of memory that `x`, with the geometry `base`, fills."""
    return jnp.reshape(take_flat(x, element_at(base, storage_positions(geometry))), tuple(geometry[1]))


@lowers("torch", "oracle.overwrite")
def _overwrite(old: Any, new: Sequence[Any], geometry: Sequence[Any], written: Sequence[Any]) -> Any:
    """`old` after its memory (`geometry`) was written with each of `new`, in turn, at the places of `written`."""
    places = storage_positions(geometry)
    for values, where in zip(new, written, strict=True):
        hit = np.reshape(element_at(where, places), tuple(geometry[1]))
        old = jnp.where(hit >= 0, take_flat(values, hit), old)
    return old
