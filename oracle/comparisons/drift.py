"""Two models stepped side by side: how loss and weights drift apart, by step and by operation.

At each step the difference of the recorded runs is semantics plus rounding(a) minus rounding(b), as everywhere. What
of the last weights' rounding was made in which step, by which operation, is attribution along the path from the exact
to the recorded run.
"""

import math
from collections.abc import Iterable, Sequence

from oracle.alignments.alignment import Side
from oracle.alignments.pairing import Pair
from oracle.comparisons.comparison import DriftPart, DriftStep, Target
from oracle.explanations.attribution import attribute

_LISTED = 12
_FOLLOWED = ("loss", "outputs", "gradients", "parameters", "buffers")


def by_step(measured: Sequence[tuple[Pair, Target]]) -> tuple[DriftStep, ...]:
    """For each step and kind of target: norms of the difference, the semantics and either side's rounding."""
    steps = sorted({pair.step for pair, _ in measured})
    return tuple(
        DriftStep(step, kind, *_norms(t for pair, t in measured if (pair.step, pair.kind) == (step, kind)))
        for step in steps
        for kind in _FOLLOWED
        if any((pair.step, pair.kind) == (step, kind) for pair, _ in measured)
    )


def _norms(targets: Iterable[Target]) -> tuple[float, float, float, float]:
    rows = [(t.difference.norm, t.semantics.norm, t.rounding_a.norm, t.rounding_b.norm) for t in targets]
    difference, semantics, a, b = (math.hypot(*column) for column in zip(*rows, strict=True))
    return difference, semantics, a, b


def by_operation(name: str, side: Side, targets: Iterable[int]) -> list[DriftPart]:
    """The operations that made most of the rounding in the last weights, each with its step."""
    wanted = {str(t): t for t in targets}
    if not wanted:
        return []
    found = attribute(side.network, side.network.local_errors(), side.run, wanted)
    sums: dict[tuple[int, str, str, str], float] = {}
    for node in side.network.nodes:
        made = sum(found.contributions.get(o, 0.0) for o in node.outputs)
        key = (node.node.step, node.node.phase, node.node.op, node.node.scope)
        sums[key] = sums.get(key, 0.0) + made
    ranked = sorted(sums.items(), key=lambda item: -abs(item[1]))[:_LISTED]
    share = found.total or 1.0
    return [DriftPart(name, *key, float(made), float(made / share)) for key, made in ranked if made]
