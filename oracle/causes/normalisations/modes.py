"""Training or inference: batch norm with the other statistics, running statistics blended by another convention.

torch writes new = (1 - momentum) old + momentum x, Keras and flax new = momentum old + (1 - momentum) x; torch blends
the unbiased variance, Keras the biased one. Both are read off the numbers, whatever operations made them.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignments.alignment import CLOSE, Side
from oracle.alignments.pairing import Pair
from oracle.causes import Candidate, Context, hypothesis, layer_of
from oracle.causes.local import Compute, overridden, rewired
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place

_LEAVES = 6
_CALLS = {
    "torch": {True: "model.train()", False: "model.eval()"},
    "tensorflow": {True: "model(x, training=True)", False: "model(x, training=False)"},
    "jax": {True: "model(x, training=True)", False: "model(x, training=False)"},
}


def mode_fix(side: Side, node: LoweredNode | None, training: bool) -> str:
    """How the side's user chooses the mode: `model.eval()`."""
    layer = layer_of(side, node) if node else None
    keras = layer is not None and layer.kind.startswith("keras")
    call = _CALLS["tensorflow" if keras else side.network.trace.framework][training]
    return f"{call}  # {node.node.scope}" if node is not None and node.node.scope else call


# Statistics of the batch in the place of the running ones.


@hypothesis(priority=18)
def statistics_of_the_batch(context: Context) -> Iterator[Candidate]:
    """B normalises by running statistics, A by those of the batch: B's are computed from the layer's input."""
    if not context.at_b.first:
        return
    layer = _layer_nodes(context.b, context.at_b.first[0])
    node_a = context.at_a.first[0] if context.at_a.first else None
    for mean, variance in itertools.permutations(_vectors(context.b, layer), 2):
        size = context.b.run.values[mean].size
        for x, axis in _batches(context.b, layer, size):
            reads: dict[int, Compute] = {
                mean: functools.partial(_statistic, x, axis, "mean", 0),
                variance: functools.partial(_statistic, x, axis, "variance", 0),
            }
            edits = Edits()
            for node in layer:
                if mean in node.reals or variance in node.reals:
                    edits = edits | rewired(context.b, node, {i: c for i, c in reads.items() if i in node.reals})
            yield Candidate(
                "train-eval-mode",
                edits,
                node_a,
                context.at_b.first[0],
                fix_a=mode_fix(context.a, node_a, training=False),
                fix_b=mode_fix(context.b, context.at_b.first[0], training=True),
                detail=f"{{A}} normalises by the statistics of the batch (training), {{B}} by the running ones "
                f"(inference): {place(context.at_b.first[0])}",
            )


def _layer_nodes(side: Side, first: LoweredNode) -> list[LoweredNode]:
    """The forward nodes of the layer to which `first` belongs; without a layer, those that follow it soon."""
    scope, phase, step = first.node.scope, first.node.phase, first.node.step
    nodes = [n for n in side.network.nodes if (n.node.phase, n.node.step) == (phase, step)]
    if scope:
        return [n for n in nodes if n.node.scope == scope]
    start = next(k for k, n in enumerate(nodes) if n.node.index == first.node.index)
    return nodes[max(start - 4, 0) : start + 12]


def _vectors(side: Side, layer: list[LoweredNode]) -> list[int]:
    """Stored vectors that the layer reads: buffers if it has some."""
    values = side.network.trace.values
    leaves = [i for n in layer for i in n.reals if i not in side.producers and side.run.values[i].size > 1]
    leaves = [i for i in dict.fromkeys(leaves) if np.squeeze(side.run.values[i]).ndim == 1]
    buffers = [i for i in leaves if values[i].role == "buffer"]
    return (buffers or [i for i in leaves if values[i].role != "input"])[:_LEAVES]


def _batches(side: Side, layer: list[LoweredNode], size: int) -> Iterator[tuple[int, int]]:
    """(value, channel axis) of arrays that the layer reads whose channels a vector of `size` may describe."""
    for i in dict.fromkeys(i for n in layer for i in n.reals):
        shape = side.run.values[i].shape
        if len(shape) >= 2 and side.run.values[i].size > size and side.network.trace.values[i].role != "parameter":
            yield from ((i, axis) for axis, n in enumerate(shape) if n == size)


def _statistic(x: int, axis: int, kind: str, ddof: int, values: Values) -> np.ndarray:
    """Mean or variance of each channel of value `x`."""
    array = values[x]
    rest = tuple(k for k in range(array.ndim) if k != axis)
    if kind == "mean":
        return array.mean(rest)
    return array.var(rest, ddof=ddof) if array.size > array.shape[axis] * ddof else array.var(rest)


# The blend of old and new.


@dataclass(frozen=True)
class Blend:
    """How a running statistic is updated: new = old + weight (statistic of `x` along all axes but one - old)."""

    target: int
    old: int
    x: int
    axis: int
    kind: str
    ddof: int
    weight: float

    def with_rule(self, weight: float, ddof: int) -> Compute:
        """The update by another rule."""
        return functools.partial(_blended, self, weight, ddof)


def _blended(blend: Blend, weight: float, ddof: int, values: Values) -> np.ndarray:
    old = values[blend.old]
    statistic = _statistic(blend.x, blend.axis, blend.kind, ddof, values).reshape(old.shape)
    return old + weight * (statistic - old)


