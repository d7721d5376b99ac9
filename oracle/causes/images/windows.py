"""Sliding windows as the frameworks record them: convolutions and pools with their padding, in one form.

Padding is taken together: what an operation of its own put around the array, and what the convolution or pool adds.
"""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import replaced_node
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import with_literal
from oracle.trace import Node, Tree, references

# The operations of the frameworks that pad an array.
_PADDING = re.compile(r"aten\.(constant_pad_nd|(reflection|replication)_pad[123]d)(\.default)?|pad|padv2|mirrorpad")
Pads = tuple[tuple[int, int], ...]
_PAD_MODES = {"reflection": "reflect", "replication": "edge", "mirror": "reflect", "circular": "wrap"}


@dataclass(frozen=True)
class Window:
    """A convolution or pool of one side.

    `kind` is "convolution", "transposed", "max" or "average"; `axes` are the spatial axes of its array, `kernel` its
    extent along them (`dilation` included), `pads` the padding in all, `mode` NumPy's name for what fills it, `counted`
    whether an average counts the padding. `source(values)` is the array before any padding; `result` the value made.
    """

    node: LoweredNode
    kind: str
    axes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: Pads
    result: int
    source: Callable[[Values], np.ndarray]
    compute: Callable[["Window", Values], np.ndarray]
    mode: str = "constant"
    counted: bool = False
    dilation: tuple[int, ...] = ()

    def with_rule(self, pads: Pads, mode: str, counted: bool) -> Callable[[Values], np.ndarray]:
        """What the operation makes with another padding."""
        changed = replace(self, pads=pads, mode=mode, counted=counted)
        return functools.partial(self.compute, changed)

    def outputs(self, pads: Pads, lengths: Sequence[int]) -> list[int]:
        """How many windows fit along each axis of `lengths`; for a transposed one, how long its result is."""
        if self.kind == "transposed":
            full = [(n - 1) * s + k for n, s, k in zip(lengths, self.stride, self.kernel, strict=True)]
            return [n - lo - hi for n, (lo, hi) in zip(full, pads, strict=True)]
        sizes = zip(lengths, pads, self.kernel, self.stride, strict=True)
        return [(n + lo + hi - k) // s + 1 for n, (lo, hi), k, s in sizes]


def value_of(tree: Tree) -> int:
    """The first value that an argument refers to."""
    return next(references(tree))


def extent(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """How far a dilated kernel reaches along each axis: d (k - 1) + 1."""
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))


def spread(x: Tree, rank: int) -> tuple[int, ...]:
    """A number, or one for each of `rank` axes, as one for each."""
    numbers = list(x) if isinstance(x, list | tuple) else [x]
    return tuple(int(n) for n in (numbers * rank if len(numbers) == 1 else numbers))


# Where the array comes from.


def padded_source(side: Side, value: int) -> tuple[Callable[[Values], np.ndarray], dict[int, tuple[int, int]], str]:
    """The array before an operation that pads it (or the array itself), the padding by axis, and its mode."""
    producer = side.producers.get(value)
    shape = side.run.values[value].shape
    axis = None
    if producer is not None and len(producer.reals) == 1:
        inner = side.run.values[producer.reals[0]].shape
        axis = next((k for k in range(len(shape)) if shape[k] == 1 and shape[:k] + shape[k + 1 :] == inner), None)
        if axis is not None:
            producer = side.producers.get(producer.reals[0])
    found = pad_of(side, producer) if producer is not None else None
    if found is None:
        return (lambda values: values[value]), {}, "constant"
    origin, pads, mode = found
    if axis is None:
        return (lambda values: values[origin]), pads, mode
    moved = {k + (k >= axis): pair for k, pair in pads.items()}
    return (lambda values: np.expand_dims(values[origin], axis)), moved, mode


def pad_of(side: Side, node: LoweredNode) -> tuple[int, dict[int, tuple[int, int]], str] | None:
    """What a padding node pads, by how much along each axis, and with what."""
    op = node.node.op.lower()
    if not _PADDING.fullmatch(op) or not node.reals or not node.outputs:
        return None
    x = node.reals[0]
    inputs, rank = node.node.inputs, side.run.values[x].ndim
    if side.network.trace.framework == "torch":
        pairs = list(zip(inputs[1][::2], inputs[1][1::2], strict=True))
        pads = {rank - 1 - i: (int(lo), int(hi)) for i, (lo, hi) in enumerate(pairs)}
    elif side.network.trace.framework == "jax":
        config = node.node.attrs["padding_config"]
        if any(interior for _, _, interior in config):
            return None
        pads = {k: (int(lo), int(hi)) for k, (lo, hi, _) in enumerate(config)}
    else:
        pads = {k: (int(lo), int(hi)) for k, (lo, hi) in enumerate(np.reshape(inputs[1], (-1, 2)))}
    mode = next((m for word, m in _PAD_MODES.items() if word in op), "constant")
    return x, {k: p for k, p in pads.items() if any(p)}, mode


