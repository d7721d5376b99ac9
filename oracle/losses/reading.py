"""What a loss is, read off its gradient: what it takes its argument for, its targets, its weights.

At an argument v the gradient of the loss is looked at for three values of v. It then shows which of these the loss is,
with its targets q and weights a, whatever operations it is made of:

    cross entropy of logits        dL/dv = a (softmax(v) - q)          of probabilities    dL/dv = -a q / v
    of log-probabilities           dL/dv = -a q                        binary, of logits   dL/dv = a (sigmoid(v) - q)
    binary, of probabilities       dL/dv = a (v - q) / (v (1 - v))     squared error       dL/dv = a (v - q)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.special as sp

from oracle.alignments.alignment import Side
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Run, Values

_REACH = 48
_EXACT = 1e-7
Array = np.ndarray


@dataclass(frozen=True)
class Kind:
    """A family of losses: the gradient for weight one and target q is `slope(v) - q pull(v)`; `value` its integral."""

    name: str
    slope: Callable[[Array], Array]
    pull: Callable[[Array], Array]
    value: Callable[[Array, Array, Array], float]


def _cross_entropy(a: Array, q: Array, v: Array) -> float:
    return float(np.sum(a * (sp.logsumexp(v, -1, keepdims=True) - np.sum(q * v, -1, keepdims=True))))


def _ones(v: Array) -> Array:
    return np.ones_like(v)


KINDS = (
    Kind("logits", lambda v: sp.softmax(v, -1), _ones, _cross_entropy),
    Kind("binary logits", sp.expit, _ones, lambda a, q, v: float(np.sum(a * (np.logaddexp(0, v) - q * v)))),
    Kind("squares", lambda v: v, _ones, lambda a, q, v: float(np.sum(a * (v - q) ** 2 / 2))),
    Kind("binary probabilities", lambda v: 1 / (1 - v), lambda v: 1 / (v * (1 - v)),
         lambda a, q, v: float(-np.sum(a * (q * np.log(v) + (1 - q) * np.log1p(-v))))),
)  # fmt: skip
# Losses of one weight a q for each element: there is no slope to tell a from q.
PRODUCTS = (
    Kind("log-probabilities", np.zeros_like, _ones, lambda a, q, v: float(-np.sum(a * q * v))),
    Kind("probabilities", np.zeros_like, lambda v: 1 / v, lambda a, q, v: float(-np.sum(a * q * np.log(v)))),
)


@dataclass(frozen=True)
class Reading:
    """A loss as it was read: kind, argument (`inside`: the squashed one that was looked at), weights and targets."""

    kind: Kind
    argument: int
    weights: Array
    targets: Array
    inside: bool = False

    def at(self, v: Array, weights: Array, targets: Array) -> float:
        """The loss with these weights and targets."""
        with np.errstate(all="ignore"):
            return self.kind.value(weights, targets, v)


def read(side: Side, argument: int, loss: int) -> Reading | None:
    """What kind of loss of `argument` the value `loss` is; None for none of these."""
    v = side.run.values[argument]
    generator = np.random.default_rng(5)
    places = [v, *(v * (1 + 0.1 * generator.random(v.shape)) for _ in range(2))]
    gradients = [gradient(side, argument, loss, x) for x in places]
    if any(g is None for g in gradients) or not np.any(gradients[0]):
        return None
    seen: list[tuple[Array, Array]] = list(zip(places, gradients, strict=True))  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        for kind in PRODUCTS if np.all(v != 0) else ():  # a zero stays one: nothing is learned there
            product, *others = [-g / kind.pull(x) for x, g in seen]
            if all(equal(product, other) for other in others) and _holds_far(side, kind, (argument, loss), product):
                return _split(kind, argument, product)
        for kind in KINDS:
            found = _solved(kind, *seen[:2])
            if found is not None and _foretells(kind, found, seen[2]):
                weights, targets = found
                return Reading(kind, argument, weights, np.where(weights == 0, 0.0, targets))
    return None


def _holds_far(side: Side, kind: Kind, ends: tuple[int, int], product: Array) -> bool:
    """Whether it holds far away too: a hinge, or a clipped logarithm, is of this form near by alone."""
    argument, loss = ends
    v = side.run.values[argument]
    there = -2 * v if kind.name == "log-probabilities" else 0.1 * v
    g = gradient(side, argument, loss, there)
    return g is not None and equal(product, -g / kind.pull(there))


def _foretells(kind: Kind, found: tuple[Array, Array], seen: tuple[Array, Array]) -> bool:
    """Whether weights and targets give the gradient at a third argument: two decide them, whatever the loss."""
    (weights, targets), (v, g) = found, seen
    return equal(weights * (kind.slope(v) - targets * kind.pull(v)), g)


def _split(kind: Kind, argument: int, product: Array) -> Reading:
    """Targets that sum to one for each sample, and the weights of the samples."""
    weights = product.sum(-1, keepdims=True) if product.ndim > 1 else product
    safe = np.where(weights == 0, 1.0, weights)
    return Reading(kind, argument, weights, product / safe)


def _solved(kind: Kind, one: tuple[Array, Array], two: tuple[Array, Array]) -> tuple[Array, Array] | None:
    """(weights, targets) of a loss of this kind with these gradients at these arguments."""
    (v, g), (w, h) = one, two
    if kind.name == "logits" and (v.ndim < 2 or v.shape[-1] < 2):
        return None
    # g / pull = a (slope / pull - q): q goes out in the difference of two arguments.
    x, y = kind.slope(v) / kind.pull(v), kind.slope(w) / kind.pull(w)
    change, gain = g / kind.pull(v) - h / kind.pull(w), x - y
    if kind.name == "logits":
        weights = np.sum(change * gain, -1, keepdims=True) / np.sum(gain * gain, -1, keepdims=True)
    else:
        weights = change / gain
        if np.ptp(weights) <= _EXACT * np.max(np.abs(weights)):
            weights = np.full_like(weights, weights.mean())
    if not np.isfinite(weights).all() or not equal(weights * gain, change):
        return None
    targets = x - g / kind.pull(v) / np.where(weights == 0, 1.0, weights)
    return (weights, targets) if np.isfinite(targets).all() else None


def gradient(side: Side, argument: int, loss: int, v: Array) -> Array | None:
    """dL/dv at `v`, through the nodes after the argument."""
    within = between(side, argument, loss)
    values: Values = dict(side.run.values)
    with np.errstate(all="ignore"):
        for _ in side.network.walk(values, Edits(), Edits({argument: v}), within):
            pass
        reached = side.network.pull_back(Run(values), {loss: np.ones(values[loss].shape)}, within)
    return reached.get(argument)


def between(side: Side, argument: int, loss: int) -> frozenset[int]:
    """Nodes that depend on the argument and on which the loss depends."""
    above = side.ancestors([loss])
    below, dirty = set(), {argument}
    for node in side.network.nodes:
        if node.node.index in above and not dirty.isdisjoint(node.reads):
            below.add(node.node.index)
            dirty.update(node.results)
    return frozenset(below)


def is_cut(side: Side, argument: int, loss: int) -> bool:
    """Whether the loss depends on what the model makes of its inputs through the argument alone."""
    above = side.ancestors([loss])
    nodes = [n for n in side.network.nodes if n.node.index in above]
    trace = side.network.trace
    data = {i for name, i in trace.inputs.items() if name != "target"}
    if trace.parameters:
        through = _reached(nodes, set(trace.parameters.values())) & _reached(nodes, data)
    else:
        origins = data & (
            {argument} | {i for n in nodes if n.node.index in side.ancestors([argument]) for i in n.node.reads}
        )
        through = _reached(nodes, origins)
    within = between(side, argument, loss)
    made = {o for n in nodes if n.node.index in within for o in n.results} | {argument}
    read_here = {i for n in nodes if n.node.index in within for i in n.reals}
    return (read_here - made).isdisjoint(through)


def _reached(nodes: list[LoweredNode], start: set[int]) -> set[int]:
    """`start` and every value computed from it."""
    reached = set(start)
    for node in nodes:
        if not reached.isdisjoint(node.reads):
            reached.update(node.results)
    return reached


def near(side: Side, loss: int) -> set[int]:
    """Values that the last nodes before the loss read."""
    above = side.ancestors([loss])
    last = [n for n in side.network.nodes if n.node.index in above][-_REACH:]
    return {i for n in last for i in n.reals}


def read_inside(side: Side, argument: int, loss: int) -> Reading | None:
    """The loss as one of the softmax, or sigmoid, of the argument."""
    v = side.run.values[argument]
    squashed = [sp.softmax(v, -1), sp.expit(v)]
    for node in side.network.nodes:
        if node.node.index in between(side, argument, loss):
            for o in node.outputs:
                y = side.run.values[o]
                if y.size == v.size and any(equal(y.reshape(v.shape), s) for s in squashed):
                    found = read(side, o, loss)
                    return None if found is None else replace(found, inside=True)
    return None


def equal(x: Array, y: Array) -> bool:
    size = max(float(np.max(np.abs(x), initial=0.0)), float(np.max(np.abs(y), initial=0.0)))
    return bool(np.isfinite(size) and np.max(np.abs(x - y), initial=0.0) <= 1e-6 * size)
