"""Gradients that one side was asked for and does not have: no program can be edited toward what was never computed.

A `GradientTape` returns None, and torch leaves `.grad` None, where what depends on the source was computed outside of
the tape, under `no_grad`, or detached; a frozen weight is not even asked about. The proof is another one: the oracle
differentiates the recorded loss of that side itself, through its forward operations, and holds the result to the
gradient of the other side.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Side, best_layout, norm, same_multiset
from oracle.comparisons.comparison import Cause
from oracle.networks.node_reading import place

_FIXES = {
    "tensorflow": "compute everything that depends on {name} inside `with tf.GradientTape() as tape:`, and call "
    "tape.watch({name}) if it is no variable",
    "torch": "leave no detach(), .data or torch.no_grad() between {name} and the loss",
}

_THAWED = {
    "tensorflow": "train {name}: layer.trainable = True",
    "torch": "train {name}: .requires_grad_(True), or freeze it in the other model too",
}

_NAMED = 4


@dataclass(frozen=True)
class _Lack:
    """A source `name`, the value `leaf`, whose gradient a side lacks, and the one that the other side has."""

    name: str
    leaf: int
    expected: np.ndarray


def missing_gradients(a: Side, b: Side) -> tuple[Cause, ...]:
    """A cause for the sources whose gradient the last step of one side lacks and the other has.

    "no-gradient" where that side asked for it: one cause for the sources that one cut keeps from the loss.
    "weights-shared" where it did not ask: the weights are frozen there.
    """
    found: list[Cause] = []
    for side, other, letter in ((a, b, "A"), (b, a, "B")):
        found += [_cause(side, group, letter) for group in _together(side, list(_missing(side, other)))]
    for side, other, letter in ((a, b, "A"), (b, a, "B")):
        frozen = list(_frozen(side, other))
        found += [_cause(side, frozen, letter, frozen=True)] if frozen else []
    return tuple(found)


def _frozen(side: Side, other: Side) -> Iterator[_Lack]:
    """Weights of `side` that its last step uses but does not train, while `other` trains one of the same numbers."""
    step, known = side.network.trace.steps[-1], other.network.trace
    trained = known.steps[-1].gradients
    if not step.gradients or not trained:
        return
    taken = {_source(side, n) for n in step.gradients}
    free = [n for n in trained if not any(_same_source(side, i, other, _source(other, n)) for i in taken if i)]
    held = side.network.trace.parameters
    # Keras keeps what is not trainable with the running statistics; zeros and ones among these tell nothing.
    kept = {n: i for n, i in side.network.trace.buffers.items() if _is_telling(side.run.values[i])}
    for name, value in {**kept, **held}.items():
        if name in step.gradients or name in step.unreached or not side.consumers.get(value):
            continue
        match = next((n for n in free if _same_source(side, value, other, known.parameters.get(n))), None)
        if match is not None:
            free.remove(match)
            yield _Lack(name, value, other.run.values[trained[match]])


def _is_telling(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" and array.size > 1 and bool(np.ptp(array) > 0)


def _source(side: Side, name: str) -> int | None:
    trace = side.network.trace
    return trace.parameters.get(name, trace.inputs.get(name))


def _missing(side: Side, other: Side) -> Iterator[_Lack]:
    trace, known = side.network.trace, other.network.trace
    sources = {**trace.parameters, **trace.inputs}
    theirs = {**known.parameters, **known.inputs}
    for name in trace.steps[-1].unreached:
        for other_name, value in known.steps[-1].gradients.items():
            if name in sources and _same_source(side, sources[name], other, theirs.get(other_name)):
                yield _Lack(name, sources[name], other.run.values[value])
                break


def _same_source(a: Side, i: int, b: Side, j: int | None) -> bool:
    return j is not None and same_multiset(a.run.values[i], b.run.values[j], 0.0)


def _together(side: Side, lacks: list[_Lack]) -> list[list[_Lack]]:
    """Sources that lead to one another's operations: what cuts one off cuts them all off."""
    above = {k: side.ancestors(_results(side, lack.leaf)) for k, lack in enumerate(lacks)}
    readers = {k: {n.node.index for n in side.consumers.get(lack.leaf, ())} for k, lack in enumerate(lacks)}
    groups: list[list[int]] = []
    for k, own in above.items():
        joined = [g for g in groups if any(readers[m] & own or readers[k] & above[m] for m in g)]
        groups = [g for g in groups if g not in joined] + [[*(m for g in joined for m in g), k]]
    return [[lacks[k] for k in group] for group in groups]


def _results(side: Side, leaf: int) -> list[int]:
    return [o for n in side.consumers.get(leaf, ()) for o in n.outputs]


def _cause(side: Side, lacks: list[_Lack], letter: str, *, frozen: bool = False) -> Cause:
    first = lacks[0]
    reader = next(iter(side.consumers.get(first.leaf, ())), None)
    names = ", ".join(lack.name for lack in lacks[:_NAMED])
    names += f" and {len(lacks) - _NAMED} more" if len(lacks) > _NAMED else ""
    before, left = math.hypot(*(norm(lack.expected) for lack in lacks)), _left(side, lacks)
    one = len(lacks) == 1
    where = f"; {first.name} is read by {place(reader)}, which was not differentiated" if reader else ""
    proof = "" if left is None else ", and the derivative of its recorded loss is what the other side has"
    told = _THAWED if frozen else _FIXES
    fix = told.get(side.network.trace.framework, "differentiate the loss with respect to {name}").format(name=names)
    nodes = {letter: place(reader), "B" if letter == "A" else "A": ""}
    fixes = {
        letter: fix,
        "B" if letter == "A" else "A": f"freeze {'it' if one else 'them'} there too" if frozen else "",
    }
    return Cause(
        code="weights-shared" if frozen else "no-gradient",
        node_a=nodes["A"],
        node_b=nodes["B"],
        share=1 - left / before if left is not None and before else float("nan"),
        residual=before if left is None else left,
        before=before,
        fix_a=fixes["A"],
        fix_b=fixes["B"],
        detail=f"{names} {'is' if one else 'are'} frozen in {letter}: used and not trained{proof}"
        if frozen
        else f"{letter} was asked for the gradient of {names} and has none{where}{proof}",
    )


def _left(side: Side, lacks: list[_Lack]) -> float | None:
    """How far the derivatives of the side's own recorded loss are from what is expected; None where there is none."""
    loss = side.network.trace.loss
    if loss is None:
        return None
    found = side.network.pull_back(side.run, {loss: np.ones(side.run.values[loss].shape)})
    layouts = [best_layout(lack.expected, found[lack.leaf]) if lack.leaf in found else None for lack in lacks]
    if any(layout is None for layout in layouts):
        return None
    return math.hypot(*(norm(lack.expected - layout[1]) for lack, layout in zip(lacks, layouts, strict=True) if layout))
