"""Primitives that only move numbers: the same rules for midpoints, radii, Arb balls and demand.

A rule takes arrays of any dtype (float64, Python objects, flat indices) and rearranges their elements without
looking at them. Integer operands that say where (`gather`, `dynamic_slice`, ...) come as plain integer arrays.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oracle.reference.lazy import jax

Rule = Callable[..., np.ndarray]

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
    shape = [max(n + max(n - 1, 0) * inner, 0) for n, (_, _, inner) in zip(x.shape, padding_config, strict=True)]
    dilated = np.full(shape, fill[()], dtype=x.dtype)
    dilated[tuple(slice(None, None, inner + 1) for _, _, inner in padding_config)] = x
    crop = tuple(slice(max(-lo, 0), n - max(-hi, 0)) for n, (lo, hi, _) in zip(shape, padding_config, strict=True))
    widths = [(max(lo, 0), max(hi, 0)) for lo, hi, _ in padding_config]
    return np.pad(dilated[crop], widths, constant_values=fill[()])


def _by_index(primitive: str) -> Rule:
    """A rule that lets JAX move flat indices (integers are exact in XLA) and then moves the elements the same way."""

    def rule(x: np.ndarray, *operands: np.ndarray, **params: Any) -> np.ndarray:
        flat = np.arange(1, x.size + 1, dtype=np.int64).reshape(x.shape)
        moved = _bind(primitive, flat, *operands, **params)
        source = np.append(np.zeros(1, x.dtype) if x.dtype != object else [None], x.reshape(-1))
        return source[moved]

    return rule


def _bind(primitive: str, *operands: np.ndarray, **params: Any) -> np.ndarray:
    lax_primitive = getattr(jax.lax, f"{primitive}_p")
    if "fill_value" in params:
        params = {**params, "fill_value": 0}
    with jax.enable_x64(True):
        return np.asarray(lax_primitive.bind(*[jax.numpy.asarray(o) for o in operands], **params))


for _name in ("gather", "dynamic_slice"):
    MOVES[_name] = (_by_index(_name), _first)


@_moves("dynamic_update_slice", lambda _: (0, 1))
def _dynamic_update_slice(x: np.ndarray, update: np.ndarray, *starts: np.ndarray, **_: Any) -> np.ndarray:
    result = np.array(x)
    corner = [int(np.clip(s, 0, n - m)) for s, n, m in zip(starts, x.shape, update.shape, strict=True)]
    result[tuple(slice(c, c + m) for c, m in zip(corner, update.shape, strict=True))] = update
    return result


def scatter_targets(
    shape: Sequence[int], indices: np.ndarray, updates_shape: Sequence[int], params: dict
) -> np.ndarray:
    """For each element of a scatter's updates, the flat index of the operand it goes to, or -1 if it is dropped.

    The transpose of a gather: the same dimension numbers read the operand's own flat indices.
    """
    numbers = params["dimension_numbers"]
    window = [0] * len(shape)
    kept = [
        axis
        for axis in range(len(shape))
        if axis not in numbers.inserted_window_dims and axis not in numbers.operand_batching_dims
    ]
    for axis, update_axis in zip(kept, numbers.update_window_dims, strict=True):
        window[axis] = updates_shape[update_axis]
    window = [w or 1 for w in window]
    gather_numbers = jax.lax.GatherDimensionNumbers(
        offset_dims=numbers.update_window_dims,
        collapsed_slice_dims=numbers.inserted_window_dims,
        start_index_map=numbers.scatter_dims_to_operand_dims,
        operand_batching_dims=numbers.operand_batching_dims,
        start_indices_batching_dims=numbers.scatter_indices_batching_dims,
    )
    flat = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    # A scatter drops what lies outside; `clip` mode keeps it, at the edge.
    mode = jax.lax.GatherScatterMode.CLIP if "CLIP" in str(params["mode"]).upper() else "fill"
    with jax.enable_x64(True):
        targets = jax.lax.gather(flat, indices, gather_numbers, tuple(window), mode=mode, fill_value=-1)
    return np.asarray(targets)
