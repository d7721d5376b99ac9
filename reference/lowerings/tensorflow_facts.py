"""TensorFlow's integer facts about shapes: computed while the program runs, the same in any arithmetic."""

from typing import Any

import numpy as np

from oracle.reference.lazy import jnp
from oracle.reference.lowerings.tensorflow import op


@op("Shape")
def shape(x: Any, out_type: str) -> Any:
    return jnp.asarray(np.asarray(x.shape, out_type))


@op("ShapeN")
def shape_n(*arrays: Any, out_type: str) -> tuple[Any, ...]:
    return tuple(shape(x, out_type) for x in arrays)


@op("Size")
def size(x: Any, out_type: str) -> Any:
    return jnp.asarray(np.asarray(x.size, out_type))


@op("Rank")
def rank(x: Any) -> Any:
    return jnp.asarray(np.int32(x.ndim))


@op("BroadcastArgs", static=(0, 1))
def broadcast_args(a: Any, b: Any) -> Any:
    joint = np.broadcast_shapes(tuple(np.ravel(a)), tuple(np.ravel(b)))
    return jnp.asarray(np.asarray(joint, np.int32))


@op("BroadcastGradientArgs", static=(0, 1))
def broadcast_gradient_args(a: Any, b: Any) -> tuple[Any, Any]:
    """The axes over which each gradient is summed: those an operand was stretched along, or lacks.

    TensorFlow also sums over an axis of length 1 that both operands have.
    """
    a, b = [int(v) for v in np.ravel(a)], [int(v) for v in np.ravel(b)]
    if a == b:
        return _axes([]), _axes([])
    rank = max(len(a), len(b))
    a, b = [1] * (rank - len(a)) + a, [1] * (rank - len(b)) + b
    return _axes([i for i in range(rank) if a[i] == 1]), _axes([i for i in range(rank) if b[i] == 1])


def _axes(axes: list[int]) -> Any:
    return jnp.asarray(np.asarray(axes, np.int32))


@op("ConcatOffset")
def concat_offset(axis: Any, *shapes: Any) -> tuple[Any, ...]:
    """Where each part begins in the concatenation along `axis`."""
    at_axis = jnp.arange(shapes[0].size) == axis
    ends = [shapes[0] * 0]
    for part in shapes[:-1]:
        ends.append(ends[-1] + jnp.where(at_axis, part, 0))
    return tuple(ends)


@op("InvertPermutation")
def invert_permutation(x: Any) -> Any:
    return jnp.argsort(x).astype(x.dtype)
