"""Windowed reductions and their gradients as windows, arg-max and sums, so that no arithmetic needs to know pooling."""

import math
from typing import Any

import numpy as np

from oracle.reference.program import Variable

_FILL = {"reduce_window_sum": 0.0, "reduce_window_max": -np.inf, "reduce_window_min": np.inf}
_REDUCE = {"reduce_window_sum": "reduce_sum", "reduce_window_max": "reduce_max", "reduce_window_min": "reduce_min"}
_REAL, _INTEGER, _BOOLEAN = np.dtype(np.float64), np.dtype(np.int64), np.dtype(bool)


def unfold_windowed(builder: Any, name: str, params: dict[str, Any], inputs: list[int]) -> int:
    """Emit the steps of `reduce_window_*`, `select_and_scatter_add` and `select_and_gather_add`."""
    if name in _FILL:
        windows, _ = _windows(builder, inputs[0], params, _FILL[name])
        return _reduce(builder, _REDUCE[name], windows)
    values, operand = inputs
    least = -np.inf if params["select_prim"].name == "ge" else np.inf
    windows, index = _windows(builder, operand, params, least)
    chosen = _one_hot(builder, windows, "argmax" if least < 0 else "argmin")
    zero = builder.constant(np.zeros(builder.variables[windows].shape))
    if name == "select_and_gather_add":
        tangents, _ = _windows(builder, values, params, 0.0)
        return _reduce(builder, "reduce_sum", _pick(builder, chosen, zero, tangents))
    shape = builder.variables[windows].shape
    spread = builder.emit("broadcast_in_dim", [values], Variable(shape, _REAL), shape=shape,
                          broadcast_dimensions=tuple(range(len(shape) - 1)))  # fmt: skip
    return _scattered(builder, _pick(builder, chosen, zero, spread), operand, (params, index))


def _pick(builder: Any, chosen: int, zero: int, values: int) -> int:
    return builder.emit("select_n", [chosen, zero, values], builder.variables[values])


def _reduce(builder: Any, primitive: str, windows: int) -> int:
    shape = builder.variables[windows].shape
    return builder.emit(primitive, [windows], Variable(shape[:-1], _REAL), axes=(len(shape) - 1,))


def _one_hot(builder: Any, windows: int, primitive: str) -> int:
    shape = builder.variables[windows].shape
    place = builder.emit(
        primitive, [windows], Variable(shape[:-1], _INTEGER), axes=(len(shape) - 1,), index_dtype=np.int64
    )
    wide = builder.emit("broadcast_in_dim", [place], Variable(shape, _INTEGER), shape=shape,
                        broadcast_dimensions=tuple(range(len(shape) - 1)))  # fmt: skip
    line = builder.constant(np.broadcast_to(np.arange(shape[-1]), shape))
    return builder.emit("eq", [wide, line], Variable(shape, _BOOLEAN))


def _windows(builder: Any, x: int, params: dict[str, Any], fill: float) -> tuple[int, np.ndarray]:
    """The padded, dilated operand as (*out, window) and the flat index of each window element in it."""
    shape = builder.variables[x].shape
    rank = len(shape)
    window, strides = params["window_dimensions"], params["window_strides"]
    base = params.get("base_dilation") or (1,) * rank
    steps = params.get("window_dilation") or (1,) * rank
    config = tuple((lo, hi, d - 1) for (lo, hi), d in zip(params["padding"], base, strict=True))
    padded = tuple(n + lo + hi + max(n - 1, 0) * inner for n, (lo, hi, inner) in zip(shape, config, strict=True))
    operand = builder.emit(
        "pad", [x, builder.constant(np.float64(fill))], Variable(padded, _REAL), padding_config=config
    )
    index, sizes = np.zeros((1,) * (2 * rank), np.int64), []
    for axis, (n, k, stride, step) in enumerate(zip(padded, window, strides, steps, strict=True)):
        count = max((n - (k - 1) * step - 1) // stride + 1, 0)
        form = [1] * (2 * rank)
        form[axis], form[rank + axis] = count, k
        positions = np.arange(count)[:, None] * stride + np.arange(k)[None, :] * step
        index = index + positions.reshape(form) * math.prod(padded[axis + 1 :])
        sizes.append(count)
    index = index.reshape(*sizes, math.prod(window))
    flat = builder.emit("reshape", [operand], Variable((math.prod(padded),), _REAL), new_sizes=(math.prod(padded),))
    return builder.emit("take_last", [flat], Variable(index.shape, _REAL), index=index), index


def _scattered(builder: Any, parts: int, operand: int, layout: tuple[dict[str, Any], np.ndarray]) -> int:
    """Sum the window elements back to the places of the unpadded operand they came from."""
    params, index = layout
    shape = builder.variables[operand].shape
    padded = tuple(n + lo + hi for n, (lo, hi) in zip(shape, params["padding"], strict=True))
    inside = np.full(padded, -1, np.int64)
    inside[tuple(slice(lo, lo + n) for n, (lo, _) in zip(shape, params["padding"], strict=True))] = np.arange(
        math.prod(shape)
    ).reshape(shape)
    target = inside.reshape(-1)[index]
    return builder.emit("add_at", [parts], Variable(shape, _REAL), target=target, shape=shape)
