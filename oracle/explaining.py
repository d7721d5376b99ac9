"""`oracle.explain`: which operation made how much of the final error."""

from collections.abc import Mapping

import numpy as np

from oracle.attribution import Attribution, attribute
from oracle.explanation import Decision, Explanation, NodeReport
from oracle.lowered import LoweredNode
from oracle.network import Network, Progress, Run, Values, finite, is_nothing, target_values
from oracle.node_budget import NOT_MEASURED, BudgetUse, budget_use
from oracle.trace import Trace

_SILENT: Progress = lambda done, total: None  # noqa: E731 - the default of a callback


def explain(
    trace: Trace, target: str | None = None, *, budgets: bool = True, progress: Progress = _SILENT
) -> Explanation:
    """Attribute the error of `target` to the operations of a recorded run.

    Args:
        trace: a full recording (`oracle.record(..., full=True)`).
        target: "loss", "outputs", "gradients", "parameters", "buffers" or the name of one of them; the loss where
            there is one, else the outputs.
        budgets: measure each operation's use of its rounding budget.
        progress: called with (done, total) steps.

    Raises `OracleError` for an unknown target or a trace without arrays, each with what to do.
    """
    target = target or ("loss" if trace.loss is not None else "outputs")
    targets = target_values(trace, target)
    network = Network(trace)
    count = len(network.nodes) * (4 if budgets else 3)
    errors = network.local_errors(lambda done, _: progress(done, count))
    exact = network.run()
    progress(2 * len(network.nodes), count)
    found = attribute(network, errors, exact, targets)
    progress(3 * len(network.nodes), count)
    uses = _budget_uses(network, errors, lambda done: progress(3 * len(network.nodes) + done, count)) if budgets else {}
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
        decision=_decision(network, exact, trace.outputs),
        compilation=_compilation(network, trace),
        missing=tuple(sorted({n.node.op for n in network.self_referenced})),
    )


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
        flips=found.flips.get(n.index, sum(exact.flips.get(o, 0) for o in node.decisions)),
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


def _decision(network: Network, exact: Run, outputs: Mapping[str, int]) -> Decision | None:
    """The closest arg-max along the last axis of the first output that has one."""
    for value in outputs.values():
        actual = network.actual[value]
        if actual.ndim >= 1 and actual.shape[-1] > 1 and actual.dtype.kind == "f" and actual.size:
            rows, true = actual.reshape(-1, actual.shape[-1]), exact.values[value].reshape(-1, actual.shape[-1])
            order = np.argsort(true, -1)[:, -2:]
            gap = np.diff(np.take_along_axis(true, order, -1), axis=-1)[:, 0]
            change = np.abs(np.diff(np.take_along_axis(rows, order, -1), axis=-1)[:, 0] - gap)
            closest = int(np.argmin(gap))
            flipped = int(np.sum(np.argmax(rows, -1) != np.argmax(true, -1)))
            return Decision(len(rows), float(gap[closest]), float(change[closest]), flipped)
    return None


def _compilation(network: Network, trace: Trace) -> float | None:
    """Norm of compiled minus eager outputs, where the recording has both: the row "compilation"."""
    pairs = [
        (network.actual[c], network.actual[trace.outputs[n]]) for n, c in trace.compiled.items() if n in trace.outputs
    ]
    return _norm([a - b for a, b in pairs]) if pairs else None


def _norm(arrays: list[np.ndarray]) -> float:
    wide = [np.asarray(a, np.float64) for a in arrays if not is_nothing(a)]
    return float(np.sqrt(sum(float(np.vdot(a, a)) for a in (a.ravel("K") for a in wide))))


def _rms(arrays: list[np.ndarray]) -> float:
    size = sum(np.size(a) for a in arrays)
    return _norm([finite(np.asarray(a, np.float64)) for a in arrays]) / float(np.sqrt(size)) if size else 0.0
