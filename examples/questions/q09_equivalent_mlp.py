"""Question 9: is this PyTorch MLP the equivalent of that Keras MLP?"""

import numpy as np
from asking import normal, show

import oracle
from oracle.comparisons.comparison import Comparison

X = normal(32, 784)
LABELS = np.random.default_rng(1).integers(0, 10, 32)


def compare(softmax: bool, eps: float, features: int = 784, hidden: int = 128) -> Comparison:
    """One step of Adam in Keras against torch with the same weights, with or without a softmax layer."""
    import keras
    import torch
    from keras.layers import Dense
    from torch import nn

    keras.utils.set_random_seed(0)
    layers = [Dense(hidden, "relu", name="hidden"), Dense(10, "softmax", name="classes")]
    a = keras.Sequential([keras.Input((features,)), *layers])
    a.compile(keras.optimizers.Adam(), "categorical_crossentropy")
    last = [nn.Softmax(1)] if softmax else []
    b = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 10), *last)
    oracle.port(a, b)
    ours = oracle.record(a, X[:, :features], train_step=True, target=np.eye(10, dtype=np.float32)[LABELS], full=True)
    theirs = oracle.record(
        b, X[:, :features], loss=nn.CrossEntropyLoss(), target=torch.from_numpy(LABELS),
        optimizer=torch.optim.Adam(b.parameters(), eps=eps), full=True,
    )  # fmt: skip
    return oracle.compare(ours, theirs)


def measure() -> dict:
    """The common answer, with softmax and torch's default eps; then with both repaired."""
    repaired = compare(softmax=False, eps=1e-7)
    rows = [
        {"kind": t.kind, "of": t.name_a, "difference": t.difference.norm,
         "semantics": 0.0 if t.same else t.semantics.norm,
         "of its size": t.difference.norm / t.magnitude}
        for t in repaired.targets
    ]  # fmt: skip
    return {"as answered": compare(softmax=True, eps=1e-8), "repaired": repaired, "repaired_targets": rows}


if __name__ == "__main__":
    show(__doc__, measure)
