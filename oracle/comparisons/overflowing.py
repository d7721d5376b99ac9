"""Results that are no numbers although the exact ones are: an intermediate result left the format on the way.

Each operation may be honest: exp(100) is infinite in float32. What was made of it (0 * inf in the gradient of a branch
that is not taken, inf - inf) is NaN where the model's own formula, in exact arithmetic, gives a number that the format
holds.

Codes:
    nan-gradient: a gradient is lost so.
    numerically-unstable-formula: any other result.
"""

from collections.abc import Iterable

import numpy as np

from oracle.alignments.alignment import Side
from oracle.alignments.pairing import Pair
from oracle.comparisons.accusing import Finding, loses_numbers
from oracle.comparisons.comparison import Accused
from oracle.networks.lowered import LoweredNode
from oracle.reference.formats import FORMATS, format_named


def overflows(name: str, side: Side, pairs: Iterable[Pair]) -> list[Finding]:
    """For each side's targets that are no numbers and should be: the operation that left the format first."""
    found: dict[int, Finding] = {}
    for pair in pairs:
        target = pair.a if name == "A" else pair.b
        if not _lost(side, target):
            continue
        node = _first(side, target)
        if node is not None and node.node.index not in found and not _is_faulty(side, node):
            code = "nan-gradient" if pair.kind == "gradients" else "numerically-unstable-formula"
            accused = Accused(name, node.node.op, node.node.scope, node.node.source, float("inf"), code)
            found[node.node.index] = Finding(accused, frozenset({node.node.index}))
    return list(found.values())


def _is_faulty(side: Side, node: LoweredNode) -> bool:
    """Whether the operation itself is wrong: its true result on what it was given is a number."""
    return loses_numbers(side, node, side.network.apply(node, side.network.actual))


def _lost(side: Side, value: int) -> bool:
    """Whether an element is no number as recorded, and a number that the format holds in exact arithmetic."""
    dtype = side.network.trace.values[value].dtype
    if dtype not in FORMATS:
        return False
    exact, actual = side.run.values[value], side.network.actual[value]
    with np.errstate(invalid="ignore"):
        fits = np.isfinite(exact) & (np.abs(exact) <= format_named(dtype).max_finite / 2)
    return bool(np.any(fits & ~np.isfinite(actual)))


def _first(side: Side, target: int) -> LoweredNode | None:
    """The first operation before `target` that is not finite where its exact result is."""
    before = side.ancestors([target])
    for node in side.network.nodes:
        if node.node.index in before:
            for o in node.outputs:
                exact, actual = side.run.values[o], side.network.actual[o]
                if np.any(np.isfinite(exact) & ~np.isfinite(actual)):
                    return node
    return None
