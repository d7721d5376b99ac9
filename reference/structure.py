"""Primitives that only move numbers: the same rules for midpoints, radii, Arb balls and demand.

A rule takes arrays of any dtype (float64, Python objects, flat indices) and rearranges their elements without
looking at them. Integer operands that say where (`gather`, `dynamic_slice`, ...) come as plain integer arrays.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oracle.reference.lazy import jax

Rule = Callable[..., Any]  # an array, or a list of them where there are several results

# For each primitive, the positions of the operands that move; the others are integers that direct them.
MOVES: dict[str, tuple[Rule, Callable[[int], Sequence[int]]]] = {}


def _first(_: int) -> Sequence[int]:
    return (0,)


def _all(count: int) -> Sequence[int]:
    return range(count)


def _moves(name: str, movers: Callable[[int], Sequence[int]] = _first) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        MOVES[name] = (rule, movers)
        return rule

    return register


@_moves("reshape")
def _reshape(x: np.ndarray, *, new_sizes: Sequence[int], dimensions: Any = None, **_: Any) -> np.ndarray:
    if dimensions is not None:
        x = x.transpose(dimensions)
    return x.reshape(new_sizes)


@_moves("transpose")
def _transpose(x: np.ndarray, *, permutation: Sequence[int], **_: Any) -> np.ndarray:
    return x.transpose(permutation)


@_moves("squeeze")
def _squeeze(x: np.ndarray, *, dimensions: Sequence[int], **_: Any) -> np.ndarray:
    return x.squeeze(tuple(dimensions))


@_moves("expand_dims")
def _expand_dims(x: np.ndarray, *, dimensions: Sequence[int], **_: Any) -> np.ndarray:
    return np.expand_dims(x, tuple(dimensions))


@_moves("broadcast_in_dim")
def _broadcast_in_dim(
    x: np.ndarray, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], **_: Any
) -> np.ndarray:
    aligned = [1] * len(shape)
    for size, axis in zip(x.shape, broadcast_dimensions, strict=True):
        aligned[axis] = size
    return np.broadcast_to(x.reshape(aligned), tuple(shape))


@_moves("slice")
def _slice(
    x: np.ndarray,
    *,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Any = None,
    **_: Any,
) -> np.ndarray:
    strides = strides or [1] * x.ndim
    return x[tuple(map(slice, start_indices, limit_indices, strides))]


@_moves("tile")
def _tile(x: np.ndarray, *, reps: Sequence[int], **_: Any) -> np.ndarray:
    return np.tile(x, tuple(reps))


@_moves("rev")
def _rev(x: np.ndarray, *, dimensions: Sequence[int], **_: Any) -> np.ndarray:
    return np.flip(x, tuple(dimensions))


@_moves("concatenate", _all)
def _concatenate(*xs: np.ndarray, dimension: int, **_: Any) -> np.ndarray:
    return np.concatenate(xs, dimension)


@_moves("stack", _all)
def _stack(*xs: np.ndarray, axis: int = 0) -> np.ndarray:
    return np.stack(xs, axis)


@_moves("unstack")
def _unstack(x: np.ndarray, *, axis: int = 0, **_: Any) -> list[np.ndarray]:
    return list(np.moveaxis(x, axis, 0))


@_moves("element")
def _element(x: np.ndarray, *, index: int) -> np.ndarray:
    return x[index]


@_moves("take_last")
def _take_last(x: np.ndarray, *, index: np.ndarray) -> np.ndarray:
    return x[..., index]


@_moves("split")
def _split(x: np.ndarray, *, sizes: Sequence[int], axis: int, **_: Any) -> list[np.ndarray]:
    return np.split(x, np.cumsum(sizes)[:-1], axis)


@_moves("pad", _all)
def _pad(x: np.ndarray, fill: np.ndarray, *, padding_config: Sequence[tuple[int, int, int]], **_: Any) -> np.ndarray:
    shape, sources, places = [], [], []
    for n, (low, high, inner) in zip(x.shape, padding_config, strict=True):
        size, step = low + high + n + max(n - 1, 0) * inner, inner + 1
        first = max(-(low // step), 0)  # negative padding crops
        count = max(min(n - 1, (size - 1 - low) // step) - first + 1, 0)
        start = max(low + first * step, 0)
        shape.append(size)
        sources.append(slice(first, first + count))
        places.append(slice(start, start + count * step, step) if count else slice(0, 0))
    padded = np.full(shape, fill[()], dtype=x.dtype)
    padded[tuple(places)] = x[tuple(sources)]
    return padded


@_moves("dynamic_slice")
def _dynamic_slice(x: np.ndarray, *starts: np.ndarray, slice_sizes: Sequence[int], **_: Any) -> np.ndarray:
    return x[_window(x.shape, starts, slice_sizes)]


@_moves("dynamic_update_slice", lambda _: (0, 1))
def _dynamic_update_slice(x: np.ndarray, update: np.ndarray, *starts: np.ndarray, **_: Any) -> np.ndarray:
    result = np.array(x)
    result[_window(x.shape, starts, update.shape)] = update
    return result


def _window(shape: Sequence[int], starts: Sequence[np.ndarray], sizes: Sequence[int]) -> tuple[slice, ...]:
    """Where a window lies whose start is moved so that it fits."""
    corner = [int(np.clip(s, 0, n - m)) for s, n, m in zip(starts, shape, sizes, strict=True)]
    return tuple(slice(c, c + m) for c, m in zip(corner, sizes, strict=True))


@_moves("gather")
def _gather(
    x: np.ndarray,
    indices: np.ndarray,
    *,
    dimension_numbers: Any,
    slice_sizes: Sequence[int],
    mode: Any,
    fill_value: Any,
    **_: Any,
) -> np.ndarray:
    """Windows of x; where one does not fit, it is moved or filled (`_DEFAULT_FILL` says with what by default)."""
    fits = jax.lax.GatherScatterMode.from_any(mode) != jax.lax.GatherScatterMode.FILL_OR_DROP
    source = _sources(x.shape, indices, dimension_numbers, (slice_sizes, fits))
    if fill_value is None:
        fill_value = _DEFAULT_FILL[x.dtype.kind](x.dtype)
    return np.append(x.reshape(-1), np.array([fill_value], x.dtype))[source]


# What JAX fills with when told nothing; of Python objects the caller knows better.
_DEFAULT_FILL: dict[str, Callable[[np.dtype], Any]] = {
    "f": lambda _: np.nan,
    "i": lambda dtype: np.iinfo(dtype).min,
    "u": lambda dtype: np.iinfo(dtype).max,
    "b": lambda _: True,
    "O": lambda _: None,
}


def _sources(
    shape: Sequence[int], indices: np.ndarray, numbers: Any, windows: tuple[Sequence[int], bool]
) -> np.ndarray:
    """For each element of a gather, the flat index of the operand it comes from, or -1 outside.

    `windows` are their sizes and whether one that does not fit is moved until it does.
    """
    sizes, fits = windows
    batch = indices.shape[:-1]
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    base, inside = np.zeros(batch, np.int64), np.ones(batch, bool)
    start_of: dict[int, np.ndarray] = {
        axis: indices[..., column].astype(np.int64) for column, axis in enumerate(numbers.start_index_map)
    }
    for axis, batch_axis in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True):
        start_of[axis] = np.expand_dims(np.arange(shape[axis]), [i for i in range(len(batch)) if i != batch_axis])
    for axis, start in start_of.items():
        room = shape[axis] - sizes[axis]
        inside &= (start >= 0) & (start <= room)
        base += np.clip(start, 0, room) * strides[axis]
    window = np.zeros((1,) * len(shape), np.int64)
    for axis, size in enumerate(sizes):
        window = window + np.expand_dims(np.arange(size) * strides[axis], [i for i in range(len(shape)) if i != axis])
    dropped = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    window = window.squeeze(dropped)
    outer = (..., *(None,) * window.ndim)
    source = base[outer] + window
    if not fits:
        source = np.where(inside[outer], source, -1)
    batch_axes = [i for i in range(source.ndim) if i not in numbers.offset_dims]
    return np.moveaxis(source, range(source.ndim), [*batch_axes, *numbers.offset_dims])


def scatter_targets(
    shape: Sequence[int], indices: np.ndarray, updates_shape: Sequence[int], params: dict
) -> np.ndarray:
    """For each element of a scatter's updates, the flat index of the operand it goes to, or -1 if it is dropped.

    The transpose of a gather: the same dimension numbers read the operand's own flat indices.
    """
    numbers = params["dimension_numbers"]
    sizes = [1] * len(shape)
    narrow = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    kept = [axis for axis in range(len(shape)) if axis not in narrow]
    for axis, update_axis in zip(kept, numbers.update_window_dims, strict=True):
        sizes[axis] = updates_shape[update_axis]
    gather_numbers = jax.lax.GatherDimensionNumbers(
        offset_dims=numbers.update_window_dims,
        collapsed_slice_dims=numbers.inserted_window_dims,
        start_index_map=numbers.scatter_dims_to_operand_dims,
        operand_batching_dims=numbers.operand_batching_dims,
        start_indices_batching_dims=numbers.scatter_indices_batching_dims,
    )
    # A scatter drops what lies outside; `clip` mode moves it to where it fits.
    fits = jax.lax.GatherScatterMode.from_any(params["mode"]) == jax.lax.GatherScatterMode.CLIP
    return _sources(shape, indices, gather_numbers, (sizes, fits))


def contraction(x_shape: Sequence[int], y_shape: Sequence[int], numbers: Any) -> tuple[Callable, Callable, tuple]:
    """Reshapers to (batch, m, k) and (batch, k, n), and the shape of the product, for `dot_general`."""
    (cx, cy), (bx, by) = numbers
    mx = [i for i in range(len(x_shape)) if i not in (*cx, *bx)]
    ny = [i for i in range(len(y_shape)) if i not in (*cy, *by)]
    batch = [x_shape[i] for i in bx]
    k = math.prod(x_shape[i] for i in cx)
    rows, columns = [x_shape[i] for i in mx], [y_shape[i] for i in ny]
    size = math.prod(batch)

    def left(p: np.ndarray) -> np.ndarray:
        return p.transpose([*bx, *mx, *cx]).reshape(size, math.prod(rows), k)

    def right(q: np.ndarray) -> np.ndarray:
        return q.transpose([*by, *cy, *ny]).reshape(size, k, math.prod(columns))

    return left, right, (*batch, *rows, *columns)
