"""Other rows of the same table: positions that begin at 2, that count the padding before a sentence, that run backward.

Codes:
    positional-encoding: the rows are chosen by position, not by the data.
    indexing: the rows are chosen by the data.
"""

import functools
from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import overridden
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

_REGION = 12
_UPSTREAM = 24
_LARGE = 4_000_000
_SHOWN = 6


@hypothesis(priority=12)
def other_rows(context: Context) -> Iterator[Candidate]:
    """B looks up some rows of a table, A others: B takes those of A."""
    for node in context.at_b.region[:_REGION]:
        for table in _tables(context.b, node):
            if not context.matched(table):
                continue
            rows = _numbered(context.b.run.values[table])
            ours = _looked_up(rows, context.b.run.values[node.outputs[0]])
            if ours is None:
                continue
            for node_a in context.at_a.region[:_REGION]:
                theirs = _looked_up(rows, context.a.run.values[node_a.outputs[0]])
                if theirs is not None and not _equal(ours, theirs):
                    yield _candidate(context, (node_a, node), table, (theirs, ours))


def _tables(side: Side, node: LoweredNode) -> Iterator[int]:
    """Stored tables whose rows are as long as those of the node's result."""
    y = side.run.values[node.outputs[0]]
    for i in node.reals:
        table = side.run.values[i]
        stored = i not in side.producers and side.network.trace.values[i].role != "input"
        if stored and table.ndim == 2 and y.ndim and table.shape[1] == y.shape[-1] > 1 and table.size <= _LARGE:
            yield i


def _numbered(table: np.ndarray) -> dict[bytes, int]:
    return {row.tobytes(): k for k, row in reversed(list(enumerate(np.ascontiguousarray(table))))}


def _looked_up(rows: dict[bytes, int], y: np.ndarray) -> np.ndarray | None:
    """The number of the table's row at each place of `y`; None if some place holds no row of it."""
    if y.dtype.kind != "f" or y.ndim < 1 or not y.size or y.size > _LARGE:
        return None
    flat = np.ascontiguousarray(y).reshape(-1, y.shape[-1])
    found = [rows.get(row.tobytes(), -1) for row in flat]
    return np.array(found).reshape(y.shape[:-1]) if min(found) >= 0 else None


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.size == b.size and np.array_equal(a.reshape(-1), b.reshape(-1))


def _candidate(
    context: Context, nodes: tuple[LoweredNode, LoweredNode], table: int, rows: tuple[np.ndarray, np.ndarray]
) -> Candidate:
    (node_a, node_b), (theirs, ours) = nodes, rows
    side, name = context.b, context.b.network.trace.values[table].name or "the table"
    shape = np.shape(side.run.values[node_b.outputs[0]])
    wanted = theirs.reshape(shape[:-1]) if theirs.size == ours.size else theirs
    words = f"{{A}} reads the rows {_words(theirs)} of {name}, {{B}} the rows {_words(ours)}"
    chosen = _by_data(context.a, node_a) or _by_data(side, node_b)
    return Candidate(
        "indexing" if chosen else "positional-encoding",
        overridden(side, {node_b.outputs[0]: functools.partial(_rows, table, wanted)}),
        node_a,
        node_b,
        fix_a=f"read the rows {_words(ours)} at {place(node_a)}",
        fix_b=f"read the rows {_words(theirs)} of {name} at {place(node_b)}{_offset(theirs, ours)}",
        detail=words,
    )


def _rows(table: int, rows: np.ndarray, values: Values) -> np.ndarray:
    return values[table][rows]


def _words(rows: np.ndarray) -> str:
    flat = rows.reshape(-1)
    return f"{', '.join(str(r) for r in flat[:_SHOWN])}{', ...' if flat.size > _SHOWN else ''}"


def _offset(theirs: np.ndarray, ours: np.ndarray) -> str:
    """How far apart the positions are, where they are equally far everywhere."""
    if theirs.size != ours.size or np.ptp(theirs.reshape(-1) - ours.reshape(-1)):
        return ""
    return f": positions {int(theirs.flat[0] - ours.flat[0]):+d}"


def _by_data(side: Side, node: LoweredNode) -> bool:
    """Whether the rows depend on an input of the model."""
    inputs = set(side.network.trace.inputs.values())
    return any(inputs & n.reads for n in (node, *_before(side, node)))


def _before(side: Side, node: LoweredNode) -> list[LoweredNode]:
    """What leads to the node's integers, nearest first."""
    found: list[LoweredNode] = []
    wanted = list(node.reads)
    while wanted and len(found) < _UPSTREAM:
        producer = side.producers.get(wanted.pop(0))
        if producer is not None:
            found.append(producer)
            wanted.extend(producer.reads)
    return found
