"""Sequences of different lengths: a packed sequence in torch, a mask in Keras. Do padded steps contribute error?"""

import numpy as np
from study import Study, keras_policy, normal

import oracle
from oracle.explanations.explanation import Explanation, NodeReport
from oracle.trace import Trace

LENGTHS = (7, 5, 3, 2)
X, Y = normal(4, 10, 3), normal(4, 1, seed=1)
X[np.arange(10)[None, :] >= np.array(LENGTHS)[:, None]] = 0  # padding; the last three steps are padding for all


def record_torch(dtype: str) -> Trace:
    """nn.LSTM on a packed sequence: padded steps are not computed."""
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.dense = nn.LSTM(3, 10, batch_first=True), nn.Linear(10, 1)

        def forward(self, x):
            packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True)
            return self.dense(self.lstm(packed)[1][0][-1])

    torch.manual_seed(0)
    model = Model().to(getattr(torch, dtype))
    x, y = (torch.from_numpy(a).to(getattr(torch, dtype)) for a in (X, Y))
    return oracle.record(model, x, loss=nn.MSELoss(), target=y, full=True)


def record_keras(dtype: str) -> Trace:
    """Masking and LSTM: padded steps are computed, and their results are not used."""
    import keras
    from keras.layers import LSTM, Dense, Masking

    with keras_policy(dtype):
        lstm = LSTM(10, recurrent_initializer="glorot_uniform", name="lstm")
        model = keras.Sequential([keras.Input((10, 3)), Masking(), lstm, Dense(1, name="dense")])
        return oracle.record(model, X, loss="mse", target=Y, full=True)


def layer(node: NodeReport) -> str:
    """The layer of an operation; the cell counts as its layer."""
    return node.scope.partition(".")[0] or "the model"


def computed(found: Explanation, step: int) -> int:
    """How many forward operations ran at time step `step` or later."""
    return sum(n.phase == "forward" and n.time_step is not None and n.time_step >= step for n in found.nodes)


STUDY = Study({"torch": record_torch, "keras": record_keras}, ("outputs", "loss", "gradients"))
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
