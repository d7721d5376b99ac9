"""The models were run on other numbers: before anything else can be said, the inputs must be the same."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from oracle.alignments.alignment import Side, best_layout, same_multiset
from oracle.causes import Candidate, Context, hypothesis
from oracle.networks.network import Edits

_SAME_NUMBERS = "run both models on the same numbers: oracle.compare(a, b, inputs=x), each in its own layout if need be"
_SAME_WEIGHTS = "copy the weights before comparing: oracle.port(src, dst)"


@hypothesis(priority=5)
def other_inputs(context: Context) -> Iterator[Candidate]:
    """Inputs of B hold other numbers than A's: they take A's; where the weights are others too, both together."""
    trace_a, trace_b = context.a.network.trace, context.b.network.trace
    given = (_given(context.a, context.kind), _given(context.b, context.kind))
    inputs = list(_other_numbers(context, given, "inputs-differ", _SAME_NUMBERS))
    if not inputs:
        return
    yield replace(inputs[0], also=tuple(inputs[1:]))
    weights = list(_other_numbers(context, (trace_a.parameters, trace_b.parameters), "weights-differ", _SAME_WEIGHTS))
    if weights:
        yield replace(inputs[0], also=(*inputs[1:], *weights))


def _given(side: Side, kind: str) -> dict[str, int]:
    """What the side was run on: its inputs; for the loss also arrays that are known to the loss alone, the labels."""
    labels = side.network.trace.values.values() if kind == "loss" else ()
    known = {f"label {v.id}": v.id for v in labels if v.role == "constant" and v.array is not None and v.array.size > 1}
    return {**side.network.trace.inputs, **known}


def _other_numbers(
    context: Context, named: tuple[Mapping[str, int], Mapping[str, int]], code: str, fix: str
) -> Iterator[Candidate]:
    """For each array of B whose counterpart in order has its size and other numbers: B's takes those of A's."""
    for (name_a, i), (name_b, j) in zip(*(m.items() for m in named), strict=False):
        ours, theirs = context.a.run.values[i], context.b.run.values[j]
        if ours.size != theirs.size or same_multiset(ours, theirs, 0.0):
            continue
        layout = best_layout(theirs, ours)
        readers = [next(iter(side.consumers.get(value, ())), None) for side, value in ((context.a, i), (context.b, j))]
        if layout is not None and None not in readers:
            largest = float(np.max(np.abs(layout[1] - theirs.astype(np.float64))))
            names = name_a if name_a == name_b else f"{name_a} ({{B}}: {name_b})"
            detail = f"{{A}} and {{B}} have other numbers in {names}: they differ by up to {largest:.3g}"
            edits = Edits(leaves={j: layout[1].astype(theirs.dtype)})
            yield Candidate(code, edits, readers[0], readers[1], fix, fix, detail)
