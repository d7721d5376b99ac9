"""Question 10: a custom layer with a weight of shape (units,) and matmul(inputs, w): what do the shapes do?"""

from typing import Any

from asking import normal, show

import oracle
from oracle.errors import OracleError


def torch_layer(*shape: int) -> Any:
    """The layer in torch."""
    import torch
    from torch import nn

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.from_numpy(normal(*shape)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.matmul(x, self.w)

    return Own()


def keras_layer(*shape: int) -> Any:
    """The layer in Keras."""
    import keras

    class Own(keras.layers.Layer):
        def build(self, _: Any) -> None:
            self.w = self.add_weight(shape=shape, initializer=lambda s, dtype: normal(*s), name="w")

        def call(self, x: Any) -> Any:
            return keras.ops.matmul(x, self.w)

    return Own()


def measure() -> dict:
    """Three features into a weight of four units, of three units, and of the shape that was meant."""
    rows = [
        {"weight": str(shape), "inputs": "(2, 3)", **{n: outcome(layer(*shape)) for n, layer in LAYERS.items()}}
        for shape in ((4,), (3,), (3, 4))
    ]
    return {"shapes": rows, "both": oracle.compare(keras_layer(3, 4), torch_layer(3, 4), normal(2, 3))}


def outcome(layer: Any) -> str:
    """The shape of the layer's result, or the error in one line."""
    try:
        trace = oracle.record(layer, normal(2, 3), full=True)
    except OracleError as error:
        return str(error).partition("; run it once")[0]
    (output,) = trace.outputs.values()
    return f"result {trace.values[output].shape}"


LAYERS = {"Keras": keras_layer, "torch": torch_layer}

if __name__ == "__main__":
    show(__doc__, measure)
