"""TensorFlow's array operations: shapes, slices, padding, gathers. Source: core/ops/array_ops.cc."""

from typing import Any

import numpy as np

from oracle.reference.lazy import jax, jnp, lax
from oracle.reference.lowerings.tensorflow import carrier, op


def _ints(values: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in np.ravel(values))


@op("Reshape", static=(1,))
def reshape(x: Any, shape: Any) -> Any:
    return jnp.reshape(x, _ints(shape))


@op("Squeeze")
def squeeze(x: Any, squeeze_dims: Any) -> Any:
    return jnp.squeeze(x, _ints(squeeze_dims) or None)


@op("ExpandDims", static=(1,))
def expand_dims(x: Any, axis: Any) -> Any:
    return jnp.expand_dims(x, _ints(axis))


@op("Transpose", static=(1,))
def transpose(x: Any, permutation: Any) -> Any:
    return jnp.transpose(x, _ints(permutation))


@op("ConcatV2", static=(-1,))
def concat_v2(*values: Any) -> Any:
    return jnp.concatenate(values[:-1], int(values[-1]))


@op("Pack")
def pack(*values: Any, axis: int) -> Any:
    return jnp.stack(values, axis)


@op("Unpack")
def unpack(x: Any, num: int, axis: int) -> tuple[Any, ...]:
    return tuple(lax.index_in_dim(x, i, axis, keepdims=False) for i in range(num))


@op("Split", static=(0,))
def split(axis: Any, x: Any, num_split: int) -> tuple[Any, ...]:
    return tuple(jnp.split(x, num_split, int(axis)))


@op("SplitV", static=(1, 2))
def split_v(x: Any, sizes: Any, axis: Any, num_split: int) -> tuple[Any, ...]:
    sizes, axis = list(_ints(sizes)), int(axis)
    if -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[axis] - sum(s for s in sizes if s >= 0)
    return tuple(jnp.split(x, np.cumsum(sizes)[:-1], axis))


@op("Slice", static=(1, 2))
def slice_(x: Any, begin: Any, size: Any) -> Any:
    begin = _ints(begin)
    limits = [b + s if s >= 0 else n for b, s, n in zip(begin, _ints(size), x.shape, strict=True)]
    return lax.slice(x, begin, limits)


@op("StridedSlice", static=(1, 2, 3))
def strided_slice(x: Any, begin: Any, end: Any, strides: Any, **masks: int) -> Any:
    return x[_index(begin, end, strides, **masks)]


@op("StridedSliceGrad", static=(0, 1, 2, 3))
def strided_slice_grad(shape: Any, begin: Any, end: Any, strides: Any, dy: Any, **masks: int) -> Any:
    index = _index(begin, end, strides, **masks)
    return _transposed(lambda x: x[index], _ints(shape), dy)


def _index(begin: Any, end: Any, strides: Any, **masks: int) -> tuple[Any, ...]:
    """The NumPy index that TensorFlow's five bit masks describe."""

    def has(mask: str, i: int) -> bool:
        return bool(masks[f"{mask}_mask"] >> i & 1)

    def entry(i: int, b: int, e: int, s: int) -> Any:
        if has("ellipsis", i):
            return Ellipsis
        if has("new_axis", i):
            return None
        if has("shrink_axis", i):
            return b
        return slice(None if has("begin", i) else b, None if has("end", i) else e, s)

    bounds = zip(_ints(begin), _ints(end), _ints(strides), strict=True)
    return tuple(entry(i, *bound) for i, bound in enumerate(bounds))


def _transposed(linear: Any, shape: tuple[int, ...], dy: Any) -> Any:
    """The transpose, applied to `dy`, of a linear function of an array of `shape`."""
    (dx,) = jax.linear_transpose(linear, jax.ShapeDtypeStruct(shape, dy.dtype))(dy)
    return dx


@op("Pad", static=(1,))
def pad(x: Any, paddings: Any) -> Any:
    return pad_v2(x, paddings, jnp.zeros((), x.dtype))


@op("PadV2", static=(1,))
def pad_v2(x: Any, paddings: Any, value: Any) -> Any:
    return lax.pad(x, value, [(int(a), int(b), 0) for a, b in np.reshape(paddings, (-1, 2))])


