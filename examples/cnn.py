"""A small CNN (convolution, batch norm, relu, max pooling, dense), one step of SGD with momentum."""

import numpy as np
from study import Study, keras_policy, normal

import oracle
from oracle.trace import Trace

X = normal(4, 16, 16, 3)
LABELS = np.array([1, 7, 3, 9])


def record_torch(dtype: str) -> Trace:
    """Images are (batch, channel, height, width) in torch."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 10)
    ).to(getattr(torch, dtype))
    return oracle.record(
        model,
        torch.from_numpy(X).permute(0, 3, 1, 2).contiguous().to(getattr(torch, dtype)),
        loss=nn.CrossEntropyLoss(),
        target=torch.from_numpy(LABELS),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        full=True,
    )


def record_keras(dtype: str) -> Trace:
    """Images are (batch, height, width, channel) in Keras."""
    import keras
    from keras import layers

    with keras_policy(dtype):
        model = keras.Sequential(
            [keras.Input((16, 16, 3)), layers.Conv2D(8, 3, name="conv"), layers.BatchNormalization(name="norm"),
             layers.ReLU(), layers.MaxPool2D(), layers.Flatten(), layers.Dense(10, name="dense")]
        )  # fmt: skip
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
        return oracle.record(model, X, train_step=True, target=LABELS, full=True)


STUDY = Study({"torch": record_torch, "keras": record_keras}, ("outputs", "loss", "gradients", "parameters", "buffers"))
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
