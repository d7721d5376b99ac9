"""LSTM(10) and Dense(1) over ten steps of one feature: the error of each gate at each step.

The torch cell is written gate by gate, so that each gate is a layer of its own; the Keras layer is the usual one, whose
products serve all four gates at once.
"""

from typing import Any

from study import Study, keras_policy, normal

import oracle
from oracle.explanations.explanation import NodeReport
from oracle.trace import Trace

X, Y = normal(4, 10, 1), normal(4, 1, seed=1)
GATES = ("input", "forget", "candidate", "output")


def gated_model() -> Any:
    """A torch model whose cell has its gates as layers."""
    import torch
    from torch import nn

    class GateCell(nn.Module):
        def __init__(self, features: int, units: int) -> None:
            super().__init__()
            self.input, self.forget, self.candidate, self.output = (
                nn.Sequential(nn.Linear(features + units, units), nn.Tanh() if gate == "candidate" else nn.Sigmoid())
                for gate in GATES
            )

        def forward(self, x, h, c):
            joined = torch.cat([x, h], -1)
            c = self.forget(joined) * c + self.input(joined) * self.candidate(joined)
            return self.output(joined) * torch.tanh(c), c

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.dense = GateCell(1, 10), nn.Linear(10, 1)

        def forward(self, x):
            h = c = x.new_zeros(len(x), 10)
            for step in range(x.shape[1]):
                h, c = self.cell(x[:, step], h, c)
            return self.dense(h)

    torch.manual_seed(0)
    return Model()


def record_torch(dtype: str) -> Trace:
    """The cell is called once for each step."""
    import torch
    from torch import nn

    model = gated_model().to(getattr(torch, dtype))
    x, y = (torch.from_numpy(a).to(getattr(torch, dtype)) for a in (X, Y))
    return oracle.record(model, x, loss=nn.MSELoss(), target=y, full=True)


def record_keras(dtype: str) -> Trace:
    """keras.layers.LSTM; the default orthogonal initializer has no bfloat16 kernel."""
    import keras
    from keras.layers import LSTM, Dense

    with keras_policy(dtype):
        lstm = LSTM(10, recurrent_initializer="glorot_uniform", name="lstm")
        model = keras.Sequential([keras.Input((10, 1)), lstm, Dense(1, name="dense")])
        return oracle.record(model, X, loss="mse", target=Y, full=True)


def gate(node: NodeReport) -> str:
    """The gate that an operation of the torch cell belongs to, the cell's own arithmetic, or the layer."""
    return next((g for g in GATES if f"cell.{g}" in node.scope), node.scope or "the model")


def operation(node: NodeReport) -> str:
    """An operation of the Keras cell by its name, an operation outside by its layer."""
    return node.op if "cell" in node.scope else node.scope or "the model"


STUDY = Study({"torch": record_torch, "keras": record_keras}, ("outputs", "loss", "gradients"))
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