def joined_pads(axes: Sequence[int], own: Sequence[tuple[int, int]], outer: dict[int, tuple[int, int]]) -> Pads | None:
    """A window's own padding and that of a node before it, together; None where that pads another axis."""
    if set(outer) - set(axes):
        return None
    zero = (0, 0)
    return tuple(
        (lo + outer.get(k, zero)[0], hi + outer.get(k, zero)[1]) for k, (lo, hi) in zip(axes, own, strict=True)
    )


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "same": as many windows as ceil(length / stride), the odd one of the padding behind."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def surrounded(window: Window, x: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """`x` with the window's padding around it; a negative one cuts."""
    width = [(0, 0)] * x.ndim
    for axis, (lo, hi) in zip(window.axes, window.pads, strict=True):
        width[axis] = (max(lo, 0), max(hi, 0))
    x = np.pad(x, width, mode="constant", constant_values=fill) if window.mode == "constant" else np.pad(
        x, width, mode=window.mode  # type: ignore[call-overload]
    )  # fmt: skip
    for axis, (lo, hi) in zip(window.axes, window.pads, strict=True):
        x = np.take(x, range(max(-lo, 0), x.shape[axis] - max(-hi, 0)), axis)
    return x


# Convolutions.


def _convolution(side: Side, node: LoweredNode, plain: Node, x: int, form: dict) -> Window | None:
    """A convolution whose node without padding is `plain`, reading `x`."""
    source, outer, mode = padded_source(side, x)
    pads = joined_pads(form["axes"], form["pads"], outer)
    if pads is None:
        return None
    meaning = _unpadded(side, node, plain)

    def compute(window: Window, values: Values) -> np.ndarray:
        return meaning({**values, x: surrounded(window, window.source(values))})

    return Window(
        node, "convolution", tuple(form["axes"]), form["kernel"], form["stride"], pads, node.outputs[0], source,
        compute, mode if any(any(p) for p in outer.values()) else "constant", dilation=tuple(form["dilation"]),
    )  # fmt: skip


def _unpadded(side: Side, node: LoweredNode, plain: Node) -> Callable[[Values], np.ndarray]:
    edit = replaced_node(side, node, plain).nodes[node.node.index]
    return lambda values: edit(values)[node.outputs[0]]


def _cropped(side: Side, node: LoweredNode, full: Node, x: int, form: dict) -> Window:
    """A transposed convolution: its full result, `full`, of which the padding is cut off."""
    meaning = _unpadded(side, node, full)

    def compute(window: Window, values: Values) -> np.ndarray:
        y = meaning(values)
        for axis, (lo, hi) in zip(form["out_axes"], window.pads, strict=True):
            y = np.take(y, range(lo, y.shape[axis] - hi - form["beyond"]), axis)
        return y

    return Window(
        node, "transposed", tuple(form["axes"]), form["kernel"], form["stride"], form["pads"], node.outputs[0],
        lambda values: values[x], compute,
    )  # fmt: skip


def _torch_convolution(side: Side, node: LoweredNode) -> Window | None:
    x, weight, _, stride, padding, dilation, transposed, _, _ = node.node.inputs
    rank = side.run.values[value_of(x)].ndim - 2
    spatial = tuple(range(2, 2 + rank))
    padding, stride = spread(padding, rank), spread(stride, rank)
    dilation = spread(dilation, rank)
    kernel = extent(side.run.values[value_of(weight)].shape[2:], dilation)
    form = {"axes": spatial, "out_axes": spatial, "kernel": kernel, "stride": stride, "dilation": dilation, "beyond": 0}
    plain = with_literal(node.node, ("inputs", 4), [0] * rank)
    if not transposed:
        return _convolution(side, node, plain, value_of(x), form | {"pads": [(p, p) for p in padding]})
    shapes = zip(
        side.run.values[value_of(x)].shape[2:], side.run.values[node.outputs[0]].shape[2:], padding, strict=True
    )
    full = [((n - 1) * s + k, m, p) for (n, m, p), s, k in zip(shapes, stride, kernel, strict=True)]
    pads = tuple((p, size - m - p) for size, m, p in full)
    plain = with_literal(plain, ("inputs", 7), [0] * rank)
    return _cropped(side, node, plain, value_of(x), form | {"pads": pads})


def tensorflow_spatial(node: LoweredNode) -> tuple[int, ...]:
    """The axes of space in the node's data format."""
    return tuple(k for k, name in enumerate(node.node.attrs["data_format"]) if name not in "NC")


