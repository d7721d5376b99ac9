"""Convolutions that step otherwise: another stride, another dilation, the stride at another layer of a block.

Codes:
    stride: the windows lie at other distances; in a bottleneck, another convolution steps (ResNet v1 and v1.5).
    dilation: the elements of the kernel lie at other distances.
"""

from collections.abc import Iterator
from dataclasses import replace

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, layer_of
from oracle.causes.images.padding import default_paddings, result_size, wanted_sizes
from oracle.causes.images.pooling import windows
from oracle.causes.images.windows import CONVOLUTIONS, Pads, Window
from oracle.causes.local import downstream, overridden
from oracle.networks.lowered import LoweredNode, lower
from oracle.networks.network import Edits
from oracle.networks.node_reading import place, with_literal
from oracle.networks.unfit import Unfit
from oracle.trace import Node

_NEAR = 12
_BETWEEN = 12
_DILATIONS = (1, 2, 3, 4)
Steps = tuple[tuple[int, ...], tuple[int, ...]]


@hypothesis(priority=11)
def other_steps(context: Context) -> Iterator[Candidate]:
    """B's convolution takes another stride or dilation: A's, with A's padding or one that a user may have meant."""
    sizes = wanted_sizes(context)
    theirs = [w for w in windows(context.a, context.at_a.region[:_NEAR]) if w.kind == "convolution"]
    for window in windows(context.b, context.at_b.region[:_NEAR]):
        for other in [w for w in theirs if w.kind == window.kind and _taps(w) == _taps(window)][:2]:
            for steps in _steps(window, other):
                changed = with_steps(context.b, window, steps)
                lengths = [window.source(context.b.run.values).shape[k] for k in window.axes]
                for pads in dict.fromkeys((other.pads, changed.pads, *default_paddings(changed, lengths))):
                    if result_size(context, window, pads, changed) in sizes:
                        yield _candidate(context, (window, changed, other), pads)


def _steps(window: Window, other: Window) -> Iterator[Steps]:
    """Other strides and dilations of `window`: those of `other`; TensorFlow writes dilation as operations around it."""
    rank = len(window.axes)
    for dilation in dict.fromkeys((other.dilation, *((d,) * rank for d in _DILATIONS))):
        if (other.stride, dilation) != (window.stride, window.dilation):
            yield other.stride, dilation


@hypothesis(priority=12)
def stride_elsewhere(context: Context) -> Iterator[Candidate]:
    """Two convolutions of B, one behind the other, exchange their strides."""
    side = context.b
    for first in windows(side, context.at_b.region[:_NEAR]):
        if first.kind != "convolution":
            continue
        for second in windows(side, tuple(downstream(side, first.result, _BETWEEN))):
            if second.kind == "convolution" and second.stride != first.stride:
                ours, others = ((w.stride, w.dilation) for w in (first, second))
                edits = _as_written(side, first, (others[0], ours[1])) | _as_written(side, second, (ours[0], others[1]))
                where = f"{place(first.node)} and {place(second.node)}"
                yield Candidate(
                    "stride",
                    edits,
                    context.at_a.first[0] if context.at_a.first else None,
                    first.node,
                    fix_a=f"step by {list(first.stride)} in the first and by {list(second.stride)} in the second",
                    fix_b=f"exchange the strides of {where}: {list(second.stride)} first, then {list(first.stride)}",
                    detail=f"{{B}} steps by {list(first.stride)}, then by {list(second.stride)} ({where}); {{A}} the "
                    "other way round",
                )


def _as_written(side: Side, window: Window, steps: Steps) -> Edits:
    changed = with_steps(side, window, steps)
    return overridden(side, {window.result: changed.with_rule(changed.pads, window.mode, window.counted)})


def _taps(window: Window) -> list[int]:
    """How many elements the kernel has along each axis."""
    if window.kind != "convolution":
        return []
    return [(k - 1) // d + 1 for k, d in zip(window.kernel, window.dilation, strict=True)]


def with_steps(side: Side, window: Window, steps: Steps) -> Window:
    """The same convolution, written with another stride and dilation."""
    node = window.node
    recorded = _rewritten(side, node, steps)
    changed = lower(side.network.trace, recorded, side.network.actual)
    found = CONVOLUTIONS[node.node.op.removesuffix(".default")](side, changed)
    if found is None:
        raise Unfit(f"{node.node.op} is no convolution with these steps")
    return replace(found, node=node)


def _rewritten(side: Side, node: LoweredNode, steps: Steps) -> Node:
    stride, dilation = ([int(n) for n in numbers] for numbers in steps)
    framework = side.network.trace.framework
    if framework == "torch":
        return with_literal(with_literal(node.node, ("inputs", 3), stride), ("inputs", 5), dilation)
    if framework == "jax":
        return with_literal(
            with_literal(node.node, ("attrs", "window_strides"), stride), ("attrs", "rhs_dilation"), dilation
        )
    layout = node.node.attrs["data_format"]
    return with_literal(
        with_literal(node.node, ("attrs", "strides"), _in_layout(layout, stride)),
        ("attrs", "dilations"),
        _in_layout(layout, dilation),
    )


def _in_layout(layout: str, numbers: list[int]) -> list[int]:
    given = iter(numbers)
    return [1 if name in "NC" else next(given) for name in layout]


def _candidate(context: Context, of: tuple[Window, Window, Window], pads: Pads) -> Candidate:
    window, changed, other = of
    code = "dilation" if changed.dilation != window.dilation else "stride"
    was, now = (f"{code}={list(getattr(w, code))}" for w in (window, changed))
    return Candidate(
        code,
        overridden(context.b, {window.result: changed.with_rule(pads, window.mode, window.counted)}),
        other.node,
        window.node,
        fix_a=f"{_kind(context.a, other.node)}(..., {was})  # at {place(other.node)}",
        fix_b=f"{_kind(context.b, window.node)}(..., {now})  # at {place(window.node)}",
        detail=f"{was} in {{B}}, {now} in {{A}} ({place(window.node)})",
    )


def _kind(side: Side, node: LoweredNode) -> str:
    layer = layer_of(side, node)
    return layer.kind if layer is not None and layer.kind else node.node.op
