"""`oracle.explain`: which operation made how much of the final error."""

from collections.abc import Mapping

import numpy as np

from oracle.errors import OracleError
from oracle.explanations.attribution import Attribution, attribute, total_error
from oracle.explanations.explanation import Decision, Explanation, NodeReport
from oracle.explanations.node_budget import NOT_MEASURED, BudgetUse, budget_use
from oracle.explanations.node_details import node_details
from oracle.explanations.turned import decisions_turned
from oracle.networks.carrier import carrier_error
from oracle.networks.lowered import LoweredNode, is_real
from oracle.networks.network import Network, Progress, Run, Values, finite, is_nothing, target_values
from oracle.networks.norms import norm
from oracle.networks.threads import one_thread_for_small
from oracle.trace import Trace

# The largest network, in elements of all its values, whose own arithmetic is bounded: the bound costs a pass of balls.
CERTIFIED = 100_000_000
_SILENT: Progress = lambda done, total: None  # noqa: E731 - the default of a callback


@one_thread_for_small
def explain(
    trace: Trace,
    target: str | None = None,
    *,
    budgets: bool = True,
    details: bool = True,
    progress: Progress = _SILENT,
) -> Explanation:
    """Attribute the error of `target` to the operations of a recorded run.

    With d_i the error that operation i made on its own inputs, F(0) the run in exact arithmetic and F(d) the recorded
    one,

        contribution_i = integral over t in [0, 1] of <dF/dd_i(t d), d_i>,

    projected on the direction of the total error F(d) - F(0): signed, in the target's units, with the error's norm
    (a loss's signed error) for their sum (integrated gradients; Sundararajan, Taly and Yan, 2017).

    Args:
        trace: a full recording (`oracle.record(..., full=True)`).
        target: "loss", "outputs", "gradients", "parameters", "buffers" or the name of one of them; the loss where
            there is one, else the outputs.
        budgets: measure each operation's use of its rounding budget.
        details: keep the ranges of every operation's arrays and a script of its call, for the page.
        progress: called with (done, total) steps.

    Returns an `Explanation`: `total`, `remainder` (what the contributions leave unexplained) and `nodes`. Raises
    `OracleError` for a target that is unknown or holds no real numbers, and for a trace without arrays, each
    with what to do.
    """
    target = target or ("loss" if trace.loss is not None else "outputs")
    targets = real_targets(trace, target)
    network = Network(trace)
    count = len(network.nodes) * (4 if budgets else 3)
    errors = network.local_errors(lambda done, _: progress(done, count))
    exact = network.run()
    progress(2 * len(network.nodes), count)
    found = attribute(network, errors, exact, targets)
    progress(3 * len(network.nodes), count)
    uses = _budget_uses(network, errors, lambda done: progress(3 * len(network.nodes) + done, count)) if budgets else {}
    _, direction = total_error(network, exact, targets)
    reports = tuple(_report(network, node, (errors, exact, found, uses)) for node in network.nodes)
    return Explanation(
        target=target,
        total=found.total,
        remainder=found.remainder,
        magnitude=_norm([exact.values[i] for i in targets.values()]),
        completeness=network.completeness(errors, targets.values()),
        points=found.points,
        nodes=reports,
        framework=f"{trace.framework} {trace.version}",
        execution=trace.observation.execution,
        unchanged=trace.observation.unchanged,
        carrier_error=carrier_error(network, exact, direction) if _size(network) <= CERTIFIED else float("nan"),
        decision=_decision(network, exact, trace.outputs),
        compilation=_compilation(network, trace),
        missing=tuple(sorted({n.node.op for n in network.self_referenced})),
        details=node_details(network) if details else None,
    )


def real_targets(trace: Trace, target: str) -> dict[str, int]:
    """The values that `target` names, those of real numbers: integers and booleans have no error to attribute."""
    found = {name: i for name, i in target_values(trace, target).items() if is_real(trace.values[i].dtype)}
    if not found:
        raise OracleError(
            f"the target {target!r} holds integers or booleans alone, which have no error to attribute",
            "let the model also return the numbers from which they are decided, or name another target",
        )
    return found


def _budget_uses(network: Network, errors: Values, progress: object) -> dict[int, BudgetUse]:
    uses = {}
    for done, node in enumerate(network.nodes):
        uses[node.node.index] = budget_use(network, node, errors.__getitem__)
        progress(done + 1)  # type: ignore[operator]
    return uses


