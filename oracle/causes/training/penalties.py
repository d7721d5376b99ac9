"""A penalty on the weights in one loss and not, or otherwise, in the other: a regularizer.

What the loss takes from the weights without the data is its penalty, whatever operations it is made of; its form is
read off its derivative: 2 c w of c sum(w^2), c sign(w) of c sum(|w|).

Codes:
    regularization: another penalty on the weights, or none.
"""

import functools
import math
from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import CLOSE, Side
from oracle.alignments.backward import differentiated
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values

_SHOWN = 3


@hypothesis(priority=2)
def other_penalty(context: Context) -> Iterator[Candidate]:
    """B's loss has A's penalty in the place of its own."""
    if context.kind != "loss" or context.exchanged or context.pairs[0].b not in context.b.producers:
        return
    pair = context.pairs[0]
    of_a, of_b = (_Penalty(side, pair.step) for side in (context.a, context.b))
    if math.isclose(of_a.value, of_b.value, rel_tol=CLOSE, abs_tol=0.0):
        return
    node_a, node_b = context.a.producers.get(pair.a), context.b.producers[pair.b]
    change = of_a.value - of_b.value
    yield Candidate(
        "regularization",
        replaced_output(node_b, functools.partial(_shifted, context.b, node_b, change)),
        of_a.node or node_a,
        of_b.node or node_b,
        fix_a=f"penalise the weights as the other model does: {of_b.words}",
        fix_b=f"penalise the weights as the other model does: {of_a.words}",
        detail=f"the loss of {{A}} has {of_a.words}, that of {{B}} {of_b.words}",
    )


def _shifted(side: Side, node: LoweredNode, change: float, values: Values) -> np.ndarray:
    return np.asarray(side.network.apply(node, values)[node.outputs[0]] + change)


class _Penalty:
    """What the loss of a step has of its weights alone: its value, its last node, and its form in words."""

    def __init__(self, side: Side, step: int) -> None:
        self.value = 0.0
        self.node: LoweredNode | None = None
        self.words = "no penalty on the weights"
        known = differentiated(side, step)
        if known is None:
            return
        trace = side.network.trace
        before = trace.steps[step - 1].parameters if step else trace.parameters
        weights = {before.get(name, i): name for name, i in trace.parameters.items()}
        data = _reached(known.forward, set(trace.inputs.values()))
        stored = _reached(known.forward, set(weights)) - data
        parts: dict[int, np.ndarray] = {}
        for node in known.forward:
            if data.isdisjoint(node.outputs):
                continue
            for i, cotangent in known.passed.get(node.node.index, {}).items():
                if i in stored and i not in weights and side.run.values[i].size == 1 and i in side.producers:
                    parts[i] = parts.get(i, 0.0) + cotangent
        if parts:
            self._told(side, parts, weights, known.forward)

    def _told(
        self, side: Side, parts: dict[int, np.ndarray], weights: dict[int, str], forward: tuple[LoweredNode, ...]
    ) -> None:
        self.value = sum(float(np.sum(c * side.run.values[i])) for i, c in parts.items())
        self.node = side.producers[next(iter(parts))]
        reached = side.network.pull_back(side.run, parts, {n.node.index for n in forward})
        forms = [
            f"{_form(side.run.values[i], reached[i])} of {name}"
            for i, name in weights.items()
            if i in reached and reached[i].any()
        ]
        more = f" and {len(forms) - _SHOWN} more" if len(forms) > _SHOWN else ""
        self.words = ", ".join(forms[:_SHOWN]) + more


def _reached(nodes: tuple[LoweredNode, ...], start: set[int]) -> set[int]:
    found = set(start)
    for node in nodes:
        if not found.isdisjoint(node.reads):
            found.update(node.outputs)
    return found


def _form(w: np.ndarray, slope: np.ndarray) -> str:
    """The penalty on `w` of this derivative, in words."""
    w, slope = w.reshape(-1), slope.reshape(-1)
    for name, shape, power in (("L2", 2 * w, "sum of squares"), ("L1", np.sign(w), "sum of magnitudes")):
        square = float(shape @ shape)
        factor = float(shape @ slope) / square if square else 0.0
        if factor and np.max(np.abs(slope - factor * shape)) <= 4 * CLOSE * np.max(np.abs(slope)):
            return f"{name} {factor:.6g} ({factor:.6g} times the {power})"
    return "another penalty"