def tensorflow_pads(side: Side, node: LoweredNode, x: int, form: dict) -> list[tuple[int, int]]:
    """What the node's "SAME", "VALID" or explicit padding is along each axis of space."""
    lengths = [side.run.values[x].shape[k] for k in form["axes"]]
    attrs = node.node.attrs
    if attrs["padding"] == "SAME":
        return [same_padding(n, k, s) for n, k, s in zip(lengths, form["kernel"], form["stride"], strict=True)]
    if attrs["padding"] == "EXPLICIT":
        pairs = np.reshape(attrs["explicit_paddings"], (-1, 2))
        return [(int(pairs[k][0]), int(pairs[k][1])) for k in form["axes"]]
    return [(0, 0)] * len(lengths)


def _tensorflow_form(node: LoweredNode, kernel: Sequence[int]) -> dict:
    attrs, axes = node.node.attrs, tensorflow_spatial(node)
    dilation = [(attrs.get("dilations") or [1] * 5)[k] for k in axes]
    stride = tuple(attrs["strides"][k] for k in axes)
    return {"axes": axes, "stride": stride, "kernel": extent(kernel, dilation), "dilation": dilation}


def _tensorflow_plain(node: Node) -> Node:
    attrs = {**node.attrs, "padding": "VALID"}
    return replace(node, attrs=attrs | ({"explicit_paddings": []} if "explicit_paddings" in attrs else {}))


def _tensorflow_convolution(side: Side, node: LoweredNode) -> Window | None:
    x, weight = (value_of(i) for i in node.node.inputs[:2])
    form = _tensorflow_form(node, side.run.values[weight].shape[: len(tensorflow_spatial(node))])
    form["pads"] = tensorflow_pads(side, node, x, form)
    return _convolution(side, node, _tensorflow_plain(node.node), x, form)


def _tensorflow_transposed(side: Side, node: LoweredNode) -> Window | None:
    weight, x = (value_of(i) for i in node.node.inputs[1:3])
    if node.node.phase != "forward":
        return None
    form = _tensorflow_form(node, side.run.values[weight].shape[: len(tensorflow_spatial(node))])
    small, large = side.run.values[x].shape, side.run.values[node.outputs[0]].shape
    full = list(large)
    pads = []
    for axis, k, s in zip(form["axes"], form["kernel"], form["stride"], strict=True):
        full[axis] = (small[axis] - 1) * s + k
        over = full[axis] - large[axis]
        lo = same_padding(large[axis], k, s)[0] if node.node.attrs["padding"] == "SAME" else 0
        pads.append((lo, over - lo))
    plain = with_literal(_tensorflow_plain(node.node), ("inputs", 0), full)
    return _cropped(side, node, plain, x, form | {"pads": tuple(pads), "out_axes": form["axes"], "beyond": 0})


def _jax_convolution(side: Side, node: LoweredNode) -> Window | None:
    attrs = node.node.attrs
    fields = attrs["dimension_numbers"]["fields"]
    x, weight = (value_of(i) for i in node.node.inputs[:2])
    shape = side.run.values[weight].shape
    kernel = extent([shape[k] for k in fields["rhs_spec"][2:]], attrs["rhs_dilation"])
    own = [(int(lo), int(hi)) for lo, hi in attrs["padding"]]
    form: dict[str, Any] = {
        "axes": tuple(fields["lhs_spec"][2:]),
        "kernel": kernel,
        "stride": tuple(attrs["window_strides"]),
        "dilation": tuple(attrs["rhs_dilation"]),
    }
    if any(d != 1 for d in attrs["lhs_dilation"]):
        widest = [[k - 1, k - 1] for k in kernel]
        pads = tuple((k - 1 - lo, k - 1 - hi) for (lo, hi), k in zip(own, kernel, strict=True))
        form |= {"stride": tuple(attrs["lhs_dilation"]), "out_axes": tuple(fields["out_spec"][2:]), "beyond": 0}
        return _cropped(side, node, with_literal(node.node, ("attrs", "padding"), widest), x, form | {"pads": pads})
    plain = with_literal(node.node, ("attrs", "padding"), [[0, 0] for _ in own])
    return _convolution(side, node, plain, x, form | {"pads": own})


CONVOLUTIONS: dict[str, Callable[[Side, LoweredNode], Window | None]] = {
    "aten.convolution": _torch_convolution, "Conv2D": _tensorflow_convolution, "Conv3D": _tensorflow_convolution,
    "DepthwiseConv2dNative": _tensorflow_convolution, "Conv2DBackpropInput": _tensorflow_transposed,
    "conv_general_dilated": _jax_convolution,
}  # fmt: skip