def _report(
    network: Network, node: LoweredNode, context: tuple[Values, Run, Attribution, Mapping[int, BudgetUse]]
) -> NodeReport:
    errors, exact, found, uses = context
    local = [errors[o] for o in node.outputs]
    total = [_deviation(network, exact, o) for o in node.outputs]
    inherited = [t - e for t, e in zip(total, local, strict=True)]
    actual = [network.actual[o] for o in node.outputs]
    use = uses.get(node.node.index, NOT_MEASURED)
    n = node.node
    return NodeReport(
        index=n.index,
        op=n.op,
        scope=n.scope,
        layer=n.layer,
        phase=n.phase,
        step=n.step,
        time_step=n.time_step,
        source=n.source,
        format=network.trace.values[node.outputs[0]].dtype if node.outputs else "",
        elements=sum(a.size for a in actual),
        magnitude=_rms(actual),
        local_error=_rms(local),
        inherited_error=_rms(inherited),
        contribution=sum(found.contributions.get(o, 0.0) for o in node.outputs) + found.jumps.get(n.index, 0.0),
        jump=found.jumps.get(n.index, 0.0),
        budget_used=use.stepwise,
        budget_fused=use.fused,
        budget_probable=use.probable,
        budget_worst=use.worst,
        condition=_condition(network, node, exact, inherited),
        flips=decisions_turned(network, node, exact),
        self_referenced=node.self_referenced and bool(node.outputs),
    )


def _deviation(network: Network, exact: Run, value: int) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        return finite(network.actual[value] - exact.values[value])


def _condition(network: Network, node: LoweredNode, exact: Run, inherited: list[np.ndarray]) -> float:
    """Relative error carried out over the largest relative error carried in."""

    def relative(errors: list[np.ndarray], values: list[np.ndarray]) -> float:
        size = _rms(values)
        return _rms(errors) / size if size else 0.0

    entering = max((relative([_deviation(network, exact, i)], [exact.values[i]]) for i in node.reals), default=0.0)
    leaving = relative(inherited, [exact.values[o] for o in node.outputs])
    return leaving / entering if entering else float("nan")


def _size(network: Network) -> int:
    return sum(a.size for a in network.actual.values())


def _decision(network: Network, exact: Run, outputs: Mapping[str, int]) -> Decision | None:
    """The arg-max along the last axis of the first output that has one, in the row that is nearest to turning."""
    for value in outputs.values():
        actual = network.actual[value]
        if actual.ndim >= 1 and actual.shape[-1] > 1 and actual.dtype.kind == "f" and actual.size:
            rows, true = actual.reshape(-1, actual.shape[-1]), exact.values[value].reshape(-1, actual.shape[-1])
            if np.isfinite(rows).all() and np.isfinite(true).all():
                return _closest_call(rows, true)
    return None


def _closest_call(rows: np.ndarray, true: np.ndarray) -> Decision:
    """A class overtakes the first where the error of their gap exceeds the gap."""
    first = np.argmax(true, -1)[:, None]
    gaps = np.take_along_axis(true, first, -1) - true
    changes = gaps - (np.take_along_axis(rows, first, -1) - rows)
    others = np.arange(true.shape[-1]) != first
    with np.errstate(divide="ignore", invalid="ignore"):
        risk = np.where(others, np.where(gaps > 0, changes / gaps, np.where(changes > 0, np.inf, 0.0)), -np.inf)
    worst = np.unravel_index(int(np.argmax(risk)), risk.shape)
    flipped = int(np.sum(np.argmax(rows, -1) != first[:, 0]))
    return Decision(len(rows), float(gaps[worst]), float(changes[worst]), flipped)


def _compilation(network: Network, trace: Trace) -> float | None:
    """Norm of compiled minus eager outputs, where the recording has both: the row "compilation"."""
    pairs = [
        (network.actual[c], network.actual[trace.outputs[n]]) for n, c in trace.compiled.items() if n in trace.outputs
    ]
    return _norm([a - b for a, b in pairs]) if pairs else None


def _norm(arrays: list[np.ndarray]) -> float:
    return norm(*(a for a in arrays if not is_nothing(a)))


def _rms(arrays: list[np.ndarray]) -> float:
    size = sum(np.size(a) for a in arrays)
    return _norm([finite(np.asarray(a, np.float64)) for a in arrays]) / float(np.sqrt(size)) if size else 0.0
