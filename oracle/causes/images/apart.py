"""A flipped kernel further up, whose windows do not overlap: its result holds the same numbers at other places.

A transposed convolution of stride s and kernel s writes each window by itself, so that flipping the kernel only
rearranges what it makes; the meanings part where something reads it.

Codes:
    kernel-flip: the kernel is flipped along spatial axes.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, soon, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits
from oracle.networks.node_reading import place

_FIRST, _STEPS, _SOON = 2, 6, 16


@hypothesis(priority=11)
def flipped_further_up(context: Context) -> Iterator[Candidate]:
    """A kernel of B that is read shortly before the meanings part is flipped, and the result is A's."""
    wanted = Wanted(context)
    for leaf, node in _kernels(context).items():
        kernel = context.b.run.values[leaf]
        for axes in _subsets(kernel.shape):
            edits = Edits(leaves={leaf: np.flip(kernel, axes)})
            found = soon(context, wanted, edits, _SOON)
            if found is not None:
                yield _candidate(context, (leaf, axes), (node, wanted.node(found)), edits)


def _kernels(context: Context) -> dict[int, LoweredNode]:
    """Stored kernels of convolutions before the first divergent nodes, each with its reader."""
    side, found = context.b, {}
    for i in (i for node in context.at_b.first[:_FIRST] for i in node.reals):
        for node in (n for n in upstream(side, i, _STEPS) if "conv" in n.node.op.lower()):
            for leaf in node.reals:
                stored = leaf not in side.producers and side.network.trace.values[leaf].role != "input"
                if stored and side.run.values[leaf].ndim >= 3 and context.matched(leaf):
                    found[leaf] = node
    return found


def _candidate(
    context: Context, what: tuple[int, tuple[int, ...]], nodes: tuple[LoweredNode, LoweredNode | None], edits: Edits
) -> Candidate:
    (leaf, axes), (node, node_a) = what, nodes
    name = context.b.network.trace.values[leaf].name or "the kernel"
    return Candidate(
        "kernel-flip",
        edits,
        node_a,
        node,
        fix_a=f"flip the kernel on the way to {place(node_a)} along the axes {list(axes)}",
        fix_b=f"flip {name} along the axes {list(axes)} at {place(node)}",
        detail=f"{name} of {{B}} is flipped along the axes {list(axes)} against that of {{A}}",
        tested=True,
    )


def _subsets(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    long = [k for k, n in enumerate(shape) if n > 1]
    for count in range(2, min(len(long), 3) + 1):
        yield from itertools.combinations(long, count)
    yield from ((k,) for k in long)
