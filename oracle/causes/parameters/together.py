"""Two causes at one fused operation, neither of which alone brings a value into line: other weights, and more.

A convolution with its bias, or a norm with its gamma, beta and statistics, has one result only. So B's operation takes
A's weights first, and what else differs is looked for from there; both are proved together.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.arithmetic.literals import same_operation
from oracle.causes.arithmetic.scalars import scalar
from oracle.causes.arrangements.exchanged import arrays_exchanged
from oracle.causes.images.padding import other_padding
from oracle.causes.images.strides import other_steps
from oracle.causes.normalisations.guards import other_guard
from oracle.causes.parameters.stored import carried_over
from oracle.causes.parameters.weights import arranged_as_in_a, flatten_order, kernel_turned_by_the_operation
from oracle.networks.network import Run
from oracle.networks.unfit import attempt

# So many ways to carry weights over are followed, each by so many further edits.
_WEIGHTS, _EDITS = 12, 200
# A value that is not put together from weights parts by itself: a fused operation reads at least so many arrays.
_FUSED = 3
_SECOND: tuple[Callable[[Context], Iterable[Candidate]], ...] = (
    arranged_as_in_a, kernel_turned_by_the_operation, flatten_order, other_padding, other_steps, same_operation,
    other_guard, scalar,
)  # fmt: skip


@hypothesis(priority=59)
def weights_and_more(context: Context) -> Iterator[Candidate]:
    """B's first operation takes A's weights and, besides, one other edit."""
    for node in (n for n in context.at_b.first if len(n.reals) >= _FUSED):
        leaves = {i: node for i in node.reals if i not in context.b.producers}
        exchanged = (c for c in arrays_exchanged(context) if c.edits.leaves.keys() <= leaves.keys())
        for weights in itertools.islice((*carried_over(context, leaves), *exchanged), _WEIGHTS):
            with attempt("weights carried over"):
                yield from _joined(context, weights)


def _joined(context: Context, weights: Candidate) -> Iterator[Candidate]:
    """The weights, and then whatever else may differ where B has them."""
    side, edits = context.b, context.b.edits | weights.edits
    values = dict(side.run.values)
    with np.errstate(all="ignore"):
        for _ in side.network.walk(values, edits, weights.edits):
            pass
    moved = replace(context, b=side.changed(side.network, Run(values), edits))
    for other in itertools.islice(_others(moved), _EDITS):
        if not other.also:
            yield replace(weights, also=(other,), tested=other.tested)


def _others(context: Context) -> Iterator[Candidate]:
    for propose in _SECOND:
        yield from propose(context)
