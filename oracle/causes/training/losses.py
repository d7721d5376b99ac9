"""The loss takes its argument for something else, has other targets or weights, or reduces otherwise.

Both losses are read off their gradients (`oracle.losses.reading`); B's takes A's argument, targets and weights in turn.

Codes:
    reduction: a sum for a mean, a mean over other axes ("batchmean").
    label-smoothing: other target probabilities: another smoothing, or eps/K against eps/(K-1).
    class-weights: weights of classes or samples on one side alone, or divided by their sum on one side alone.
    double-softmax, double-sigmoid: B passes probabilities, which it computed itself, to a loss of logits.
    probabilities-as-logits: probabilities are passed to a loss of logits or of log-probabilities, or logits to a loss
        of probabilities (`from_logits` is wrong).
    broadcast: the targets of all samples are averaged: [N, 1] was broadcast against [N].
    log-target: one side takes the targets for logarithms.
    targets-differ: other targets.
    sign: the opposite sign.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.losses.reading import Reading, equal, is_cut, near, read, read_inside
from oracle.losses.words import Wish, loss_fix
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.unfit import Unfit

_LARGEST = 200_000
_EQUAL = 1e-6
Array = np.ndarray


@hypothesis(priority=3)
def other_loss(context: Context) -> Iterator[Candidate]:
    """Both losses are read; B's takes A's argument, targets and weights, one after another."""
    yield from (c for c in _read_changes(context) if "targets-differ" not in (c.code, *(d.code for d in c.also)))


@hypothesis(priority=6)
def other_targets(context: Context) -> Iterator[Candidate]:
    """The same where the targets are others altogether: only if no known formula says why."""
    yield from (c for c in _read_changes(context) if "targets-differ" in (c.code, *(d.code for d in c.also)))


def _read_changes(context: Context) -> Iterator[Candidate]:
    if context.exchanged or not context.pairs or context.kind not in ("loss", "outputs"):
        return
    pair = context.pairs[0]
    if context.a.run.values[pair.a].size != 1 or pair.b not in context.b.producers:
        return
    for i, j in shared_arguments(context, pair):
        a = read(context.a, i, pair.a)
        b = read(context.b, j, pair.b)
        if a is not None and b is None:
            b = read_inside(context.b, j, pair.b)
        if b is not None and a is None:
            a = read_inside(context.a, i, pair.a)
        if a is not None and b is not None:
            yield from _changes(context, (a, b), (i, j), context.b.producers[pair.b])


def shared_arguments(context: Context, pair: Any) -> Iterator[tuple[int, int]]:
    """Values of both sides alike from which the losses are computed near by: the latest first, leaves last."""
    read_a, read_b = near(context.a, pair.a), near(context.b, pair.b)
    made = context.a.producers
    for i in sorted(read_a, key=lambda i: (i not in made, -i)):
        x = context.a.run.values[i]
        stored = i in context.a.network.trace.parameters.values()
        if x.ndim and 1 < x.size <= _LARGEST and x.dtype.kind == "f" and not stored and is_cut(context.a, i, pair.a):
            for j in context.alignment.a_to_b.get(i, ()):
                y = context.b.run.values[j]
                same = j in read_b and x.size == y.size and equal(x.reshape(-1), y.reshape(-1))
                if same and is_cut(context.b, j, pair.b):
                    yield i, j


def _changes(
    context: Context, readings: tuple[Reading, Reading], shared: tuple[int, int], node: LoweredNode
) -> Iterator[Candidate]:
    """One candidate for all that differs between the two readings, its parts in order."""
    a, b = readings
    if a.weights.size != b.weights.size or a.targets.size != b.targets.size:
        return
    wanted = a.weights.reshape(b.weights.shape), a.targets.reshape(b.targets.shape)
    left = _constant(context.a, a, context.pairs[0].a) - _constant(context.b, b, context.pairs[0].b)
    values = context.b.run.values
    orders = [_stages(context, readings, (shared, wanted), first) for first in ("targets", "weights")]
    stages = min(orders, key=lambda s: abs(s[0][2](values) - s[-1][2](values)) if s else 0.0)
    if not stages:
        return
    if a.kind.name == b.kind.name == "log-probabilities" and (one := _log_space(a, b)):
        stages = [(*one, _valued(context.b, b, *wanted))]
    code, words, value = stages[-1]
    stages[-1] = (code, words, lambda values: value(values) + left)
    yield _joint(context, stages, readings, node)


Stage = tuple[str, str, Callable[[Values], float]]


def _stages(context: Context, readings: tuple[Reading, Reading], given: tuple, first: str) -> list[Stage]:
    """(code, words, B's loss after it) for each respect in which the readings differ."""
    (a, b), (shared, (weights_a, targets_a)) = readings, given
    stages: list[Stage] = []
    weights, targets, reading = b.weights, b.targets, b
    # A sample that one side leaves out may have any target there.
    targets_a, targets = (
        np.where((weights_a == 0) & (weights != 0), targets, targets_a),
        np.where((weights_a != 0) & (weights == 0), targets_a, targets),
    )
    if a.kind.name != b.kind.name or (a.argument == shared[0]) != (b.argument == shared[1]):
        code, words = _argument_code(context, readings, shared)
        reading = Reading(a.kind, _same_argument(context, a, shared), weights, targets)
        stages.append((code, words, _valued(context.b, reading, weights, targets)))
    for respect in sorted(("targets", "weights"), key=lambda name: name != first):
        if respect == "targets" and not equal(targets, targets_a):
            code, words = _targets_code(targets_a, targets, b.kind.name.startswith("binary"))
            targets = targets_a
            stages.append((code, words, _valued(context.b, reading, weights, targets)))
        elif respect == "weights":
            sums = _sums(context, context.pairs[0])
            grouped = not _weighed(context, b.weights) and not _by_class(weights_a, b)
            for code, words, weights in _weight_steps(weights_a, b.weights, sums, grouped):
                stages.append((code, words, _valued(context.b, reading, weights, targets)))
    return stages


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
            if context.b.run.values[o].shape == x.shape and equal(context.b.run.values[o], x):
                return o
    raise Unfit("B has no such value")


def _valued(side: Side, reading: Reading, weights: Array, targets: Array) -> Callable[[Values], float]:
    shape = np.shape(reading.targets)
    source = _source(side, reading.argument, targets)

    def value(values: Values) -> float:
        q = targets if source is None else (source[1] * values[source[0]] + source[2]).reshape(targets.shape)
        return reading.at(values[reading.argument].reshape(shape), weights, q)

    return value


def _source(side: Side, argument: int, targets: Array) -> tuple[int, float, float] | None:
    """The input of which the targets are a multiple plus a constant, and both numbers; None where there is none."""
    flat = np.asarray(targets, np.float64).reshape(-1)
    for i in side.network.trace.inputs.values():
        x = side.run.values[i]
        if i == argument or x.size != flat.size or x.dtype.kind != "f" or np.ptp(x) == 0:
            continue
        columns = np.stack([x.reshape(-1), np.ones(x.size)], 1)
        (scale, shift), *_ = np.linalg.lstsq(columns, flat, rcond=None)
        if scale and equal(columns @ (scale, shift), flat):
            return i, float(scale), float(shift)
    return None


def _joint(
    context: Context,
    stages: list[Stage],
    readings: tuple[Reading, Reading],
    node: LoweredNode,
) -> Candidate:
    b = readings[1]
    base = _valued(context.b, b, b.weights, b.targets)
    parts = [
        _part(context, readings, (code, words), _edited(context, node, base, value)) for code, words, value in stages
    ]
    first, *rest = parts
    return replace(first, also=tuple(rest))


def _edited(context: Context, node: LoweredNode, base: Callable, value: Callable) -> Edits:
    """B's loss plus the change from what it is to what A's is, as formulas."""

    def compute(values: Values) -> Array:
        made = context.b.network.apply(node, values)[node.outputs[0]]
        return np.asarray(made + (value(values) - base(values))).reshape(made.shape)

    return replaced_output(node, compute)


def _part(context: Context, readings: tuple[Reading, Reading], cause: tuple[str, str], edits: Edits) -> Candidate:
    node_a, node_b = (at.region[0] if at.region else None for at in (context.at_a, context.at_b))
    (a, b), (code, words) = readings, cause
    fix_a, fix_b = (
        loss_fix(side, code, own.kind.name, _wish(own, other, code))
        for side, own, other in ((context.a, a, b), (context.b, b, a))
    )
    return Candidate(code, edits, node_a, node_b, fix_a, fix_b, words)


def _wish(own: Reading, other: Reading, code: str) -> Wish:
    classes = other.targets.shape[-1] if other.targets.ndim > 1 else 1
    factor = float(np.mean(other.weights) / (np.mean(own.weights) or 1.0))
    squashed = other.kind.name.endswith("logits") and not own.kind.name.endswith("logits")
    doubled = code.startswith("double") and (other.inside or (squashed and not own.inside))
    return Wish(other.kind.name, other.weights, factor, _smoothing(other.targets), classes, doubled)


def _argument_code(context: Context, readings: tuple[Reading, Reading], shared: tuple[int, int]) -> tuple[str, str]:
    """What B takes its argument for, against A."""
    a, b = readings
    words = f"{{A}} takes {_taken(a, shared[0])}, {{B}} takes {_taken(b, shared[1])}"
    inside = next((r for r, own in ((b, shared[1]), (a, shared[0])) if r.argument != own), None)
    logits = next((r for r in (b, a) if r.kind.name.endswith("logits")), None)
    binary = any(r.kind.name.startswith("binary") for r in readings)
    spread = is_distribution(context.b.run.values[shared[1]], binary)
    made = shared[1] in context.b.producers
    if inside is not None or (logits is not None and spread and made):
        doubled = (inside or logits).kind.name.endswith("logits")  # type: ignore[union-attr]
        if doubled:
            return ("double-sigmoid" if binary else "double-softmax"), words
    return "probabilities-as-logits", words


def is_distribution(v: Array, binary: bool) -> bool:
    """Whether `v` holds probabilities: of one event each if `binary`, else of the classes of each sample."""
    inside = bool(np.all((v >= 0) & (v <= 1)))
    single = binary or v.ndim < 2 or v.shape[-1] == 1
    return inside and (single or bool(np.allclose(v.sum(-1), 1, atol=1e-4)))


def _taken(reading: Reading, shared: int) -> str:
    inside = "" if reading.argument == shared else "the softmax or sigmoid of its argument as "
    return f"{inside}{reading.kind.name}"


def _log_space(a: Reading, b: Reading) -> tuple[str, str] | None:
    """Code and words where one side takes the other's targets for logarithms."""
    if equal(a.targets.reshape(b.targets.shape), b.targets):
        return None
    for name, one, other in (("{A}", a, b), ("{B}", b, a)):
        product = one.weights * one.targets
        raised = np.exp(other.targets.reshape(product.shape))
        if equal(product / product.sum(), raised / raised.sum()):
            return "log-target", f"{name} takes the targets for logarithms of probabilities"
    return None


def _targets_code(wanted: Array, present: Array, binary: bool) -> tuple[str, str]:
    for one, other, name in ((present, wanted, "{B}"), (wanted, present, "{A}")):
        if np.ptp(one) <= 1e-6 * max(np.max(np.abs(other)), 1e-30) and math.isclose(
            float(one.mean()), float(other.mean()), rel_tol=1e-6, abs_tol=1e-9
        ):
            return "broadcast", f"every prediction meets the mean of all targets in {name}: [N, 1] against [N]"
    smooth = [_smoothing(q) for q in (wanted, present)]
    if wanted.ndim > 1 and any(s is not None for s in smooth) and _same_classes(wanted, present):
        shown = " and ".join(
            f"{name} has {_described(s, wanted.shape[-1])}" for name, s in zip(("{A}", "{B}"), smooth, strict=True)
        )
        return "label-smoothing", f"target probabilities differ: {shown}"
    classes = _two_classes(wanted, present) if binary else None
    if classes is not None:
        (low_a, low_b), (high_a, high_b) = classes
        words = f"the classes are {low_a:g} and {high_a:g} in {{A}}, {low_b:g} and {high_b:g} in {{B}}"
        return "label-smoothing", words
    return "targets-differ", f"targets differ by up to {np.max(np.abs(wanted - present)):.3g}"


def _same_classes(wanted: Array, present: Array) -> bool:
    """Whether both have the same class, or one of the same, for the likeliest of each sample."""
    best = [q >= q.max(-1, keepdims=True) - _EQUAL for q in (wanted, present)]
    return bool(np.all(np.any(best[0] & best[1], -1)))


def _two_classes(wanted: Array, present: Array) -> list[tuple[float, float]] | None:
    """The lower and the higher target of both sides, where each has two of them, at the same places."""
    both = np.round(np.stack([wanted.reshape(-1), present.reshape(-1)], 1), 6)
    found = np.unique(both, axis=0)
    if len(found) != 2 or not np.all(found[0] < found[1]):
        return None
    return [(float(a), float(b)) for a, b in found]


def _smoothing(q: Array) -> float | None:
    """The probability that each wrong class has, where it is one number; None otherwise."""
    if q.ndim < 2 or q.shape[-1] < 2:
        return None
    others = np.sort(q, -1)[..., :-1]
    return float(others.mean()) if np.ptp(others) <= 1e-6 else None


def _described(wrong: float | None, classes: int) -> str:
    if wrong is None:
        return "soft targets"
    if abs(wrong) < 1e-9:
        return "no label smoothing"
    return f"eps = {wrong * classes:.6g} as eps/K or {wrong * (classes - 1):.6g} as eps/(K-1)"


def _sums(context: Context, pair: Any) -> tuple[float, ...]:
    """Sums of what the losses read: by the sum of the weights a weighted mean is divided."""
    read_by = ((context.a, pair.a), (context.b, pair.b))
    arrays = (side.run.values[i] for side, loss in read_by for i in near(side, loss))
    return tuple(float(x.sum()) for x in arrays if 1 < x.size <= _LARGEST and np.all(x > 0))


def _weighed(context: Context, weights: Array) -> bool:
    """Whether a loss reads numbers, beside its targets, that may be weights of samples, classes or elements."""
    pair = context.pairs[0]
    for side, loss in ((context.a, pair.a), (context.b, pair.b)):
        trace = side.network.trace
        others = {*trace.parameters.values(), *trace.inputs.values(), *side.producers}
        arrays = (side.run.values[i] for i in near(side, loss) - others)
        sizes = {*weights.shape, weights.size}
        if any(x.dtype.kind == "f" and x.size > 1 and x.size in sizes and np.all(x >= 0) for x in arrays):
            return True
    return False


def _by_class(wanted: Array, present: Reading) -> bool:
    """Whether the weights of samples, or elements, with the same target are the same multiple of the other's."""
    if present.targets.ndim == wanted.ndim and present.targets.shape == wanted.shape:
        keys = np.round(present.targets.reshape(-1), 6)
    else:
        keys = np.argmax(present.targets, -1).reshape(-1).astype(float)
    if keys.size != wanted.size:
        return True
    ratio = (wanted / np.where(present.weights == 0, 1.0, present.weights)).reshape(-1)
    counted = ((wanted != 0) & (present.weights != 0)).reshape(-1)
    groups = [ratio[counted & (keys == key)] for key in np.unique(keys[counted])]
    return all(np.ptp(group) <= _EQUAL * np.max(np.abs(ratio)) for group in groups)


def _weight_steps(
    wanted: Array, present: Array, sums: tuple[float, ...], grouped: bool
) -> Iterator[tuple[str, str, Array]]:
    """(code, words, weights after) for what differs in the weights: their pattern, then a common factor."""
    if equal(wanted, present):
        return
    if masked := _masked(wanted, present):
        yield "masking", masked, wanted
        return
    counted = (wanted != 0) | (present != 0)
    ratio = (wanted / np.where(present == 0, 1.0, present))[counted]
    if np.ptp(ratio) > _EQUAL * np.max(np.abs(ratio)):
        if grouped:
            yield "reduction", "the losses of the samples are averaged in other groups", wanted
            return
        patterned = wanted * (present.sum() / wanted.sum())
        factor = float((wanted[counted] / patterned[counted]).mean())
        if not _counts(factor, wanted):
            patterned = wanted
        yield "class-weights", "samples are weighted otherwise: class or sample weights on one side alone", patterned
        ratio = (wanted / np.where(patterned == 0, 1.0, patterned))[counted]
    factor = float(ratio.mean())
    if abs(factor - 1) > _EQUAL:
        yield (*factor_code(factor, wanted, sums), wanted)


def _masked(wanted: Array, present: Array) -> str:
    """Words where one side leaves samples out, the others being weighted alike; nothing elsewhere."""
    both = (wanted != 0) & (present != 0)
    left = [int(np.count_nonzero((own == 0) & (other != 0))) for own, other in ((wanted, present), (present, wanted))]
    ratio = wanted[both] / present[both]
    if not any(left) or not both.any() or np.ptp(ratio) > _EQUAL * np.max(np.abs(ratio)):
        return ""
    return f"{left[0]} samples are left out in {{A}} alone, {left[1]} in {{B}} alone (ignore_index, a mask)"


def _counts(factor: float, weights: Array) -> bool:
    """Whether the factor is a number of samples, classes or elements, or one over it."""
    sizes = {n for k in range(weights.ndim) for n in (weights.shape[k], math.prod(weights.shape[: k + 1]))}
    return any(math.isclose(factor, c, rel_tol=_EQUAL) for n in sizes if n > 1 for c in (n, 1 / n))


def factor_code(factor: float, weights: Array, sums: tuple[float, ...] = ()) -> tuple[str, str]:
    """Code and words for a loss that is `factor` times another, of elements so weighted."""
    if factor < 0:
        return "sign", f"{{A}} is {factor:.8g} times {{B}}: the opposite sign"
    sizes = sorted({n for k in range(weights.ndim) for n in (weights.shape[k], math.prod(weights.shape[: k + 1]))})
    for n in (n for n in sizes if n > 1):
        if any(math.isclose(factor, c, rel_tol=1e-6) for c in (n, 1 / n)):
            return "reduction", f"{{A}} is {factor:.8g} times {{B}}: the number {n} of elements, a sum against a mean"
    for n, total in itertools.product(sizes, sums):
        if any(math.isclose(factor, c, rel_tol=1e-6) for c in (total / n, n / total)):
            return (
                "class-weights",
                f"{{A}} is {factor:.8g} times {{B}}: divided by {n}, or by the weights' sum {total:.6g}",
            )
    used = int(np.count_nonzero(weights))
    for n in sizes:
        if 0 < used < n and any(math.isclose(factor, c, rel_tol=1e-6) for c in (n / used, used / n)):
            return (
                "reduction",
                f"{{A}} is {factor:.8g} times {{B}}: divided by {n}, or by the {used} that are not ignored",
            )
    uneven = np.ptp(weights) > 1e-6 * np.max(np.abs(weights))
    if uneven:
        return "class-weights", f"{{A}} is {factor:.8g} times {{B}}: divided by the samples' number or by their weights"
    return "reduction", f"{{A}} is {factor:.8g} times {{B}}: the losses of the elements are combined otherwise"