@op("MirrorPad", static=(1,))
def mirror_pad(x: Any, paddings: Any, mode: str) -> Any:
    return jnp.pad(x, np.reshape(paddings, (-1, 2)), mode=mode.lower())


@op("MirrorPadGrad", static=(1,))
def mirror_pad_grad(dy: Any, paddings: Any, mode: str) -> Any:
    pairs = np.reshape(paddings, (-1, 2))
    shape = tuple(n - int(a + b) for n, (a, b) in zip(dy.shape, pairs, strict=True))
    return _transposed(lambda x: mirror_pad(x, paddings, mode), shape, dy)


@op("Tile", static=(1,))
def tile(x: Any, multiples: Any) -> Any:
    pairs = [n for m, size in zip(_ints(multiples), x.shape, strict=True) for n in (m, size)]
    repeated = lax.broadcast_in_dim(x, pairs, range(1, 2 * x.ndim, 2))
    return repeated.reshape([m * n for m, n in zip(pairs[::2], pairs[1::2], strict=True)])


@op("BroadcastTo", static=(1,))
def broadcast_to(x: Any, shape: Any) -> Any:
    return jnp.broadcast_to(x, _ints(shape))


@op("Fill", static=(0,))
def fill(shape: Any, value: Any) -> Any:
    return jnp.broadcast_to(value, _ints(shape))


@op("ReverseV2", static=(1,))
def reverse_v2(x: Any, axes: Any) -> Any:
    return jnp.flip(x, _ints(axes))


@op("ReverseSequence", static=(1,))
def reverse_sequence(x: Any, lengths: Any, seq_dim: int, batch_dim: int) -> Any:
    """The first lengths[b] steps of row b in reverse, the others where they were."""
    steps = np.arange(x.shape[seq_dim])
    lengths = np.reshape(lengths, (-1, 1))
    order = np.where(steps < lengths, lengths - 1 - steps, steps)
    shape = [1] * x.ndim
    shape[batch_dim], shape[seq_dim] = order.shape
    order = order if batch_dim < seq_dim else order.T
    return jnp.take_along_axis(x, order.reshape(shape), seq_dim)


@op("Roll", static=(1, 2))
def roll(x: Any, shift: Any, axis: Any) -> Any:
    return jnp.roll(x, _ints(shift), _ints(axis))


@op("GatherV2", static=(2,))
def gather_v2(params: Any, indices: Any, axis: Any, batch_dims: int) -> Any:
    axis = int(axis) % params.ndim
    take = lambda p, i: jnp.take(p, i, axis - batch_dims, mode="clip")  # noqa: E731 - vmapped below
    for _ in range(batch_dims):
        take = jax.vmap(take)
    return take(params, indices)


@op("Gather")
def gather(params: Any, indices: Any) -> Any:
    return gather_v2(params, indices, 0, 0)


@op("ResourceGather")
def resource_gather(params: Any, indices: Any, dtype: str, batch_dims: int) -> Any:
    return gather_v2(params, indices, batch_dims, batch_dims)


@op("GatherNd")
def gather_nd(params: Any, indices: Any) -> Any:
    return params[tuple(jnp.moveaxis(indices, -1, 0))]


@op("ScatterNd", static=(2,))
def scatter_nd(indices: Any, updates: Any, shape: Any) -> Any:
    return jnp.zeros(_ints(shape), updates.dtype).at[tuple(jnp.moveaxis(indices, -1, 0))].add(updates)


@op("TensorScatterUpdate")
def tensor_scatter_update(x: Any, indices: Any, updates: Any) -> Any:
    return x.at[tuple(jnp.moveaxis(indices, -1, 0))].set(updates)


@op("TensorScatterAdd")
def tensor_scatter_add(x: Any, indices: Any, updates: Any) -> Any:
    return x.at[tuple(jnp.moveaxis(indices, -1, 0))].add(updates)


@op("OneHot", static=(1,))
def one_hot(indices: Any, depth: Any, on: Any, off: Any, axis: int) -> Any:
    axis = indices.ndim if axis == -1 else axis
    classes = jnp.arange(int(depth)).reshape([-1 if i == axis else 1 for i in range(indices.ndim + 1)])
    return jnp.where(jnp.expand_dims(indices, axis) == classes, on, off)


