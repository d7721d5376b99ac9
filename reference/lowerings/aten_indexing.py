"""Gathering and scattering by index: embeddings, indexing, masks that select, and their gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle.reference.lazy import jnp
from oracle.reference.lowerings.aten import aten


def _from_front(index: Any, size: int) -> Any:
    """Indices counted from the front: torch allows negative ones."""
    index = jnp.asarray(index)
    return jnp.where(index < 0, index + size, index)


@aten("embedding")
def _embedding(weight: Any, indices: Any, padding_idx: int = -1, *_: bool) -> Any:
    return jnp.take(weight, indices, axis=0, mode="clip")


@aten("embedding_dense_backward")
def _embedding_backward(grad: Any, indices: Any, num_weights: int, padding_idx: int, scale_by_freq: bool) -> Any:
    """Each row of `grad` goes to the row it was read from; the padding row gets nothing."""
    rows, flat = jnp.reshape(grad, (-1, grad.shape[-1])), jnp.reshape(indices, (-1,))
    if padding_idx >= 0:
        rows = jnp.where((flat == padding_idx)[:, None], 0.0, rows)
    if scale_by_freq:
        counts = jnp.zeros(num_weights, jnp.int64).at[flat].add(1)
        rows = rows / counts[flat][:, None]
    return jnp.zeros((num_weights, grad.shape[-1])).at[flat].add(rows)


@aten("index_select")
def _index_select(x: Any, dim: int, index: Any) -> Any:
    return jnp.take(x, index, axis=dim, mode="clip") if jnp.ndim(x) else x


@aten("take")
def _take(x: Any, index: Any) -> Any:
    return jnp.take(jnp.reshape(x, (-1,)), _from_front(index, x.size), mode="clip")


@aten("gather")
def _gather(x: Any, dim: int, index: Any, sparse_grad: bool = False) -> Any:
    return jnp.asarray(x)[_along(x, dim, index)] if jnp.ndim(x) else jnp.broadcast_to(x, jnp.shape(index))


def _along(x: Any, dim: int, index: Any) -> tuple:
    """The full index of the elements that `index` names along `dim`: itself there, its own place elsewhere."""
    places = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    places[dim % x.ndim] = index
    return tuple(places)


@aten("scatter.src", inplace=True)
def _scatter(x: Any, dim: int, index: Any, source: Any) -> Any:
    return jnp.asarray(x).at[_along(x, dim, index)].set(_like_index(source, index))


@aten("scatter.value", inplace=True)
def _scatter_value(x: Any, dim: int, index: Any, value: Any) -> Any:
    return jnp.asarray(x).at[_along(x, dim, index)].set(value)


@aten("scatter_add", inplace=True)
def _scatter_add(x: Any, dim: int, index: Any, source: Any) -> Any:
    return jnp.asarray(x).at[_along(x, dim, index)].add(_like_index(source, index))


def _like_index(source: Any, index: Any) -> Any:
    """The part of `source` that has the shape of the index: torch ignores the rest."""
    return source[tuple(slice(n) for n in index.shape)]


@aten("scatter_reduce.two", inplace=True)
def _scatter_reduce(x: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True) -> Any:
    """Elements that no index names stay; the others are reduced with, or without, what was there."""
    if reduce in ("amax", "amin"):
        return _scatter_extreme(x, dim, index, source, jnp.max if reduce == "amax" else jnp.min, include_self)
    where, source = _along(x, dim, index), _like_index(source, index)
    x = jnp.asarray(x)
    start = x if include_self else x.at[where].set(1 if reduce == "prod" else 0)
    if reduce == "prod":
        return start.at[where].multiply(source)
    total = start.at[where].add(source)
    if reduce == "sum":
        return total
    counts = jnp.zeros(x.shape).at[where].add(1.0)
    return total / jnp.maximum(counts + 1 if include_self else counts, 1)


def _scatter_extreme(x: Any, dim: int, index: Any, source: Any, extreme: Any, include_self: bool) -> Any:
    """The extreme of all sources that an index sends to each place along `dim`, compared place by place."""
    part = tuple(slice(n) if a != dim % x.ndim else slice(None) for a, n in enumerate(index.shape))
    index, source = (jnp.moveaxis(a, dim, -1)[..., None, :] for a in (index, _like_index(source, index)))
    old = jnp.moveaxis(jnp.asarray(x)[part], dim, -1)[..., :, None]
    hits = index == jnp.arange(old.shape[-2])[:, None]
    lowest = (jnp.min if extreme is jnp.max else jnp.max)(source, axis=-1, keepdims=True)
    best = extreme(jnp.where(hits, source, old if include_self else lowest), axis=-1)
    best = extreme(jnp.stack([best, old[..., 0]]), axis=0) if include_self else best
    new = jnp.where(jnp.any(hits, axis=-1), best, old[..., 0])
    return jnp.asarray(x).at[part].set(jnp.moveaxis(new, -1, dim))


@aten("index_add", inplace=True)
def _index_add(x: Any, dim: int, index: Any, source: Any, alpha: Any = 1) -> Any:
    where = (slice(None),) * (dim % x.ndim) + (index,)
    return jnp.asarray(x).at[where].add(source if alpha == 1 else alpha * source)


@aten("index_copy", inplace=True)
def _index_copy(x: Any, dim: int, index: Any, source: Any) -> Any:
    return jnp.asarray(x).at[(slice(None),) * (dim % x.ndim) + (index,)].set(source)


@aten("index_fill.int_Scalar", "index_fill.int_Tensor", inplace=True)
def _index_fill(x: Any, dim: int, index: Any, value: Any) -> Any:
    return jnp.asarray(x).at[(slice(None),) * (dim % x.ndim) + (index,)].set(value)


def _where(indices: Sequence[Any]) -> tuple:
    """torch's list of indices as NumPy's: None is a whole axis, a mask stands for where it is true."""
    parts: list[Any] = []
    for index in indices:
        if index is None:
            parts.append(slice(None))
        elif index.dtype == bool:
            parts.extend(np.nonzero(np.asarray(index)))
        else:
            parts.append(index)
    return tuple(parts)


@aten("index.Tensor", "_unsafe_index.Tensor", static=(1,))
def _index(x: Any, indices: Sequence[Any]) -> Any:
    return jnp.asarray(x)[_where(indices)]


@aten("index_put", "_unsafe_index_put", "index_put_", "_index_put_impl_", static=(1,))
def _index_put(x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False, unsafe: bool = False) -> Any:
    """Sets (or adds) `values`; a single boolean mask in all axes needs no positions."""
    if len(indices) == 1 and indices[0].dtype == bool and indices[0].shape == x.shape and jnp.ndim(values) == 0:
        return jnp.where(indices[0], x + values if accumulate else values, x)
    target = jnp.asarray(x).at[_where(indices)]
    return target.add(values) if accumulate else target.set(values)


@aten("_unsafe_masked_index")
def _masked_index(x: Any, mask: Any, indices: Sequence[Any], fill: Any) -> Any:
    return jnp.where(mask, jnp.asarray(x)[_clamped(x, indices)], fill)


@aten("_unsafe_masked_index_put_accumulate")
def _masked_index_put(x: Any, mask: Any, indices: Sequence[Any], values: Any) -> Any:
    return jnp.asarray(x).at[_clamped(x, indices)].add(jnp.where(mask, values, 0.0))


def _clamped(x: Any, indices: Sequence[Any]) -> tuple:
    return tuple(slice(None) if i is None else jnp.clip(i, 0, n - 1) for i, n in zip(indices, x.shape, strict=False))


@aten("nonzero", static=(0,))
def _nonzero(x: Any) -> Any:
    return jnp.asarray(np.stack(np.nonzero(np.asarray(x)), axis=-1))


@aten("masked_select", static=(1,))
def _masked_select(x: Any, mask: Any) -> Any:
    mask = np.asarray(mask)
    shape = np.broadcast_shapes(x.shape, mask.shape)
    return jnp.broadcast_to(x, shape)[np.nonzero(np.broadcast_to(mask, shape))]


@aten("masked_scatter", static=(1,), inplace=True)
def _masked_scatter(x: Any, mask: Any, source: Any) -> Any:
    where = np.nonzero(np.broadcast_to(np.asarray(mask), x.shape))
    return jnp.asarray(x).at[where].set(jnp.reshape(source, (-1,))[: where[0].size])


@aten("masked_scatter_backward", static=(1,))
def _masked_scatter_backward(grad: Any, mask: Any, sizes: Sequence[int]) -> Any:
    taken = _masked_select(grad, mask)
    size = int(np.prod(sizes))
    return jnp.reshape(jnp.pad(taken, (0, size - taken.size)), tuple(sizes))


@aten("bucketize.Tensor")
def _bucketize(x: Any, boundaries: Any, out_int32: bool = False, right: bool = False) -> Any:
    """How many boundaries lie below `x` (or at it, if `right`)."""
    before = boundaries <= x[..., None] if right else boundaries < x[..., None]
    return jnp.sum(before.astype(jnp.int64), axis=-1)


@aten("searchsorted.Tensor")
def _searchsorted(
    boundaries: Any, x: Any, out_int32: bool = False, right: bool = False, side: str | None = None, sorter: Any = None
) -> Any:
    right = right or side == "right"
    edges = boundaries[..., None, :]
    before = edges <= x[..., None] if right else edges < x[..., None]
    return jnp.sum(before.astype(jnp.int64), axis=-1)


@aten("_pack_padded_sequence", static=(1,))
def _pack_padded(x: Any, lengths: Any, batch_first: bool) -> tuple:
    """Time after time, the elements of the sequences that are long enough, and how many they are."""
    lengths = np.asarray(lengths)
    x = jnp.swapaxes(x, 0, 1) if batch_first else x
    alive = np.arange(lengths.max())[:, None] < lengths[None, :]
    return jnp.asarray(x)[np.nonzero(alive)], jnp.asarray(alive.sum(axis=1))
