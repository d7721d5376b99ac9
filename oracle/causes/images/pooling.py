"""Pools as the frameworks record them, in the form of a sliding window with its padding."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes.images.windows import (
    CONVOLUTIONS,
    Window,
    extent,
    joined_pads,
    padded_source,
    spread,
    surrounded,
    tensorflow_pads,
    tensorflow_spatial,
    value_of,
)
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values


def _pooled(window: Window, values: Values) -> np.ndarray:
    """The maximum, or the average, of each window; an average counts its padding or leaves it out."""
    left_out = -np.inf if window.kind == "max" else np.nan
    fill = 0.0 if window.kind == "average" and window.counted else left_out
    x = surrounded(window, window.source(values), fill)
    views = np.lib.stride_tricks.sliding_window_view(x, window.kernel, window.axes)
    steps = [slice(None)] * x.ndim
    for axis, s in zip(window.axes, window.stride, strict=True):
        steps[axis] = slice(None, None, s)
    last = tuple(range(x.ndim, x.ndim + len(window.axes)))
    chosen = views[tuple(steps)]
    if window.kind == "max":
        return chosen.max(last)
    with np.errstate(invalid="ignore"):  # a window of nothing but padding has no average
        return np.nansum(chosen, last) / np.sum(~np.isnan(chosen), last)


def _pool(side: Side, node: LoweredNode, form: dict, result: int | None = None) -> Window | None:
    source, outer, mode = padded_source(side, form["x"])
    pads = joined_pads(form["axes"], form["pads"], outer)
    if pads is None:
        return None
    return Window(
        node, form["kind"], tuple(form["axes"]), tuple(form["kernel"]), tuple(form["stride"]), pads,
        node.outputs[0] if result is None else result, source, _pooled,
        mode if outer and form["kind"] == "average" else "constant", form["counted"],
    )  # fmt: skip


def _torch_pool(side: Side, node: LoweredNode) -> Window | None:
    inputs = node.node.inputs
    x, kind = value_of(inputs[0]), "max" if "max" in node.node.op else "average"
    rank = len(inputs[1])
    lengths = side.run.values[x].shape[-rank:]
    kernel = tuple(inputs[1])
    stride = tuple(inputs[2]) if len(inputs) > 2 and inputs[2] else kernel
    padding = spread(inputs[3], rank) if len(inputs) > 3 else (0,) * rank
    axes = tuple(range(side.run.values[x].ndim - rank, side.run.values[x].ndim))
    made = side.run.values[node.outputs[0]].shape[-rank:]
    over = zip(lengths, kernel, stride, padding, made, strict=True)
    pads = [(p, max(p, (m - 1) * s + k - n - p)) for n, k, s, p, m in over]
    counted = kind == "average" and (len(inputs) <= 5 or bool(inputs[5]))
    if kind == "max" and len(inputs) > 4:
        kernel = extent(kernel, spread(inputs[4], rank))
        if kernel != tuple(inputs[1]):
            return None
    return _pool(side, node, {"x": x, "kind": kind, "axes": axes, "kernel": kernel, "stride": stride, "pads": pads,
                              "counted": counted})  # fmt: skip


def _tensorflow_pool(side: Side, node: LoweredNode) -> Window | None:
    attrs, axes = node.node.attrs, tensorflow_spatial(node)
    form = {"axes": axes, "kernel": [attrs["ksize"][k] for k in axes], "stride": [attrs["strides"][k] for k in axes]}
    x = value_of(node.node.inputs[0])
    kind = "max" if node.node.op.startswith("Max") else "average"
    return _pool(side, node, form | {"x": x, "kind": kind, "pads": tensorflow_pads(side, node, x, form),
                                     "counted": False})  # fmt: skip


def _jax_pool(side: Side, node: LoweredNode) -> Window | None:
    attrs = node.node.attrs
    axes = [k for k, n in enumerate(attrs["window_dimensions"]) if n > 1]
    form = {
        "x": value_of(node.node.inputs[0]), "axes": axes, "kernel": [attrs["window_dimensions"][k] for k in axes],
        "stride": [attrs["window_strides"][k] for k in axes], "pads": [tuple(attrs["padding"][k]) for k in axes],
    }  # fmt: skip
    if node.node.op == "reduce_window_max":
        return _pool(side, node, form | {"kind": "max", "counted": False})
    divided = [n for n in side.consumers.get(node.outputs[0], ()) if n.node.op in ("div", "mul")]
    if not divided or divided[0].reals[0] != node.outputs[0]:
        return None
    whole = len(divided[0].reals) == 1 or side.run.values[divided[0].reals[1]].size == 1
    return _pool(side, node, form | {"kind": "average", "counted": whole}, divided[0].outputs[0])


POOLS: dict[str, Callable[[Side, LoweredNode], Window | None]] = {
    "aten.max_pool2d_with_indices": _torch_pool, "aten.max_pool3d_with_indices": _torch_pool,
    "aten.avg_pool2d": _torch_pool, "aten.avg_pool3d": _torch_pool, "MaxPool": _tensorflow_pool,
    "AvgPool": _tensorflow_pool, "MaxPool3D": _tensorflow_pool, "AvgPool3D": _tensorflow_pool,
    "reduce_window_max": _jax_pool, "reduce_window_sum": _jax_pool,
}  # fmt: skip


def windows(side: Side, nodes: Sequence[LoweredNode]) -> Iterator[Window]:
    """The convolutions and pools among `nodes`."""
    for node in nodes:
        read = (CONVOLUTIONS | POOLS).get(node.node.op.removesuffix(".default"))
        found = read(side, node) if read is not None and node.outputs and node.signature is not None else None
        if found is not None:
            yield found
