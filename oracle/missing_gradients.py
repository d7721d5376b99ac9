"""Gradients that one side was asked for and does not have: no program can be edited toward what was never computed.

A `GradientTape` returns None, and torch leaves `.grad` None, where what depends on the source was computed outside of
the tape, under `no_grad`, or detached. The proof is another one: the oracle differentiates the recorded loss of that
side itself, through its forward operations, and holds the result to the gradient of the other side.
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


def missing_gradients(a: Side, b: Side) -> tuple[Cause, ...]:
    """A cause "no-gradient" for each source whose gradient the last step of one side lacks and the other has."""
    return (*_missing(a, b, "A"), *_missing(b, a, "B"))


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


def _cause(side: Side, source: tuple[str, int], other: Side, gradient: int, letter: str) -> Cause:
    name, leaf = source
    reader = next(iter(side.consumers.get(leaf, ())), None)
    expected = other.run.values[gradient]
    before, left = norm(expected), _left(side, leaf, expected)
    where = f"; {name} is read by {place(reader)}, which was not differentiated" if reader else ""
    proof = "" if left is None else ", and the derivative of its recorded loss is what the other side has"
    fix = _FIXES.get(side.network.trace.framework, "differentiate the loss with respect to {name}").format(name=name)
    nodes = {letter: place(reader), "B" if letter == "A" else "A": ""}
    fixes = {letter: fix, "B" if letter == "A" else "A": ""}
    return Cause(
        code="no-gradient",
        node_a=nodes["A"],
        node_b=nodes["B"],
        share=1 - left / before if left is not None and before else float("nan"),
        residual=before if left is None else left,
        before=before,
        fix_a=fixes["A"],
        fix_b=fixes["B"],
        detail=f"{letter} was asked for the gradient of {name} and has none{where}{proof}",
    )


def _left(side: Side, leaf: int, expected: np.ndarray) -> float | None:
    """How far the derivative of the side's own recorded loss is from `expected`; None where there is no loss."""
    loss = side.network.trace.loss
    if loss is None:
        return None
    found = side.network.pull_back(side.run, {loss: np.ones(side.run.values[loss].shape)}).get(leaf)
    layout = None if found is None else best_layout(expected, found)
    return None if layout is None else norm(expected - layout[1])
