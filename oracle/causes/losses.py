"""A loss is read off its gradient: what it takes its argument for, its targets and weights, how it reduces.

At an argument v that both sides share, the gradient of either loss is looked at for three values of v. It then shows
which of these the loss is, with its targets q and weights a, whatever operations it is made of:

    cross entropy of logits        dL/dv = a (softmax(v) - q)          of probabilities    dL/dv = -a q / v
    of log-probabilities           dL/dv = -a q                        binary, of logits   dL/dv = a (sigmoid(v) - q)
    binary, of probabilities       dL/dv = a (v - q) / (v (1 - v))     squared error       dL/dv = a (v - q)

Codes:
    reduction: a sum for a mean, a mean over other axes ("batchmean").
    label-smoothing: other target probabilities: another smoothing, or eps/K against eps/(K-1).
    class-weights: weights of classes or samples on one side alone, or divided by their sum on one side alone.
    double-softmax, double-sigmoid: B passes probabilities, which it computed itself, to a loss of logits.
    probabilities-as-logits: B passes probabilities to a loss of logits.
    logits-as-probabilities: B passes logits to a loss of probabilities or of log-probabilities.
    broadcast: the targets of all samples are averaged: [N, 1] was broadcast against [N].
    targets-differ: other targets.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.special as sp

from oracle.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.lowered import LoweredNode
from oracle.network import Edits, Run, Values

_REACH = 24
_EXACT = 1e-7
_LARGEST = 200_000
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
    """A loss as it was read: kind, argument, weights and targets."""

    kind: Kind
    argument: int
    weights: Array
    targets: Array

    def at(self, v: Array, weights: Array, targets: Array) -> float:
        """The loss with these weights and targets."""
        with np.errstate(all="ignore"):
            return self.kind.value(weights, targets, v)


def read(side: Side, argument: int, loss: int) -> Reading | None:
    """What kind of loss of `argument` the value `loss` is; None for none of these."""
    v = side.run.values[argument]
    generator = np.random.default_rng(5)
    places = [v, *(v * (1 + 0.1 * generator.random(v.shape)) for _ in range(2))]
    gradients = [_gradient(side, argument, loss, x) for x in places]
    if any(g is None for g in gradients) or not np.any(gradients[0]):
        return None
    seen: list[tuple[Array, Array]] = list(zip(places, gradients, strict=True))  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        for kind in PRODUCTS:
            product, *others = [-g / kind.pull(x) for x, g in seen]
            if all(_equal(product, other) for other in others):
                return _split(kind, argument, product)
        for kind in KINDS:
            found = _solved(kind, *seen[:2])
            if found is not None and _foretells(kind, found, seen[2]):
                weights, targets = found
                return Reading(kind, argument, weights, np.where(weights == 0, 0.0, targets))
    return None


def _foretells(kind: Kind, found: tuple[Array, Array], seen: tuple[Array, Array]) -> bool:
    """Whether weights and targets give the gradient at a third argument: two decide them, whatever the loss."""
    (weights, targets), (v, g) = found, seen
    return _equal(weights * (kind.slope(v) - targets * kind.pull(v)), g)


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
    if not np.isfinite(weights).all() or not _equal(weights * gain, change):
        return None
    targets = x - g / kind.pull(v) / np.where(weights == 0, 1.0, weights)
    return (weights, targets) if np.isfinite(targets).all() else None


def _gradient(side: Side, argument: int, loss: int, v: Array) -> Array | None:
    """dL/dv at `v`, through the nodes after the argument."""
    within = _between(side, argument, loss)
    values: Values = dict(side.run.values)
    with np.errstate(all="ignore"):
        for _ in side.network.walk(values, Edits(), Edits({argument: v}), within):
            pass
        reached = side.network.pull_back(Run(values), {loss: np.ones(values[loss].shape)}, within)
    return reached.get(argument)


def _between(side: Side, argument: int, loss: int) -> frozenset[int]:
    """Nodes that depend on the argument and on which the loss depends."""
    above = side.ancestors([loss])
    below, dirty = set(), {argument}
    for node in side.network.nodes:
        if node.node.index in above and not dirty.isdisjoint(node.reads):
            below.add(node.node.index)
            dirty.update(node.results)
    return frozenset(below)


@hypothesis(priority=3)
def other_loss(context: Context) -> Iterator[Candidate]:
    """Both losses are read; B's takes A's argument, targets and weights, one after another."""
    if context.exchanged or not context.pairs or context.kind not in ("loss", "outputs"):
        return
    pair = context.pairs[0]
    if context.a.run.values[pair.a].size != 1 or pair.b not in context.b.producers:
        return
    for i, j in _arguments(context, pair):
        a = read(context.a, i, pair.a)
        b = read(context.b, j, pair.b)
        if a is not None and b is None:
            b = _read_inside(context.b, j, pair.b)
        if b is not None and a is None:
            a = _read_inside(context.a, i, pair.a)
        if a is not None and b is not None:
            yield from _changes(context, (a, b), (i, j), context.b.producers[pair.b])


def _arguments(context: Context, pair: Any) -> Iterator[tuple[int, int]]:
    """Values of both sides alike from which the losses are computed near by, the latest first."""
    read_a, read_b = _near(context.a, pair.a), _near(context.b, pair.b)
    for i in sorted(read_a, reverse=True):
        x = context.a.run.values[i]
        if x.ndim and 1 < x.size <= _LARGEST and x.dtype.kind == "f":
            for j in context.alignment.a_to_b.get(i, ()):
                y = context.b.run.values[j]
                if j in read_b and x.size == y.size and _equal(x.reshape(-1), y.reshape(-1)):
                    yield i, j


def _near(side: Side, loss: int) -> set[int]:
    """Values that the last nodes before the loss read."""
    above = side.ancestors([loss])
    last = [n for n in side.network.nodes if n.node.index in above][-_REACH:]
    return {i for n in last for i in n.reals}


def _read_inside(side: Side, argument: int, loss: int) -> Reading | None:
    """The loss as one of the softmax, or sigmoid, of the argument."""
    v = side.run.values[argument]
    squashed = [sp.softmax(v, -1), sp.expit(v)]
    for node in side.network.nodes:
        if node.node.index in _between(side, argument, loss):
            for o in node.outputs:
                y = side.run.values[o]
                if y.size == v.size and any(_equal(y.reshape(v.shape), s) for s in squashed):
                    return read(side, o, loss)
    return None


def _changes(
    context: Context, readings: tuple[Reading, Reading], shared: tuple[int, int], node: LoweredNode
) -> Iterator[Candidate]:
    """One candidate for all that differs between the two readings, its parts in order."""
    a, b = readings
    if a.weights.size != b.weights.size or a.targets.size != b.targets.size:
        return
    weights_a, targets_a = a.weights.reshape(b.weights.shape), a.targets.reshape(b.targets.shape)
    stages: list[tuple[str, str, Callable[[Values], float]]] = []
    weights, targets, reading = b.weights, b.targets, b
    if a.kind.name != b.kind.name or (a.argument == shared[0]) != (b.argument == shared[1]):
        code, words = _argument_code(context, readings, shared)
        reading = Reading(a.kind, _same_argument(context, a, shared), weights, targets)
        stages.append((code, words, _valued(reading, weights, targets)))
    if not _equal(targets, targets_a):
        code, words = _targets_code(targets_a, targets)
        targets = targets_a
        stages.append((code, words, _valued(reading, weights, targets)))
    for code, words, changed in _weight_steps(weights_a, weights):
        stages.append((code, words, _valued(reading, changed, targets)))
    if not stages:
        return
    left = _constant(context.a, a, context.pairs[0].a) - _constant(context.b, b, context.pairs[0].b)
    code, words, value = stages[-1]
    stages[-1] = (code, words, lambda values: value(values) + left)
    yield _joint(context, stages, _valued(b, b.weights, b.targets), node)


def _constant(side: Side, reading: Reading, loss: int) -> float:
    """What the loss is beyond its formula: the entropy or the spread of the targets, which no gradient shows."""
    v = side.run.values[reading.argument]
    return float(side.run.values[loss].reshape(())) - reading.at(v, reading.weights, reading.targets)


def _same_argument(context: Context, a: Reading, shared: tuple[int, int]) -> int:
    """B's value that A's loss would take: the shared one, or B's own with the numbers of A's."""
    if a.argument == shared[0]:
        return shared[1]
    x = context.a.run.values[a.argument]
    for node in context.b.network.nodes:
        for o in node.outputs:
            if context.b.run.values[o].shape == x.shape and _equal(context.b.run.values[o], x):
                return o
    raise ValueError("B has no such value")


def _valued(reading: Reading, weights: Array, targets: Array) -> Callable[[Values], float]:
    shape = np.shape(reading.targets)
    return lambda values: reading.at(values[reading.argument].reshape(shape), weights, targets)


def _joint(
    context: Context, stages: list[tuple[str, str, Callable[[Values], float]]], base: Callable, node: LoweredNode
) -> Candidate:
    parts = [_part(context, code, words, _edited(context, node, base, value)) for code, words, value in stages]
    first, *rest = parts
    return replace(first, also=tuple(rest))


def _edited(context: Context, node: LoweredNode, base: Callable, value: Callable) -> Edits:
    """B's loss plus the change from what it is to what A's is, as formulas."""

    def compute(values: Values) -> Array:
        made = context.b.network.apply(node, values)[node.outputs[0]]
        return np.asarray(made + (value(values) - base(values))).reshape(made.shape)

    return replaced_output(node, compute)


def _part(context: Context, code: str, words: str, edits: Edits) -> Candidate:
    node_a, node_b = (at.region[0] if at.region else None for at in (context.at_a, context.at_b))
    there = words.replace("{A}", "the other model").replace("{B}", "this model")
    back = words.replace("{B}", "the other model").replace("{A}", "this model")
    return Candidate(code, edits, node_a, node_b, f"{_advice(code)}  # {back}", f"{_advice(code)}  # {there}", words)


_ADVICE = {
    "reduction": 'use the same reduction: loss(..., reduction="mean") or "sum" on both sides',
    "label-smoothing": "use the same label_smoothing and the same convention (eps/K, or eps/(K-1))",
    "class-weights": "weight the samples alike, and divide by the number of samples or by the sum of weights on both",
    "double-softmax": "drop the softmax before the loss, or use a loss of probabilities (from_logits=False)",
    "double-sigmoid": "drop the sigmoid before the loss, or use a loss of probabilities (from_logits=False; BCELoss)",
    "probabilities-as-logits": "pass logits to the loss, or say from_logits=False",
    "logits-as-probabilities": "say from_logits=True, or apply softmax (log_softmax) before the loss",
    "broadcast": "give predictions and targets the same shape: target.reshape(prediction.shape)",
}


def _advice(code: str) -> str:
    return _ADVICE.get(code, "compute the loss of the same targets")


def _argument_code(context: Context, readings: tuple[Reading, Reading], shared: tuple[int, int]) -> tuple[str, str]:
    """What B takes its argument for, against A."""
    a, b = readings
    words = f"{{A}} takes {_taken(a, shared[0])}, {{B}} takes {_taken(b, shared[1])}"
    squashes = b.argument != shared[1] or (b.kind.name.endswith("logits") and not a.kind.name.endswith("logits"))
    if not squashes:
        return "logits-as-probabilities", words
    if not b.kind.name.endswith("logits"):
        return "probabilities-as-logits", words
    own = b.argument in context.b.producers
    if own:
        return ("double-sigmoid" if b.kind.name.startswith("binary") else "double-softmax"), words
    return "probabilities-as-logits", words


def _taken(reading: Reading, shared: int) -> str:
    inside = "" if reading.argument == shared else "the softmax or sigmoid of its argument as "
    return f"{inside}{reading.kind.name}"


def _targets_code(wanted: Array, present: Array) -> tuple[str, str]:
    for one, other, name in ((present, wanted, "{B}"), (wanted, present, "{A}")):
        if np.ptp(one) <= 1e-6 * max(np.max(np.abs(other)), 1e-30) and math.isclose(
            float(one.mean()), float(other.mean()), rel_tol=1e-6, abs_tol=1e-9
        ):
            return "broadcast", f"every prediction meets the mean of all targets in {name}: [N, 1] against [N]"
    smooth = [_smoothing(q) for q in (wanted, present)]
    if wanted.ndim > 1 and any(s is not None for s in smooth):
        shown = " and ".join(
            f"{name} has {_described(s, wanted.shape[-1])}" for name, s in zip(("{A}", "{B}"), smooth, strict=True)
        )
        return "label-smoothing", f"target probabilities differ: {shown}"
    return "targets-differ", f"targets differ by up to {np.max(np.abs(wanted - present)):.3g}"


def _smoothing(q: Array) -> float | None:
    """The probability that each wrong class has, where it is one number; None otherwise."""
    if q.ndim < 2:
        return None
    others = np.sort(q, -1)[..., :-1]
    return float(others.mean()) if np.ptp(others) <= 1e-6 else None


def _described(wrong: float | None, classes: int) -> str:
    if wrong is None:
        return "soft targets"
    if abs(wrong) < 1e-9:
        return "no label smoothing"
    return f"eps = {wrong * classes:.6g} as eps/K or {wrong * (classes - 1):.6g} as eps/(K-1)"


def _weight_steps(wanted: Array, present: Array) -> Iterator[tuple[str, str, Array]]:
    """(code, words, weights after) for what differs in the weights: their pattern, then a common factor."""
    if _equal(wanted, present):
        return
    ratio = wanted / np.where(present == 0, 1.0, present)
    pattern = np.ptp(ratio) > 1e-6 * np.max(np.abs(ratio))
    if pattern:
        patterned = wanted * (present.sum() / wanted.sum())
        yield "class-weights", "samples are weighted otherwise: class or sample weights on one side alone", patterned
        ratio = wanted / np.where(patterned == 0, 1.0, patterned)
    factor = float(ratio.mean())
    if abs(factor - 1) > 1e-6:
        yield (*_factor_code(factor, wanted), wanted)


def _factor_code(factor: float, weights: Array) -> tuple[str, str]:
    sizes = sorted({n for k in range(weights.ndim) for n in (weights.shape[k], math.prod(weights.shape[: k + 1]))})
    for n in (n for n in sizes if n > 1):
        if any(math.isclose(factor, c, rel_tol=1e-6) for c in (n, 1 / n)):
            return "reduction", f"{{A}} is {factor:.8g} times {{B}}: the number {n} of elements, a sum against a mean"
    uneven = np.ptp(weights) > 1e-6 * np.max(np.abs(weights))
    if uneven:
        return "class-weights", f"{{A}} is {factor:.8g} times {{B}}: divided by the samples' number or by their weights"
    return "reduction", f"{{A}} is {factor:.8g} times {{B}}: the losses of the elements are combined otherwise"


def _equal(x: Array, y: Array) -> bool:
    size = max(float(np.max(np.abs(x), initial=0.0)), float(np.max(np.abs(y), initial=0.0)))
    return bool(np.isfinite(size) and np.max(np.abs(x - y), initial=0.0) <= 1e-6 * size)
