"""Another padding: 'same' against symmetric, zeros on the other side, reflected, counted in an average or not."""

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, layer_of
from oracle.causes.images.pooling import windows
from oracle.causes.images.windows import Pads, Window, same_padding
from oracle.causes.local import overridden
from oracle.networks.lowered import LoweredNode
from oracle.networks.node_reading import place

# Nodes of the divergent region among which windows are looked for; a padding may come before its convolution.
_NEAR = 12
# NumPy's names of what fills the padding, and torch's.
_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
_WORDS = {"constant": "zeros", "reflect": "reflection", "edge": "the edge repeated", "wrap": "the other side"}
Rule = tuple[Pads, str, bool]


@hypothesis(priority=11)
def other_padding(context: Context) -> Iterator[Candidate]:
    """B's convolution or pool is padded in another way."""
    sizes = wanted_sizes(context)
    theirs = list(windows(context.a, context.at_a.region[:_NEAR]))
    for window in windows(context.b, context.at_b.region[:_NEAR]):
        other = next((w for w in theirs if w.kind == window.kind and w.kernel == window.kernel), None)
        for rule in _rules(window, np.shape(window.source(context.b.run.values)), other):
            if result_size(context, window, rule[0]) in sizes:
                yield _candidate(context, window, rule, other)


def wanted_sizes(context: Context) -> set[int]:
    """How many elements the values have for which A's divergent region waits."""
    side = context.a
    targets = [p.b if context.exchanged else p.a for p in context.pairs]
    return {side.run.values[i].size for i in [*(o for n in context.at_a.region for o in n.outputs), *targets]}


def result_size(context: Context, window: Window, pads: Pads, changed: Window | None = None) -> int:
    """How many elements the result of B's `window` has under another padding, or as `changed` to other steps."""
    shape = np.shape(window.source(context.b.run.values))
    lengths = [shape[k] for k in window.axes]
    made = context.b.run.values[window.result]
    channels = made.size // math.prod(window.outputs(window.pads, lengths))
    outputs = (changed or window).outputs(pads, lengths)
    return channels * math.prod(outputs) if min(outputs) > 0 else -1


def _rules(window: Window, shape: tuple[int, ...], other: Window | None) -> Iterator[Rule]:
    """Other paddings that a user may have meant, without the present one; what A writes there first."""
    seen: set[Rule] = {(window.pads, window.mode, window.counted)}
    lengths = [shape[k] for k in window.axes]
    if other is not None and (theirs := (other.pads, other.mode, other.counted)) not in seen:
        seen.add(theirs)
        yield theirs
    for pads in _paddings(window, lengths):
        for mode in _modes(window, pads):
            for counted in (False, True) if window.kind == "average" else (False,):
                if (pads, mode, counted) not in seen:
                    seen.add((pads, mode, counted))
                    yield pads, mode, counted


def _modes(window: Window, pads: Pads) -> tuple[str, ...]:
    if window.kind == "convolution" and any(any(p) for p in pads):
        return tuple(_MODES) if pads == window.pads else tuple(dict.fromkeys((window.mode, "constant")))
    return ("constant",)


def _paddings(window: Window, lengths: list[int]) -> Iterator[Pads]:
    """The present padding, then others; along every axis by the same rule."""
    yield window.pads
    sizes = list(zip(lengths, window.kernel, window.stride, strict=True))
    if window.kind == "transposed":
        yield from _crops(window)
        return
    yield from default_paddings(window, lengths)
    if window.kind in ("max", "average"):
        for pads in (window.pads, tuple((0, 0) for _ in sizes)):  # windows that begin inside and end outside
            ends = [(n + lo + hi - k) % s for (n, k, s), (lo, hi) in zip(sizes, pads, strict=True)]
            rounded = zip(pads, ends, window.stride, strict=True)
            yield tuple((lo, hi + (s - over if over else 0)) for (lo, hi), over, s in rounded)


def default_paddings(window: Window, lengths: Sequence[int]) -> Iterator[Pads]:
    """What a user may mean: 'same', none, causal, all on one side, so many on both."""
    sizes = list(zip(lengths, window.kernel, window.stride, strict=True))
    same = tuple(same_padding(*size) for size in sizes)
    yield from (same, tuple((hi, lo) for lo, hi in same), tuple((0, 0) for _ in sizes))
    yield tuple((hi, lo) for lo, hi in window.pads)
    yield tuple((lo + hi, 0) for lo, hi in window.pads)
    yield tuple((0, lo + hi) for lo, hi in window.pads)
    yield tuple((k - 1, 0) for _, k, _ in sizes)
    yield tuple((0, k - 1) for _, k, _ in sizes)
    for p in range(1, max(window.kernel)):
        yield tuple((p, p) if k > 1 else (0, 0) for _, k, _ in sizes)


