"""The carrier's own error: how far the float64 evaluation of a network may be from exact arithmetic, to first order."""

from collections.abc import Mapping

import numpy as np

from oracle.networks.lowered import LoweredNode, real_program
from oracle.networks.network import Network, Run, Values
from oracle.reference.balls import Arithmetic, Ball, MissingRule, evaluate_balls

# Where an operation has no ball rule, its float64 error is assumed below this share of its result (assumption A3).
_ASSUMED = 2.0**-40


def carrier_error(network: Network, run: Run, cotangents: Mapping[int, np.ndarray]) -> float:
    """Bound of the float64 evaluation's own error in <cotangents, targets>: Σ |λ_o| · radius_o over all operations.

    The radii are those of the ball arithmetic of each operation on the values of `run`, λ the adjoints of the targets.
    """
    total = 0.0
    adjoints = {i: np.array(c, np.float64) for i, c in cotangents.items()}
    for node, own, _ in network.reverse(run, adjoints, lambda _, __, c: float(np.sum(c))):
        wanted = {o: c for o, c in own.items() if np.any(c)}
        if wanted and node.signature is not None:
            bounds = _radii(node, run.values)
            total += sum(float(np.sum(np.abs(c) * bounds[o])) for o, c in wanted.items())
    return total


def _radii(node: LoweredNode, values: Values) -> Values:
    assert node.signature is not None
    try:
        program = real_program(node.signature)
        balls = evaluate_balls(program, [Ball(values[i]) for i in (*node.reals, *node.facts)], Arithmetic())
        radii = [np.nan_to_num(balls[o].radius, nan=0.0, posinf=0.0) for o in program.outputs]  # type: ignore[union-attr]
        if len(radii) == len(node.outputs):
            return dict(zip(node.outputs, radii, strict=True))
    except (MissingRule, ValueError):
        pass
    return {o: _ASSUMED * np.abs(np.nan_to_num(values[o], nan=0.0, posinf=0.0, neginf=0.0)) for o in node.outputs}
