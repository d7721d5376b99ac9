"""Other numbers in the weights: another checkpoint, weights that were never loaded, or that one side alone shares.

Parameters and buffers without equal numbers on the other side are paired, in the divergent layer or in the whole model;
B's take the numbers of A's.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.parameters.weights import layouts, leaves_near
from oracle.causes.sequences.recurrent_kernels import is_cell
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits
from oracle.networks.node_reading import place

_STORED = ("parameter", "buffer", "state")
# Pairings of one layer's leaves, and layouts of them, that are tried together.
_JOINT = 64
# What parameters that belong together are called in the frameworks.
_FAMILIES = (
    ("running_mean", "moving_mean", "mean"), ("running_var", "moving_var", "var"), ("bias", "beta", "offset"),
    ("recurrent", "weight_hh"), ("weight", "kernel", "gamma", "scale", "embeddings"),
)  # fmt: skip


@dataclass(frozen=True)
class Swap:
    """B's leaf and the array of A that it takes, in its own layout, with the nodes that read either."""

    leaf: int
    wanted: np.ndarray
    node_a: LoweredNode | None
    node_b: LoweredNode | None
    name_a: str
    shared: bool = False


@hypothesis(priority=19)
def other_numbers(context: Context) -> Iterator[Candidate]:
    """B's weights take the numbers of A's: one leaf of the divergent layer, all of it, or all of the model."""
    near_b = {**_initial_before(context), **dict(leaves_near(context.b, context.at_b.region))}
    theirs = _open(context.b, near_b, context.alignment.b_to_a)
    yield from carried_over(context, near_b)
    yield from _whole(context)
    near = dict(leaves_near(context.a, context.at_a.region))
    ours = _open(context.a, near, context.alignment.a_to_b)
    yield from _shared(context, theirs, {i: n for i, n in near.items() if i not in ours})


def carried_over(context: Context, near_b: dict[int, LoweredNode]) -> Iterator[Candidate]:
    """These leaves of B, where A has no equal, take the numbers of A's divergent layer: one of them, then all."""
    theirs = _open(context.b, near_b, context.alignment.b_to_a)
    near = dict(leaves_near(context.a, context.at_a.region))
    ours = _open(context.a, near, context.alignment.a_to_b)
    for j, i in itertools.product(theirs, ours):
        for swap in _swaps(context, (i, near.get(i)), (j, theirs[j])):
            yield _candidate(context, [swap])
    yield from _joint(context, theirs, ours)


def _initial_before(context: Context) -> dict[int, LoweredNode]:
    """Leaves of zeros or ones that the nodes right before the divergence, or before the end, read: nothing parts there.

    A bias of zeros that was never loaded leaves its layer equal to the other's product without the bias.
    """
    side = context.b
    ends = [p.a if context.exchanged else p.b for p in context.pairs]
    before = (_maker(side, i) for i in ([i for node in context.at_b.first for i in node.reals] or ends))
    nodes = [node for node in before if node is not None]
    found = {i: node for node in nodes for i in node.reals if i not in side.producers}
    digests = ((i, node, side.digest(i)) for i, node in found.items())
    return {i: node for i, node, digest in digests if digest is not None and not digest.telling}


def _maker(side: Side, value: int) -> LoweredNode | None:
    """The node that makes the numbers of `value`, which others may have moved since."""
    node = side.producers.get(value)
    while node is not None and node.moves and node.reals:
        node = side.producers.get(node.reals[0])
    return node


def _open(side: Side, leaves: dict[int, LoweredNode], matches: object) -> dict[int, LoweredNode]:
    """The leaves that have no equal on the other side; equal zeros or ones elsewhere are no equal."""
    found = {}
    for i, node in leaves.items():
        digest = side.digest(i)
        if digest is not None and (not matches.get(i) or not digest.telling):  # type: ignore[attr-defined]
            found[i] = node
    return found


