"""What a step updates on one side and leaves as it was on the other: no program can be edited into an update.

A running statistic that only one side blends, a weight with a gradient that only one side's optimizer holds. The proof
is the update itself: what was left as it was is what the other side had before its update.

Codes:
    weights-shared: the weight is frozen on one side.
    statistics-not-updated: a running statistic stays what it was on one side, in training.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from oracle.alignments.alignment import Side, difference, norm
from oracle.alignments.pairing import Pair, pair_parameters
from oracle.comparisons.comparison import Cause
from oracle.networks.node_reading import place

# By kind of target: code, what the side that lacks the update does, and what it should.
_WORDS = {
    "parameters": (
        "weights-shared",
        "has the gradient of {name} and does not update it: its optimizer does not hold it",
        "give {name} to the optimizer, or freeze it in the other model too",
    ),
    "buffers": (
        "statistics-not-updated",
        "leaves {name} as it was, the other model updates it in each training step: in inference the two differ",
        "update {name} in each training step, or in neither model",
    ),
}
_NAMED = 4


def searchable(a: Side, b: Side, different: list[Pair]) -> list[Pair]:
    """The targets that both sides compute, up to the first step that leaves a weight as it was."""
    stale = [p.step for p in different if p.kind == "parameters" and not _by_both(a, b, p)]
    return [p for p in different if _by_both(a, b, p) and p.step <= min(stale, default=p.step)]


def _by_both(a: Side, b: Side, pair: Pair) -> bool:
    return pair.a in a.producers and pair.b in b.producers


def not_updated(a: Side, b: Side, different: Iterable[Pair], known: Iterable[Cause] = ()) -> tuple[Cause, ...]:
    """A cause for each kind of target in `different` that only one of the two sides computes.

    A layer in inference mode updates no statistics: where that is one of the causes `known`, it is no second one.
    """
    causes = []
    stale = [p for p in different if not _by_both(a, b, p)]
    if any(c.code == "train-eval-mode" for c in known):
        stale = [p for p in stale if p.kind != "buffers"]
    for kind in _WORDS:
        for letter in "AB":
            of_side = [p for p in stale if p.kind == kind and _lacks(letter, (a, b), p)]
            if of_side:
                causes.append(_cause(letter, (a, b), of_side))
    return tuple(causes)


def kept_alone(a: Side, b: Side) -> Iterator[str]:
    """A note for the running statistics that a step of one side updates and the other does not have."""
    pairs = pair_parameters(a, b)
    taken = (pairs.keys(), {name for name, _ in pairs.values()})
    for letter, side, known in (("A", a, taken[0]), ("B", b, taken[1])):
        step = side.network.trace.steps[-1].buffers
        moved = [n for n, i in step.items() if i in side.producers and side.run.values[i].dtype.kind == "f"]
        alone = [n for n in moved if n not in known]
        if alone:
            yield f"running statistics that {letter} alone keeps, not compared: {', '.join(alone[:_NAMED])}"


def _lacks(letter: str, sides: tuple[Side, Side], pair: Pair) -> bool:
    return pair.a not in sides[0].producers if letter == "A" else pair.b not in sides[1].producers


def _stages(sides: tuple[Side, Side], pair: Pair) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both sides' values of the target after the step, then before it."""
    yield sides[0].run.values[pair.a], sides[1].run.values[pair.b]
    old = [_before(side, pair, name) for side, name in zip(sides, (pair.name_a, pair.name_b), strict=True)]
    yield old[0], old[1]


def _before(side: Side, pair: Pair, name: str) -> np.ndarray:
    trace = side.network.trace
    return side.run.values[getattr(trace.steps[pair.step - 1] if pair.step else trace, pair.kind)[name]]


def _cause(letter: str, sides: tuple[Side, Side], pairs: list[Pair]) -> Cause:
    a, b = sides
    code, does, fix = _WORDS[pairs[0].kind]
    names = list(dict.fromkeys(p.name_a if letter == "A" else p.name_b for p in pairs))
    name = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    pair = pairs[0]
    before, residual = (norm(difference(x, pair.in_layout_of_a(x, y))) for x, y in _stages(sides, pair))
    return Cause(
        code,
        place(a.producers.get(pair.a)),
        place(b.producers.get(pair.b)),
        share=1 - residual / before,
        residual=residual,
        before=before,
        fix_a=fix.format(name=name) if letter == "A" else "",
        fix_b=fix.format(name=name) if letter == "B" else "",
        detail=f"{letter} {does.format(name=name)}",
    )
