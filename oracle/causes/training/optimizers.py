"""Another update rule: an eps elsewhere, a decay coupled to the gradient, a missing bias correction, another rate.

The rule of either side is told from its own gradients and updates; where they differ, B's new weights are computed by
its own rule with A's settings, one respect after another, from B's own gradients.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from oracle.alignments.alignment import CLOSE, Side
from oracle.alignments.pairing import Pair
from oracle.causes import Candidate, Context, hypothesis
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.updates.declared import is_foreign, shipped
from oracle.updates.fitting import Places, places, rules_of
from oracle.updates.rules import Rule, updates
from oracle.updates.words import differences, fix, has_one_rate, switched, words

# A respect that moves an update by less than this share of it has no part in the difference at this step.
_NOTHING = 1e-10


@hypothesis(priority=5)
def other_update_rule(context: Context) -> Iterator[Candidate]:
    """B's updated weights follow A's rule, in all respects in which the two differ: one cause for each."""
    if context.kind != "parameters" or context.exchanged:
        return
    where = places(context.b.network)
    if where is None:
        return
    if other := _other_class(context):
        yield other
        return
    of_a, of_b = rules_of(context.a.network, context.b.network)
    groups: dict[tuple[Rule, Rule], list[Pair]] = {}
    for pair in context.pairs:
        if pair.name_a in of_a and pair.name_b in of_b:
            groups.setdefault((of_a[pair.name_a], of_b[pair.name_b]), []).append(pair)
    causes: list[tuple[Candidate, Edits]] = []
    for (rule_a, rule_b), pairs in groups.items():
        causes += _parts(context, where, (rule_a, rule_b), pairs)
    if causes:
        first, *others = _merged(causes)
        yield replace(first, also=tuple(others))


def _other_class(context: Context) -> Candidate | None:
    """Where one side has an optimizer that no rule here describes, and the other side one of another class."""
    layers = [s.network.trace.layers.get("optimizer") for s in (context.a, context.b)]
    names = [shipped(layer) for layer in layers]
    known = [p for p in context.pairs if p.b in context.b.producers]
    if not all(names) or names[0] == names[1] or not any(map(is_foreign, layers)) or places(context.a.network) is None:
        return None
    borrowed = Borrowed(context, known)
    a, b = (layer.kind for layer in layers if layer)
    return Candidate(
        "optimizer-kind",
        _edits(context.b, borrowed, borrowed.updates),
        context.a.producers.get(known[0].a),
        context.b.producers.get(known[0].b),
        fix_a=f"update by the rule of {b}",
        fix_b=f"update by the rule of {a}",
        detail=f"{a} in {{A}}, {b} in {{B}}",
    )


def _merged(causes: list[tuple[Candidate, Edits]]) -> list[Candidate]:
    """One cause for the parameters that share it: the edits of all groups follow one another."""
    found: list[Candidate] = []
    for cause, edits in causes:
        same = next((k for k, c in enumerate(found) if (c.code, c.fix_b) == (cause.code, cause.fix_b)), None)
        if same is None:
            found.append(replace(cause, edits=edits))
        else:
            found[same] = replace(found[same], edits=_joined(found[same].edits, edits))
    return found


def _joined(one: Edits, other: Edits) -> Edits:
    """Both edits; a node that both change (a kernel that updates several weights) does what both say."""
    nodes = dict(one.nodes)
    for index, compute in other.nodes.items():
        nodes[index] = functools.partial(_both, nodes[index], compute) if index in nodes else compute
    return Edits(nodes=nodes)


def _both(one: Callable[[Values], Values], other: Callable[[Values], Values], values: Values) -> Values:
    made = one(values)
    return made | (other.changed(values) if isinstance(other, Compute) else other(values))


def _parts(
    context: Context, where: Places, rules: tuple[Rule, Rule], pairs: list[Pair]
) -> Iterator[tuple[Candidate, Edits]]:
    """The causes in the order that brings B nearest to A soonest, each with the edit for it and those before it."""
    rule_a, rule = rules
    step = pairs[0].step
    steady = all(map(has_one_rate, rules))  # then it is the same where the learning rate stands
    codes = [code for code, _ in differences(*rules) if not (code == "lr-in-momentum" and steady)]
    names = [p.name_b for p in pairs]
    wanted = np.concatenate([_wanted(context, p) for p in pairs])
    present = _updated(rule, where, context.b.run.values, step, names)
    steps: list[tuple[str, Rule]] = []
    while codes:
        tried = {c: _updated(switched(rule, rule_a, c), where, context.b.run.values, step, names) for c in codes}
        code = min(codes, key=lambda c: float(np.linalg.norm(tried[c] - wanted)))
        codes.remove(code)
        rule = switched(rule, rule_a, code)
        if float(np.linalg.norm(tried[code] - present)) > _NOTHING * float(np.linalg.norm(present)):
            steps.append((code, rule))
        present = tried[code]
    borrowed = Borrowed(context, pairs)
    for k, (code, after) in enumerate(steps):
        last = k == len(steps) - 1
        edits = _edits(context.b, *((borrowed, borrowed.updates) if last else (Ruled(where, after), pairs)))
        yield _candidate(context, rules, (code, pairs[0])), edits


def _wanted(context: Context, pair: Pair) -> np.ndarray:
    x, y = context.a.run.values[pair.a], context.b.run.values[pair.b]
    return pair.in_layout_of_b(x, y).reshape(-1)


def _updated(rule: Rule, where: Places, values: Values, step: int, names: Iterable[str]) -> np.ndarray:
    """The weights `names` after `step` as `rule` makes them from the gradients and weights in `values`."""
    names = tuple(names)
    chosen = where.names if rule.clip == "global norm" else names
    history = where.history(values, step + 1, chosen)
    with np.errstate(all="ignore"):
        after = history.weights[step] + updates(rule, history)[step]
    parts = dict(
        zip([n for n in where.names if n in chosen], np.split(after, np.cumsum(history.sizes)[:-1]), strict=True)
    )
    return np.concatenate([parts[n] for n in names])


class Ruled:
    """New weights of B by an update rule."""

    def __init__(self, where: Places, rule: Rule) -> None:
        self.where, self.rule = where, rule

    def updated(self, pair: Pair, values: Values) -> np.ndarray:
        """The weights of `pair` that the rule makes of the gradients and weights in `values`."""
        return _updated(self.rule, self.where, values, pair.step, [pair.name_b])


class Borrowed:
    """New weights of B by A's own operations, run on B's gradients and weights.

    Those that are A's to rounding are taken as A has them: whether they mean the same was judged before.
    """

    def __init__(self, context: Context, pairs: list[Pair]) -> None:
        self.a = context.a
        where = places(context.a.network), places(context.b.network)
        steps = range(pairs[0].step + 1)
        self.updates = [made for p in pairs for made in _over_steps(p, where, steps, "updated")]
        first = [start for p in context.pairs for start in _over_steps(p, where, steps[:1], "before")]
        self.taken = first + [g for p in context.pairs for g in _over_steps(p, where, steps, "gradients")]
        rows_a = where[0]
        assert rows_a is not None
        self.within = frozenset().union(
            *(self.a.ancestors(rows_a.updated[k]) - self.a.ancestors(rows_a.gradients[k]) for k in steps)
        )

    def updated(self, pair: Pair, values: Values) -> np.ndarray:
        """The weights of `pair` that A's operations make of the gradients and weights in `values`."""
        own = dict(self.a.run.values)
        given = {p.a: p.in_layout_of_a(own[p.a], values[p.b]) for p in self.taken if p.step <= pair.step}
        seeds = Edits({i: x for i, x in given.items() if not _alike(x, own[i])})
        within = self.within & self.a.ancestors([pair.a])
        with np.errstate(all="ignore"):
            for _ in self.a.network.walk(own, Edits(), seeds, within):
                pass
        return pair.in_layout_of_b(own[pair.a], values[pair.b])


