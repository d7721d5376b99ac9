"""An MLP 784-128-10 with softmax, one step of Adam on categorical cross-entropy: which operation to blame?"""

import numpy as np
from study import Study, keras_policy, normal, recorded

import oracle
from oracle.trace import Trace

X = normal(32, 784)
LABELS = np.random.default_rng(1).integers(0, 10, 32)


def record_torch(dtype: str) -> Trace:
    """CrossEntropyLoss holds the softmax: the network ends with logits."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)).to(getattr(torch, dtype))
    return oracle.record(
        model,
        torch.from_numpy(X).to(getattr(torch, dtype)),
        loss=nn.CrossEntropyLoss(),
        target=torch.from_numpy(LABELS),
        optimizer=torch.optim.Adam(model.parameters(), eps=1e-7),
        full=True,
    )


def record_keras(dtype: str) -> Trace:
    """Dense(10, "softmax") and categorical cross-entropy, on whichever backend Keras runs."""
    import keras
    from keras.layers import Dense

    with keras_policy(dtype):
        model = keras.Sequential(
            [keras.Input((784,)), Dense(128, "relu", name="hidden"), Dense(10, "softmax", name="classes")]
        )
        model.compile(keras.optimizers.Adam(), "categorical_crossentropy")
        one_hot = np.eye(10, dtype=np.float32)[LABELS]
        return oracle.record(model, X, train_step=True, target=one_hot, full=True)


def moved(framework: str, dtype: str) -> int:
    """How many elements of the weights the step has changed."""
    trace = recorded(STUDY.recorders[framework], dtype)
    before, after = ({n: trace.values[i].array for n, i in p.items()} for p in (trace.parameters, trace.updated))
    return sum(int(np.sum(before[n] != after[n])) for n in after)


STUDY = Study({"torch": record_torch, "keras": record_keras}, ("outputs", "loss", "gradients", "parameters"))
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
