"""How two edited sides stand to each other, and the tests that an edit must pass before it is a cause.

An edit is first tried on the few nodes that follow it, then on all that its targets depend on; where the numbers that
it brings into line are few, it must hold for other inputs too: a coincidence does not survive them.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from oracle.alignments.alignment import Alignment, Digest, Divergence, Side, align, difference, divergence, norm
from oracle.alignments.noise import means_the_same
from oracle.alignments.pairing import Pair
from oracle.causes import After, Candidate, Context
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Run, Values
from oracle.networks.unfit import attempt

FINE = 2.0**-44
# How many kinds of nodes after an edit, and after the divergence, are looked at before the whole network is; and how
# many nodes at most.
_NEAR, _FAR = 60, 400
# A transplanted value must bring one of so many following nodes into line.
_SOON = 12
# As many different numbers in line as this are no coincidence.
_MANY = 16


@dataclass(frozen=True)
class Stage:
    """The targets that are brought into line together, and the nodes of either side on which they depend."""

    pairs: tuple[Pair, ...]
    nodes_a: frozenset[int]
    nodes_b: frozenset[int]

    @property
    def kind(self) -> str:
        """What the targets are: "outputs", "buffers", "loss", "gradients", "parameters"."""
        return self.pairs[0].kind


@dataclass(frozen=True)
class State:
    """Both sides with the edits accepted so far, and how they stand to each other.

    `strict`: nothing that follows speaks for a value; each needs a counterpart of its own.
    """

    stage: Stage
    a: Side
    b: Side
    edits_a: Edits
    edits_b: Edits
    tolerance: float
    strict: bool = False

    @cached_property
    def alignment(self) -> Alignment:
        """Which values hold the same numbers."""
        return align(self.a, self.b, self.tolerance, (self.stage.nodes_a, self.stage.nodes_b))

    @cached_property
    def at_a(self) -> Divergence:
        """Where A's meaning parts from B's."""
        return divergence(
            self.a, self.alignment.a_to_b, [p.a for p in self.stage.pairs], self._speaking(self.alignment, "a")
        )

    @cached_property
    def at_b(self) -> Divergence:
        """Where B's meaning parts from A's."""
        return divergence(
            self.b, self.alignment.b_to_a, [p.b for p in self.stage.pairs], self._speaking(self.alignment, "b")
        )

    def _speaking(self, alignment: Alignment, name: str) -> frozenset[int]:
        """Values whose match speaks for what they were made of: telling ones, and the targets."""
        if self.strict:
            return frozenset()
        return alignment.telling["ab".index(name)] | {getattr(p, name) for p in self.stage.pairs}

    @property
    def divergent(self) -> int:
        """How many values have no counterpart."""
        return len(self.at_a.open) + len(self.at_b.open)

    def lined_up(self, after: "State") -> int:
        """How many values are in line `after` that are not now, less those that fell out of it.

        What is computed no more, an operation left out and all that it alone needed, did neither.
        """
        sides = ((self.at_a, after.at_a, after.a), (self.at_b, after.at_b, after.b))
        gone = sum(side.producers[o].node.index in now.live for was, now, side in sides for o in was.open - now.open)
        return gone - sum(len(now.open - was.open) for was, now, _ in sides)

    @cached_property
    def remaining(self) -> float:
        """Norm of the semantic difference over the targets; zero below float64's own noise."""
        parts, sizes = [0.0], [0.0]
        for pair in self.stage.pairs:
            x, y = self.a.run.values[pair.a], self.b.run.values[pair.b]
            if x.size != y.size:
                return float("inf")
            parts.append(norm(difference(x, pair.in_layout_of_a(x, y))))
            sizes.append(norm(np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)))
        left, size = (math.hypot(*numbers) for numbers in (parts, sizes))
        return 0.0 if left <= FINE * size else left

    @property
    def gap(self) -> np.ndarray | None:
        """The semantic difference over the targets as one vector, in A's layout; None where sizes differ."""
        found = []
        for pair in self.stage.pairs:
            x, y = self.a.run.values[pair.a], self.b.run.values[pair.b]
            if x.size != y.size:
                return None
            found.append(difference(x, pair.in_layout_of_a(x, y)).reshape(-1))
        return np.concatenate(found)

    def context(self, exchanged: bool) -> Context:
        """What hypotheses look at; `exchanged` makes A the side that is edited."""
        kind, pairs = self.stage.kind, self.stage.pairs
        if not exchanged:
            return Context(self.a, self.b, self.alignment, self.at_a, self.at_b, kind, pairs)
        return Context(self.b, self.a, self.alignment.turned, self.at_b, self.at_a, kind, pairs, exchanged=True)

    def edited(self, seeds: Edits, of_a: bool) -> "State":
        """The state after further edits of B, or `of_a`."""
        side, before, within = (
            (self.a, self.edits_a, self.stage.nodes_a) if of_a else (self.b, self.edits_b, self.stage.nodes_b)
        )
        edits = before | seeds
        values = dict(side.run.values)
        with np.errstate(all="ignore"):
            for _ in side.network.walk(values, edits, seeds, within):
                pass
        network = side.network.with_nodes(seeds.literals) if seeds.literals else side.network
        changed = side.changed(network, Run(values), edits)
        return replace(self, a=changed, edits_a=edits) if of_a else replace(self, b=changed, edits_b=edits)

    @cached_property
    def open(self) -> tuple[dict[int, list[Digest]], dict[int, list[Digest]]]:
        """By size, the values of A and of B that wait for a counterpart: divergent results near by, and targets."""
        return (
            _open(self.a, self.at_a, [p.a for p in self.stage.pairs]),
            _open(self.b, self.at_b, [p.b for p in self.stage.pairs]),
        )


