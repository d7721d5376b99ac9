"""Embeddings: the padding token's row zero or trained, and the factor sqrt(d) on the rows."""

import functools
import math
from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import CLOSE, Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import close, overridden, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place

_REGION = 12
_LOOKUPS = ("embedding", "gather", "take", "index")


@hypothesis(priority=13)
def padding_row(context: Context) -> Iterator[Candidate]:
    """B's table equals A's but for a row or two, which are zero on one side: the rows of padding tokens."""
    for node in context.at_b.region[:_REGION]:
        for j in _tables(context.b, node):
            ours = context.b.run.values[j]
            for i, theirs in _stored(context.a, ours.shape):
                rows = np.flatnonzero(np.any(np.abs(ours - theirs) > CLOSE * np.max(np.abs(theirs)), 1))
                if not 0 < len(rows) <= max(1, len(ours) // 4):
                    continue
                zero_a, zero_b = (not np.any(table[rows]) for table in (theirs, ours))
                if zero_a or zero_b:
                    yield _padding(context, node, (i, j), (rows, zero_a))


def _tables(side: Side, node: LoweredNode) -> Iterator[int]:
    if any(word in node.node.op.lower() for word in _LOOKUPS):
        yield from (i for i in node.reals if i not in side.producers and side.run.values[i].ndim == 2)


def _stored(side: Side, shape: tuple[int, ...]) -> Iterator[tuple[int, np.ndarray]]:
    for i, array in side.run.values.items():
        if array.shape == shape and array.dtype.kind == "f" and i not in side.producers and i in side.consumers:
            yield i, array


def _padding(context: Context, node: LoweredNode, tables: tuple[int, int], found: tuple[np.ndarray, bool]) -> Candidate:
    (i, j), (rows, zero_a) = tables, found
    changed = np.array(context.b.run.values[j])
    changed[rows] = context.a.run.values[i][rows]
    row = ", ".join(str(r) for r in rows)
    zero, full = ("{A}", "{B}") if zero_a else ("{B}", "{A}")
    written = [f"table[{row}] = 0 (torch: nn.Embedding(..., padding_idx={row}))", f"give row {row} the other's numbers"]
    node_a = next((n for n in context.a.consumers.get(i, ())), None)
    return Candidate(
        "embedding-padding",
        Edits(leaves={j: changed}),
        node_a,
        node,
        fix_a=f"{written[1 if zero_a else 0]}  # at {place(node_a)}",
        fix_b=f"{written[0 if zero_a else 1]}  # at {place(node)}",
        detail=f"row {row} of the embedding is zero in {zero} and not in {full}",
    )


@hypothesis(priority=13)
def scaled_rows(context: Context) -> Iterator[Candidate]:
    """B multiplies the embedded tokens by the root of their length; A does not."""
    side = context.b
    for node in context.at_b.region[:_REGION]:
        y = side.run.values[node.outputs[0]]
        for x in (o for n in upstream(side, node.outputs[0], 2) for o in n.outputs[:1] if _is_lookup(side, n)):
            rows = side.run.values[x]
            root = math.sqrt(rows.shape[-1])
            for factor, words in ((root, "times"), (1 / root, "divided by")):
                if rows.size == y.size > 1 and close(rows * factor, y):
                    yield Candidate(
                        "embedding-scale",
                        overridden(side, {node.outputs[0]: functools.partial(_read, x)}),
                        None,
                        node,
                        fix_a=f"multiply the embedded tokens by {factor:.10g} too",
                        fix_b=f"leave the factor {factor:.10g} out at {place(node)}",
                        detail=f"the embedding of {{B}} is {words} sqrt({rows.shape[-1]}), that of {{A}} is not",
                    )


def _read(value: int, values: Values) -> np.ndarray:
    return values[value]


def _is_lookup(side: Side, node: LoweredNode) -> bool:
    return next(_tables(side, node), None) is not None
