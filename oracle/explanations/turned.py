"""How many decisions of each operation exact arithmetic takes otherwise: a relu's sign, a window's maximum, an arg-max.

Many formulas compare without deciding anything: a softmax takes its maximum away for the exponential's sake, a softplus
splits at zero. So a comparison that turned counts only where the operation is seen to bend or jump between the exact
and the recorded inputs.
"""

import numpy as np

from oracle.explanations.decisions import flips
from oracle.networks.lowered import LoweredNode, real_program
from oracle.networks.network import Network, Run, finite

# Primitives that may compare; an operation without any decides nothing.
_COMPARING = frozenset((
    "eq", "ne", "lt", "le", "gt", "ge", "sign", "floor", "ceil", "round", "argmax", "argmin", "max", "min", "abs",
    "clamp", "reduce_max", "reduce_min", "sort", "top_k", "select_n", "cummax", "cummin",
))  # fmt: skip
# A smooth operation leaves the third power of a deviation, relative 1e-12 and less; a kink a share of it.
_KINK = 1e-6


def decisions_turned(network: Network, node: LoweredNode, exact: Run) -> int:
    """Elements of the node that are decided otherwise in the exact run than in the recorded one."""
    results = max((exact.flips.get(o, 0) for o in node.decisions), default=0)
    if node.signature is None or not node.outputs or not _moved(network, node, exact) or not _compares(node):
        return results
    found = flips(node, exact.values, network.actual)
    return max(results, found) if found and _bends(network, node, exact) else results


def _compares(node: LoweredNode) -> bool:
    assert node.signature is not None
    return any(step.primitive in _COMPARING for step in real_program(node.signature).steps)


def _moved(network: Network, node: LoweredNode, exact: Run) -> bool:
    return any(not np.array_equal(network.actual[i], exact.values[i]) for i in (*node.reals, *node.facts))


def _bends(network: Network, node: LoweredNode, exact: Run) -> bool:
    """Whether the derivative at the mean of both inputs misses what a random direction sees of the results' change."""
    generator = np.random.default_rng(5)
    one, other = network.apply(node, exact.values), network.apply(node, network.actual)
    signs = {o: generator.choice([-1.0, 1.0], one[o].shape) for o in node.outputs}
    with np.errstate(invalid="ignore", over="ignore"):
        changes = {o: finite(other[o] - one[o]) for o in node.outputs}
        middle = {
            i: network.actual[i]
            if network.actual[i].dtype.kind in "iub"
            else 0.5 * (network.actual[i] + exact.values[i])
            for i in node.node.reads
        }

    left = sum(float(np.vdot(signs[o], changes[o])) for o in node.outputs)
    size = sum(float(np.sum(np.abs(change))) for change in changes.values())

    def measure(_: LoweredNode, i: int, cotangent: np.ndarray) -> float:
        return float(np.vdot(cotangent, finite(network.actual[i] - exact.values[i])))

    with np.errstate(invalid="ignore", over="ignore"):
        reached = network.reverse(Run(middle), dict(signs), measure, within={node.node.index})
        passed = next((sum(p.values()) for n, _, p in reached if n is node), 0.0)
    return abs(left - passed) > _KINK * size
