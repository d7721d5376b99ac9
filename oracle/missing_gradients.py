"""Gradients that one side was asked for and does not have: no program can be edited toward what was never computed.

A `GradientTape` returns None, and torch leaves `.grad` None, where what depends on the source was computed outside of
the tape, under `no_grad`, or detached; a frozen weight is not even asked about. The proof is another one: the oracle
differentiates the recorded loss of that side itself, through its forward operations, and holds the result to the
gradient of the other side.
"""

from collections.abc import Iterator

import numpy as np

from oracle.alignment import Side, best_layout, norm, same_multiset
from oracle.causes import place
from oracle.comparison import Cause

_FIXES = {
    "tensorflow": "compute everything that depends on {name} inside `with tf.GradientTape() as tape:`, and call "
    "tape.watch({name}) if it is no variable",
    "torch": "leave no detach(), .data or torch.no_grad() between {name} and the loss",
}

_THAWED = {
    "tensorflow": "train {name}: layer.trainable = True",
    "torch": "train {name}: .requires_grad_(True), or freeze it in the other model too",
}


def missing_gradients(a: Side, b: Side) -> tuple[Cause, ...]:
    """A cause for each source whose gradient the last step of one side lacks and the other has.

    "no-gradient" where that side asked for it, "weights-shared" where it did not: the weight is frozen there.
    """
    return (*_missing(a, b, "A"), *_missing(b, a, "B"), *_frozen(a, b, "A"), *_frozen(b, a, "B"))


def _frozen(side: Side, other: Side, letter: str) -> Iterator[Cause]:
    """Weights of `side` that its last step uses but does not train, while `other` trains one of the same numbers."""
    step, known = side.network.trace.steps[-1], other.network.trace
    trained = known.steps[-1].gradients
    if not step.gradients or not trained:
        return
    taken = {_source(side, n) for n in step.gradients}
    free = [n for n in trained if not any(_same_source(side, i, other, _source(other, n)) for i in taken if i)]
    for name, value in side.network.trace.parameters.items():
        if name in step.gradients or name in step.unreached or not side.consumers.get(value):
            continue
        match = next((n for n in free if _same_source(side, value, other, known.parameters.get(n))), None)
        if match is not None:
            free.remove(match)
            yield _cause(side, (name, value), other, trained[match], letter, frozen=True)


def _source(side: Side, name: str) -> int | None:
    trace = side.network.trace
    return trace.parameters.get(name, trace.inputs.get(name))


def _missing(side: Side, other: Side, letter: str) -> Iterator[Cause]:
    trace, known = side.network.trace, other.network.trace
    sources = {**trace.parameters, **trace.inputs}
    theirs = {**known.parameters, **known.inputs}
    for name in trace.steps[-1].unreached:
        for other_name, value in known.steps[-1].gradients.items():
            if name in sources and _same_source(side, sources[name], other, theirs.get(other_name)):
                yield _cause(side, (name, sources[name]), other, value, letter)
                break


def _same_source(a: Side, i: int, b: Side, j: int | None) -> bool:
    return j is not None and same_multiset(a.run.values[i], b.run.values[j], 0.0)


def _cause(
    side: Side, source: tuple[str, int], other: Side, gradient: int, letter: str, *, frozen: bool = False
) -> Cause:
    name, leaf = source
    reader = next(iter(side.consumers.get(leaf, ())), None)
    expected = other.run.values[gradient]
    before, left = norm(expected), _left(side, leaf, expected)
    where = f"; {name} is read by {place(reader)}, which was not differentiated" if reader else ""
    proof = "" if left is None else ", and the derivative of its recorded loss is what the other side has"
    told = _THAWED if frozen else _FIXES
    fix = told.get(side.network.trace.framework, "differentiate the loss with respect to {name}").format(name=name)
    nodes = {letter: place(reader), "B" if letter == "A" else "A": ""}
    fixes = {letter: fix, "B" if letter == "A" else "A": "freeze it there too" if frozen else ""}
    return Cause(
        code="weights-shared" if frozen else "no-gradient",
        node_a=nodes["A"],
        node_b=nodes["B"],
        share=1 - left / before if left is not None and before else float("nan"),
        residual=before if left is None else left,
        before=before,
        fix_a=fixes["A"],
        fix_b=fixes["B"],
        detail=f"{name} is frozen in {letter}: it is used and not trained{proof}"
        if frozen
        else f"{letter} was asked for the gradient of {name} and has none{where}{proof}",
    )


def _left(side: Side, leaf: int, expected: np.ndarray) -> float | None:
    """How far the derivative of the side's own recorded loss is from `expected`; None where there is no loss."""
    loss = side.network.trace.loss
    if loss is None:
        return None
    found = side.network.pull_back(side.run, {loss: np.ones(side.run.values[loss].shape)}).get(leaf)
    layout = None if found is None else best_layout(expected, found)
    return None if layout is None else norm(expected - layout[1])
