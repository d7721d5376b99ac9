"""Question 15: one step of SGD prints loss 1.1234 here and 1.2345 there: what does that mean?"""

from typing import Any

import numpy as np
from asking import show

import oracle
from oracle.trace import Trace


def record_keras(x: np.ndarray, y: np.ndarray) -> tuple[Any, Trace]:
    """A linear model and one step of SGD; the seed is Keras's."""
    import keras

    keras.utils.set_random_seed(42)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="dense")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    start = keras.models.clone_model(model)
    start.set_weights(model.get_weights())
    return start, oracle.record(model, x, train_step=True, target=y, full=True)


def record_torch(x: np.ndarray, y: np.ndarray, weights: Any = None) -> Trace:
    """The same in torch, with the same seed, or with the weights of another model."""
    import torch
    from torch import nn

    torch.manual_seed(42)
    model = nn.Linear(3, 1)
    if weights is not None:
        oracle.port(weights, model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return oracle.record(model, x, loss=nn.MSELoss(), target=y, optimizer=optimizer, full=True)


def measure() -> dict:
    """Each side draws its own data and weights from seed 42; then the same data; then the same weights too."""
    ours, theirs = (np.random.default_rng(42), np.random.RandomState(42))
    mine = tuple(ours.normal(size=s).astype(np.float32) for s in ((16, 3), (16, 1)))
    other = tuple(theirs.normal(size=s).astype(np.float32) for s in ((16, 3), (16, 1)))
    start, a = record_keras(*mine)
    steps = {
        "each its own draws": record_torch(*other),
        "the same data": record_torch(*mine),
        "the same data and weights": record_torch(*mine, weights=start),
    }
    losses = [
        {"run": name, "loss in Keras": float(a.values[a.loss].array), "loss in torch": float(b.values[b.loss].array)}
        for name, b in steps.items()
    ]
    return {"losses": losses, **{name: oracle.compare(a, b) for name, b in steps.items()}}


if __name__ == "__main__":
    show(__doc__, measure)
