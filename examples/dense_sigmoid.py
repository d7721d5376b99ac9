"""Dense(10, "sigmoid") and Dense(1): what does the sigmoid add, and what does it damp?"""

from study import Study, keras_policy, normal

import oracle
from oracle.trace import Trace

X, Y = normal(32, 5), normal(32, 1, seed=1)


def record_torch(dtype: str) -> Trace:
    """Forward and backward with mean squared error."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 10), nn.Sigmoid(), nn.Linear(10, 1)).to(getattr(torch, dtype))
    x, y = (torch.from_numpy(a).to(getattr(torch, dtype)) for a in (X, Y))
    return oracle.record(model, x, loss=nn.MSELoss(), target=y, full=True)


def record_keras(dtype: str) -> Trace:
    """The same in Keras."""
    import keras
    from keras.layers import Dense

    with keras_policy(dtype):
        model = keras.Sequential([keras.Input((5,)), Dense(10, "sigmoid", name="hidden"), Dense(1, name="out")])
        return oracle.record(model, X, loss="mse", target=Y, full=True)


STUDY = Study({"torch": record_torch, "keras": record_keras}, ("outputs", "loss", "gradients"))
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
