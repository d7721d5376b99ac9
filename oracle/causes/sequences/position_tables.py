"""Tables of positions under another convention: sines and cosines in another order, other rates, another start.

    table[p, k] = sin(p w_k) or cos(p w_k)

in pairs of one rate w_k: interleaved, or sines against cosines by halves. Source: Vaswani et al. (2017),
arXiv:1706.03762, with w_k = 10000^(-2 k / d).
"""

import functools
from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import Side, same_multiset
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import is_fixed, overridden
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place

_NODES = 12
# Angles in float32 err by a rounding of the largest position.
_ROUNDING = 2.0**-20
# A sine and a cosine squared are one in sum, but for the float32 roundings of a table that was computed in float32.
_UNIT = 1e-5


@hypothesis(priority=6)
def other_table(context: Context) -> Iterator[Candidate]:
    """B adds a table of positions where A adds another: it takes A's."""
    theirs = list(_tables(context.a, context.at_a.region[:_NODES]))
    for node, j in _tables(context.b, context.at_b.region[:_NODES]):
        present = context.b.run.values[j]
        for node_a, i in theirs:
            wanted = context.a.run.values[i]
            if wanted.size == present.size and not np.array_equal(wanted.reshape(present.shape), present):
                yield _candidate(context, (node_a, i), (node, j))


def _tables(side: Side, nodes: tuple[LoweredNode, ...]) -> Iterator[tuple[LoweredNode, int]]:
    """The tables of positions that the nodes add, each with the node that does."""
    for node in nodes:
        for i in node.reals if "add" in node.node.op.lower() else ():
            table = np.squeeze(side.run.values[i])
            if table.ndim == 2 and describe(table) and is_fixed(side, i):
                yield node, i


def _candidate(context: Context, a: tuple[LoweredNode, int], b: tuple[LoweredNode, int]) -> Candidate:
    (node_a, i), (node_b, j) = a, b
    wanted, present = context.a.run.values[i], context.b.run.values[j]
    array = wanted.reshape(present.shape)
    if j in context.b.producers:
        edits = overridden(context.b, {j: functools.partial(_constant, array)})
    else:
        edits = Edits(leaves={j: np.array(array)})
    in_a, in_b = describe(np.squeeze(wanted)), describe(np.squeeze(present))
    if in_a == in_b:
        in_a = f"{in_a}, {'in another order' if same_multiset(wanted, present) else 'of other numbers'}"
    return Candidate(
        "positional-encoding",
        edits,
        node_a,
        node_b,
        fix_a=f"add positions as {in_b}  # at {place(node_a)}",
        fix_b=f"add positions as {in_a}  # at {place(node_b)}",
        detail=f"the table of positions: {in_a} in {{A}}; {in_b} in {{B}}",
    )


def _constant(array: np.ndarray, values: Values) -> np.ndarray:
    return array


def describe(table: np.ndarray) -> str:
    """A table (positions, features) of sines and cosines in words; empty where it is none."""
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 4 or np.max(np.abs(table), initial=0.0) > 1 + _UNIT:
        return ""
    for layout, (first, second) in _pairs(table).items():
        if np.allclose(first * first + second * second, 1.0, atol=_UNIT):
            return _of_pairs(layout, first, second)
    return "sinusoids" if _oscillates(table) else ""


def _pairs(table: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    half = table.shape[1] // 2
    if table.shape[1] % 2:
        return {}
    return {"interleaved": (table[:, 0::2], table[:, 1::2]), "by halves": (table[:, :half], table[:, half:])}


def _of_pairs(layout: str, first: np.ndarray, second: np.ndarray) -> str:
    """In words, where the angles of the pairs grow evenly with the position; else empty."""
    angles = np.arctan2(first, second)
    steps = np.exp(1j * np.diff(angles, axis=0))
    if not np.allclose(steps, steps[:1], atol=len(first) * _ROUNDING):
        return ""
    rates = np.angle(steps[0])
    fastest = int(np.argmax(np.abs(rates)))
    order = "sine first" if rates[fastest] > 0 else "cosine first"
    rates, angle = np.abs(rates), float(angles[0, fastest])
    start = (angle if order == "sine first" else np.pi / 2 - angle) / float(rates[fastest])
    return f"{layout}, {order}, rates {rates[0]:.4g} to {rates[-1]:.4g}, from position {start:.3g}"


def _oscillates(table: np.ndarray) -> bool:
    """Whether every column is a sinusoid of the position: x[p + 1] + x[p - 1] = 2 cos(w) x[p]."""
    if len(table) < 4:
        return False
    around, middle = table[2:] + table[:-2], table[1:-1]
    sizes = np.sum(middle * middle, 0)
    factor = np.sum(around * middle, 0) / np.where(sizes > 0, sizes, 1.0)
    return bool(
        np.all(np.abs(around - factor * middle) <= 8 * len(table) * _ROUNDING) and np.any(np.ptp(table, 0) > 0.1)
    )