def _near(nodes: Iterable[LoweredNode]) -> Iterator[LoweredNode]:
    """The first nodes of so many kinds: the steps of an unrolled recurrence, which repeat themselves, count once."""
    kinds: set[tuple[str, str]] = set()
    for node in itertools.islice(nodes, _FAR):
        yield node
        kinds.add((node.node.scope, node.node.op))
        if len(kinds) >= _NEAR:
            return


def _open(side: Side, at: Divergence, targets: list[int]) -> dict[int, list[Digest]]:
    found: dict[int, list[Digest]] = {}
    for i in dict.fromkeys([*(o for n in _near(at.region) for o in n.outputs), *targets]):
        digest = side.digest(i)
        if digest is not None:
            found.setdefault(digest.size, []).append(digest)
    return found


class Trial:
    """One candidate tried on a state."""

    def __init__(self, state: State, candidate: Candidate, exchanged: bool) -> None:
        self.state, self.candidate, self.exchanged = state, candidate, exchanged
        self.side = state.a if exchanged else state.b
        self.within = state.stage.nodes_a if exchanged else state.stage.nodes_b
        self.before = state.edits_a if exchanged else state.edits_b

    def result(self, probe: "Probe | None") -> State | None:
        """The state after the edit; None where it cannot be computed, brings nothing into line, or by chance."""
        with attempt(f"edit {self.candidate.code!r}"):
            seeds = composed(self.candidate.all_edits, self.before)
            if not self._promises(seeds):
                return None
            tried = self.applied(seeds)
            if not self._resolves(tried) or not self._ends_meet(seeds, tried):
                return None
            chance = probe is not None and not self.candidate.transplant and not probe.confirms(self.state, tried)
            return None if chance else tried
        return None

    def applied(self, seeds: Edits) -> State:
        """The state after the edits, whatever they bring."""
        return self.state.edited(seeds, self.exchanged)

    def _promises(self, seeds: Edits) -> bool:
        """Whether the edit gives some divergent value a counterpart soon after: the cheap test before the full one."""
        waiting = self.state.open[1 if self.exchanged else 0]
        values = dict(self.side.run.values)
        skipped = self.candidate.transplant
        if self.candidate.tested or not seeds.nodes.keys().isdisjoint(self._ends()):
            return True
        walk = self.side.network.walk(values, self.before | seeds, seeds, self.within)
        with np.errstate(all="ignore"):
            for node in itertools.islice(walk, _SOON) if skipped else _near(walk):
                if not (skipped and node.node.index in seeds.nodes):
                    made = (values[o] for o in node.outputs)
                    if any(self._waits(waiting, array) for array in made):
                        return True
        return False

    def _ends(self) -> set[int]:
        """Indices of the nodes that make a target of the edited side: nothing follows from them."""
        targets = {p.a if self.exchanged else p.b for p in self.state.stage.pairs}
        return {self.side.producers[t].node.index for t in targets if t in self.side.producers}

    def _waits(self, waiting: dict[int, list[Digest]], array: np.ndarray) -> bool:
        if array.dtype.kind != "f" or array.size not in waiting:
            return False
        digest = Digest(array)
        return any(digest.matches(other, self.state.tolerance) for other in waiting[array.size])

    def _ends_meet(self, seeds: Edits, tried: State) -> bool:
        """Whether a target that was given the other's numbers is the same now: nothing else can speak for it."""
        if not self.candidate.transplant:
            return True
        made = {o for n in self.side.network.nodes if n.node.index in seeds.nodes for o in n.outputs}
        ends = [p for p in tried.stage.pairs if (p.a if self.exchanged else p.b) in made]
        return all(means_the_same(tried.a, tried.b, pair) for pair in ends)

    def _resolves(self, tried: State) -> bool:
        """Whether a first divergent value, where there is one, has a counterpart now, and fewer values have none."""
        if self.exchanged:
            here, there = self.state.at_b, tried.at_b
        else:
            here, there = self.state.at_a, tried.at_a
        first = {o for n in here.first for o in n.outputs} & here.open
        solved = not first or bool(first - there.open)
        if solved and self.state.lined_up(tried) > 0:
            return True
        return all(means_the_same(tried.a, tried.b, pair) for pair in tried.stage.pairs)


