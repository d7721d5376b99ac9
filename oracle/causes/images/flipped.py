"""A flipped kernel that only rearranges the output: windows that do not overlap hold the same numbers anywhere."""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from oracle.alignments.alignment import best_layout
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import close, rewired
from oracle.causes.parameters.weights import code_of_table
from oracle.causes.sequences.attending import is_stored
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place

_DEPTH = 12
_FIRST = 4


@hypothesis(priority=16)
def flipped_before(context: Context) -> Iterator[Candidate]:
    """A convolution where the meanings part: its kernel, as it is stored or rearranged, is flipped along some axes."""
    side = context.b
    for node in context.at_b.first[:_FIRST]:
        for i in node.reals:
            kernel = side.run.values[i]
            if kernel.ndim < 3 or not is_stored(side, i) or not context.matched(i):
                continue
            value = context.at_a.first[0].outputs[0] if context.at_a.first else -1
            for axes in _subsets(kernel.ndim):
                flipped = functools.partial(_flipped, i, axes)
                edits = rewired(side, node, {i: flipped}) if i in side.producers else Edits({i: np.flip(kernel, axes)})
                yield replace(_candidate(context, (value, node), (i, axes), edits), tested=False)


def _flipped(value: int, axes: tuple[int, ...], values: Values) -> np.ndarray:
    return np.flip(values[value], axes)


@hypothesis(priority=60)
def flipped_kernel(context: Context) -> Iterator[Candidate]:
    """Everything is in line, but a target is in another order: a kernel on its way is flipped along some axes."""
    if context.at_b.region:
        return
    for pair in context.pairs:
        i, j = (pair.b, pair.a) if context.exchanged else (pair.a, pair.b)
        x, y = context.a.run.values[i], context.b.run.values[j]
        if _same(x, y):
            continue
        for leaf, node in _kernels(context, j):
            kernel = context.b.run.values[leaf]
            for axes in _subsets(kernel.ndim):
                edits = Edits(leaves={leaf: np.flip(kernel, axes)})
                if _same(x, context.b.network.edited(context.b.run, edits).values[j]):
                    yield _candidate(context, (i, node), (leaf, axes), edits)
                    return


def _same(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether both hold the same numbers at the same places, in some order of the axes."""
    layout = best_layout(x, y)
    return layout is not None and close(layout[1], x)


def _kernels(context: Context, value: int) -> Iterator[tuple[int, LoweredNode]]:
    """Leaves of three axes or more that the last nodes before `value` read, each with its reader."""
    side, wanted = context.b, [value]
    for _ in range(_DEPTH):
        producer = side.producers.get(wanted.pop(0)) if wanted else None
        if producer is None:
            continue
        for i in producer.reals:
            if (
                i not in side.producers
                and _is_kernel(side.run.values[i], producer)
                and side.network.trace.values[i].role != "input"
            ):
                yield i, producer
        wanted.extend(producer.reals)


def _is_kernel(array: np.ndarray, reader: LoweredNode) -> bool:
    return array.ndim >= 3 and not code_of_table(array, reader)


def _subsets(rank: int) -> Iterator[tuple[int, ...]]:
    for count in range(rank, 0, -1):
        yield from itertools.combinations(range(rank), count)


def _candidate(
    context: Context, at: tuple[int, LoweredNode], what: tuple[int, tuple[int, ...]], edits: Edits
) -> Candidate:
    (value, node), (leaf, axes) = at, what
    name = context.b.network.trace.values[leaf].name or "the kernel"
    node_a = context.a.producers.get(value)
    hint = "; jax.lax.conv_transpose(..., transpose_kernel=True) does it" if "conv" in node.node.op else ""
    return Candidate(
        "kernel-flip",
        edits,
        node_a,
        node,
        fix_a=f"flip the kernel along the axes {list(axes)} at {place(node_a)}",
        fix_b=f"flip {name} along the axes {list(axes)} at {place(node)}{hint}",
        detail=f"{name} of {{B}} is flipped along the axes {list(axes)} against that of {{A}}",
        tested=True,
    )
