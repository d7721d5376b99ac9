"""A loss of one's own, mse + alpha * sum|error|: which of its terms makes the error of the loss?"""

from study import Study, keras_policy, normal

import oracle
from oracle.trace import Trace

ALPHA = 0.1
X, Y = normal(32, 8), normal(32, 1, seed=1)


def record_torch(dtype: str) -> Trace:
    """A function of tensors is a loss."""
    import torch
    from torch import nn

    def loss(output, target):
        error = output - target
        return error.square().mean() + ALPHA * error.abs().sum()

    torch.manual_seed(0)
    model = nn.Linear(8, 1).to(getattr(torch, dtype))
    x, y = (torch.from_numpy(a).to(getattr(torch, dtype)) for a in (X, Y))
    return oracle.record(model, x, loss=loss, target=y, full=True)


def record_keras(dtype: str) -> Trace:
    """The same in Keras: a function of (y_true, y_pred), without a work-around."""
    import keras
    from keras import ops

    def loss(target, output):
        error = output - ops.cast(target, output.dtype)
        return ops.mean(ops.square(error)) + ALPHA * ops.sum(ops.absolute(error))

    with keras_policy(dtype):
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, name="dense")])
        return oracle.record(model, X, loss=loss, target=Y, full=True)


STUDY = Study({"torch": record_torch, "keras": record_keras})
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
