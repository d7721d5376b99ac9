"""Question 6: is the state of an LSTM updated in another order, and does that make the difference?"""

import numpy as np
from asking import normal, show
from lstm_steps import GATES, gate, operation

import oracle

X, Y = normal(4, 10, 1), normal(4, 1, seed=1)


def models() -> tuple:
    """LSTM(10) and Dense(1) in Keras; the same weights in a torch cell that is written gate by gate."""
    import keras
    import torch
    from lstm_steps import gated_model

    keras.utils.set_random_seed(0)
    layers = [keras.layers.LSTM(10, name="lstm"), keras.layers.Dense(1, name="dense")]
    a = keras.Sequential([keras.Input((10, 1)), *layers])
    kernel, recurrent, bias, w, b = a.get_weights()
    model = gated_model()
    with torch.no_grad():
        for k, name in enumerate(GATES):  # Keras stacks the gates in this order
            part = slice(10 * k, 10 * (k + 1))
            linear = getattr(model.cell, name)[0]
            linear.weight.copy_(torch.from_numpy(np.vstack([kernel[:, part], recurrent[:, part]]).T))
            linear.bias.copy_(torch.from_numpy(bias[part]))
        model.dense.weight.copy_(torch.from_numpy(w.T))
        model.dense.bias.copy_(torch.from_numpy(b))
    return a, model


ROWS = {"Keras": operation, "torch": gate}


def measure() -> dict:
    """The comparison, and on each side the error by gate or operation and time step, forward and backward."""
    from torch import nn

    a, b = models()
    traces = (
        oracle.record(a, X, loss="mse", target=Y, full=True),
        oracle.record(b, X, loss=nn.MSELoss(), target=Y, full=True),
    )
    found = oracle.compare(*traces)
    explained = {
        (side, target): oracle.explain(trace, target)
        for side, trace in zip(("Keras", "torch"), traces, strict=True)
        for target in ("outputs", "gradients")
    }
    return {"comparison": found, "explained": explained}


if __name__ == "__main__":
    show(__doc__, measure)
