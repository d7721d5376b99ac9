"""Whether recorded gradients are what they should be: the derivatives of the recorded loss.

A gradient that differs from the other model's may do so because the loss does, or because a backward pass is wrong.
The network knows the derivative of each of its forward operations, so it can tell: the loss is pulled back through
the forward nodes alone, and compared with what the backward nodes made.
"""

from collections.abc import Mapping

import numpy as np

from oracle.alignment import CLOSE, Side


def are_derivatives(side: Side, step: int, gradients: Mapping[str, int]) -> bool:
    """Whether the recorded gradients, `{parameter: value}`, are the derivatives of that step's loss."""
    trace = side.network.trace
    loss = trace.steps[step].loss
    if loss is None:
        return False
    before = trace.steps[step - 1].parameters if step else {}
    forward = {n.node.index for n in side.network.nodes if n.node.step == step}
    reached = side.network.pull_back(side.run, {loss: np.ones(side.run.values[loss].shape)}, forward)
    for name, gradient in gradients.items():
        parameter = before.get(name, trace.parameters.get(name, trace.inputs.get(name)))
        if parameter is None:
            return False
        derivative = reached.get(parameter)
        recorded = side.run.values[gradient]
        if derivative is None or derivative.size != recorded.size:
            return False
        size = float(np.max(np.abs(recorded), initial=0.0))
        if np.max(np.abs(derivative.reshape(recorded.shape) - recorded), initial=0.0) > CLOSE * size:
            return False
    return bool(gradients)