def _alike(x: np.ndarray, y: np.ndarray) -> bool:
    return bool(np.linalg.norm(x - y) <= CLOSE * np.linalg.norm(y))


def _over_steps(
    pair: Pair, where: tuple[Places | None, Places | None], steps: Iterable[int], table: str
) -> Iterator[Pair]:
    """The pair's weights "before", its "gradients" or its "updated" weights at each of `steps`; none if unknown."""
    of_a, of_b = where
    if of_a is None or of_b is None or pair.name_a not in of_a.names or pair.name_b not in of_b.names:
        return
    column_a, column_b = of_a.names.index(pair.name_a), of_b.names.index(pair.name_b)
    for step in steps:
        i, j = getattr(of_a, table)[step][column_a], getattr(of_b, table)[step][column_b]
        yield replace(pair, a=i, b=j, step=step)


class Compute:
    """The results of a node that updates weights: those of `pairs` as `maker` makes them."""

    def __init__(self, side: Side, node: LoweredNode, maker: Ruled | Borrowed) -> None:
        self.side, self.node, self.maker = side, node, maker
        self.pairs: list[Pair] = []

    def changed(self, values: Values) -> Values:
        """The weights that are made otherwise."""
        return {p.b: self.maker.updated(p, values).reshape(values[p.b].shape) for p in self.pairs}

    def __call__(self, values: Values) -> Values:
        own = self.side.network.apply(self.node, values) if len(self.node.results) > len(self.pairs) else {}
        return own | self.changed(values)


def _edits(side: Side, maker: Ruled | Borrowed, pairs: list[Pair]) -> Edits:
    nodes: dict[int, Compute] = {}
    for pair in pairs:
        node = side.producers[pair.b]
        nodes.setdefault(node.node.index, Compute(side, node, maker)).pairs.append(pair)
    return Edits(nodes=nodes)


def _candidate(context: Context, rules: tuple[Rule, Rule], cause: tuple[str, Pair]) -> Candidate:
    (a, b), (code, pair) = rules, cause
    layer_a, layer_b = (s.network.trace.layers.get("optimizer") for s in (context.a, context.b))
    return Candidate(
        code,
        Edits(),
        context.a.producers.get(pair.a),
        context.b.producers.get(pair.b),
        fix_a=fix(layer_a, a, b, code),
        fix_b=fix(layer_b, b, a, code),
        detail=f"{words(a, code)} in {{A}}, {words(b, code)} in {{B}}",
    )