@hypothesis(priority=9)
def running_statistics(context: Context) -> Iterator[Candidate]:
    """B's running statistics are blended with A's weight, of A's variance, or both, in all layers alike."""
    if context.kind != "buffers" or context.exchanged:
        return
    both = [(a, b) for a, b in (_blends(context, p) for p in context.pairs) if a and b and a.kind == b.kind]
    momentum = [(a, b) for a, b in both if abs(a.weight - b.weight) > CLOSE]
    ddof = [(a, b) for a, b in both if a.ddof != b.ddof]
    of_momentum = _momentum(context, momentum) if momentum else None
    of_ddof = _ddof(context, ddof, keep=False) if ddof else None
    if of_momentum is not None:
        yield of_momentum
    if of_ddof is not None:
        yield of_ddof
    if of_momentum is not None and ddof:
        yield replace(of_momentum, also=(_ddof(context, ddof, keep=True),))


def _blends(context: Context, pair: Pair) -> tuple[Blend | None, Blend | None]:
    """Both sides' rules; one that keeps the old statistic blends nothing of what the other blends."""
    a, b = _blend(context.a, pair, pair.name_a, pair.a), _blend(context.b, pair, pair.name_b, pair.b)
    if b is None and a is not None:
        b = _blend(context.b, pair, pair.name_b, pair.b, kept=_statistic_of(context.a, a))
    elif a is None and b is not None:
        a = _blend(context.a, pair, pair.name_a, pair.a, kept=_statistic_of(context.b, b))
    return a, b


def _statistic_of(side: Side, blend: Blend) -> np.ndarray:
    return _statistic(blend.x, blend.axis, blend.kind, blend.ddof, side.run.values)


def _blend(side: Side, pair: Pair, name: str, target: int, *, kept: np.ndarray | None = None) -> Blend | None:
    """The rule by which the side updates a running statistic, read off its numbers; None if it is no such blend.

    Where the old numbers are kept, they tell nothing: the statistic is then the one that is `kept` out.
    """
    trace = side.network.trace
    before = trace.steps[pair.step - 1].buffers if pair.step else trace.buffers
    old = before.get(name)
    if old is None or target not in side.producers or old not in side.run.values:
        return None
    was, now = side.run.values[old].reshape(-1), side.run.values[target].reshape(-1)
    if kept is not None and not np.array_equal(was, now):
        return None
    layer = _layer_nodes(side, side.producers[target])
    for x, axis in _batches(side, layer, was.size):
        for kind, ddof in (("mean", 0), ("variance", 1), ("variance", 0)):
            statistic = _statistic(x, axis, kind, ddof, side.run.values)
            weight = _weight(was, now, statistic) if kept is None else 0.0 if _alike(statistic, kept) else None
            if weight is not None:
                return Blend(target, old, x, axis, kind, ddof, weight)
    return None


def _alike(x: np.ndarray, y: np.ndarray) -> bool:
    return x.size == y.size and bool(np.max(np.abs(x - y), initial=0.0) <= CLOSE * np.max(np.abs(y), initial=0.0))


def _weight(was: np.ndarray, now: np.ndarray, statistic: np.ndarray) -> float | None:
    """w with now = was + w (statistic - was) for every channel, or None."""
    moved, step = now - was, statistic - was
    size = float(np.vdot(step, step))
    if was.size < 2 or not np.isfinite(size) or size == 0:
        return None
    weight = float(np.vdot(step, moved)) / size
    fits = np.max(np.abs(moved - weight * step)) <= CLOSE * np.max(np.abs(np.concatenate([was, now])))
    # A weight near zero fits any statistic.
    told = abs(weight) * np.max(np.abs(step)) > 1e3 * CLOSE * np.max(np.abs(now))
    return weight if fits and told else None


def _momentum(context: Context, pairs: list[tuple[Blend, Blend]]) -> Candidate:
    (a, b) = pairs[0]
    return Candidate(
        "momentum-convention",
        overridden(context.b, {y.target: y.with_rule(x.weight, y.ddof) for x, y in pairs}),
        context.a.producers[a.target],
        context.b.producers[b.target],
        fix_a=_momentum_fix(context.a, a, b.weight),
        fix_b=_momentum_fix(context.b, b, a.weight),
        detail=f"the running statistics move by {_short(a.weight)} of the way to the batch's in {{A}}, by "
        f"{_short(b.weight)} in {{B}}",
    )


def _ddof(context: Context, pairs: list[tuple[Blend, Blend]], keep: bool) -> Candidate:
    """The other variance; `keep` A's weight too, where it differs as well."""
    (a, b) = pairs[0]
    words = {0: "the biased variance (divided by n)", 1: "the unbiased variance (divided by n - 1)"}
    return Candidate(
        "variance-ddof",
        overridden(context.b, {y.target: y.with_rule(x.weight if keep else y.weight, x.ddof) for x, y in pairs}),
        context.a.producers[a.target],
        context.b.producers[b.target],
        fix_a=f"blend {words[b.ddof]} into the running variance of {context.a.producers[a.target].node.scope}",
        fix_b=f"blend {words[a.ddof]} into the running variance of {context.b.producers[b.target].node.scope}",
        detail=f"the running variance blends {words[a.ddof]} in {{A}}, {words[b.ddof]} in {{B}}",
    )


def _momentum_fix(side: Side, blend: Blend, weight: float) -> str:
    """The momentum that blends with `weight`, in the side's convention."""
    node = side.producers[blend.target]
    layer = layer_of(side, node)
    kind = layer.kind if layer is not None and layer.kind else "BatchNorm"
    torch = kind.startswith("torch") or (side.network.trace.framework == "torch" and not kind.startswith("keras"))
    where = f"  # {node.node.scope}" if node.node.scope else ""
    return f"{kind}(..., momentum={_short(weight if torch else 1 - weight)}){where}"


def _short(x: float) -> str:
    return f"{x:.6g}"
