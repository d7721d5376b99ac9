"""How candidates of a search compare: what an edit brought into line, and which of two edits does more."""

import itertools
from dataclasses import replace

from oracle.alignments.alignment import CLOSE
from oracle.alignments.noise import means_the_same
from oracle.alignments.pairing import in_best_layout
from oracle.causes import Candidate
from oracle.comparisons.trying import State

# Whether the targets came nearer, how many values came into line, minus what is left.
Gain = tuple[bool, int, float]
# Edits that leave a node out: each must explain what follows on its own, not as one of several at one place.
STRUCTURAL = ("extra-node", "missing-node", "node-order")
# An edit that brings so many times more values into line outdoes one that brings the targets nearer.
_MANY_MORE = 2


def entangled(before: State, after: State) -> bool:
    """Whether what an edit brought into line meets, at its next use, something that diverged first and still does."""
    for was, now in ((before.at_a, after.at_a), (before.at_b, after.at_b)):
        region = {n.node.index: n for n in now.region}
        stubborn = {n.node.index for n in was.first} & region.keys()
        solved = {o for n in was.first if n.node.index not in region for o in n.outputs}
        makers = {o: n for n in now.region for o in n.outputs}
        for node in now.region:
            if not solved.isdisjoint(node.reads):
                others = [makers[i].node.index for i in node.reads if i in makers]
                if stubborn & {node.node.index, *others}:
                    return True
    return False


def brings_in_order(before: State, after: State) -> bool:
    """Whether some target means the same now that did not, each in the layout that fits."""
    pairs = zip(before.stage.pairs, after.stage.pairs, strict=True)
    return any(
        means_the_same(after.a, after.b, new) and not means_the_same(before.a, before.b, old) for old, new in pairs
    )


def begun(before: State, after: State) -> bool:
    """Whether the very first node that diverged, on either side, no longer does."""
    sides = ((before.at_a, after.at_a), (before.at_b, after.at_b))
    return all(not was.first or was.first[0] not in now.region for was, now in sides)


def better(gain: Gain, known: Gain) -> bool:
    """Whether a later hypothesis does more than an earlier one; float64's rounding is no more.

    Where another cause dominates the targets, their distance says little: many more values in line count for more.
    """
    (nearer, lined, left), (nearer_before, lined_before, left_before) = gain, known
    if nearer != nearer_before:
        return lined > lined_before / _MANY_MORE if nearer else lined > _MANY_MORE * lined_before
    if lined != lined_before:
        return lined > lined_before
    return left > left_before + CLOSE * abs(left_before)


def no_more(later: tuple[Candidate, Gain], known: tuple[Gain, Candidate]) -> bool:
    """Whether leaving a node out brings no more into line than a cause that keeps it: then that one explains it."""
    (candidate, gain), (before, other) = later, known
    return candidate.code in STRUCTURAL and other.code not in STRUCTURAL and 0 < gain[1] <= before[1]


def clean(before: State, after: State) -> bool:
    """Whether nothing that diverged first still does."""
    sides = ((before.at_a, after.at_a), (before.at_b, after.at_b))
    return all(
        not {n.node.index for n in was.first} & {n.node.index for n in itertools.islice(now.region, 64)}
        for was, now in sides
    )


def in_layout(state: State) -> State:
    """The state with its outputs paired in the layout that fits now."""
    pairs = tuple(in_best_layout(pair, state.a, state.b) for pair in state.stage.pairs)
    return state if pairs == state.stage.pairs else replace(state, stage=replace(state.stage, pairs=pairs))


def alike(candidate: Candidate, other: Candidate) -> bool:
    """Whether two candidates say the same, from whichever side."""
    return (candidate.code, candidate.detail) in ((other.code, other.detail), (other.code, turned(other).detail))


def turned(candidate: Candidate) -> Candidate:
    """A candidate of the exchanged context in terms of the true A and B."""
    return replace(
        candidate,
        node_a=candidate.node_b,
        node_b=candidate.node_a,
        fix_a=candidate.fix_b,
        fix_b=candidate.fix_a,
        detail=candidate.detail.replace("{A}", "{other}").replace("{B}", "{A}").replace("{other}", "{B}"),
        also=tuple(turned(c) for c in candidate.also),
    )
