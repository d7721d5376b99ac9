"""Probabilities clipped away from zero and one on one side: what a certain prediction costs is that side's eps."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from oracle.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, numbers, place, replaced_output
from oracle.lowered import LoweredNode
from oracle.network import Values

_REACH = 200
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
