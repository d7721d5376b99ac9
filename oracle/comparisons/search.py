"""The search for causes: at the first divergence, try every hypothesis as an edit; keep the one that aligns most.

Targets are brought into line stage by stage, in the order in which a training step makes them: outputs, buffers, loss,
gradients, updated weights; then the next step. An edit that was accepted stays. Hypotheses speak of editing B toward A;
each is also tried with the sides exchanged, since a fused kernel with a flag is easier to edit than the dozen
operations that mean the same.
"""

import functools
import math
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import numpy as np

from oracle.alignments.alignment import CLOSE, Divergence, Side
from oracle.alignments.noise import means_the_same
from oracle.alignments.pairing import Pair, pair_inputs
from oracle.causes import Candidate, candidates
from oracle.causes.training.wrong_gradient import Held
from oracle.causes.transplant import unproved
from oracle.comparisons.comparison import Cause
from oracle.comparisons.lookahead import behind
from oracle.comparisons.proofs import Proof, note, share
from oracle.comparisons.reproducing import reproduction
from oracle.comparisons.spreading import again, everywhere
from oracle.comparisons.trying import FINE, Probe, Stage, State, Trial, composed
from oracle.comparisons.weighing import (
    STRUCTURAL,
    alike,
    begun,
    better,
    brings_in_order,
    clean,
    entangled,
    in_layout,
    no_more,
    turned,
)
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place
from oracle.networks.unfit import UNFIT, attempt, mistakes

# So many steps a search may take at one stage, and so many more a new cause counts: one cause may act in many layers.
_STEPS, _STEPS_OF_ONE = 240, 9
# Seconds after which a search stops and says what it leaves open.
PATIENCE = 60.0

# The priority up to which hypotheses explain by numbers: another literal, other weights.
_LAST_NUMBER = 62
# The priority up to which they speak of a setting.
_LAST_SETTING = 20
# The priority from which they only relate the numbers of the two sides.
_RELATIONS = 85
# One of several causes may hide another: an edit of the outputs may leave so many times what there was.
_FARTHEST = 10.0
# What an edit leaves below this share of the difference is float64's own rounding.
_NOTHING = 1e-9

Progress = Callable[[int, int], None]


