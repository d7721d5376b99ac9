"""Whether recorded gradients are what they should be: the derivatives of the recorded loss.

A gradient that differs from the other model's may do so because the loss does, or because a backward pass is wrong.
The network knows the derivative of each of its forward operations, so it can tell: the loss is pulled back through
the forward nodes alone, and compared with what the backward nodes made.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import CLOSE, Side, norm
from oracle.networks.lowered import LoweredNode
from oracle.networks.node_reading import arguments

# A gradient that is zero in mathematics is rounding: so much of the step's largest gradient is nothing.
_NOTHING = 2.0**-40


@dataclass(frozen=True)
class Derivatives:
    """The loss of one step differentiated: by every value that it depends on, and what each node passed to each value.

    `unknown` are values behind an operation without a lowering: their derivative is not known.
    """

    values: dict[int, np.ndarray]
    passed: dict[int, dict[int, np.ndarray]]
    unknown: frozenset[int]
    forward: tuple[LoweredNode, ...]


def differentiated(side: Side, step: int, without: Container[int] = ()) -> Derivatives | None:
    """The derivatives of that step's loss, but not through the nodes `without`; None where there is no loss."""
    loss = side.network.trace.steps[step].loss
    if loss is None:
        return None
    above = side.ancestors([loss])
    forward = tuple(n for n in side.network.nodes if n.node.step == step and n.node.index in above)
    within = {n.node.index for n in forward if n.node.index not in without}
    total = {loss: np.ones(side.run.values[loss].shape)}
    kept: dict[int, np.ndarray] = {}
    passed: dict[int, dict[int, np.ndarray]] = {}
    blind: set[int] = set()

    def seen(node: LoweredNode, value: int, cotangent: np.ndarray) -> float:
        passed.setdefault(node.node.index, {})[value] = cotangent
        return float(np.sum(cotangent))

    with np.errstate(all="ignore"):
        for node, own, _ in side.network.reverse(side.run, total, seen, within):
            kept |= own
            if node.signature is None:
                blind.update(_varying(side, node))
    return Derivatives(_agreed(kept | total, passed, forward), passed, _behind(side, forward, blind), forward)


def _agreed(
    values: dict[int, np.ndarray], passed: Mapping[int, Mapping[int, np.ndarray]], forward: tuple[LoweredNode, ...]
) -> dict[int, np.ndarray]:
    """The derivatives as the frameworks define them: an embedding says of which row, its padding, it takes none."""
    found = dict(values)
    for node in forward:
        _, row = arguments(node).get("padding_idx", ((), -1))
        if isinstance(row, int) and row >= 0:
            for table, cotangent in passed.get(node.node.index, {}).items():
                left = np.array(found[table])
                left[row] -= cotangent[row]
                found[table] = left
    return found


def _varying(side: Side, node: LoweredNode) -> set[int]:
    """What the node reads that has a derivative: real numbers, and complex ones."""
    return {i for i in node.reads if side.run.values[i].dtype.kind in "fc"}


def _behind(side: Side, forward: tuple[LoweredNode, ...], blind: set[int]) -> frozenset[int]:
    """`blind` values and all that they are computed from."""
    found = set(blind)
    for node in reversed(forward):
        if not found.isdisjoint(node.results):
            found |= _varying(side, node)
    return frozenset(found)


def source_of(side: Side, step: int, name: str) -> int | None:
    """The value of the parameter or input `name` that the step differentiates."""
    trace = side.network.trace
    before = trace.steps[step - 1].parameters if step else {}
    return before.get(name, trace.parameters.get(name, trace.inputs.get(name)))


def not_derivatives(
    side: Side, step: int, gradients: Mapping[str, int], known: Derivatives | None
) -> dict[str, np.ndarray] | None:
    """The derivatives by those names whose recorded gradients, `{name: value}`, are others; None where unknown."""
    if known is None or not gradients:
        return None
    floor = _NOTHING * max(norm(x) for x in (side.run.values[g] for g in gradients.values()))
    wrong: dict[str, np.ndarray] = {}
    for name, gradient in gradients.items():
        source, recorded = source_of(side, step, name), side.run.values[gradient]
        if source is None or source in known.unknown or source not in side.run.values:
            return None
        derivative = known.values.get(source, np.zeros(recorded.shape))
        if derivative.size != recorded.size or not np.isfinite(recorded).all():
            return None
        derivative = derivative.reshape(recorded.shape)
        size = float(np.max(np.abs(recorded), initial=0.0))
        if np.max(np.abs(derivative - recorded), initial=0.0) > max(CLOSE * size, floor):
            wrong[name] = derivative
    return wrong
