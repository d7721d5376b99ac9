"""A linear model, mean squared error, five steps of SGD: does the error of the weights grow from step to step?"""

from study import Study, keras_policy, normal

import oracle
from oracle.trace import Trace

STEPS = 5
X = normal(64, 3)
Y = X @ normal(3, 1, seed=1) + 0.1 * normal(64, 1, seed=2)


def record_torch(dtype: str) -> Trace:
    """Five steps on one batch."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Linear(3, 1).to(getattr(torch, dtype))
    x, y = (torch.from_numpy(a).to(getattr(torch, dtype)) for a in (X, Y))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return oracle.record(model, x, loss=nn.MSELoss(), target=y, optimizer=optimizer, steps=STEPS, full=True)


def record_keras(dtype: str) -> Trace:
    """The same five steps of `fit`."""
    import keras

    with keras_policy(dtype):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="dense")])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        return oracle.record(model, X, train_step=True, target=Y, steps=STEPS, full=True)


STUDY = Study({"torch": record_torch, "keras": record_keras}, ("loss", "gradients", "parameters"))
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
