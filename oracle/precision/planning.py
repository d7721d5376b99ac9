"""`oracle.plan_precision`: which operations to keep in float32 when a model runs in bfloat16, float16 or TF32."""

import importlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.errors import OracleError
from oracle.explanations.explaining import real_targets
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import IncompleteTraceError, Network, Run
from oracle.precision.plan import FormatPlan, Kept, Need, PrecisionPlan, layer_of
from oracle.precision.rounded_run import LowFormat, LowPrecision, Roundings, Scores, low_format, predicted_errors
from oracle.recordings.recording import framework_of, record
from oracle.trace import Trace

FORMATS = ("bfloat16", "float16", "tf32")
# How many of the layers that hurt most stay in float32, in the runs that verify it.
_KEPT = (1, 2, 3, 5, 10)
_PROBES = 4


def plan_precision(
    model_or_trace: Any,
    inputs: Any = None,
    *,
    formats: Sequence[str] = FORMATS,
    target: str | None = None,
    verified: int = 20,
    execute: bool = True,
    **options: Any,
) -> PrecisionPlan:
    """Predict which operations would dominate the error in a lower precision, and verify it by running.

    An operation's part is predicted from the derivative of the target by its results and the format's spacing around
    them. The network then runs in that precision in simulation (each operation computes wide and rounds what it
    stores), operation by operation, all together, and with the layers that hurt most kept in float32; given a live
    model, its framework runs a copy of it in that precision too.

    Args:
        model_or_trace: a full recording, or a model or function (then with its `inputs`).
        inputs: the model's inputs, as `oracle.record` takes them.
        formats: of "bfloat16", "float16", "tf32".
        target: "loss", "outputs", "gradients", "parameters", "buffers" or the name of one of them; by default the loss
            where there is one, else the outputs.
        verified: how many of the operations with the largest predictions to run alone in the lower precision.
        execute: whether the framework runs a copy of the live model too.
        options: further arguments of `oracle.record` (`loss`, `train_step`, ...); `labels` are what the loss compares
            the outputs with (`oracle.record` calls them `target`).

    Raises `OracleError` for an unknown format or target, a trace without arrays, or a model without inputs.
    """
    chosen = [low_format(name) for name in formats]
    options = {("target" if k == "labels" else k): v for k, v in options.items()}
    trace = _trace(model_or_trace, inputs, options)
    live = None if isinstance(model_or_trace, Trace) else (model_or_trace, inputs, options)
    target = target or ("loss" if trace.loss is not None else "outputs")
    network = Network(trace)
    goal = _Goal(network, network.run(), target, real_targets(trace, target))
    return PrecisionPlan({low.name: _plan(goal, low, verified, live if execute else None) for low in chosen})


def _trace(model: Any, inputs: Any, options: Mapping[str, Any]) -> Trace:
    if isinstance(model, Trace):
        return model
    if inputs is None:
        raise OracleError("a model needs inputs to be planned for", "oracle.plan_precision(model, inputs)")
    return record(model, inputs, **{**options, "full": True})


@dataclass(frozen=True)
class _Goal:
    """The network, its exact run and the values whose error counts."""

    network: Network
    exact: Run
    name: str
    values: Mapping[str, int]

    def error(self, run: Run) -> float:
        """Norm of the target's deviation from the exact run; infinite where it is no number."""
        return self.distance({i: run.values[i] for i in self.values.values()})

    def distance(self, arrays: Mapping[int, np.ndarray]) -> float:
        """The same for arrays by value id."""
        with np.errstate(invalid="ignore", over="ignore"):
            squares = [float(np.sum(np.square(x - self.exact.values[i]))) for i, x in arrays.items()]
        total = float(np.sqrt(sum(squares)))
        return total if np.isfinite(total) else float("inf")

    @property
    def magnitude(self) -> float:
        """Norm of the target."""
        return float(np.sqrt(sum(float(np.sum(np.square(self.exact.values[i]))) for i in self.values.values())))


