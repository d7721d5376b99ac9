"""Attention found in a network, fused or in several operations: scores, mask, probabilities, and what they weigh.

out = softmax(shift(scores)) values,    scores = scale queries keys^T,    shift: a mask, or a bias on the scores
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.special as sp

from oracle.alignments.alignment import Side
from oracle.causes.local import close, is_fixed, overridden, upstream
from oracle.causes.sequences.shifts import HIDDEN, Shift, read_shift
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values

_UPSTREAM = 14
# Steps between a product's operand and the stored array that it merely rearranges.
_CHAIN = 6


@dataclass(frozen=True)
class Attention:
    """One softmax over keys: its scores before any mask, and the mask or bias on them.

    `scores` makes them, scaled, of the side's values, keys last (`level` is the value that holds them, if one does);
    `shift` is what is done to them before the softmax; `node` makes the probabilities, or the attention's output where
    it is fused; `edit` puts other probabilities in their place, given as a function of the scores. `size` is the
    head's (zero where no queries and keys are multiplied), `scale` the factor of the sums.
    """

    node: LoweredNode
    scores: Callable[[Values], np.ndarray]
    shift: Shift
    edit: Callable[[Callable[[np.ndarray], np.ndarray]], Edits]
    size: int
    scale: float | None = None
    level: int | None = None


def attentions(side: Side, nodes: tuple[LoweredNode, ...]) -> Iterator[Attention]:
    """The attentions among `nodes`; for one in several operations, at every stage of its scores before the softmax."""
    for node in nodes:
        if "scaled_dot_product" in node.node.op or "attention" in node.node.op.lower():
            yield from _fused(side, node)
        else:
            yield from _decomposed(side, node)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis; NaN where every score is hidden, as the frameworks have it."""
    with np.errstate(all="ignore"):
        return sp.softmax(scores, -1)


def _decomposed(side: Side, node: LoweredNode) -> Iterator[Attention]:
    y = side.run.values[node.outputs[0]]
    if y.ndim < 2 or y.shape[-1] < 2 or not _is_distribution(y):
        return
    levels = [i for n in (node, *upstream(side, node.outputs[0], _UPSTREAM)) for i in n.reals]
    levels = [i for i in dict.fromkeys(levels) if side.run.values[i].size == y.size]
    logits = next((i for i in levels if close(softmax(side.run.values[i].reshape(y.shape)), y)), None)
    if logits is None:
        return
    final = side.run.values[logits].reshape(y.shape)
    before = [logits, *(i for n in upstream(side, logits, _UPSTREAM) for i in n.reals)]
    summands = _summands(side, logits)
    for level in dict.fromkeys(before):
        scores = side.run.values[level]
        if scores.size != y.size or not np.all(np.isfinite(scores)) or _spread(scores) > 100 * HIDDEN:
            continue
        shift = read_shift(scores.reshape(y.shape), final, biased=level in summands)
        if shift is not None:
            edit = _replacing(side, node, level, y.shape)
            yield Attention(node, _reader(level, y.shape), shift, edit, *_head(side, level), level)


def _is_distribution(y: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.all(y >= 0) and np.allclose(np.sum(y, -1), 1, rtol=1e-9))


def _spread(x: np.ndarray) -> float:
    return float(np.max(x, initial=0.0) - np.min(x, initial=0.0))


def _summands(side: Side, logits: int) -> set[int]:
    """The values to which only masks, and biases that no parameter makes, are added on the way to the logits."""
    found, wanted = set(), [logits]
    while wanted:
        level = wanted.pop()
        producer = side.producers.get(level)
        made = side.run.values[level]
        for i in producer.reals if producer is not None else ():
            scores = side.run.values[i]
            if scores.size != made.size or i in found:
                continue
            others = [j for j in producer.reals if j != i] if producer is not None else []
            added = (
                producer is not None and "add" in producer.node.op.lower() and all(is_fixed(side, j) for j in others)
            )
            if added or _is_masking(scores.reshape(made.shape), made):
                found.add(i)
                wanted.append(i)
    return found


