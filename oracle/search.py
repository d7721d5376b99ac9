"""The search for causes: at the first divergence, try every hypothesis as an edit; keep the one that aligns most.

Hypotheses speak of editing B toward A; each is also tried with the sides exchanged, since a fused kernel with a flag
is easier to edit than the dozen operations that mean the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignment import CLOSE, Alignment, Divergence, Side, align, divergence, matches
from oracle.causes import Candidate, Context, candidates, place
from oracle.comparison import Cause
from oracle.network import Edits, Run
from oracle.noise import semantic_noise
from oracle.pairing import Pair
from oracle.reference.balls import MissingRule

MOST_CAUSES = 12
FINE = 2.0**-44
# How many nodes after an edit, and after the divergence, are looked at before the whole network is.
_NEAR = 60
# What an edit that does not fit the network raises while it is tried.
_UNFIT = (ValueError, TypeError, KeyError, IndexError, AttributeError, ZeroDivisionError, MissingRule)


@dataclass(frozen=True)
class State:
    """Both sides with the edits accepted so far, and how they stand to each other."""

    a: Side
    b: Side
    edits_a: Edits
    edits_b: Edits
    alignment: Alignment
    at_a: Divergence
    at_b: Divergence

    @property
    def divergent(self) -> int:
        """How many nodes have no counterpart."""
        return len(self.at_a.region) + len(self.at_b.region)

    def context(self, exchanged: bool) -> Context:
        """What hypotheses look at; `exchanged` makes A the side that is edited."""
        if not exchanged:
            return Context(self.a, self.b, self.alignment, self.at_a, self.at_b)
        turned = Alignment(self.alignment.b_to_a, self.alignment.a_to_b)
        return Context(self.b, self.a, turned, self.at_b, self.at_a)


class Search:
    """Peels causes off, one after another, until the sides align or no hypothesis helps."""

    def __init__(self, a: Side, b: Side, pairs: list[Pair]) -> None:
        self.pairs = pairs
        self.causes: list[Cause] = []
        self.tolerance = CLOSE
        self.state = self._stand(a, b, Edits(), Edits())

    def run(self) -> "Search":
        """Search; the causes found are in `causes`, in the order in which they act."""
        for _ in range(MOST_CAUSES):
            if self._settled():
                break
            if not self.state.divergent and not self._sharpen():
                break
            accepted = self._step()
            if accepted is None:
                break
            self.state = accepted
        return self

    def _settled(self) -> bool:
        """Whether what remains is no difference of meaning."""
        if not self.remaining(self.state):
            return True
        if self.state.divergent:
            return False
        return all(_same(self.state.a, self.state.b, pair) for pair in self.pairs)

    def unmatched(self) -> tuple[str, ...]:
        """The first nodes without a counterpart, on either side."""
        found = (("A", self.state.at_a), ("B", self.state.at_b))
        return tuple(f"{name}: {place(node)}" for name, at in found for node in at.first[:3])

    def remaining(self, state: State) -> float:
        """Norm of the semantic difference over the differing targets; zero below float64's own noise."""
        squares = scale = 0.0
        for pair in self.pairs:
            x, y = state.a.run.values[pair.a], state.b.run.values[pair.b]
            if x.size != y.size:
                return float("inf")
            with np.errstate(invalid="ignore"):
                difference = np.nan_to_num(x - pair.in_layout_of_a(x, y), posinf=0.0, neginf=0.0)
            squares += float(np.vdot(difference, difference))
            scale += float(np.vdot(np.nan_to_num(x), np.nan_to_num(x)))
        return 0.0 if squares <= FINE**2 * scale else float(np.sqrt(squares))

    def _sharpen(self) -> bool:
        """Look for smaller differences once everything aligns at the usual tolerance."""
        if self.tolerance == FINE:
            return False
        self.tolerance = FINE
        self.state = self._stand(self.state.a, self.state.b, self.state.edits_a, self.state.edits_b)
        return bool(self.state.divergent)

    def _stand(self, a: Side, b: Side, edits_a: Edits, edits_b: Edits) -> State:
        alignment = align(a, b, self.tolerance)
        at_a = divergence(a, alignment.a_to_b, [p.a for p in self.pairs])
        at_b = divergence(b, alignment.b_to_a, [p.b for p in self.pairs])
        return State(a, b, edits_a, edits_b, alignment, at_a, at_b)

    def _step(self) -> State | None:
        """The best proved hypothesis at the first divergence, recorded as a cause."""
        best: tuple[tuple[int, float], Candidate, State] | None = None
        for candidate, exchanged in self._candidates():
            tried = self._try(candidate, exchanged)
            if tried is None:
                continue
            progress = self.state.divergent - tried.divergent
            gain = (progress, -self.remaining(tried))
            if progress > 0 and (best is None or gain > best[0]):
                best = (gain, _turned(candidate) if exchanged else candidate, tried)
            if best is not None and not best[2].divergent:
                break
        if best is None:
            return None
        self._record(best[1], best[2])
        return best[2]

    def _candidates(self) -> Iterator[tuple[Candidate, bool]]:
        """Every hypothesis in its order, on B and then with the sides exchanged."""
        sides = [(candidate, False) for candidate in candidates(self.state.context(exchanged=False))]
        turned = [(candidate, True) for candidate in candidates(self.state.context(exchanged=True))]
        return iter(sorted(sides + turned, key=lambda item: item[0].priority))

    def _try(self, candidate: Candidate, exchanged: bool) -> State | None:
        """The state after the edit; None where it cannot be computed or leaves the first divergent node as it was."""
        state = self.state
        edits_a, edits_b = state.edits_a, state.edits_b
        try:
            if not self._promises(candidate, exchanged):
                return None
            if exchanged:
                edits_a = edits_a | candidate.edits
                a, b = _edited(state.a, edits_a), state.b
            else:
                edits_b = edits_b | candidate.edits
                a, b = state.a, _edited(state.b, edits_b)
            tried = self._stand(a, b, edits_a, edits_b)
        except _UNFIT:
            return None
        here, there = (state.at_b, tried.at_b) if exchanged else (state.at_a, tried.at_a)
        first = {n.node.index for n in here.first}
        return tried if not first or first - {n.node.index for n in there.region} else None

    def _promises(self, candidate: Candidate, exchanged: bool) -> bool:
        """Whether the edit gives some divergent value a counterpart soon after: the cheap test before the full one."""
        context = self.state.context(exchanged)
        edits = (self.state.edits_a if exchanged else self.state.edits_b) | candidate.edits
        with np.errstate(all="ignore"):
            near = context.b.network.edited(context.b.run, edits, _NEAR).values
        open_ = {o for n in context.at_a.region[:_NEAR] for o in n.outputs}
        open_.update(p.b if exchanged else p.a for p in self.pairs)
        ours: dict[int, list[np.ndarray]] = {}
        for o in open_:
            if o in context.a.sorted_values:
                ours.setdefault(context.a.sorted_values[o].size, []).append(context.a.sorted_values[o])
        for array in near.values():
            if array.dtype.kind == "f" and array.size in ours:
                ordered = np.sort(array, axis=None)
                if any(matches(ordered, other, self.tolerance) for other in ours[array.size]):
                    return True
        return False

    def _record(self, candidate: Candidate, state: State) -> None:
        before, after = self.remaining(self.state), self.remaining(state)
        cause = Cause(
            candidate.code,
            place(candidate.node_a),
            place(candidate.node_b),
            1 - after / before if before else 1.0,
            after,
            before,
            candidate.fix_a,
            candidate.fix_b,
            candidate.detail.replace("{A}", "A").replace("{B}", "B"),
        )
        same = [c for c in self.causes if (c.code, c.fix) == (cause.code, cause.fix)]
        if same:  # the same cause acts again, in the backward pass or on another path
            (first,) = same
            share = 1 - after / first.before if first.before else 1.0
            self.causes[self.causes.index(first)] = replace(first, residual=after, share=share)
        else:
            self.causes.append(cause)


def _same(a: Side, b: Side, pair: Pair) -> bool:
    x, y = a.run.values[pair.a], b.run.values[pair.b]
    if x.size != y.size:
        return False
    with np.errstate(invalid="ignore"):
        difference = np.linalg.norm(np.nan_to_num(x - pair.in_layout_of_a(x, y), posinf=0.0, neginf=0.0))
    return bool(difference <= semantic_noise(a, b, pair))


def _edited(side: Side, edits: Edits) -> Side:
    with np.errstate(all="ignore"):
        return Side(side.network, Run(side.network.edited(side.run, edits).values))


def _turned(candidate: Candidate) -> Candidate:
    """A candidate of the exchanged context in terms of the true A and B."""
    return replace(
        candidate,
        node_a=candidate.node_b,
        node_b=candidate.node_a,
        fix_a=candidate.fix_b,
        fix_b=candidate.fix_a,
        detail=candidate.detail.replace("{A}", "{other}").replace("{B}", "{A}").replace("{other}", "{B}"),
    )