def _swaps(
    context: Context, a: tuple[int, LoweredNode | None], b: tuple[int, LoweredNode | None], shared: bool = False
) -> Iterator[Swap]:
    """The ways to put A's leaf into B's: one for each axis order that fits."""
    (i, node_a), (j, node_b) = a, b
    ours, theirs = context.a.run.values[i], context.b.run.values[j]
    if ours.size == theirs.size:
        for _, array in layouts(ours, theirs.shape):
            if not np.array_equal(array, theirs):
                yield Swap(j, array, node_a, node_b, context.a.network.trace.values[i].name, shared)


def _joint(context: Context, theirs: dict[int, LoweredNode], ours: dict[int, LoweredNode]) -> Iterator[Candidate]:
    """All open leaves of the layer at once, in each pairing by size; like names first."""
    if not 2 <= len(theirs) <= 8 or len(ours) < 2:
        return
    pairings = itertools.islice(_pairings(context, list(theirs), list(ours)), _JOINT)
    for pairing in sorted(pairings, key=lambda p: -sum(_alike(context, i, j) for j, i in p)):
        choices = [list(_swaps(context, (i, ours[i]), (j, theirs[j]))) for j, i in pairing]
        choices = [c for c in choices if c]
        if len(choices) > 1:
            for chosen in itertools.islice(itertools.product(*choices), _JOINT):
                yield _candidate(context, list(chosen))


def _pairings(context: Context, theirs: list[int], ours: list[int]) -> Iterator[list[tuple[int, int]]]:
    if not theirs:
        yield []
        return
    first, *rest = theirs
    fitting = [i for i in ours if context.a.run.values[i].size == context.b.run.values[first].size]
    for i in sorted(fitting, key=lambda i: -_alike(context, i, first)):
        for others in _pairings(context, rest, [k for k in ours if k != i]):
            yield [(first, i), *others]
    if not fitting:
        yield from _pairings(context, rest, ours)


def _alike(context: Context, i: int, j: int) -> bool:
    """Whether the names of A's leaf and of B's mean the same kind of parameter."""
    return _family(context.a.network.trace.values[i].name) == _family(context.b.network.trace.values[j].name)


def _family(name: str) -> int:
    last = name.rpartition(".")[2].lower()
    return next((k for k, words in enumerate(_FAMILIES) if any(w in last for w in words)), len(_FAMILIES))


def _whole(context: Context) -> Iterator[Candidate]:
    """Every open parameter and buffer of the model at once, paired in the order of their use."""
    of_a, of_b = (_all_open(side, m) for side, m in _sides(context))
    swaps: list[Swap] = []
    for j, node_b in of_b.items():
        fitting = [i for i in of_a if context.a.run.values[i].size == context.b.run.values[j].size]
        alike = [i for i in fitting if _alike(context, i, j)]
        for i in (alike or fitting)[:1]:
            found = list(_swaps(context, (i, of_a.pop(i)), (j, node_b)))
            swaps += sorted(found, key=lambda s: s.wanted.shape != context.a.run.values[i].shape)[:1]
    if len(swaps) > 1:
        yield _candidate(context, swaps)


def _sides(context: Context) -> tuple[tuple[Side, object], tuple[Side, object]]:
    return (context.a, context.alignment.a_to_b), (context.b, context.alignment.b_to_a)


def _all_open(side: Side, matches: object) -> dict[int, LoweredNode]:
    leaves: dict[int, LoweredNode] = {}
    for node in side.network.nodes:
        for i in node.reals:
            if i not in side.producers and side.network.trace.values[i].role in _STORED:
                leaves.setdefault(i, node)
    return {i: n for i, n in leaves.items() if not matches.get(i)}  # type: ignore[attr-defined]


def _shared(context: Context, theirs: dict[int, LoweredNode], others: dict[int, LoweredNode]) -> Iterator[Candidate]:
    """A uses a weight here that it uses elsewhere too; B has one of its own."""
    for (j, node_b), (i, node_a) in itertools.product(theirs.items(), others.items()):
        if len({n.node.index for n in context.a.consumers.get(i, ()) if n.node.phase == "forward"}) > 1:
            for swap in _swaps(context, (i, node_a), (j, node_b), shared=True):
                yield _candidate(context, [swap])


