"""How lowerings of torch's aten operations are written down, and what many of them need.

A lowering has the operation's own schema. Device, layout and memory format are absent: they have no meaning in
reference arithmetic. An in-place operation means the new version of its first argument.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oracle.reference.lazy import jnp
from oracle.reference.lowerings import lowers


def aten(*names: str, inplace: bool = False, **details: Any) -> Callable:
    """Register a lowering for the aten operations `names` ("add.Tensor"; "mm" is "mm.default").

    With `inplace` also for their in-place spellings ("add_.Tensor").
    """
    spelled = [n if "." in n else f"{n}.default" for n in names]
    if inplace:
        spelled += [n.replace(".", "_.", 1) for n in spelled]
    return lowers("torch", *(f"aten.{n}" for n in spelled), **details)


def cast(x: Any, dtype: str | None) -> Any:
    """`x` as numbers of the kind of `dtype`: integers truncate, floating-point formats are all the reals."""
    if dtype is None:
        return jnp.asarray(x)
    if dtype.startswith(("float", "bfloat")):
        return jnp.asarray(x).astype(jnp.float64)
    if dtype == "bool":
        return jnp.asarray(x) != 0
    return jnp.asarray(x).astype(dtype)


def filled(shape: Sequence[int], value: Any, dtype: str | None) -> Any:
    """An array of one number. Without `dtype` a float makes reals, an integer integers."""
    return jnp.broadcast_to(cast(value, dtype), tuple(shape))


def real(x: Any) -> Any:
    """`x` as real numbers: torch computes functions of integers in floating point."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.float64)


def is_real(x: Any) -> bool:
    """Whether `x` holds real numbers (a Python float counts)."""
    return isinstance(x, float) or (hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.inexact))


def axes_of(dim: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """The axes that `dim` names, all of them for None or an empty list, counted from the front."""
    if dim is None or dim == []:
        return tuple(range(rank))
    dims = [dim] if isinstance(dim, int) else dim
    return tuple(d % rank for d in dims) if rank else ()


def spread(numbers: int | Sequence[int], count: int) -> tuple[int, ...]:
    """One number for each of `count` axes: torch allows a single one for all."""
    numbers = [numbers] if isinstance(numbers, int) else list(numbers)
    return tuple(numbers * count if len(numbers) == 1 else numbers)


def reduced(x: Any, reduction: int) -> Any:
    """A loss reduced as torch numbers it: 0 not at all, 1 to its mean, 2 to its sum."""
    return (x, jnp.mean(x), jnp.sum(x))[reduction] if reduction == 0 else (jnp.mean, jnp.sum)[reduction - 1](x)


def per_element(grad: Any, reduction: int, size: int) -> Any:
    """The cotangent of each element of a loss of `size` elements, given that of the reduced loss."""
    return grad / size if reduction == 1 else grad


def storage_positions(geometry: Sequence[Any]) -> np.ndarray:
    """Where in memory each element lies, for a geometry [offset, shape, strides]; flat, in logical order."""
    offset, shape, strides = geometry
    positions = np.full((1,) * len(shape), offset, np.int64)
    for axis, (n, stride) in enumerate(zip(shape, strides, strict=True)):
        positions = positions + (np.arange(n) * stride).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return np.broadcast_to(positions, tuple(shape)).reshape(-1)


def element_at(geometry: Sequence[Any], positions: np.ndarray) -> np.ndarray:
    """The logical (flat) index of the element at each memory position, -1 where `geometry` has none."""
    mine = storage_positions(geometry)
    low = min(mine.min(initial=0), positions.min(initial=0))
    lookup = np.full(max(mine.max(initial=0), positions.max(initial=0)) - low + 1, -1, np.int64)
    lookup[mine - low] = np.arange(mine.size)
    return lookup[positions - low]


def take_flat(x: Any, index: np.ndarray) -> Any:
    """The elements of `x`, flattened, at known positions; zero where the position is negative."""
    flat = jnp.reshape(x, (-1,))
    taken = jnp.take(flat, np.maximum(index, 0), mode="clip")
    return taken if (index >= 0).all() else jnp.where(index >= 0, taken, jnp.zeros((), flat.dtype))


def product(numbers: Sequence[int]) -> int:
    """The product of integers, 1 for none."""
    return math.prod(numbers)
