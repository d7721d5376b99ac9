"""Models in Keras and torch with the same weights: correct ports, and ports that trusted a default."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from asking import normal

import oracle
from oracle.comparisons.comparison import Comparison


@dataclass(frozen=True)
class Pair:
    """Two models, the inputs of each in its own layout, and whether they are meant to be the same."""

    keras: Any
    torch: Any
    inputs_keras: np.ndarray
    inputs_torch: np.ndarray
    correct: bool

    def compare(self, **options: Any) -> Comparison:
        """The comparison of the two."""
        return oracle.compare(
            self.keras, self.torch, inputs_a=self.inputs_keras, inputs_b=self.inputs_torch, **options
        )  # fmt: skip


def dense(features: int, layer: Callable[..., Any], module: Callable[..., Any], correct: bool) -> Pair:
    """A Keras layer, and the torch module taken for it, between two dense layers."""
    import keras
    from torch import nn

    keras.utils.set_random_seed(0)
    a = keras.Sequential([keras.Input((features,)), keras.layers.Dense(32), layer(), keras.layers.Dense(4)])
    b = nn.Sequential(nn.Linear(features, 32), module(), nn.Linear(32, 4))
    return _ported(a, b, normal(16, features), None, correct)


def image(strides: int, padding: str, eps: float, correct: bool) -> Pair:
    """A convolution with batch norm and relu, pooled to one number for each channel."""
    import keras
    from torch import nn

    layers = keras.layers
    keras.utils.set_random_seed(0)
    a = keras.Sequential(
        [keras.Input((12, 12, 3)), layers.Conv2D(8, 3, strides, padding), layers.BatchNormalization(),
         layers.ReLU(), layers.GlobalAveragePooling2D(), layers.Dense(4)]
    )  # fmt: skip
    b = nn.Sequential(
        nn.Conv2d(3, 8, 3, strides, padding=0 if padding == "valid" else 1), nn.BatchNorm2d(8, eps=eps), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    ).eval()  # fmt: skip
    x = normal(4, 12, 12, 3)
    return _ported(a, b, x, x.transpose(0, 3, 1, 2).copy(), correct)


def sequence() -> Pair:
    """LSTM(10) and Dense(1), the last step."""
    import keras
    import torch
    from torch import nn

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.dense = nn.LSTM(1, 10, batch_first=True), nn.Linear(10, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.dense(self.lstm(x)[0][:, -1])

    keras.utils.set_random_seed(0)
    a = keras.Sequential([keras.Input((10, 1)), keras.layers.LSTM(10), keras.layers.Dense(1)])
    return _ported(a, Last(), normal(4, 10, 1), None, True)


def all_pairs() -> dict[str, Callable[[], Pair]]:
    """Every pair by name."""
    import keras
    from torch import nn

    layers = keras.layers
    return {
        "relu, ported": lambda: dense(784, layers.ReLU, nn.ReLU, True),
        "GELU, ported": lambda: dense(16, lambda: layers.Activation("gelu"), nn.GELU, True),
        "layer norm, eps given": lambda: dense(16, layers.LayerNormalization, lambda: nn.LayerNorm(32, eps=1e-3), True),
        "CNN, NHWC to NCHW, eps given": lambda: image(1, "valid", 1e-3, True),
        "LSTM, ported": sequence,
        "layer norm, defaults": lambda: dense(16, layers.LayerNormalization, lambda: nn.LayerNorm(32), False),
        "LeakyReLU, defaults": lambda: dense(16, layers.LeakyReLU, nn.LeakyReLU, False),
        "GELU against its tanh form": lambda: dense(
            16, lambda: layers.Activation("gelu"), lambda: nn.GELU("tanh"), False
        ),
        "batch norm, defaults": lambda: image(1, "valid", 1e-5, False),
        "'same' with stride 2 as padding=1": lambda: image(2, "same", 1e-3, False),
    }


def _ported(a: Any, b: Any, x: np.ndarray, x_torch: np.ndarray | None, correct: bool) -> Pair:
    oracle.port(a, b)
    return Pair(a, b, x, x if x_torch is None else x_torch, correct)
