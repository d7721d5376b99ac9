"""A layer of one's own with its own weight: x * sigmoid(beta * x), one beta for each feature."""

from study import Study, keras_policy, normal

import oracle
from oracle.trace import Trace

X, Y = normal(32, 8), normal(32, 4, seed=1)


def record_torch(dtype: str) -> Trace:
    """A module with a parameter."""
    import torch
    from torch import nn

    class Swish(nn.Module):
        def __init__(self, features: int) -> None:
            super().__init__()
            self.beta = nn.Parameter(torch.ones(features))

        def forward(self, x):
            return x * torch.sigmoid(self.beta * x)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), Swish(16), nn.Linear(16, 4)).to(getattr(torch, dtype))
    x, y = (torch.from_numpy(a).to(getattr(torch, dtype)) for a in (X, Y))
    return oracle.record(model, x, loss=nn.MSELoss(), target=y, full=True)


def record_keras(dtype: str) -> Trace:
    """A layer with a weight."""
    import keras

    class Swish(keras.layers.Layer):
        def build(self, shape) -> None:
            self.beta = self.add_weight(shape=(shape[-1],), initializer="ones", name="beta")

        def call(self, x):
            return x * keras.ops.sigmoid(self.beta * x)

    with keras_policy(dtype):
        dense = keras.layers.Dense
        model = keras.Sequential(
            [keras.Input((8,)), dense(16, name="first"), Swish(name="swish"), dense(4, name="last")]
        )
        return oracle.record(model, X, loss="mse", target=Y, full=True)


STUDY = Study({"torch": record_torch, "keras": record_keras}, ("outputs", "loss", "gradients"))
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
