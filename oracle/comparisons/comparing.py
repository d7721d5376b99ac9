"""`oracle.compare`: the difference between two models is semantics plus rounding, with the cause named and proved.

    a - b = [F_a(0) - F_b(0)] + (a - F_a(0)) - (b - F_b(0)) = semantics + rounding(a) - rounding(b)

Where the semantics is not zero, the first node without a counterpart is found, and hypotheses about it are tried as
edits of B. An edit that gives the divergent values their counterparts is a proved cause; the search goes on from
there until the two mean the same or no hypothesis helps.
"""

from pathlib import Path
from typing import Any

import numpy as np

from oracle.alignments.alignment import Alignment, Divergence, Side, align, difference, norm
from oracle.alignments.noise import semantic_noise
from oracle.alignments.pairing import Pair, pair_targets
from oracle.comparisons.accusing import Finding, accuse, not_of_both, proved, unstable
from oracle.comparisons.cancelling import cancelling
from oracle.comparisons.coarser import told as told_coarser
from oracle.comparisons.coarser import unrounded
from oracle.comparisons.comparable import comparable, left_out
from oracle.comparisons.comparison import Cause, Comparison, DriftPart, Line, Meaning, Part, Target
from oracle.comparisons.compiled import ran
from oracle.comparisons.decided import decided_otherwise
from oracle.comparisons.drift import by_operation, by_step
from oracle.comparisons.elsewhere import elsewhere
from oracle.comparisons.missing_gradients import missing_gradients
from oracle.comparisons.not_updated import kept_alone, not_updated, searchable
from oracle.comparisons.overflowing import overflows
from oracle.comparisons.search import Progress, Search
from oracle.comparisons.unseen import said, unseen
from oracle.errors import OracleError
from oracle.networks.network import Network
from oracle.networks.threads import one_thread_for_small
from oracle.recordings.recording import record
from oracle.recordings.refusing import refuse_shared_weights
from oracle.trace import Trace
from oracle.updates.dormant import dormant

# So many accused operations are proved one by one.
_MOST_ACCUSED = 4
_SILENT: Progress = lambda done, total: None  # noqa: E731
# Parts of the work, as progress is counted: two recordings, their exact runs, the search, the budgets.
_PARTS = 5
# Causes that carrying the weights over would settle.
_PORTABLE = ("weights-differ", "weights-not-loaded", "kernel-layout", "gate-order")


def compare(
    a: Any,
    b: Any,
    inputs: Any = None,
    *,
    inputs_a: Any = None,
    inputs_b: Any = None,
    budgets: bool = True,
    progress: Progress = _SILENT,
    **options: Any,
) -> Comparison:
    """Compare two models, functions or recorded traces: semantics plus rounding, causes and fixes.

    For every output, loss, gradient, updated weight and running statistic, in A's layout and units:

        a - b = [F_a(0) - F_b(0)] + (a - F_a(0)) - (b - F_b(0)) = semantics + rounding(a) - rounding(b)

    where F(0) is the recorded program in exact arithmetic.

    Args:
        a, b: a model or function of any framework, a `Trace`, or the path of a recorded one.
        inputs: the inputs of both; `inputs_a`, `inputs_b` where each has its own layout.
        budgets: also look for operations beyond their rounding budget.
        progress: called with the parts done and their number, as the work goes on.
        options: as for `oracle.record` (`train_step`, `loss`, `target`, `optimizer`, `steps`, `framework`); a tuple
            (for A, for B) where the two differ.

    Returns a `Comparison`: `verdict`, the norms of the parts by target (`semantics`, `rounding_a`, `rounding_b`), and
    `causes` (`code`, `node_a`, `node_b`, `share`, `residual`, `fix`), whose codes docs/causes.md explains. Raises
    `OracleError`, with what to do, where a model cannot run or nothing can be paired.

        >>> oracle.compare(keras_model, torch_module, inputs_a=images, inputs_b=images_in_nchw).to_html("page.html")
    """
    refuse_shared_weights(a, b, options)
    for name, model, own in (("A", a, inputs_a), ("B", b, inputs_b)):
        if own is not None and isinstance(model, Trace | str | Path):
            raise OracleError(f"{name} is a recorded run with inputs of its own", f"leave out inputs_{name.lower()}")
    traces = []
    for k, (model, own) in enumerate(((a, inputs_a), (b, inputs_b))):
        chosen = {name: v[k] if isinstance(v, tuple) and len(v) == 2 else v for name, v in options.items()}
        traces.append(_as_trace("AB"[k], model, inputs if own is None else own, chosen))
        progress(k, _PARTS)
    names = (_named(a, traces[0]), _named(b, traces[1]))
    return compare_traces(*traces, names=names, budgets=budgets, progress=progress)