def composed(edits: Edits, before: Edits) -> Edits:
    """`edits` on top of earlier ones: what acts on a node's result acts on the result of its earlier edit."""
    nodes = {
        k: replace(f, compute=before.nodes[k]) if isinstance(f, After) and k in before.nodes else f
        for k, f in edits.nodes.items()
    }
    return Edits(edits.leaves, nodes, edits.literals)


class Probe:
    """Both networks on other inputs, the same for both."""

    def __init__(self, inputs: list[Pair], a: Side, b: Side) -> None:
        generator = np.random.default_rng(11)
        self.leaves_a: Values = {}
        self.leaves_b: Values = {}
        for pair in inputs:
            x, y = a.run.values[pair.a], b.run.values[pair.b]
            other = x * (1 + 0.2 * generator.standard_normal(x.shape))
            self.leaves_a[pair.a], self.leaves_b[pair.b] = other, pair.in_layout_of_b(other, y)

    def confirms(self, before: State, after: State) -> bool:
        """Whether what `after` brought into line is in line for the other inputs too (many need no more)."""
        gained = [
            (i, j)
            for i, found in after.alignment.a_to_b.items()
            for j in found
            if not before.alignment.a_to_b.get(i) and i in after.a.producers
        ]
        if not gained or any(after.a.run.values[i].size >= _MANY for i, _ in gained):
            return True
        values_a = self._run(after.a, after.edits_a, self.leaves_a, after.stage.nodes_a)
        values_b = self._run(after.b, after.edits_b, self.leaves_b, after.stage.nodes_b)
        return any(Digest(values_a[i]).matches(Digest(values_b[j]), 4 * after.tolerance) for i, j in gained)

    def _run(self, side: Side, edits: Edits, leaves: Values, within: frozenset[int]) -> Values:
        seeds = Edits(leaves)
        values = dict(side.run.values)
        with np.errstate(all="ignore"):
            for _ in side.network.walk(values, edits, seeds, within):
                pass
        return values
