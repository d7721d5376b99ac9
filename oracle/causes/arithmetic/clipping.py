"""Values clipped to other bounds; probabilities clipped away from zero and one on one side.

Codes:
    clip-bounds: both sides clip a value, to other bounds.
    eps: one side clips probabilities: what a certain prediction costs is that side's eps.
"""

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.causes.local import overridden, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import numbers, place

_REACH = 200
_NODES = 20
_CLIPPING = ("clamp", "clip", "minimum", "maximum", "hardtanh", "max", "min")
Bounds = tuple[float, float]
# A bound nearer to zero or one than this is an eps.
_NEAR = 1e-2


@hypothesis(priority=2)
def clipped(context: Context) -> Iterator[Candidate]:
    """B reads probabilities as they are, A within bounds that it holds: B reads them within A's bounds."""
    # Clipped probabilities are nearly the same numbers: what clips them is no part of the divergence.
    bounds = sorted(set(_scalars(context.a, context.a.network.nodes[-_REACH:])))
    lows, highs = [b for b in bounds if 0 < b < _NEAR], [b for b in bounds if 1 - _NEAR < b < 1]
    for node in context.at_b.first:
        for i in node.reals:
            x = context.b.run.values[i]
            if x.size < 2 or not context.matched(i) or x.min() < 0 or x.max() > 1:
                continue
            for low in lows:
                for high in [h for h in highs if x.max() > h] or [1 - low]:
                    if x.min() < low or x.max() > high:
                        yield _candidate(context, node, (i, low, high))


@hypothesis(priority=16)
def other_bounds(context: Context) -> Iterator[Candidate]:
    """B clips a common value to bounds; A to others."""
    theirs = list(_clips(context.a, context.at_a.region[:_NODES]))
    for i, node, present in _clips(context.b, context.at_b.region[:_NODES]):
        for j, node_a, bounds in theirs:
            if j in context.matched(i) and bounds != present:
                was, now = (f"[{low:.6g}, {high:.6g}]" for low, high in (present, bounds))
                yield Candidate(
                    "clip-bounds",
                    overridden(context.b, {node.outputs[0]: functools.partial(_clipped, i, bounds)}),
                    node_a,
                    node,
                    fix_a=f"clip to {was} at {place(node_a)}",
                    fix_b=f"clip to {now} at {place(node)}",
                    detail=f"{{A}} clips to {now}, {{B}} to {was}",
                )


def _clips(side: Side, region: Sequence[LoweredNode]) -> Iterator[tuple[int, LoweredNode, Bounds]]:
    """(value, node, bounds) for the nodes that clip a value, alone or the last of two."""
    for node in region:
        y = side.run.values[node.outputs[0]]
        if not any(word in node.node.op.lower() for word in _CLIPPING) or y.size < 2 or not np.ptp(y):
            continue
        for i in dict.fromkeys(i for n in (node, *upstream(side, node.outputs[0], 1)) for i in n.reals):
            x = side.run.values[i]
            if x.shape == y.shape and (x.min() < y.min() or x.max() > y.max()):
                low = float(y.min()) if x.min() < y.min() else -np.inf
                high = float(y.max()) if x.max() > y.max() else np.inf
                if np.array_equal(np.clip(x, low, high), y):
                    yield i, node, (low, high)


def _clipped(value: int, bounds: Bounds, values: Values) -> np.ndarray:
    return np.clip(values[value], *bounds)


def _scalars(side: Side, nodes: Sequence[LoweredNode]) -> Iterator[float]:
    for node in nodes:
        yield from (value for _, value in numbers(node))
        for i in node.reals:
            if side.run.values[i].size == 1:
                yield float(side.run.values[i].reshape(()))


def _candidate(context: Context, node: LoweredNode, bound: tuple[int, float, float]) -> Candidate:
    _, low, high = bound
    node_a = context.at_a.first[0] if context.at_a.first else None
    return Candidate(
        "eps",
        replaced_output(node, functools.partial(_within, context.b, node, bound)),
        node_a,
        node,
        fix_a=f"leave out the clipping at {place(node_a)}, or take a smaller eps",
        fix_b=f"clip the probabilities: p.clamp({low:.3g}, 1 - {1 - high:.3g}) at {place(node)}",
        detail=f"{{A}} clips probabilities to [{low:.3g}, 1 - {1 - high:.3g}], {{B}} does not: a certain prediction "
        "costs another number",
    )


def _within(side: Side, node: LoweredNode, bound: tuple[int, float, float], values: Values) -> np.ndarray:
    value, low, high = bound
    return side.network.apply(node, {**values, value: np.clip(values[value], low, high)})[node.outputs[0]]