def _plan(goal: _Goal, low: LowFormat, verified: int, live: tuple[Any, Any, Mapping[str, Any]] | None) -> FormatPlan:
    lower = LowPrecision(goal.network, low)
    if not lower.wide:
        raise OracleError(
            f"the recording has no values wider than {low.name}", "record the model in float32, or name another format"
        )
    run, made = lower.run()
    scores = predicted_errors(lower, goal.exact, made, list(goal.values.values()), _PROBES)
    needs = _needs(goal, lower, made, scores, verified)
    executed, note = _executed(goal, low, live)
    predicted = _total(need.predicted for need in needs)
    plan = FormatPlan(low.name, goal.name, goal.magnitude, predicted, goal.error(run), executed, note, needs, ())
    return FormatPlan(**{**vars(plan), "curve": _curve(goal, lower, plan)})


def _needs(
    goal: _Goal, lower: LowPrecision, made: Mapping[int, Roundings], scores: Scores, verified: int
) -> tuple[Need, ...]:
    counted = {i: max(made[i].overflowed, lower.overflows(goal.exact, node)) for i, node in _nodes(goal).items()}
    ranked = sorted(counted, key=lambda index: (counted[index] == 0, -scores[index]))
    ranked = [i for i in ranked if scores[i] or counted[i]]
    alone = {i: goal.error(lower.alone(goal.exact, i)) for i in ranked[:verified]}
    found = []
    for i in ranked:
        node, measured = _nodes(goal)[i].node, alone.get(i, float("nan"))
        # No derivative knows of an overflow: there the run stands for the prediction.
        predicted = float(np.fmax(scores[i], measured)) if counted[i] else scores[i]
        place = (i, node.op, node.scope, node.phase, node.step, node.source)
        found.append(Need(*place, predicted, measured, overflowed=counted[i], vanished=made[i].vanished))
    return tuple(sorted(found, key=lambda need: -need.predicted))


def _nodes(goal: _Goal) -> dict[int, LoweredNode]:
    return {n.node.index: n for n in goal.network.nodes}


def _curve(goal: _Goal, lower: LowPrecision, plan: FormatPlan) -> tuple[Kept, ...]:
    """Runs with the worst layers kept in float32, one, two, three, five and ten of them."""
    parts = plan.layers()
    names = list(parts)
    curve = [Kept((), plan.predicted, plan.measured)]
    for count in (k for k in _KEPT if k < len(names)):
        layers = names[:count]
        indices = _in_layers(goal.network, set(layers))
        run, _ = lower.run(indices)
        curve.append(Kept(tuple(layers), _total(parts[name] for name in names[count:]), goal.error(run)))
    return tuple(curve)


def _in_layers(network: Network, layers: Collection[str]) -> set[int]:
    nodes = [n.node for n in network.nodes]
    return {n.index for n in nodes if layer_of(n.scope, n.op, n.index) in layers}


def _total(parts: Any) -> float:
    """Independent errors add in squares."""
    return float(np.sqrt(sum(part * part for part in parts)))


def _executed(goal: _Goal, low: LowFormat, live: tuple[Any, Any, Mapping[str, Any]] | None) -> tuple[float, str]:
    """The target's error when the framework itself runs the model in `low`, or why it did not."""
    if live is None:
        return float("nan"), "no live model was run"
    model, inputs, options = live
    if low.products:
        return float("nan"), "a CPU has no TF32"
    if any(v.role == "random" for v in goal.network.trace.values.values()):
        return float("nan"), "not run: it draws random numbers, and would draw others"
    framework = options.get("framework") or framework_of(model, inputs)
    try:
        in_format = importlib.import_module("oracle.adapters.in_format")
        copied, cast, changed = in_format.in_format(framework, model, inputs, low.name, options)
        trace = record(copied, cast, **{**changed, "full": True})
        found = real_targets(trace, goal.name)
    except (OracleError, IncompleteTraceError) as error:
        return float("nan"), str(error)
    except Exception as error:  # whatever a framework says of a precision it lacks, the plan stands
        return float("nan"), f"{framework} did not run it: {type(error).__name__}: {str(error).splitlines()[0][:80]}"
    if found.keys() != goal.values.keys():
        return float("nan"), "the copy returned other values than the model"
    arrays = {goal.values[name]: np.asarray(trace.values[i].array, np.float64) for name, i in found.items()}
    return goal.distance(arrays), ""