def _named(model: Any, trace: Trace) -> str:
    """What a reader knows a side by: its file, or its class or function, and its framework."""
    if isinstance(model, str | Path):
        return str(model)
    own = "trace" if isinstance(model, Trace) else getattr(model, "__name__", type(model).__name__)
    return f"{own} ({trace.framework} {trace.version})"


def _as_trace(name: str, model: Any, inputs: Any, options: dict[str, Any]) -> Trace:
    if isinstance(model, Trace):
        return model
    if isinstance(model, str | Path):
        from oracle.recordings.tracefile import load_trace  # noqa: PLC0415 - only for recorded files

        return load_trace(model)
    if inputs is None:
        raise OracleError(f"there are no inputs to run {name} on", "pass inputs=, or inputs_a= and inputs_b=")
    return record(model, inputs, full=True, **options)


def _side(name: str, trace: Trace) -> Side:
    if not trace.is_full:
        raise OracleError(
            f"{name} was recorded as statistics only; a comparison needs its arrays",
            "record it again with full=True (`oracle record --full`)",
        )
    network = Network(trace)
    return Side(network, network.run())


@one_thread_for_small
@np.errstate(all="ignore")
def compare_traces(
    a: Trace,
    b: Trace,
    *,
    names: tuple[str, str] = ("a", "b"),
    budgets: bool = True,
    progress: Progress = _SILENT,
) -> Comparison:
    """Compare two full recordings. Raises `OracleError` where a trace lacks arrays or nothing can be paired."""
    ran_a, ran_b = (_side(name, trace) for name, trace in (("A", a), ("B", b)))
    (side_a, coarse_a), (side_b, coarse_b) = unrounded(ran_a, ran_b), unrounded(ran_b, ran_a)
    progress(2, _PARTS)
    pairs = comparable(side_a, side_b, pair_targets(side_a, side_b))
    last = max(p.step for p in pairs)
    measured = [(pair, _target(side_a, side_b, pair)) for pair in pairs]
    different = [p for p, t in measured if not t.same]
    progress(3, _PARTS)
    told = lambda done, stages: progress(3 * stages + done, _PARTS * stages)  # noqa: E731
    both = searchable(side_a, side_b, different)
    search = Search(side_a, side_b, both).run(told) if both else None
    progress(4, _PARTS)
    alignment = align(side_a, side_b)
    findings = _accusations(side_a, side_b, alignment, pairs) if budgets else []
    # What no edit of a program can bring about is proved in its own way.
    found = search.causes if search else []
    beside = [*not_updated(side_a, side_b, different, found), *missing_gradients(side_a, side_b)]
    seen, measured = measured, unseen(side_a, side_b, measured, [*found, *beside])
    different = [p for p, t in measured if not t.same]
    if not different:
        search, found = None, []
        beside += decided_otherwise(side_a, side_b, alignment)
    verdict = Meaning.DIFFERENT if different or beside else Meaning.SAME_BEYOND_BUDGET if findings else Meaning.SAME
    if verdict is Meaning.SAME_BEYOND_BUDGET:
        widest = max(measured, key=lambda m: m[1].difference.norm)[0]
        causes = [proved(f, (side_a, side_b), widest) for f in findings[:_MOST_ACCUSED]]
    else:
        causes = [*found, *beside]
    return Comparison(
        names[0],
        names[1],
        verdict,
        tuple(t for p, t in measured if p.step == last),
        tuple(causes),
        tuple(f.accused for f in findings),
        search.open if search else (),
        (sum(bool(m) for m in alignment.a_to_b.values()), len(alignment.a_to_b)),
        _lines(side_a, search.parting[0] if search and search.parting else None),
        _lines(side_b, search.parting[1] if search and search.parting else None),
        (
            *_notes(side_a, side_b, causes, search),
            *told_coarser("A", side_a, coarse_a),
            *told_coarser("B", side_b, coarse_b),
            *said(seen, measured),
            *_unsaid((side_a, side_b), pairs, different, verdict),
        ),
        by_step(measured) if last else (),
        tuple(_drift_parts(ran_a, ran_b, pairs)) if last else (),
    )


