"""Whether recorded gradients are what they should be: the derivatives of the recorded loss.

A gradient that differs from the other model's may do so because the loss does, or because a backward pass is wrong.
The network knows the derivative of each of its forward operations, so it can tell: the loss is pulled back through
the forward nodes alone, and compared with what the backward nodes made.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from oracle.alignment import CLOSE, Side


def derivatives(side: Side, step: int, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The derivatives of that step's loss with respect to the named parameters and inputs, where they are known."""
    trace = side.network.trace
    loss = trace.steps[step].loss
    if loss is None:
        return {}
    before = trace.steps[step - 1].parameters if step else {}
    forward = {n.node.index for n in side.network.nodes if n.node.step == step}
    reached = side.network.pull_back(side.run, {loss: np.ones(side.run.values[loss].shape)}, forward)
    values = {n: before.get(n, trace.parameters.get(n, trace.inputs.get(n))) for n in names}
    return {n: reached[v] for n, v in values.items() if v is not None and v in reached}


def are_derivatives(side: Side, step: int, gradients: Mapping[str, int]) -> bool:
    """Whether the recorded gradients, `{parameter: value}`, are the derivatives of that step's loss."""
    found = derivatives(side, step, gradients)
    for name, gradient in gradients.items():
        derivative, recorded = found.get(name), side.run.values[gradient]
        if derivative is None or derivative.size != recorded.size:
            return False
        size = float(np.max(np.abs(recorded), initial=0.0))
        if np.max(np.abs(derivative.reshape(recorded.shape) - recorded), initial=0.0) > CLOSE * size:
            return False
    return bool(gradients)
