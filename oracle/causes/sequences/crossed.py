"""Attention across the batch: a layer without `batch_first` is given (batch, time, features) and attends from sample
to sample where it should from step to step.

    out[n, h, l] = sum_m softmax_m(scale q[n, h, l] . k[n, h, m]) v[n, h, m]     with n and l exchanged, and back

Codes:
    batch-first: the axis along which is attended is the other side's axis of samples.
    attention-mask: and one side hides later positions.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, close, downstream, overridden, upstream
from oracle.causes.sequences.attending import Attention, attentions, softmax
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place
from oracle.trace import references

_REGION = 60
_STEPS = 6
_FIX = {
    "torch": "nn.MultiheadAttention(..., batch_first=...): True for (batch, time, features), else False",
    "tensorflow": "attend along the axis of time: exchange the first two axes before attention, and back after it",
    "jax": "attend along the axis of time: exchange the first two axes before attention, and back after it",
}


@dataclass(frozen=True)
class Heads:
    """Queries, keys and values as (samples, heads, length, size) or (samples heads, length, size), and the result."""

    node: LoweredNode
    arrays: tuple[int, int, int]
    scale: float
    causal: bool

    def crossed(self, heads: int, values: Values) -> np.ndarray:
        """The result with samples and length exchanged, in the layout of the result itself."""
        q, k, v = (self._exchanged(values[i], heads) for i in self.arrays)
        scores = self.scale * (q @ np.swapaxes(k, -1, -2))
        if self.causal:
            scores = np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf)
        out = np.swapaxes(softmax(scores) @ v, 0, 2)
        return out.reshape(values[self.arrays[0]].shape[:-1] + out.shape[-1:])

    @staticmethod
    def _exchanged(x: np.ndarray, heads: int) -> np.ndarray:
        whole = x if x.ndim == 4 else x.reshape(-1, heads, *x.shape[1:])
        return np.swapaxes(whole, 0, 2)


@hypothesis(priority=9)
def attends_across_the_batch(context: Context) -> Iterator[Candidate]:
    """B's attention goes along one axis, A's along the other of samples and steps."""
    wanted = Wanted(context)
    for attention in attentions(context.b, context.at_b.region[:_REGION]):
        for found in _heads(context.b, attention):
            x = context.b.run.values[found.arrays[0]]
            for heads in [1] if x.ndim == 4 else [n for n in range(1, x.shape[0] + 1) if x.shape[0] % n == 0]:
                for causal in (found.causal, not found.causal):
                    compute = functools.partial(replace(found, causal=causal).crossed, heads)
                    waiting = wanted.find(compute(context.b.run.values))
                    if waiting is not None:
                        nodes = found.node, wanted.node(waiting)
                        masked = _masked(context, nodes, (compute, causal)) if causal != found.causal else None
                        alone = _candidate(context, nodes, functools.partial(found.crossed, heads))
                        yield alone if masked is None else replace(alone, also=(masked,))


def _masked(context: Context, nodes: tuple[LoweredNode, LoweredNode | None], change: tuple) -> Candidate:
    compute, causal = change
    with_, without = "later positions hidden (is_causal=, use_causal_mask=)", "no mask"
    a, b = (with_, without) if causal else (without, with_)
    return Candidate(
        "attention-mask",
        overridden(context.b, {nodes[0].outputs[0]: compute}),
        nodes[1],
        nodes[0],
        fix_a=f"have {b} at {place(nodes[1])}",
        fix_b=f"have {a} at {place(nodes[0])}",
        detail=f"attention has {a} in {{A}}, {b} in {{B}}",
        tested=True,
    )


def _candidate(context: Context, nodes: tuple[LoweredNode, LoweredNode | None], compute: object) -> Candidate:
    node, node_a = nodes
    return Candidate(
        "batch-first",
        overridden(context.b, {node.outputs[0]: compute}),  # type: ignore[dict-item]
        node_a,
        node,
        fix_a=_FIX[context.a.network.trace.framework],
        fix_b=_FIX[context.b.network.trace.framework],
        detail="attention goes along what is the axis of samples on the other side: one has batch_first, one has not",
        tested=True,
    )


def _heads(side: Side, attention: Attention) -> Iterator[Heads]:
    """The attention with its three arrays, where they can be told and its mask is none or causal."""
    hidden = attention.shift.hidden
    causal = hidden is not None
    if not attention.shift.plain or (
        hidden is not None and not np.array_equal(hidden, np.broadcast_to(*_later(hidden)))
    ):
        return
    if attention.level is None:
        q, k, v = (next(references(i)) for i in attention.node.node.inputs[:3])
        if all(side.run.values[i].ndim == 4 for i in (q, k, v)) and attention.scale:
            yield from _square(side, Heads(attention.node, (q, k, v), attention.scale, causal))
        return
    weighed = weighed_values(side, downstream(side, attention.node.outputs[0], _STEPS), attention.node.outputs[0])
    scored = queries_and_keys(side, attention)
    if weighed is not None and scored is not None:
        (node, v), (q, k, scale) = weighed, scored
        yield from _square(side, Heads(node, (q, k, v), scale, causal))


def _later(hidden: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    return np.tri(*hidden.shape[-2:]) == 0, hidden.shape


def _square(side: Side, found: Heads) -> Iterator[Heads]:
    """Only where queries, keys and values have one length: else the axes cannot be exchanged."""
    if len({side.run.values[i].shape[:-1] for i in found.arrays}) == 1:
        yield found


def weighed_values(side: Side, nodes: Iterator[LoweredNode], probabilities: int) -> tuple[LoweredNode, int] | None:
    """The node that weighs values by the probabilities, and the values."""
    p = _matrices(side.run.values[probabilities])
    for node in nodes:
        out = side.run.values[node.outputs[0]]
        for i in node.reals:
            if side.run.values[i].ndim not in (3, 4):
                continue
            v = _matrices(side.run.values[i])
            fits = len(v) == len(p) and v.shape[1] == p.shape[2] and out.size == p[..., 0].size * v.shape[2]
            if fits and close(p @ v, out):
                return node, i
    return None


def _matrices(x: np.ndarray) -> np.ndarray:
    """The last two axes, for every sample and head."""
    return x.reshape(-1, *x.shape[-2:])


def queries_and_keys(side: Side, attention: Attention) -> tuple[int, int, float] | None:
    """Queries, keys (as they lie before they are transposed) and the scale that make the attention's scores."""
    assert attention.level is not None
    scores = _matrices(attention.scores(side.run.values))
    for node in upstream(side, attention.level, _STEPS):
        for q, turned in ((i, j) for i in node.reals for j in node.reals if i != j):
            for k in (turned, *(i for n in upstream(side, turned, 3) for i in n.reals)):
                scale = _scale(side.run.values[q], side.run.values[k], scores)
                if scale is not None:
                    return q, k, scale
    return None


def _scale(q: np.ndarray, k: np.ndarray, scores: np.ndarray) -> float | None:
    """The number by which the products of `q` and `k` are multiplied in the scores; None if they make others."""
    if {q.ndim, k.ndim} - {3, 4} or q.shape[-1] != k.shape[-1]:
        return None
    x, y = _matrices(q), _matrices(k)
    if scores.shape != (len(x), x.shape[1], y.shape[1]) or len(y) != len(x):
        return None
    made = x @ y.swapaxes(1, 2)
    scale = float(np.vdot(made, scores) / (np.vdot(made, made) or 1.0))
    return scale if scale > 0 and close(scale * made, scores) else None
