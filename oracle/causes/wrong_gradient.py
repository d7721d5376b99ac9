"""A gradient that is not the derivative of its own loss: a path that was detached, a backward pass that is wrong."""

import functools
from collections.abc import Iterator

import numpy as np

from oracle.backward import are_derivatives, derivatives
from oracle.causes import Candidate, Context, hypothesis, place, replaced_output
from oracle.network import Values


@hypothesis(priority=6)
def not_a_derivative(context: Context) -> Iterator[Candidate]:
    """A's gradients are the derivatives of its loss and B's are not: B's take the derivatives of B's loss."""
    if context.kind != "gradients" or not context.pairs:
        return
    step = context.pairs[0].step
    names = {p.name_a if context.exchanged else p.name_b: p.a if context.exchanged else p.b for p in context.pairs}
    if any(are_derivatives(context.b, step, {name: value}) for name, value in names.items()):
        pairs = {n: v for n, v in names.items() if not are_derivatives(context.b, step, {n: v})}
    else:
        pairs = names
    exact = derivatives(context.b, step, pairs)
    edits = None
    for name, value in pairs.items():
        node = context.b.producers.get(value)
        if node is None or name not in exact or node.outputs[0] != value:
            return
        array = exact[name].reshape(context.b.run.values[value].shape)
        edit = replaced_output(node, functools.partial(_given, array))
        edits = edit if edits is None else edits | edit
    if edits is not None:
        node = context.b.producers[next(iter(pairs.values()))]
        yield Candidate(
            "wrong-gradient",
            edits,
            None,
            node,
            fix_a="",
            fix_b="let the gradient pass: no detach(), stop_gradient or no_grad on the way from the loss to "
            f"{', '.join(pairs)}; correct a custom backward pass  # {place(node)}",
            detail=f"the gradient of {', '.join(pairs)} in {{B}} is not the derivative of its own loss",
        )


def _given(array: np.ndarray, values: Values) -> np.ndarray:
    return array