@op("Range", static=(0, 1, 2))
def range_(start: Any, limit: Any, delta: Any) -> Any:
    steps = np.arange(int(np.ceil((limit - start) / delta)))
    return jnp.asarray(start + steps * np.asarray(delta))


@op("LinSpace", static=(2,))
def linspace(start: Any, stop: Any, num: Any) -> Any:
    num = int(num)
    return start + (stop - start) * np.arange(num) / max(num - 1, 1)


@op("MatrixBandPart", static=(1, 2))
def matrix_band_part(x: Any, lower: Any, upper: Any) -> Any:
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    below, above = rows - columns <= int(lower), columns - rows <= int(upper)
    return jnp.where((below | (int(lower) < 0)) & (above | (int(upper) < 0)), x, 0)


@op("SpaceToBatchND", static=(1, 2))
def space_to_batch(x: Any, block: Any, paddings: Any) -> Any:
    """Interleaved positions become batches: how TensorFlow writes a dilated convolution."""
    block, rank = _ints(block), np.size(block)
    spatial = [(0, 0), *np.reshape(paddings, (-1, 2)), *[(0, 0)] * (x.ndim - rank - 1)]
    x = jnp.pad(x, np.asarray(spatial))
    split = [n for s, b in zip(x.shape[1:], block, strict=False) for n in (s // b, b)]
    x = x.reshape(x.shape[0], *split, *x.shape[rank + 1 :])
    order = [*range(2, 2 * rank + 1, 2), 0, *range(1, 2 * rank + 1, 2), *range(2 * rank + 1, x.ndim)]
    x = jnp.transpose(x, order)
    return x.reshape(-1, *x.shape[rank + 1 :])


@op("BatchToSpaceND", static=(1, 2))
def batch_to_space(x: Any, block: Any, crops: Any) -> Any:
    """The inverse of SpaceToBatchND, cropped."""
    block, rank = _ints(block), np.size(block)
    split = x.reshape(*block, -1, *x.shape[1:])
    order = [rank, *[a for i in range(rank) for a in (rank + 1 + i, i)], *range(2 * rank + 1, split.ndim)]
    joined = jnp.transpose(split, order)
    sizes = [n * b for n, b in zip(x.shape[1:], block, strict=False)]
    joined = joined.reshape(-1, *sizes, *x.shape[rank + 1 :])
    inner = [slice(int(a), n - int(b)) for n, (a, b) in zip(sizes, np.reshape(crops, (-1, 2)), strict=True)]
    return joined[(slice(None), *inner)]


@op("SpaceToDepth")
def space_to_depth(x: Any, block_size: int, data_format: str) -> Any:
    n, h, w, c = x.shape if data_format == "NHWC" else _nhwc(x).shape
    x = x if data_format == "NHWC" else _nhwc(x)
    blocks = x.reshape(n, h // block_size, block_size, w // block_size, block_size, c)
    y = jnp.transpose(blocks, (0, 1, 3, 2, 4, 5)).reshape(n, h // block_size, w // block_size, -1)
    return y if data_format == "NHWC" else jnp.moveaxis(y, -1, 1)


@op("DepthToSpace")
def depth_to_space(x: Any, block_size: int, data_format: str) -> Any:
    x = x if data_format == "NHWC" else _nhwc(x)
    n, h, w, _ = x.shape
    blocks = x.reshape(n, h, w, block_size, block_size, -1)
    y = jnp.transpose(blocks, (0, 1, 3, 2, 4, 5)).reshape(n, h * block_size, w * block_size, -1)
    return y if data_format == "NHWC" else jnp.moveaxis(y, -1, 1)


def _nhwc(x: Any) -> Any:
    return jnp.moveaxis(x, 1, -1)


@op("Diag", "MatrixDiag")
def matrix_diag(x: Any) -> Any:
    return x[..., None] * np.eye(x.shape[-1])


@op("MatrixDiagPart", "DiagPart")
def matrix_diag_part(x: Any) -> Any:
    rows, columns = x.shape[-2:]  # jnp.diagonal branches by platform, which no rule knows
    flat = jnp.reshape(x, (*x.shape[:-2], rows * columns))
    return jnp.take(flat, np.arange(min(rows, columns)) * (columns + 1), axis=-1, mode="clip")


@op("Const")
def const(value: Any, dtype: str) -> Any:
    return jnp.asarray(value, carrier(dtype))
