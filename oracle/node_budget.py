"""How much of its rounding budget each operation of a recorded run used."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from oracle.lowered import LoweredNode, real_program
from oracle.network import Network
from oracle.reference.balls import MissingRule
from oracle.reference.budget import Budget, rounding_budget
from oracle.reference.formats import Format, format_named


@dataclass(frozen=True)
class BudgetUse:
    """Local error over budget: of the norms (`used`), and of the worst element (`worst`); with the stepwise budget.

    The norms decide an accusation in a network: an elementwise budget is met or missed by elements that nobody
    downstream can see.
    """

    used: float
    worst: float
    stepwise: float


NOT_MEASURED = BudgetUse(float("nan"), float("nan"), float("nan"))


def budget_use(network: Network, node: LoweredNode, error_of: Callable[[int], np.ndarray]) -> BudgetUse:
    """The worst use over the node's outputs; `NOT_MEASURED` where the operation has no lowering or no rule."""
    if node.signature is None or not node.outputs:
        return NOT_MEASURED
    arrays = [network.actual[i] for i in (*node.reals, *node.facts)]
    uses = []
    for output, errors in ((o, error_of(o)) for o in node.outputs):
        if not np.any(errors):
            continue
        try:
            budget = _node_budget(network, node, arrays, output)
        except MissingRule:
            return NOT_MEASURED
        uses.append(_use(errors, budget))
    return max(uses, key=lambda u: u.stepwise, default=BudgetUse(0.0, 0.0, 0.0))


def _node_budget(network: Network, node: LoweredNode, arrays: list[np.ndarray], output: int) -> Budget:
    assert node.signature is not None
    fmt = format_named(network.trace.values[output].dtype)
    budgets = rounding_budget(real_program(node.signature), arrays, fmt)
    budget = budgets[min(node.outputs.index(output), len(budgets) - 1)]
    wider = any(_precision(network, i) > fmt.precision for i in node.reals)
    return _with_store(budget, np.abs(network.actual[output]), fmt) if wider else budget


def _precision(network: Network, value: int) -> int:
    return format_named(network.trace.values[value].dtype).precision


def _with_store(budget: Budget, magnitude: np.ndarray, fmt: Format) -> Budget:
    """A result narrower than its operands is rounded once more, by whatever kernel."""
    store = np.maximum(fmt.u * magnitude, 0.5 * fmt.quantum)
    return replace(budget, fused=budget.fused + store, stepwise=budget.stepwise + store)


def _use(errors: np.ndarray, budget: Budget) -> BudgetUse:
    def ratio(bound: np.ndarray) -> float:
        size = float(np.linalg.norm(np.where(np.isfinite(bound), bound, 0.0)))
        if not np.isfinite(bound).all():
            return 0.0
        return float(np.linalg.norm(errors)) / size if size else float("inf")

    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(errors == 0, 0.0, np.abs(errors) / budget.fused)
    return BudgetUse(ratio(budget.fused), float(np.max(each, initial=0.0)), ratio(budget.stepwise))
