"""A part of an array cut out at another place: a crop, a window of steps, rows of a table.

Codes:
    indexing: the part begins elsewhere.
"""

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np

from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, overridden, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

_REGION = 12
_STEPS = 4
# More places than this are not tried.
_MOST = 4096
_WORDS = ("slice", "select", "narrow", "gather", "index", "split", "chunk", "take", "getitem")


@hypothesis(priority=31)
def cut_elsewhere(context: Context) -> Iterator[Candidate]:
    """B takes a block of a common array; A takes one of the same shape that begins elsewhere."""
    wanted = Wanted(context)
    for node in context.at_b.region[:_REGION]:
        if not any(word in node.node.op.lower() for word in _WORDS):
            continue
        part = context.b.run.values[node.outputs[0]]
        sources = dict.fromkeys(i for n in (node, *upstream(context.b, node.outputs[0], _STEPS)) for i in n.reals)
        for i in (i for i in sources if context.matched(i)):
            whole = context.b.run.values[i]
            begins = _begins(whole, part) if whole.size > part.size > 1 else None
            if begins is not None:
                yield from _others(context, wanted, (node, i), begins)


def _others(
    context: Context, wanted: Wanted, read: tuple[LoweredNode, int], begins: tuple[int, ...]
) -> Iterator[Candidate]:
    node, i = read
    whole, part = context.b.run.values[i], context.b.run.values[node.outputs[0]]
    shape = _aligned(whole.shape, part.shape)
    for other in _places(whole.shape, shape):
        compute = functools.partial(_block, i, other, shape)
        found = wanted.find(compute(context.b.run.values)) if other != begins else None
        if found is not None:
            yield Candidate(
                "indexing",
                overridden(context.b, {node.outputs[0]: compute}),
                wanted.node(found),
                node,
                fix_a=f"begin at {list(begins)} (in the other's layout) at {place(wanted.node(found))}",
                fix_b=f"begin at {list(other)} at {place(node)}",
                detail=f"the part of shape {shape} begins at {list(other)} in {{A}}, at {list(begins)} in {{B}}",
                tested=True,
            )


def _block(value: int, begins: tuple[int, ...], shape: tuple[int, ...], values: Values) -> np.ndarray:
    return values[value][tuple(slice(b, b + n) for b, n in zip(begins, shape, strict=True))]


def _aligned(whole: tuple[int, ...], part: tuple[int, ...]) -> tuple[int, ...]:
    """The part's shape with an axis of length one where an axis of the whole was selected away."""
    if len(part) == len(whole):
        return part
    axis = next(k for k in range(len(whole)) if whole[:k] + whole[k + 1 :] == part)
    return (*part[:axis], 1, *part[axis:])


def _begins(whole: np.ndarray, part: np.ndarray) -> tuple[int, ...] | None:
    """Where the part begins in the whole; None where it is no block of it."""
    if part.ndim > whole.ndim or part.ndim < whole.ndim - 1:
        return None
    if part.ndim < whole.ndim and all(whole.shape[:k] + whole.shape[k + 1 :] != part.shape for k in range(whole.ndim)):
        return None
    shape = _aligned(whole.shape, part.shape)
    block = part.reshape(shape)
    for begins in _places(whole.shape, shape):
        if np.array_equal(whole[tuple(slice(b, b + n) for b, n in zip(begins, shape, strict=True))], block):
            return begins
    return None


def _places(whole: tuple[int, ...], shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    counts = [n - m + 1 for n, m in zip(whole, shape, strict=True)]
    if min(counts) > 0 and math.prod(counts) <= _MOST:
        yield from itertools.product(*(range(n) for n in counts))
