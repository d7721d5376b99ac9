"""Attention whose projections are split into heads otherwise, or take each other's place.

    out = merge(softmax(scale split(q) split(k)^T + mask) split(v))

Projections (batch, length, features) are split into so many heads as (heads, size) or (size, heads); queries, keys
and values packed in one array lie in it in one of several orders; fewer heads of keys and values are repeated one by
one or all together.

Codes:
    head-layout: another number of heads, another order of heads and size, of packed projections, of repeated heads.
    weights-exchanged: the projections of queries, keys and values are in each other's place.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, close, downstream, overridden
from oracle.causes.sequences.attending import Attention, attentions, softmax
from oracle.causes.sequences.crossed import queries_and_keys, weighed_values
from oracle.causes.sequences.projections import Projection, projections
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place
from oracle.trace import references

_REGION = 60
_STEPS = 8
_ORDERS = ("heads, size", "size, heads")
_NAMES = ("queries", "keys", "values")
_ROLES = (0, 1, 2)


@dataclass(frozen=True)
class Layout:
    """How projections become heads: their number (of queries, and of keys and values), and the orders.

    `split` and `merge` say how features are taken apart and put together; `tiled`: heads of keys and values are
    repeated all together; `roles`: the projections that queries, keys and values are; `packed`: the order of three
    packed ones; `scaling`: by what the scale is multiplied.
    """

    heads: int
    groups: int
    split: str = _ORDERS[0]
    merge: str = _ORDERS[0]
    tiled: bool = False
    roles: tuple[int, ...] = _ROLES
    packed: str = ""
    scaling: float = 1.0

    def __str__(self) -> str:
        repeated = f", {self.groups} of keys {'tiled' if self.tiled else 'repeated'}" * (self.groups != self.heads)
        merged = f", merged as ({self.merge})" * (self.merge != self.split)
        packed = f", packed as ({self.packed})" * bool(self.packed)
        roles = f", in the order {', '.join(_NAMES[r] for r in self.roles)}" * (self.roles != _ROLES)
        return f"{self.heads} heads split as ({self.split}){merged}{repeated}{packed}{roles}"


@dataclass(frozen=True)
class Heads:
    """An attention of a side: its projections, scale and mask, and the value that holds its merged output.

    `hidden` (batch, queries, keys) is true where a score is; `turned`: the value has time before the batch.
    """

    node: LoweredNode
    projection: Projection
    layout: Layout
    scale: float
    hidden: np.ndarray | None
    output: int = -1
    turned: bool = False

    def compute(self, layout: Layout, values: Values) -> np.ndarray:
        """The merged output under a layout, (batch, length, features) or as the value has it."""
        flat = self.projection.flat(values, layout.packed, layout.heads)
        q, k, v = (flat[r] for r in layout.roles)
        q = _split(q, layout.heads, layout.split)
        k, v = (_repeated(_split(x, layout.groups, layout.split), layout) for x in (k, v))
        scores = layout.scaling * self.scale * (q @ np.swapaxes(k, -1, -2))
        if self.hidden is not None:
            scores = np.where(self.hidden[:, None], -np.inf, scores)
        out = _merged(np.nan_to_num(softmax(scores)) @ v, layout.merge)
        return out.swapaxes(0, 1) if self.turned else out


def _split(x: np.ndarray, heads: int, order: str) -> np.ndarray:
    size = x.shape[-1] // heads
    if order == _ORDERS[0]:
        return x.reshape(*x.shape[:2], heads, size).swapaxes(1, 2)
    return x.reshape(*x.shape[:2], size, heads).transpose(0, 3, 1, 2)


def _repeated(x: np.ndarray, layout: Layout) -> np.ndarray:
    times = layout.heads // layout.groups
    return np.concatenate([x] * times, 1) if layout.tiled else np.repeat(x, times, 1)


def _merged(x: np.ndarray, order: str) -> np.ndarray:
    moved = x.swapaxes(1, 2) if order == _ORDERS[0] else x.transpose(0, 2, 3, 1)
    return moved.reshape(*moved.shape[:2], -1)


@hypothesis(priority=8)
def other_heads(context: Context) -> Iterator[Candidate]:
    """B's heads are split, ordered, repeated or given their roles as A's are."""
    wanted = Wanted(context)
    for attention in attentions(context.b, context.at_b.region[:_REGION]):
        for found in _understood(context, attention):
            for layout in _others(context.b, found):
                waiting = wanted.find(found.compute(layout, context.b.run.values))
                if waiting is not None:
                    yield _candidate(context, found, layout, wanted.node(waiting))


def _understood(context: Context, attention: Attention) -> Iterator[Heads]:
    """The attention with a layout that reproduces what B itself makes, where its projections are in line."""
    side = context.b
    arrays = _arrays(side, attention)
    if arrays is None or not attention.shift.plain:
        return
    node, (q, k, v), scale = arrays
    size = side.run.values[q].shape[-1]
    for projection in projections(side, (q, k, v)):
        hidden = _for_samples(attention.shift.hidden, projection.batch)
        in_line = all(context.matched(i) for i in projection.sources)
        if not in_line or (hidden is None) != (attention.shift.hidden is None):
            continue
        found = Heads(node, projection, Layout(1, 1), scale * projection.factor, hidden)
        understood = next(_fitted(side, found, size), None)
        if understood is not None:
            yield understood


def _arrays(side: Side, attention: Attention) -> tuple[LoweredNode, tuple[int, int, int], float] | None:
    """The node that makes the output, queries, keys and values by heads, and the scale."""
    if attention.level is None:
        q, k, v = (next(references(i)) for i in attention.node.node.inputs[:3])
        return attention.node, (q, k, v), attention.scale or 1.0
    weighed = weighed_values(side, downstream(side, attention.node.outputs[0], _STEPS), attention.node.outputs[0])
    scored = queries_and_keys(side, attention)
    if weighed is None or scored is None:
        return None
    (node, v), (q, k, scale) = weighed, scored
    return node, (q, k, v), scale


def _for_samples(hidden: np.ndarray | None, batch: int) -> np.ndarray | None:
    """The mask (batch, queries, keys), if it is one mask for all heads."""
    if hidden is None:
        return None
    whole = np.broadcast_to(hidden, hidden.shape).reshape(-1, *hidden.shape[-2:])
    if len(whole) % batch:
        return whole[:1] if len(whole) == 1 else None
    by_head = whole.reshape(batch, -1, *whole.shape[1:])
    return by_head[:, 0] if np.array_equal(by_head, np.broadcast_to(by_head[:, :1], by_head.shape)) else None


def _fitted(side: Side, found: Heads, size: int) -> Iterator[Heads]:
    values = side.run.values
    heads, groups = (n // size for n in found.projection.features)
    if heads % groups:
        return
    near = [o for n in downstream(side, found.node.outputs[0], _STEPS) for o in n.outputs]
    for split, merge, tiled in itertools.product(_ORDERS, _ORDERS, (False, True) if groups != heads else (False,)):
        for packed in found.projection.packings:
            layout = Layout(heads, groups, split, merge, tiled, packed=packed)
            out = found.compute(layout, values)
            for turned, array in ((False, out), (True, out.swapaxes(0, 1))):
                held = next((o for o in near if close(array, values[o]) and _is_merged(values[o], array)), None)
                if held is not None:
                    yield replace(found, layout=layout, output=held, turned=turned)


def _is_merged(x: np.ndarray, array: np.ndarray) -> bool:
    return x.ndim in (2, 3) and x.shape[-1] == array.shape[-1]


def _others(side: Side, found: Heads) -> Iterator[Layout]:
    """Layouts that differ in one respect."""
    own = found.layout
    for split, merge in itertools.product(_ORDERS, repeat=2):
        yield replace(own, split=split, merge=merge)
    if own.groups != own.heads:
        yield replace(own, tiled=not own.tiled)
        return
    roles = list(itertools.permutations(_ROLES)) if found.projection.alike(side.run.values) else [_ROLES]
    for packed, order in itertools.product(found.projection.packings, roles):
        yield replace(own, packed=packed, roles=order)
    features = found.projection.features[0]
    for heads in (n for n in range(1, features) if features % n == 0 and n != own.heads):
        for scaling in (math.sqrt(heads / own.heads), 1.0):
            yield replace(own, heads=heads, groups=heads, scaling=scaling)


def _candidate(context: Context, found: Heads, layout: Layout, node_a: LoweredNode | None) -> Candidate:
    exchanged = layout.roles != _ROLES and not layout.packed
    words = f"the projections of {', '.join(_NAMES[r] for r in layout.roles)} as {', '.join(_NAMES)}"
    in_a, in_b = (words, "its own") if exchanged else (str(layout), str(found.layout))
    return Candidate(
        "weights-exchanged" if exchanged else "head-layout",
        overridden(context.b, {found.output: functools.partial(found.compute, layout)}),
        node_a,
        found.node,
        fix_a=f"exchange the projections at {place(node_a)}" if exchanged else f"attend with {in_b}",
        fix_b=f"attend with {in_a}  # at {place(found.node)}",
        detail=f"attention has {in_a} in {{A}}, {in_b} in {{B}}",
        tested=True,
    )
