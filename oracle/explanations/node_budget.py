"""How much of its rounding budget each operation of a recorded run used."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from oracle.networks.lowered import LoweredNode, meaning, real_program
from oracle.networks.network import Network
from oracle.networks.norms import norm
from oracle.reference.balls import MissingRule
from oracle.reference.formats import Format, format_named
from oracle.reference.kernel_budget import KernelBudget, kernel_budgets
from oracle.reference.lazy import jax


@dataclass(frozen=True)
class BudgetUse:
    """Local error over budget: of the norms against the stepwise budget (in its loosest honest form), the fused and the
    probable one, and of the `worst` element against the fused.

    The norms decide an accusation in a network: an elementwise budget is met or missed by elements that nobody
    downstream can see.
    """

    stepwise: float
    fused: float
    probable: float
    worst: float


NOT_MEASURED = BudgetUse(*[float("nan")] * 4)
EXACT = BudgetUse(0.0, 0.0, 0.0, 0.0)


def budget_use(network: Network, node: LoweredNode, error_of: Callable[[int], np.ndarray]) -> BudgetUse:
    """The worst use over the node's outputs; `NOT_MEASURED` where the operation has no lowering or no rule."""
    if node.signature is None or not node.outputs:
        return NOT_MEASURED
    erring = [o for o in node.outputs if np.any(error_of(o))]
    try:
        uses = [_use(error_of(o), budget) for o, budget in node_budgets(network, node, erring).items()]
    except MissingRule:
        return NOT_MEASURED
    return max(uses, key=lambda u: u.stepwise, default=EXACT)


def node_budgets(network: Network, node: LoweredNode, outputs: list[int]) -> dict[int, KernelBudget]:
    """The budgets of some real outputs of a node on its recorded inputs.

    A kernel works in the coarsest format of its results: what it returns beside them in a wider one (the statistics of
    a normalization, the logarithms that a fused attention keeps) comes from the same work.
    """
    assert node.signature is not None
    formats = {o: format_named(network.trace.values[o].dtype) for o in node.outputs}
    working = min(formats.values(), key=lambda f: f.precision, default=None)
    widest = max((_precision(network, i) for i in node.reals), default=0)
    arrays = [network.actual[i] for i in (*node.reals, *node.facts)]
    program = real_program(node.signature)
    made = _made(node, arrays, len(program.outputs))
    found: dict[int, KernelBudget] = {}
    for fmt in {formats[o] for o in outputs}:
        own = kernel_budgets(program, arrays, fmt)
        coarse = own if working is None or fmt == working else kernel_budgets(program, arrays, working)
        for o in (o for o in outputs if formats[o] == fmt):
            place = made.index(o)
            budget = replace(own[place], honest=np.maximum(own[place].honest, coarse[place].honest))
            found[o] = _with_store(budget, np.abs(network.actual[o]), fmt) if widest > fmt.precision else budget
    return found


def _made(node: LoweredNode, arrays: list[np.ndarray], count: int) -> tuple[int, ...]:
    """Which of the node's real outputs its lowering makes: the `count` outputs of its real program, in order."""
    assert node.signature is not None
    if count == len(node.outputs):
        return node.outputs
    apply, reals = meaning(node.signature), len(node.reals)
    with jax.enable_x64(True):
        results = jax.eval_shape(lambda *xs: apply(xs[:reals], xs[reals:]), *arrays)
    return tuple(o for o, k in zip(node.outputs, node.signature.real_outputs, strict=True) if results[k] is not None)


def _precision(network: Network, value: int) -> int:
    return format_named(network.trace.values[value].dtype).precision


def _with_store(budget: KernelBudget, magnitude: np.ndarray, fmt: Format) -> KernelBudget:
    """A result narrower than its operands is rounded once more, by whatever kernel."""
    store = np.maximum(fmt.u * magnitude, 0.5 * fmt.quantum)
    return KernelBudget(budget.fused + store, budget.probable + store, budget.honest + store)


def _use(errors: np.ndarray, budget: KernelBudget) -> BudgetUse:
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(errors == 0, 0.0, np.abs(errors) / budget.fused)
    stepwise, fused, probable = (_share(errors, bound) for bound in (budget.honest, budget.fused, budget.probable))
    return BudgetUse(stepwise, fused, probable, worst=float(np.max(each, initial=0.0)))


def _share(errors: np.ndarray, bound: np.ndarray) -> float:
    """Norm of the errors over the norm of their bounds, where the formula itself does not overflow."""
    known = np.isfinite(bound)
    error, size = (norm(errors), norm(bound)) if known.all() else (norm(errors[known]), norm(bound[known]))
    return error / size if size else float("inf") if error else 0.0
