"""Convolution as windows and one matrix product, so that every arithmetic needs the product alone."""

import math
from typing import Any

import numpy as np

from oracle.reference.program import Variable


def unfold_convolution(builder: Any, params: dict[str, Any], inputs: list[int], out_aval: Any) -> int:
    """Emit the steps of `conv_general_dilated` (all strides, dilations, paddings, feature and batch groups).

    The input becomes (N, C, *spatial) dilated and padded, then windows (N, C, *out, *kernel); the sum over channels
    of a group and over the kernel is one `dot_general` with the group as its batch dimension.
    """
    spec = params["dimension_numbers"]
    x = _transposed(builder, inputs[0], spec.lhs_spec)
    w = _transposed(builder, inputs[1], spec.rhs_spec)
    x = _pad(builder, x, params["padding"], params["lhs_dilation"])
    windows = _windows(builder, x, builder.variables[w].shape[2:], params)
    product = _grouped_product(builder, windows, w, params)
    return _transposed(builder, product, tuple(int(i) for i in np.argsort(spec.out_spec)), out_aval)


def _transposed(builder: Any, x: int, permutation: tuple[int, ...], aval: Any = None) -> int:
    v = builder.variables[x]
    aval = aval or Variable(tuple(v.shape[i] for i in permutation), v.dtype)
    return builder.emit("transpose", [x], aval, permutation=permutation)


def _reshaped(builder: Any, x: int, shape: tuple[int, ...]) -> int:
    aval = Variable(shape, builder.variables[x].dtype)
    return builder.emit("reshape", [x], aval, new_sizes=shape, dimensions=None)


def _pad(builder: Any, x: int, padding: Any, dilation: Any) -> int:
    config = ((0, 0, 0), (0, 0, 0), *((lo, hi, d - 1) for (lo, hi), d in zip(padding, dilation, strict=True)))
    shape = tuple(
        n + lo + hi + max(n - 1, 0) * inner
        for n, (lo, hi, inner) in zip(builder.variables[x].shape, config, strict=True)
    )
    zero = builder.constant(np.float64(0.0))
    return builder.emit("pad", [x, zero], Variable(shape, np.dtype(np.float64)), padding_config=config)


def _windows(builder: Any, x: int, kernel: tuple[int, ...], params: dict[str, Any]) -> int:
    """(N, C, *spatial) to (N, C, *out, *kernel) by flat indices."""
    n, c, *spatial = builder.variables[x].shape
    index = np.zeros((1,) * (2 * len(kernel)), np.int64)
    sizes, rank = [], len(kernel)
    for axis, (size, k, stride, step) in enumerate(
        zip(spatial, kernel, params["window_strides"], params["rhs_dilation"], strict=True)
    ):
        out = max((size - (k - 1) * step - 1) // stride + 1, 0)
        positions = np.arange(out)[:, None] * stride + np.arange(k)[None, :] * step
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = out, k
        index = index + positions.reshape(shape) * math.prod(spatial[axis + 1 :])
        sizes.append(out)
    flat = _reshaped(builder, x, (n, c, math.prod(spatial)))
    aval = Variable((n, c, *sizes, *kernel), np.dtype(np.float64))
    return builder.emit("take_last", [flat], aval, index=index)


def _grouped_product(builder: Any, windows: int, w: int, params: dict[str, Any]) -> int:
    """Contract (N, C, *out, *kernel) with (O, C/G, *kernel) group by group to (N', O, *out)."""
    o, per_group, *kernel = builder.variables[w].shape
    n, c, *rest = builder.variables[windows].shape
    out = tuple(rest[: len(kernel)])
    features, batches = params["feature_group_count"], params["batch_group_count"]
    groups = features * batches
    n_group = n // batches
    # (batches, n_group, features, per_group, *out, *kernel) -> (groups, per_group * kernel, n_group * out)
    split = _reshaped(builder, windows, (batches, n_group, features, c // features, *out, *kernel))
    rank = len(kernel)
    order = (0, 2, 3, *range(4 + rank, 4 + 2 * rank), 1, *range(4, 4 + rank))
    columns = _reshaped(
        builder,
        _transposed(builder, split, order),
        (groups, per_group * math.prod(kernel), n_group * math.prod(out)),
    )
    rows = _reshaped(builder, w, (groups, o // groups, per_group * math.prod(kernel)))
    aval = Variable((groups, o // groups, n_group * math.prod(out)), np.dtype(np.float64))
    product = builder.emit("dot_general", [rows, columns], aval, dimension_numbers=(((2,), (1,)), ((0,), (0,))))
    back = _reshaped(builder, product, (o, n_group, *out))
    return _transposed(builder, back, (1, 0, *range(2, 2 + rank)))
