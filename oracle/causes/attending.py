"""Attention found in a network, fused or in several operations: scores, mask, probabilities, and what they weigh.

out = softmax(scores + mask) values,    scores = scale queries keys^T
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.special as sp

from oracle.alignment import Side
from oracle.causes.local import close, overridden, upstream
from oracle.lowered import LoweredNode
from oracle.network import Edits, Values

_UPSTREAM = 14
# A score that lies this far below the others takes no part: exp(-30) is below a rounding of float32.
HIDDEN = 30.0


@dataclass(frozen=True)
class Attention:
    """One softmax over keys: where its scores are, before any mask, and which of them are hidden.

    `scores` makes them, scaled, of the side's values, keys last (`level` is the value that holds them, if one does);
    `hidden` is true where a score takes no part, None where all do; `node` makes the probabilities, or the attention's
    output where it is fused; `edit` puts other probabilities in their place, given as a function of the scores.
    `size` is the head's, `scale` the factor of the sums.
    """

    node: LoweredNode
    scores: Callable[[Values], np.ndarray]
    hidden: np.ndarray | None
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
    for level in dict.fromkeys(before):
        scores = side.run.values[level]
        if scores.size != y.size or not np.all(np.isfinite(scores)) or _spread(scores) > 100 * HIDDEN:
            continue
        hidden = final < scores.reshape(y.shape) - HIDDEN
        if not np.allclose(final[~hidden], scores.reshape(y.shape)[~hidden], rtol=1e-9):
            continue
        yield Attention(
            node, _reader(level, y.shape), hidden if hidden.any() else None, _replacing(side, node, level, y.shape),
            *_head(side, level), level,
        )  # fmt: skip


def _is_distribution(y: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.all(y >= 0) and np.allclose(np.sum(y, -1), 1, rtol=1e-9))


def _spread(x: np.ndarray) -> float:
    return float(np.max(x, initial=0.0) - np.min(x, initial=0.0))


def _reader(level: int, shape: tuple[int, ...]) -> Callable[[Values], np.ndarray]:
    return lambda values: values[level].reshape(shape)


def _replacing(
    side: Side, node: LoweredNode, level: int, shape: tuple[int, ...]
) -> Callable[[Callable[[np.ndarray], np.ndarray]], Edits]:
    def edit(probabilities: Callable[[np.ndarray], np.ndarray]) -> Edits:
        return overridden(side, {node.outputs[0]: lambda values: probabilities(values[level].reshape(shape))})

    return edit


def _head(side: Side, level: int) -> tuple[int, float | None]:
    """The length of the axis over which the scores are summed, and by what the sums are multiplied."""
    scores = side.run.values[level]
    for node in (n for k in [level] for n in upstream(side, k, 6)):
        shapes = [side.run.values[i].shape for i in node.reals]
        made = side.run.values[node.outputs[0]]
        if len(shapes) == 2 and all(len(s) >= 2 for s in shapes) and made.size == scores.size:
            common = [n for n in shapes[0] if n in shapes[1]]
            norm = float(np.linalg.norm(made))
            return (common[-1] if common else shapes[0][-1]), float(np.linalg.norm(scores)) / norm if norm else None
    return 0, None


def _fused(side: Side, node: LoweredNode) -> Iterator[Attention]:
    """Queries, keys and values (..., length, size) are the first three inputs."""
    if len(node.reals) < 1:
        return
    ids = [v for v in _first_three(node) if v is not None]
    if len(ids) != 3:
        return
    q, k, v = ids
    size = side.run.values[q].shape[-1]
    scale = node.node.attrs.get("scale") or size**-0.5

    def scores(values: Values) -> np.ndarray:
        return values[q] @ np.swapaxes(values[k], -1, -2) * scale

    own = scores(side.run.values)
    out = side.run.values[node.outputs[0]]
    for hidden in (None, np.tri(*own.shape[-2:]) == 0):
        masked = own if hidden is None else np.where(hidden, -np.inf, own)
        if close(softmax(masked) @ side.run.values[v], out):
            yield Attention(node, scores, hidden, _weighing(side, node, scores, v), size, scale)


def _first_three(node: LoweredNode) -> list[int | None]:
    return [i["value"] if isinstance(i, dict) and "value" in i else None for i in node.node.inputs[:3]]


def _weighing(
    side: Side, node: LoweredNode, scores: Callable[[Values], np.ndarray], v: int
) -> Callable[[Callable[[np.ndarray], np.ndarray]], Edits]:
    def edit(probabilities: Callable[[np.ndarray], np.ndarray]) -> Edits:
        return overridden(side, {node.outputs[0]: lambda values: probabilities(scores(values)) @ values[v]})

    return edit
