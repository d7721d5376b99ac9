"""Differences of meaning that no number of the format can show, and that have no cause with a name.

A kernel leaves out what is below the last bit of its result: softplus is x itself beyond 20, where log(1 + exp(x)) is
x + 2e-9. That is how the function is computed, not what it means. A difference with a named cause stays one, however
small it is.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from oracle.alignments.alignment import Side
from oracle.alignments.pairing import Pair
from oracle.comparisons.comparison import Cause, Target
from oracle.reference.formats import FORMATS

_NAMELESS = ("unknown-semantics",)

Measured = list[tuple[Pair, Target]]


def unseen(a: Side, b: Side, measured: Measured, causes: Iterable[Cause]) -> Measured:
    """The targets, those that differ with a rounding of the format as their noise: where all of them differ by less.

    Unchanged where one differs by more, or by a cause with a name.
    """
    if any(c.code not in _NAMELESS for c in causes):
        return measured
    if not all(math.isfinite(t.semantics.norm) for _, t in measured):
        return measured
    wider = [(p, t if t.same else replace(t, noise=_rounding(a, b, p) * t.magnitude)) for p, t in measured]
    return wider if all(t.same for _, t in wider) else measured


def _rounding(a: Side, b: Side, pair: Pair) -> float:
    """The unit roundoff of the coarser of the two formats in which the target is stored."""
    names = (side.network.trace.values[i].dtype for side, i in ((a, pair.a), (b, pair.b)))
    return max((FORMATS[n].u for n in names if n in FORMATS), default=0.0)


def said(before: Measured, after: Measured) -> Iterator[str]:
    """A note of what was taken for rounding."""
    for (_, was), (_, now) in zip(before, after, strict=True):
        if was is not now:
            yield (
                f"{was.name_a}: the formulas differ by {was.semantics.norm:.2g}, less than the format's rounding "
                f"({now.noise:.2g}), and no cause is known"
            )
            return
