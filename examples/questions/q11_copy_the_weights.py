"""Question 11: copying the weights over, with 15 random numbers for a 5-10-1 network that needs 71."""

from typing import Any

import numpy as np
from asking import normal, show

import oracle
from oracle.errors import OracleError


def network() -> Any:
    """5-10-1 in torch."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 10), nn.Sigmoid(), nn.Linear(10, 1))


def measure() -> dict:
    """What a port says of 15 numbers, of 71 in the wrong shapes, of the right arrays, and of the right model."""
    import keras

    target = network()
    before = [p.detach().numpy().copy() for p in target.parameters()]
    refused = [refusal([normal(15)], target), refusal([normal(71)], target)]
    untouched = all(np.array_equal(a, p.detach().numpy()) for a, p in zip(before, target.parameters(), strict=True))
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    source = keras.Sequential([keras.Input((5,)), dense(10, "sigmoid", name="hidden"), dense(1, name="out")])
    unloaded = oracle.compare(source, target, normal(8, 5))
    ported = oracle.port(source, target)
    return {
        "15 numbers": refused[0],
        "71 numbers in one array": refused[1],
        "weights untouched": untouched,
        "before": unloaded,
        "port": ported,
        "after": oracle.compare(source, target, normal(8, 5)),
    }


def refusal(arrays: list[np.ndarray], target: Any) -> str:
    """The port's answer."""
    try:
        return str(oracle.port(arrays, target))
    except OracleError as error:
        return str(error)


if __name__ == "__main__":
    show(__doc__, measure)
