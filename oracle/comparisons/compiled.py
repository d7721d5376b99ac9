"""What the compiled form of a model returned, in the places of the eager outputs, and whether rounding explains it.

A compiler fuses, reorders and keeps intermediate results wider; its operations cannot be watched. So the recorded
nodes are the eager form's, and the compiled results are held as a whole against the budgets of all nodes, carried to
the outputs to first order:

    |w . (compiled - F(0))| <= sum over nodes i of |dF/dd_i^T w| . budget_i,    w the direction of the error.
"""

from collections.abc import Mapping

import numpy as np

from oracle.alignments.alignment import Side
from oracle.networks.lowered import LoweredNode, real_program
from oracle.reference.balls import MissingRule
from oracle.reference.budget import rounding_budget
from oracle.reference.formats import format_named
from oracle.trace import Trace


def returned(trace: Trace) -> Mapping[int, int]:
    """For each eager output that a compiled form also returned: the id of the compiled value."""
    return {trace.outputs[name]: value for name, value in trace.compiled.items() if name in trace.outputs}


def ran(side: Side, value: int) -> np.ndarray:
    """The numbers that the user's model gave for `value`: the compiled ones where it is compiled."""
    return side.network.actual[returned(side.network.trace).get(value, value)]


def compiled_use(side: Side) -> Mapping[str, float]:
    """For each compiled output: its error over what the nodes' stepwise budgets allow, to first order.

    None where rounding turned a decision of the run: what follows from it is of no order.
    """
    trace = side.network.trace
    if side.run.flips:
        return {}
    names = {value: name for name, value in trace.outputs.items()}
    uses = {}
    for output, compiled in returned(trace).items():
        exact = side.run.values[output]
        with np.errstate(invalid="ignore"):
            error = np.nan_to_num(side.network.actual[compiled] - exact, posinf=0.0, neginf=0.0)
        size = float(np.linalg.norm(error))
        if size:
            allowed = _allowed(side, output, error / size)
            uses[names[output]] = size / allowed if allowed else float("inf")
    return uses


def _allowed(side: Side, output: int, direction: np.ndarray) -> float:
    """Largest first-order error along `direction` that honest operations can make together."""
    reached = side.network.pull_back(side.run, {output: direction})
    total = 0.0
    for node in side.network.nodes:
        wanted = [o for o in node.outputs if o in reached and np.any(reached[o])]
        if wanted:
            bounds = _bounds(side, node)
            if bounds is None:
                return float("inf")
            total += sum(float(np.sum(np.abs(reached[o]) * bounds[o])) for o in wanted)
    return total


def _bounds(side: Side, node: LoweredNode) -> Mapping[int, np.ndarray] | None:
    """The stepwise budget of each output; None where an operation has no rule or no meaning of its own."""
    if node.signature is None:
        return None
    formats = [format_named(side.network.trace.values[i].dtype) for i in node.outputs]
    coarsest = min(formats, key=lambda f: f.precision)
    try:
        budgets = rounding_budget(
            real_program(node.signature), [side.run.values[i] for i in (*node.reals, *node.facts)], coarsest
        )
    except MissingRule:
        return None
    bounds = [np.where(np.isfinite(b.stepwise), b.stepwise, 0.0) for b in budgets]
    return {o: bounds[min(k, len(bounds) - 1)] for k, o in enumerate(node.outputs)}