class Search:
    """Peels causes off, one after another, until the sides align or no hypothesis helps.

    `causes` are in the order in which they act; `notes` says what was left open, and what needed no cause of its own;
    `parting` is where the first targets that differ part, before any edit.
    """

    def __init__(self, a: Side, b: Side, pairs: list[Pair], patience: float = PATIENCE) -> None:
        self.start, self.pairs = (a, b), pairs
        self.deadline = time.monotonic() + patience
        self.probe = Probe(pair_inputs(a, b), a, b)
        self.causes: list[Cause] = []
        self.known: set[tuple[str, str]] = set()
        self.notes: list[str] = []
        self.open: tuple[str, ...] = ()
        self.parting: tuple[Divergence, Divergence] | None = None
        self.edits_a, self.edits_b = Edits(), Edits()
        self.whole = 0.0
        self.origin: State | None = None

    def run(self, progress: Progress = lambda done, total: None) -> "Search":
        """Search stage by stage."""
        with mistakes() as told:
            self._by_stages(progress)
        self.notes += told
        return self

    def _by_stages(self, progress: Progress) -> None:
        stages = self._stages()
        for done, stage in enumerate(stages):
            progress(done, len(stages))
            state = self._stand(stage)
            self.parting = self.parting or (state.at_a, state.at_b)
            if not self._repeats(stage):
                state = self._peeled(state)
            self.edits_a, self.edits_b = state.edits_a, state.edits_b
            if done < len(stages) - 1:
                self._carry(state)

    def _stages(self) -> list[Stage]:
        """The differing targets of each step and kind, in order."""
        a, b = self.start
        groups: dict[tuple[int, str], list[Pair]] = {}
        for pair in self.pairs:
            groups.setdefault((pair.step, pair.kind), []).append(pair)
        return [
            Stage(tuple(group), a.ancestors(p.a for p in group), b.ancestors(p.b for p in group))
            for group in groups.values()
        ]

    def _repeats(self, stage: Stage) -> bool:
        """Whether the stage's targets differed in the first step already, by causes that act in each step alike."""
        first = stage.pairs[0].step == 0 or stage.kind == "parameters"
        return not first and any(p.step == 0 and p.kind == stage.kind for p in self.pairs) and bool(self.causes)

    def _stand(self, stage: Stage) -> State:
        """Both sides under the edits accepted so far, as far as the stage needs them."""
        a, b = self.start
        with np.errstate(all="ignore"):
            run_a = a.network.edited(a.run, self.edits_a, stage.nodes_a)
            run_b = b.network.edited(b.run, self.edits_b, stage.nodes_b)
        network_a, network_b = (
            side.network.with_nodes(edits.literals) for side, edits in ((a, self.edits_a), (b, self.edits_b))
        )
        now_a, now_b = a.changed(network_a, run_a, self.edits_a), b.changed(network_b, run_b, self.edits_b)
        return State(stage, now_a, now_b, self.edits_a, self.edits_b, CLOSE)

    def _peeled(self, state: State) -> State:
        """The state after every cause that is found at its targets.

        An edit that aligns nodes but moves the targets further apart is taken on trust: where the search then ends
        without a named cause for the rest, it is taken back, and not tried again.
        """
        self.whole, self.origin = state.remaining, state
        if state.stage.kind == "gradients":
            state, explained = self._differentiated(state)
            if explained:
                return state
        trusted: tuple[State, list[Cause], Candidate] | None = None
        banned: list[Candidate] = []
        left = _STEPS
        while left > 0:
            left -= 1
            if self._settled(state):
                return state
            if not state.divergent:
                if state.tolerance != FINE:
                    state = self._faded(state) or replace(state, tolerance=FINE)
                    continue
                ordered = self._ordered(state)
                if ordered is None:
                    break
                state = ordered
                continue
            found = self._step(state, banned)
            left -= 0 if found is not None and (found[0].code, found[0].hypothesis) in self.known else _STEPS_OF_ONE
            late = time.monotonic() > self.deadline
            vague = found is None or _vague(*found)
            chain = behind(state, functools.partial(self._step, banned=banned, named=True)) if vague else []
            if chain:
                for candidate, after in chain:
                    self._record(candidate, state, after)
                    state = in_layout(after)
                continue
            if trusted is not None and not late and (found is None or found[0].transplant):
                state, self.causes, candidate = trusted
                banned.append(candidate)
                trusted = None
                continue
            if found is None:
                break
            if trusted is None and found[1].remaining > state.remaining:
                trusted = (state, list(self.causes), found[0])
            self._record(found[0], state, found[1])
            state = in_layout(found[1])
        self._leave_open(state)
        return state

    def _settled(self, state: State) -> bool:
        """Whether what remains is no difference of meaning, or nothing against what there was."""
        if state.remaining <= _NOTHING * self.whole and math.isfinite(self.whole):
            return True
        return all(means_the_same(state.a, state.b, pair) for pair in state.stage.pairs)

    def _differentiated(self, state: State) -> tuple[State, bool]:
        """The state with derivatives for gradients that are none, and whether nothing more is to be explained."""
        step, known = state.stage.pairs[0].step, bool(self.causes)
        a = Held(self.start[0], step, {p.name_a: p.a for p in state.stage.pairs})
        b = Held(self.start[1], step, {p.name_b: p.b for p in state.stage.pairs})
        if a.wrong == {} and b.wrong == {}:
            if known:
                self._say(
                    "the gradients are the derivatives of the loss on both sides: they differ by the causes above, not "
                    "by the backward pass"
                )
            return state, known or a.cut or b.cut
        if {} not in (a.wrong, b.wrong) or None in (a.wrong, b.wrong):
            return state, False
        held, exchanged = (a, True) if a.wrong else (b, False)
        candidate = held.candidate()
        trial = Trial(state, candidate, exchanged)
        tried = trial.applied(composed(candidate.all_edits, trial.before))
        settled = self._settled(tried)
        shown = (share(state, state, tried), state.remaining, tried.remaining) if settled else (1.0, held.error(), 0.0)
        proof = Proof(*shown, state.stage.kind, reproduction(state, tried))
        note(self.causes, turned(candidate) if exchanged else candidate, proof)
        return tried, settled or known

    def _leave_open(self, state: State) -> None:
        found = (("A", state.at_a), ("B", state.at_b))
        self.open += tuple(f"{name}: {place(node)}" for name, at in found for node in at.first[:3])
        candidate = unproved(state.context(exchanged=False))
        if candidate is not None:
            kind, left = state.stage.kind, state.remaining
            note(self.causes, candidate, Proof(0.0, left, left, kind, reproduction(state, state)))

    def _carry(self, state: State) -> None:
        """Give B's targets A's numbers where they still differ, so that what follows is compared on its own."""
        wanted: dict[int, Values] = {}
        for pair in state.stage.pairs:
            x, y = state.a.run.values[pair.a], state.b.run.values[pair.b]
            if x.size == y.size and not means_the_same(state.a, state.b, pair):
                index = state.b.producers[pair.b].node.index
                wanted.setdefault(index, {})[pair.b] = pair.in_layout_of_b(x, y)
        network = state.b.network
        nodes = {n.node.index: n for n in network.nodes if n.node.index in wanted}
        carried = {
            index: _with_results(self.edits_b.nodes.get(index) or _plain(network, nodes[index]), results)
            for index, results in wanted.items()
        }
        self.edits_b = self.edits_b | Edits(nodes=carried)

    def _step(self, state: State, banned: list[Candidate], named: bool = False) -> tuple[Candidate, State] | None:
        """The best proved hypothesis at the first divergence, and the state after it; `named`: no mere transplant."""
        if self._late():
            return None
        repeated = self._repeated(state, banned)
        if repeated is not None:
            return repeated
        best: tuple[tuple[bool, int, float], Candidate, State] | None = None

        def settled(priority: int) -> bool:
            if best is None or priority <= best[1].priority or _vague(*best[1:]):
                return False
            return (best[1].tested and begun(state, best[2])) or (best[0][0] and clean(state, best[2]))

        for candidate, exchanged in self._candidates(state, settled=settled):
            later = best is not None and candidate.priority > best[1].priority
            known = best is not None and not _vague(*best[1:])
            if later and (settled(candidate.priority) or (candidate.transplant and known)):
                break
            if named and candidate.transplant:
                break
            if self._late():
                break
            if any(alike(candidate, other) for other in banned) or (candidate.transplant and state.tolerance == FINE):
                continue
            tried = Trial(state, candidate, exchanged).result(self.probe)
            if tried is None or (candidate.code in STRUCTURAL and entangled(state, tried)):
                continue
            needed, tried = self._needed(state, (candidate, exchanged), in_layout(tried))
            chosen, tried = self._spread(state, (needed, exchanged), tried)
            nearer = tried.remaining <= state.remaining
            if not nearer and (state.stage.kind != "outputs" or tried.remaining > _FARTHEST * state.remaining):
                continue
            left = tried.remaining if tried.remaining > _NOTHING * state.remaining else 0.0
            gain = (nearer, state.lined_up(tried), -left)
            if best is None or (better(gain, best[0]) and not no_more((candidate, gain), best[:2])):
                best = (gain, turned(chosen) if exchanged else chosen, tried)
            done = not best[2].divergent and not best[2].remaining
            if (candidate.transplant and nearer) or done or (best[2] is tried and self._settled(tried)):
                break
        return None if best is None else best[1:]

    def _faded(self, state: State) -> State | None:
        """The state after a setting whose effect fades on its way to the targets is made alike; None if none is."""
        if state.stage.kind != "outputs":
            return None
        for candidate, exchanged in self._candidates(replace(state, strict=True)):
            if candidate.priority > _LAST_SETTING or time.monotonic() > self.deadline:
                return None
            tried = Trial(replace(state, strict=True), candidate, exchanged).result(self.probe)
            if tried is not None and tried.remaining < state.remaining / 2:
                found = in_layout(replace(tried, strict=False))
                self._record(turned(candidate) if exchanged else candidate, state, found)
                return found
        return None

    def _needed(self, state: State, proposed: tuple[Candidate, bool], tried: State) -> tuple[Candidate, State]:
        """Of joint causes, those without which fewer values come into line, and the state after them.

        Edits of one node build on each other: all of them are needed.
        """
        candidate, exchanged = proposed
        parts = (replace(candidate, also=()), *candidate.also)
        places = [i for part in parts for i in (*part.edits.nodes, *part.edits.leaves)]
        for part in parts if candidate.also and len(set(places)) == len(places) else ():
            first, *others = (p for p in parts if p is not part)
            fewer = replace(first, priority=candidate.priority, also=tuple(others))
            found = Trial(state, fewer, exchanged).result(self.probe)
            if found is not None and state.lined_up(found) >= state.lined_up(tried):
                return self._needed(state, (fewer, exchanged), in_layout(found))
        return candidate, tried

    def _late(self) -> bool:
        late = time.monotonic() > self.deadline
        if late:
            self._say("the search ran out of time: hypotheses about the first open nodes were left untried")
        return late

    def _spread(self, state: State, proposed: tuple[Candidate, bool], tried: State) -> tuple[Candidate, State]:
        """The candidate at all alike operations where that brings more into line, and the state after it."""
        found = everywhere(state, proposed, tried, self.probe)
        return (proposed[0], tried) if found is None else found

    def _repeated(self, state: State, banned: list[Candidate]) -> tuple[Candidate, State] | None:
        """What explained an earlier divergence, where it explains this one too, and the state after it."""
        if not self.known or time.monotonic() > self.deadline:
            return None
        found = again(state, self.known, functools.partial(self._candidates, state), self.probe)
        if found is None or any(alike(found[0], other) for other in banned):
            return None
        candidate, tried = self._spread(state, found[:2], found[2])
        return turned(candidate) if found[1] else candidate, tried

    def _ordered(self, state: State) -> State | None:
        """The state after an edit that brings a target's numbers, all of them in line, into the other's order."""
        for candidate, exchanged in self._candidates(state):
            trial = Trial(state, candidate, exchanged)
            with attempt(f"edit {candidate.code!r}"):
                tried = in_layout(trial.applied(composed(candidate.all_edits, trial.before)))
                if tried.remaining < state.remaining and brings_in_order(state, tried):
                    self._record(turned(candidate) if exchanged else candidate, state, tried)
                    return tried
        return None

    def _say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _candidates(
        self,
        state: State,
        only: Collection[str] | None = None,
        settled: Callable[[int], bool] = lambda priority: False,
    ) -> Iterator[tuple[Candidate, bool]]:
        """Every hypothesis in its order, on B and with the sides exchanged; a node left out only after numbers."""
        contexts = [state.context(exchanged=False), state.context(exchanged=True)]
        waiting: list[tuple[Candidate, bool]] = []
        for item in candidates(contexts, settled, only):
            if item[0].priority >= _LAST_NUMBER:
                yield from waiting
                waiting.clear()
            elif item[0].code in STRUCTURAL:
                waiting.append((replace(item[0], priority=_LAST_NUMBER), item[1]))
                continue
            yield item
        yield from waiting

    def _record(self, candidate: Candidate, before: State, after: State) -> None:
        """Note the cause, and those that were proved together with it, each with what it leaves of the difference."""
        if candidate.code not in STRUCTURAL and candidate.priority < _RELATIONS:
            self.known.add((candidate.code, candidate.hypothesis))
        script, kind = reproduction(before, after), before.stage.kind
        for cause, state in zip((candidate, *candidate.also), self._joint(candidate, before, after), strict=True):
            part = share(self.origin or before, before, state)
            note(self.causes, cause, Proof(part, before.remaining, state.remaining, kind, script))
            before = state

    def _joint(self, candidate: Candidate, before: State, after: State) -> list[State]:
        """The state after each of the joint edits in turn; one that only runs with those after it changes nothing."""
        found, edits = [before], Edits()
        for part in (candidate, *candidate.also)[: len(candidate.also)]:
            edits = edits | part.edits
            try:
                found.append(Trial(before, candidate, exchanged=False).applied(composed(edits, before.edits_b)))
            except UNFIT:
                found.append(found[-1])
        return [*found[1:], after]


def _vague(candidate: Candidate, after: State) -> bool:
    """Whether a cause says where the sides part and not why: a mere relation of numbers, unless it explains it all."""
    return candidate.transplant or (candidate.priority >= _RELATIONS and bool(after.divergent))


def _plain(network: object, node: object) -> Callable[[Values], Values]:
    return lambda values: network.apply(node, values)  # type: ignore[attr-defined]


def _with_results(compute: Callable[[Values], Values], results: Values) -> Callable[[Values], Values]:
    return lambda values: compute(values) | results