def _notes(a: Side, b: Side, causes: list[Cause], search: Search | None) -> tuple[str, ...]:
    notes = list(search.notes) if search else []
    for name, side in (("A", a), ("B", b)):
        unknown = sorted({n.node.op for n in side.network.self_referenced})
        if unknown:
            notes.append(f"operations of {name} without a lowering, taken as they ran: {', '.join(unknown)}")
    if any(c.code in _PORTABLE for c in causes):
        notes.append("the weights differ: oracle.port(src, dst) carries them over by structure and says what it mapped")
    return tuple(notes)


def _unsaid(sides: tuple[Side, Side], pairs: list[Pair], different: list[Pair], verdict: Meaning) -> tuple[str, ...]:
    """What the verdict does not cover: numbers left out, statistics of one side alone, more steps, other inputs."""
    a, b = sides
    others = elsewhere(a, b, pairs) if verdict is not Meaning.DIFFERENT else ()
    return (*left_out(a, b, pairs), *kept_alone(a, b), *dormant(a, b, pairs, different), *others)


def _drift_parts(a: Side, b: Side, pairs: list[Pair]) -> list[DriftPart]:
    """Who made the rounding in the last weights, on either side."""
    last = max(p.step for p in pairs)
    weights = [p for p in pairs if p.kind == "parameters" and p.step == last]
    return by_operation("A", a, (p.a for p in weights)) + by_operation("B", b, (p.b for p in weights))


def _accusations(a: Side, b: Side, alignment: Alignment, pairs: list[Pair]) -> list[Finding]:
    lost = overflows("A", a, pairs) + overflows("B", b, pairs)
    told = {(f.accused.side, n) for f in lost for n in f.nodes}
    each = lost + [f for f in accuse("A", a) + accuse("B", b) if not told & {(f.accused.side, n) for n in f.nodes}]
    each = not_of_both(each, (a, b), alignment)
    known = {(f.accused.side, f.accused.scope, f.accused.source) for f in each}
    together = unstable((a, b), alignment) or cancelling((a, b), alignment)
    return each + [f for f in together if (f.accused.side, f.accused.scope, f.accused.source) not in known]


def _lines(side: Side, found: Divergence | None) -> tuple[Line, ...]:
    """Every node of a side, with where it stands to the other: what follows from a first divergence is unmatched."""
    parted = () if found is None else (found.region, found.first)
    region, first = ({n.node.index for n in some} for some in parted or ((), ()))

    def state(index: int) -> str:
        return "first" if index in first else "unmatched" if index in region else "matched"

    return tuple(Line(n.op, n.scope, n.source, state(n.index)) for n in (n.node for n in side.network.nodes))


def _target(a: Side, b: Side, pair: Pair) -> Target:
    exact_a, exact_b = a.run.values[pair.a], pair.in_layout_of_a(a.run.values[pair.a], b.run.values[pair.b])
    actual_a = ran(a, pair.a)
    actual_b = pair.in_layout_of_a(actual_a, ran(b, pair.b))
    semantics = difference(exact_a, exact_b)
    return Target(
        pair.kind,
        pair.name_a,
        pair.name_b,
        norm(exact_a),
        _part(difference(actual_a, actual_b)),
        _part(semantics),
        _part(difference(actual_a, exact_a)),
        _part(difference(actual_b, exact_b)),
        semantic_noise(a, b, pair),
    )


def _part(x: np.ndarray) -> Part:
    if not x.size:
        return Part(0.0, 0.0, ())
    worst = int(np.argmax(np.abs(x)))
    return Part(norm(x), float(x.reshape(-1)[worst]), tuple(int(i) for i in np.unravel_index(worst, x.shape)))
