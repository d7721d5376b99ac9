"""The last resort: where no cause has a name, the relation of the two numbers, or the place alone with both formulas.

B's value takes the numbers of A's at the earliest pair of nodes from which everything that follows agrees again. That
shows where the meanings part, not why; so it is tried after every hypothesis that explains, and the report shows what
either side computes there.

Codes:
    unknown-semantics: the two sides compute different functions here, outside the catalogue; both formulas are shown.
    constant-factor: one is a fixed multiple of the other. constant-shift: they differ by one fixed number.
    scale-and-shift: a factor and a shift. scale-along-axis, shift-along-axis: one factor or shift per index of an axis.
    sign: the opposite sign.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Side
from oracle.alignments.formulas import formula
from oracle.causes import Candidate, Context, after, hypothesis, replaced_output
from oracle.causes.arithmetic.factors import name_factor
from oracle.causes.arithmetic.relations import relate
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place

# How deep into either divergent region a pair is looked for.
_REACH = 40
_LAYOUTS = 3


@dataclass(frozen=True)
class Cut:
    """A value of A's region and one of B's that may stand for each other; `wanted` is A's in B's layout."""

    node_a: LoweredNode
    node_b: LoweredNode
    wanted: np.ndarray
    present: np.ndarray


def cuts(context: Context) -> Iterator[Cut]:
    """Pairs of divergent values of one size, the earliest first; each in the layouts that fit best."""
    region_a = [n for n in context.at_a.region[:_REACH] if not _only_weights(context.a, n)]
    region_b = [n for n in context.at_b.region[:_REACH] if not _only_weights(context.b, n)]
    places = sorted(itertools.product(range(len(region_a)), range(len(region_b))), key=lambda p: (sum(p), p))
    for i, j in places:
        x = context.a.run.values[region_a[i].outputs[0]]
        y = context.b.run.values[region_b[j].outputs[0]]
        if x.size == y.size and x.size and region_a[i].node.phase == region_b[j].node.phase:
            for wanted in _layouts(x, y):
                yield Cut(region_a[i], region_b[j], wanted, y)


def _only_weights(side: Side, node: LoweredNode) -> bool:
    """Whether the node merely moves the numbers of a weight: their difference is the weight's."""
    while node.moves and node.reals:
        if node.reals[0] not in side.producers:
            return side.network.trace.values[node.reals[0]].role in ("parameter", "buffer")
        node = side.producers[node.reals[0]]
    return False


def _layouts(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """`x` in the shape of `y`: as it is, or with its axes permuted, nearest first."""
    if x.shape == y.shape:
        return [x]
    a, shape = np.squeeze(x), np.squeeze(y).shape
    if a.ndim != len(shape) or a.ndim > 5:
        return [x.reshape(y.shape)]
    moved = [a.transpose(p) for p in itertools.permutations(range(a.ndim))]
    fitting = [m.reshape(y.shape) for m in moved if m.shape == shape] or [x.reshape(y.shape)]
    return sorted(fitting, key=lambda m: float(np.linalg.norm(np.nan_to_num(m - y))))[:_LAYOUTS]


@hypothesis(priority=85)
def related(context: Context) -> Iterator[Candidate]:
    """B's value has a simple relation to A's: it is mapped by it."""
    for cut in cuts(context):
        relation = relate(cut.wanted, cut.present)
        if relation is None:
            continue
        code, words, function, factor = relation
        if factor is not None:
            named, meaning = name_factor(factor, context, cut.node_b)
            code, words = named or code, f"{words}: {meaning}" if meaning else words
        yield Candidate(
            code,
            after(context.b, cut.node_b, function),
            cut.node_a,
            cut.node_b,
            fix_a=f"undo it at {place(cut.node_a)}",
            fix_b=f"apply it at {place(cut.node_b)}: {words.replace('{A}', 'the other model').replace('{B}', 'this')}",
            detail=f"{words}; {_formulas(context, cut)}",
        )


@hypothesis(priority=95)
def transplanted(context: Context) -> Iterator[Candidate]:
    """B's value takes A's numbers: the meanings part no later than here."""
    if context.exchanged:
        return
    for cut in cuts(context):
        function = functools.partial(_constant, cut.wanted)
        yield Candidate(
            "unknown-semantics",
            replaced_output(cut.node_b, function),
            cut.node_a,
            cut.node_b,
            fix_a=f"compute {formula(context.b, cut.node_b, context.at_b)} at {place(cut.node_a)}",
            fix_b=f"compute {formula(context.a, cut.node_a, context.at_a)} at {place(cut.node_b)}",
            detail=_formulas(context, cut),
            transplant=True,
        )


def unproved(context: Context) -> Candidate | None:
    """The place where the meanings part, with both formulas, where no edit that was tried brings it into line."""
    ends = ((p.b, p.a) if context.exchanged else (p.a, p.b) for p in context.pairs)
    target_a, target_b = next(ends)
    node_a = next(iter(context.at_a.first), context.a.producers.get(target_a))
    node_b = next(iter(context.at_b.first), context.b.producers.get(target_b))
    if node_a is None or node_b is None:
        return None
    a, b = formula(context.a, node_a, context.at_a), formula(context.b, node_b, context.at_b)
    return Candidate(
        "unknown-semantics",
        Edits(),
        node_a,
        node_b,
        fix_a=f"compare what follows {place(node_a)} with the other model",
        fix_b=f"compare what follows {place(node_b)} with the other model",
        detail=f"nothing that was tried explains what remains from here on: {{A}} computes {a}; {{B}} computes {b}",
    )


def _constant(array: np.ndarray, _: Values) -> np.ndarray:
    return array


def _formulas(context: Context, cut: Cut) -> str:
    a = formula(context.a, cut.node_a, context.at_a)
    b = formula(context.b, cut.node_b, context.at_b)
    return f"{{A}} computes {a}; {{B}} computes {b}"
