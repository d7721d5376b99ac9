"""Several causes with nothing in line between them: the later is found first, as if the earlier were mended already.

Where the divergent layer and the one behind it both mean something else, no single edit brings a value into line. So a
value takes the other side's numbers on trust, or a layer is left out; what is named behind it is applied without that
trust, and counts only if the first divergence then has a named cause too.
"""

import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, replaced_output
from oracle.causes.transplant import cuts
from oracle.comparisons.trying import FINE, State
from oracle.comparisons.weighing import STRUCTURAL
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.unfit import attempt

# So many values, and pairs of values, are assumed, the earliest first.
_MOST = 6
# How many causes in a row are assumed mended, beyond the first, to find one behind them.
_DEPTH = 1

Found = tuple[Candidate, State]


def behind(state: State, step: Callable[[State], Found | None], depth: int = _DEPTH) -> list[Found]:
    """Named causes that bring values into line only together, the first divergence last, and the state after each.

    `step` finds the named cause at a state's first divergence. Empty where that still has none once what is behind it
    is mended. That A's operation is left out and B's is too explains nothing: it is always so.
    """
    for trusting in assumed(state) if state.tolerance != FINE else ():
        later = step(trusting)
        found = [later] if later is not None else behind(trusting, step, depth - 1) if depth else []
        chain, now, before = [], state, trusting
        for candidate, after in found:
            mended = replayed(now, before, after)
            if mended is None:
                break
            chain.append((candidate, mended))
            now, before = mended, after
        first = step(now) if chain and len(chain) == len(found) else None
        if first is None or first[1].divergent > before.divergent:
            continue
        if any(candidate.code not in STRUCTURAL for candidate, _ in (*chain, first)):
            return [*chain, first]
    return []


def assumed(state: State) -> Iterator[State]:
    """States in which a layer at the first divergence is left out, or one value of B has taken the numbers of A's."""
    for seeds, of_a in itertools.islice(_assumptions(state), _MOST):
        with attempt("an assumption"):
            yield state.edited(seeds, of_a)


def _assumptions(state: State) -> Iterator[tuple[Edits, bool]]:
    for of_a in (False, True):
        yield from ((edits, of_a) for edits in _left_out(state.context(exchanged=of_a)))
    seen: set[tuple[int, int]] = set()
    for cut in cuts(state.context(exchanged=False)):
        ends = cut.node_a.node.index, cut.node_b.node.index
        if ends not in seen and _ends_layer(state.a, cut.node_a) and _ends_layer(state.b, cut.node_b):
            seen.add(ends)
            yield replaced_output(cut.node_b, functools.partial(_given, cut.wanted)), False


def _left_out(context: Context) -> Iterator[Edits]:
    """The first divergent layer of B, if it has no kernel, makes of its input the input itself."""
    side = context.b
    for first in context.at_b.first[:1]:
        layer = [n for n in context.at_b.region if n.node.scope == first.node.scope]
        kernels = [i for n in layer for i in n.reals if _is_kernel(side, i)]
        end = next((n for n in layer if _ends_layer(side, n)), None)
        if end is None or kernels:
            continue
        made = side.run.values[end.outputs[0]]
        for i in dict.fromkeys(i for n in layer for i in n.reals):
            if context.matched(i) and side.run.values[i].size == made.size and i in side.producers:
                yield replaced_output(end, functools.partial(_as_it_is, i, made.shape))


def _is_kernel(side: Side, value: int) -> bool:
    return side.network.trace.values[value].role == "parameter" and side.run.values[value].ndim > 1


def _given(array: np.ndarray, _: Values) -> np.ndarray:
    return array


def _as_it_is(value: int, shape: tuple[int, ...], values: Values) -> np.ndarray:
    return values[value].reshape(shape)


def _ends_layer(side: Side, node: LoweredNode) -> bool:
    """Whether a node of another layer, or the user, reads what this one makes."""
    readers = [n for o in node.outputs[:1] for n in side.consumers.get(o, ())]
    return not readers or any(n.node.scope != node.node.scope or not n.node.scope for n in readers)


def replayed(state: State, before: State, after: State) -> State | None:
    """`state` with the edits that led from `before` to `after`; None if they mend what was only assumed."""
    for of_a, old, new in ((False, before.edits_b, after.edits_b), (True, before.edits_a, after.edits_a)):
        seeds = _added(old, new)
        if seeds.nodes.keys() & old.nodes.keys():
            return None
        if seeds.leaves or seeds.nodes:
            state = state.edited(seeds, of_a)
    return state


def _added(old: Edits, new: Edits) -> Edits:
    return Edits(
        {k: v for k, v in new.leaves.items() if old.leaves.get(k) is not v},
        {k: v for k, v in new.nodes.items() if old.nodes.get(k) is not v},
        {k: v for k, v in new.literals.items() if old.literals.get(k) is not v},
    )
