"""Small networks around one thing that is wrong."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

from typing import Any

import numpy as np
from zoo_compare import carry, chained, functional, images, randomize, sequences
from zoo_registry import Mistake, modules


def conv_net(middle_t: Any, middle_k: Any, *, train: bool = False, channels: int = 4, size: int = 8) -> Mistake:
    """Convolution, something, convolution; `middle_k` has its own weights carried if it has any."""
    nn, layers, _ = modules()
    x_t, x_k = images(3, size)
    t = randomize(nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), middle_t, nn.Conv2d(channels, 2, 1)))
    t.train(train)
    first, last = layers.Conv2D(channels, 3, padding="same"), layers.Conv2D(2, 1)
    k = functional(x_k, chained(first, middle_k, last))
    carry([(t[0], first), (t[2], last)])
    if list(middle_t.parameters()):
        carry([(middle_t, middle_k)])
    return Mistake(t, k, x_t, x_k)


def dense_net(middle_t: Any, middle_k: Any, size: int = 8) -> Mistake:
    """Dense, something, dense; `middle_k` has its own weights carried if it has any."""
    nn, layers, _ = modules()
    x_t, x_k = sequences(5, 6)
    t = randomize(nn.Sequential(nn.Linear(6, size), middle_t, nn.Linear(size, 3))).eval()
    first, last = layers.Dense(size), layers.Dense(3)
    k = functional(x_k, chained(first, middle_k, last))
    carry([(t[0], first), (t[2], last)])
    if list(middle_t.parameters()):
        carry([(middle_t, middle_k)])
    return Mistake(t, k, x_t, x_k)


def training(m: Mistake) -> Mistake:
    """The same, recorded for a training step."""
    import torch

    y = np.random.default_rng(5).normal(size=tuple(m.a.eval()(m.x_a).shape)).astype(np.float32)
    m.a.train()
    ours = y.transpose(0, 2, 3, 1) if y.ndim == 4 else y
    m.options = {"train_step": True, "target": (torch.from_numpy(y), ours),
                 "loss": (torch.nn.functional.mse_loss, "mean_squared_error")}  # fmt: skip
    return m
