"""JAX primitives that only move numbers, done by NumPy: the same bits without compiling a kernel for each shape."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray


def _broadcast(x: Array, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], **_: Any) -> Array:
    stretched = [1] * len(shape)
    for axis, n in zip(broadcast_dimensions, x.shape, strict=True):
        stretched[axis] = n
    return np.broadcast_to(x.reshape(stretched), shape)


def _slice(x: Array, *, start_indices: Any, limit_indices: Any, strides: Any) -> Array:
    steps = strides or [1] * x.ndim
    return x[tuple(slice(*bounds) for bounds in zip(start_indices, limit_indices, steps, strict=True))]


MOVES: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "slice": _slice,
    "reshape": lambda x, *, new_sizes, **_: x.reshape(new_sizes),
    "transpose": lambda x, *, permutation: x.transpose(permutation),
    "squeeze": lambda x, *, dimensions: np.squeeze(x, tuple(dimensions)),
    "expand_dims": lambda x, *, dimensions: np.expand_dims(x, tuple(dimensions)),
    "rev": lambda x, *, dimensions: np.flip(x, tuple(dimensions)),
    "concatenate": lambda *xs, dimension: np.concatenate(xs, dimension),
    "split": lambda x, *, sizes, axis: np.split(x, np.cumsum(sizes)[:-1], axis),
    "stack": lambda *xs, axis: np.stack(xs, axis),
    "unstack": lambda x, *, axis: list(np.moveaxis(x, axis, 0)),
    "scan.stack": lambda *xs: np.stack(xs),
    "scan.element": lambda x, *, index: x[index],
}
"""Each takes the primitive's arrays and parameters and returns its result, or the list of its results."""


def moved(name: str, arrays: Sequence[Any], params: dict[str, Any]) -> list[Any] | None:
    """The results of the primitive `name` if it is a move, else None."""
    if name not in MOVES or (name == "reshape" and params["dimensions"]):  # that one transposes too
        return None
    result = MOVES[name](*[np.asarray(x) for x in arrays], **params)
    return result if isinstance(result, list) else [result]