def _is_masking(scores: np.ndarray, made: np.ndarray) -> bool:
    shift = read_shift(scores, made, biased=False)
    return shift is not None and shift.plain


def _reader(level: int, shape: tuple[int, ...]) -> Callable[[Values], np.ndarray]:
    return lambda values: values[level].reshape(shape)


def _replacing(
    side: Side, node: LoweredNode, level: int, shape: tuple[int, ...]
) -> Callable[[Callable[[np.ndarray], np.ndarray]], Edits]:
    def edit(probabilities: Callable[[np.ndarray], np.ndarray]) -> Edits:
        return overridden(side, {node.outputs[0]: lambda values: probabilities(values[level].reshape(shape))})

    return edit


def _head(side: Side, level: int) -> tuple[int, float | None]:
    """The length of the axis over which queries and keys are summed, and by what the sums are multiplied."""
    scores = side.run.values[level]
    for node in (n for k in [level] for n in upstream(side, k, 6)):
        shapes = [side.run.values[i].shape for i in node.reals]
        made = side.run.values[node.outputs[0]]
        if len(shapes) == 2 and all(len(s) >= 2 for s in shapes) and made.size == scores.size:
            if any(is_stored(side, i) for i in node.reals):
                continue  # a dense layer makes these scores
            common = [n for n in shapes[0] if n in shapes[1]]
            norm = float(np.linalg.norm(made))
            return (common[-1] if common else shapes[0][-1]), float(np.linalg.norm(scores)) / norm if norm else None
    return 0, None


def is_stored(side: Side, value: int) -> bool:
    """Whether the value is a stored array, as it is or rearranged."""
    for _ in range(_CHAIN):
        producer = side.producers.get(value)
        if producer is None:
            return side.network.trace.values[value].role != "input"
        if len(producer.reals) != 1:
            return False
        value = producer.reals[0]
    return False


def _fused(side: Side, node: LoweredNode) -> Iterator[Attention]:
    """Queries, keys and values (..., length, size) are the first three inputs."""
    ids = [v for v in _first_three(node) if v is not None]
    if len(ids) != 3 or len({side.run.values[i].shape[:-2] for i in ids}) > 1:
        return
    q, k, v = ids
    size = side.run.values[q].shape[-1]
    scale = node.node.attrs.get("scale") or size**-0.5

    def scores(values: Values) -> np.ndarray:
        return values[q] @ np.swapaxes(values[k], -1, -2) * scale

    own = scores(side.run.values)
    out = side.run.values[node.outputs[0]]
    causal = np.where(np.tri(*own.shape[-2:]) > 0, 0.0, -np.inf)
    masks = [m for m in (_additive(side.run.values[i]) for i in node.node.reads if i not in ids) if _fits(m, own)]
    for bias in (0.0, causal, *masks, *(m + causal for m in masks)):
        final = own + bias
        if close(_weighted(softmax(final), side.run.values[v]), out):
            shift = read_shift(own, final, biased=True)
            if shift is not None:
                yield Attention(node, scores, shift, _weighing(side, node, scores, v), size, scale)
            return


def _additive(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 0.0, -np.inf) if mask.dtype.kind == "b" else mask


def _fits(mask: np.ndarray, scores: np.ndarray) -> bool:
    sizes = zip(mask.shape[::-1], scores.shape[::-1], strict=False)
    return 2 <= mask.ndim <= scores.ndim and all(m in (1, n) for m, n in sizes)


def _first_three(node: LoweredNode) -> list[int | None]:
    return [i["value"] if isinstance(i, dict) and "value" in i else None for i in node.node.inputs[:3]]


def _weighted(probabilities: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The sums of values; zero where every score is hidden, as fused kernels have it."""
    return np.nan_to_num(probabilities) @ v


def _weighing(
    side: Side, node: LoweredNode, scores: Callable[[Values], np.ndarray], v: int
) -> Callable[[Callable[[np.ndarray], np.ndarray]], Edits]:
    def edit(probabilities: Callable[[np.ndarray], np.ndarray]) -> Edits:
        return overridden(side, {node.outputs[0]: lambda values: _weighted(probabilities(scores(values)), values[v])})

    return edit