def _crops(window: Window) -> Iterator[Pads]:
    """What may be cut off a transposed convolution: as much as now by other sides, or another amount."""
    total = [lo + hi for lo, hi in window.pads]
    for first in range(max(total) + 1):
        yield tuple((min(first, t), t - min(first, t)) for t in total)
    yield tuple((0, 0) for _ in total)
    for p in range(1, max(window.kernel)):
        yield tuple((p, p) for _ in total)
    over = [k - s for k, s in zip(window.kernel, window.stride, strict=True)]
    yield tuple((o // 2, o - o // 2) for o in over)
    yield tuple((o - o // 2, o // 2) for o in over)


def _candidate(context: Context, window: Window, rule: Rule, other: Window | None) -> Candidate:
    present = (window.pads, window.mode, window.counted)
    was, now = _words(window, present), _words(window, rule)
    node_a = other.node if other is not None else context.at_a.first[0] if context.at_a.first else None
    return Candidate(
        "pool-padding" if window.kind in ("max", "average") else "padding",
        overridden(context.b, {window.result: window.with_rule(*rule)}),
        node_a,
        window.node,
        fix_a=_fix(context.a, node_a, window, present),
        fix_b=_fix(context.b, window.node, window, rule),
        detail=f"{place(window.node)} of {{B}} is padded by {was}, in {{A}} by {now}",
    )


def _words(window: Window, rule: Rule) -> str:
    pads, mode, counted = rule
    if window.kind == "transposed":
        return f"a cut of {list(pads)} from the full result"
    filled = f"{list(pads)} of {_WORDS[mode]}" if window.kind == "convolution" else f"{list(pads)}"
    return f"{filled}, {'counted' if counted else 'not counted'}" if window.kind == "average" else filled


def _fix(side: Side, node: LoweredNode | None, window: Window, rule: Rule) -> str:
    """The padding as the side's user writes it."""
    layer = layer_of(side, node) if node is not None else None
    kind = layer.kind if layer is not None and layer.kind else (node.node.op if node is not None else "the layer")
    where = f"  # {node.node.scope}" if node is not None and node.node.scope else ""
    pads, mode, counted = rule
    told = re.search(r"([123])[dD]", kind)
    pads = pads[-int(told[1]) :] if told else pads  # a convolution over time runs as one over images of one row
    keras = kind.startswith("keras")
    if side.network.trace.framework == "torch" and not keras:
        written = _torch(window, kind, pads, mode)
        written += f", count_include_pad={counted})" if window.kind == "average" else ")"
    elif keras:
        written = _keras(window, kind, (pads, mode, counted))
    else:
        written = f"{kind}(..., padding={[list(p) for p in pads]})"
    return written + where


def _torch(window: Window, kind: str, pads: Pads, mode: str) -> str:
    """Up to the closing bracket."""
    if all(lo == hi for lo, hi in pads) and (mode == "constant" or window.kind == "convolution"):
        named = f", padding_mode={_MODES[mode]!r}" if mode != "constant" else ""
        return f"{kind}(..., padding={tuple(lo for lo, _ in pads)}{named}"
    flat = tuple(n for pair in reversed(pads) for n in pair)
    if window.kind == "transposed":
        return f"{kind}(..., padding=0) and cut {list(pads)} off its result (output[..., lo:size - hi]"
    fill = ', value=float("-inf")' if window.kind == "max" else ""
    named = f", mode={_MODES[mode]!r}" if mode != "constant" else ""
    return f"torch.nn.functional.pad(x, {flat}{named}{fill}), then {kind}(..., padding=0"


def _keras(window: Window, kind: str, rule: Rule) -> str:
    pads, mode, counted = rule
    if all(p == (0, 0) for p in pads) and mode == "constant":
        return f'{kind}(..., padding="valid")'
    if window.kind == "transposed":
        return f'{kind}(..., padding="valid"), then keras.layers.Cropping{len(pads)}D({pads})'
    if window.kind == "average" and not counted:
        return f'{kind}(..., padding="same")  (pads {list(pads)} where the sizes ask for it)'
    if mode == "constant" and window.kind != "max":
        width = pads if len(pads) > 1 else pads[0]
        return f'keras.layers.ZeroPadding{len(pads)}D({width}), then {kind}(..., padding="valid")'
    all_axes = [[0, 0], *(list(p) for p in pads), [0, 0]]
    fill = 'constant_values=float("-inf")' if window.kind == "max" else f'mode="{_MODES[mode]}"'
    return f'keras.ops.pad(x, {all_axes}, {fill}), then {kind}(..., padding="valid")'
