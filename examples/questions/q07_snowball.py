"""Question 7: do tiny differences snowball through layers and training steps?"""

from asking import normal, show

import oracle

DEPTHS = (1, 2, 4, 8, 16, 32)
STEPS = (1, 2, 5, 10, 20, 40)


def measure(depths: tuple[int, ...] = DEPTHS, steps: tuple[int, ...] = STEPS) -> dict:
    """Relative error of the outputs by depth, and of the weights by training step, in Keras and torch."""
    return {"depth": [depth(n) for n in depths], "training": [training(n) for n in steps]}


def depth(layers: int) -> dict:
    """A stack of dense layers with tanh: its error, and how much one layer amplifies what it inherits."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(layers)])
    with torch.no_grad():
        for layer in model:
            nn.init.orthogonal_(layer[0].weight)
    found = oracle.explain(oracle.record(model, normal(16, 64), full=True))
    each = [n.condition for n in found.nodes if "addmm" in n.op or "tanh" in n.op]
    by_layer = [a * b for a, b in zip(each[2::2], each[3::2], strict=True)]
    mean = sum(by_layer) / len(by_layer) if by_layer else float("nan")
    return {"layers": layers, "error of the outputs": found.total / found.magnitude, "amplified by a layer": mean}


def training(steps: int) -> dict:
    """An MLP trained by SGD from the same weights on the same batch: errors of the weights, and how far apart."""
    import keras
    import numpy as np
    import torch
    from torch import nn

    x, y = normal(64, 16), normal(64, 1, seed=1)
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    a = keras.Sequential([keras.Input((16,)), dense(32, "tanh"), dense(1)])
    b = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 1))
    oracle.port(a, b)
    a.compile(keras.optimizers.SGD(0.05), "mse")
    optimizer = torch.optim.SGD(b.parameters(), lr=0.05)
    traces = (
        oracle.record(a, x, train_step=True, target=y, steps=steps, full=True),
        oracle.record(b, x, loss=nn.MSELoss(), target=y, optimizer=optimizer, steps=steps, full=True),
    )
    row: dict = {"steps": steps}
    for side, trace in zip(("Keras", "torch"), traces, strict=True):
        found = oracle.explain(trace, "parameters", budgets=False)
        row[f"error of the weights, {side}"] = found.total / found.magnitude
    pairs = zip(a.get_weights(), b.parameters(), strict=True)
    apart = [(w - p.detach().numpy().reshape(w.T.shape).T) for w, p in pairs]
    size = np.sqrt(sum(np.sum(w.astype(np.float64) ** 2) for w in a.get_weights()))
    return {**row, "Keras against torch": float(np.sqrt(sum(np.sum(d.astype(np.float64) ** 2) for d in apart)) / size)}


if __name__ == "__main__":
    show(__doc__, measure)