def _candidate(context: Context, swaps: list[Swap]) -> Candidate:
    """One cause for each kind of difference, proved together."""
    groups: dict[str, list[Swap]] = {}
    words: dict[str, list[str]] = {}
    for swap in swaps:
        code, text = _difference(context, swap)
        groups.setdefault(code, []).append(swap)
        words.setdefault(code, []).append(text)
    causes = [_cause(context, code, groups[code], words[code]) for code in groups]
    return replace(causes[0], also=tuple(causes[1:]))


def _cause(context: Context, code: str, swaps: list[Swap], words: list[str]) -> Candidate:
    first = swaps[0]
    more = f", and {len(words) - 3} more" if len(words) > 3 else ""
    names = ", ".join(context.b.network.trace.values[s.leaf].name or "a constant" for s in swaps[:3])
    of_a = ", ".join(s.name_a or "the weight" for s in swaps[:3])
    tied = f"tie the weights: use {first.name_a} in both places"
    return Candidate(
        code,
        Edits(leaves={s.leaf: np.array(s.wanted) for s in swaps}),
        first.node_a,
        first.node_b,
        fix_a=f"give {of_a}{more} the numbers of the other model ({place(first.node_a)}): oracle.port(other, this)",
        fix_b=tied if first.shared else f"load {names}{more} from the other model: oracle.port(other, this)",
        detail="; ".join(words[:3]) + more,
    )


def _difference(context: Context, swap: Swap) -> tuple[str, str]:
    """Code and words for weights that hold other numbers."""
    value = context.b.network.trace.values[swap.leaf]
    name, present, wanted = value.name or "a constant", context.b.run.values[swap.leaf], swap.wanted
    change = np.asarray(wanted - present)
    largest = f"largest difference {np.max(np.abs(change)):.3g}"
    if swap.shared:
        return "weights-shared", f"{name} of {{B}} is a weight of its own, in {{A}} it is {swap.name_a} ({largest})"
    if _fresh(present) and not _fresh(wanted):
        return "weights-not-loaded", f"{name} of {{B}} still holds its initial value ({present.flat[0]:g})"
    if _fresh(wanted) and not _fresh(present):
        return "weights-not-loaded", f"{swap.name_a} of {{A}} still holds its initial value ({wanted.flat[0]:g})"
    if np.allclose(wanted, 2 * present, rtol=1e-6) or np.allclose(2 * wanted, present, rtol=1e-6):
        return "double-bias" if change.ndim == 1 else "weights-differ", f"{name} is counted twice on one side"
    gate = _moved_gate(change)
    if gate is not None and swap.node_b is not None and is_cell(context.b, swap.node_b):
        return "forget-bias", f"{name} differs by {gate[1]:g} in gate {gate[0]} alone"
    if value.role == "constant":
        return "constant", f"a constant array differs ({largest})"
    rows = _changed_rows(change)
    if rows is not None:
        return "embedding-padding", f"row {rows} of {name} is zero on one side: the padding index ({largest})"
    return "weights-differ", f"{name} of {{B}} holds other numbers than {{A}} ({largest})"


def _fresh(array: np.ndarray) -> bool:
    """Whether all elements are zero, or all one: what a layer starts from."""
    return not np.any(array) or bool(np.all(array == 1))


def _moved_gate(change: np.ndarray) -> tuple[int, float] | None:
    """The gate of four whose bias alone differs, by one number, and that number."""
    flat = np.squeeze(change)
    if flat.ndim != 1 or flat.size % 4 or flat.size < 8:
        return None
    blocks = flat.reshape(4, -1)
    moved = [k for k in range(4) if np.any(np.abs(blocks[k]) > 1e-7)]
    if len(moved) != 1 or not math.isclose(np.ptp(blocks[moved[0]]), 0, abs_tol=1e-6 * abs(blocks[moved[0]][0])):
        return None
    return moved[0], float(blocks[moved[0]][0])


def _changed_rows(change: np.ndarray) -> int | None:
    """The one row of a table that differs, if all others agree and there are at least three."""
    if change.ndim != 2 or len(change) < 3:
        return None
    rows = np.flatnonzero(np.any(change != 0, axis=1))
    return int(rows[0]) if len(rows) == 1 else None
