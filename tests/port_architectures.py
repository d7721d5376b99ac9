"""Architectures in Keras and in torch for ports: `PAIRS[name]() -> (keras model, torch module, input, axes)`.

`axes` brings the Keras input to torch's layout. Run as a script, on whichever backend KERAS_BACKEND names, it ports
each architecture both ways and prints what `compare` says, one JSON line each.
"""

import json
import sys

import keras
import numpy as np
import torch
from keras import layers
from torch import nn

from oracle.comparisons.comparing import compare
from oracle.ports.porting import port

IMAGE = (0, 3, 1, 2)


def _x(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def _shaken(model):
    """Weights that are nothing like fresh ones: ones and zeros would hide a mistake."""
    generator = np.random.default_rng(1)
    for w in model.weights:
        if "float" in str(w.dtype):
            fresh = generator.normal(size=w.shape).astype("float32") * 0.3
            w.assign(np.abs(fresh) + 0.5 if "variance" in w.name or "gamma" in w.name else fresh)
    return model


def mlp():
    k = keras.Sequential([keras.Input((12,)), layers.Dense(16, activation="relu"), layers.Dense(5)])
    t = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 5))
    return k, t, _x(4, 12), None


def cnn():
    k = keras.Sequential([
        keras.Input((8, 10, 3)), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(),
        layers.MaxPooling2D(2), layers.Conv2D(6, (2, 3)), layers.PReLU(shared_axes=[1, 2]), layers.Flatten(),
        layers.Dense(7), layers.Dense(3),
    ])  # fmt: skip
    t = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4, eps=1e-3), nn.MaxPool2d(2), nn.Conv2d(4, 6, (2, 3)),
        nn.PReLU(6), nn.Flatten(), nn.Linear(24, 7), nn.Linear(7, 3),
    )  # fmt: skip
    return k, t, _x(2, 8, 10, 3), IMAGE


def separable():
    k = keras.Sequential([
        keras.Input((9, 9, 4)), layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.SeparableConv2D(5, 3, use_bias=False), layers.GroupNormalization(5), layers.GlobalAveragePooling2D(),
    ])  # fmt: skip
    t = nn.Sequential(
        nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.Conv2d(8, 5, 1, bias=False),
        nn.GroupNorm(5, 5, eps=1e-3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    return k, t, _x(2, 9, 9, 4), IMAGE


def transposed():
    k = keras.Sequential([
        keras.Input((5, 4, 3)), layers.Conv2DTranspose(6, 3, strides=2), layers.LeakyReLU(negative_slope=0.1),
        layers.Conv2DTranspose(2, 2),
    ])  # fmt: skip
    t = nn.Sequential(nn.ConvTranspose2d(3, 6, 3, stride=2), nn.LeakyReLU(0.1), nn.ConvTranspose2d(6, 2, 2))
    return k, t, _x(2, 5, 4, 3), IMAGE


class Last(nn.Module):
    """The last step of a recurrent layer, then a dense one."""

    def __init__(self, recurrent, head):
        super().__init__()
        self.recurrent, self.head = recurrent, head

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])


def lstm():
    k = keras.Sequential([
        keras.Input((6, 5)), layers.LSTM(7, return_sequences=True), layers.LSTM(7), layers.Dense(2),
    ])  # fmt: skip
    return k, Last(nn.LSTM(5, 7, num_layers=2, batch_first=True), nn.Linear(7, 2)), _x(3, 6, 5), None


def gru():
    k = keras.Sequential([keras.Input((6, 5)), layers.GRU(7), layers.Dense(2)])
    return k, Last(nn.GRU(5, 7, batch_first=True), nn.Linear(7, 2)), _x(3, 6, 5), None


def rnn():
    k = keras.Sequential([keras.Input((6, 5)), layers.SimpleRNN(7), layers.Dense(2)])
    return k, Last(nn.RNN(5, 7, batch_first=True), nn.Linear(7, 2)), _x(3, 6, 5), None


class First(nn.Module):
    """The sequence that a recurrent layer returns."""

    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x):
        return self.recurrent(x)[0]


def bidirectional():
    inner = layers.LSTM(4, return_sequences=True)
    k = keras.Sequential([keras.Input((6, 5)), layers.Bidirectional(inner)])
    return k, First(nn.LSTM(5, 4, batch_first=True, bidirectional=True)), _x(3, 6, 5), None


class Attention(nn.Module):
    """Self-attention with a residual connection, a norm and a perceptron."""

    def __init__(self):
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8, eps=1e-3)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return x + self.down(nn.functional.gelu(self.up(x)))


def attention():
    x = keras.Input((5, 8))
    y = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    z = layers.Dense(8)(layers.Dense(16, activation="gelu")(y))
    return keras.Model(x, y + z), Attention(), _x(2, 5, 8), None


class Residual(nn.Module):
    """Two convolutions and a shortcut; registered in another order than Keras makes them."""

    def __init__(self):
        super().__init__()
        self.shortcut = nn.Conv2d(3, 6, 1, bias=False)
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(6, eps=1e-3), nn.Linear(6, 4)

    def forward(self, x):
        y = self.second(torch.relu(self.first(x)))
        return self.head(self.norm(y + self.shortcut(x)).mean((2, 3)))


def residual():
    x = keras.Input((6, 6, 3))
    y = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    y = layers.Conv2D(6, 3, padding="same")(y)
    y = layers.BatchNormalization()(layers.add([y, layers.Conv2D(6, 1, use_bias=False)(x)]))
    return keras.Model(x, layers.Dense(4)(layers.GlobalAveragePooling2D()(y))), Residual(), _x(2, 6, 6, 3), IMAGE


def sequence():
    k = keras.Sequential([
        keras.Input((12, 3)), layers.Conv1D(4, 3), layers.MaxPooling1D(2), layers.Flatten(), layers.Dense(3),
    ])  # fmt: skip
    t = nn.Sequential(nn.Conv1d(3, 4, 3), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(20, 3))
    return k, t, _x(2, 12, 3), (0, 2, 1)


def volume():
    k = keras.Sequential([keras.Input((4, 5, 4, 2)), layers.Conv3D(3, 2), layers.Flatten(), layers.Dense(3)])
    t = nn.Sequential(nn.Conv3d(2, 3, 2), nn.Flatten(), nn.Linear(3 * 36, 3))
    return k, t, _x(2, 4, 5, 4, 2), (0, 4, 1, 2, 3)


PAIRS = {f.__name__: f for f in (mlp, cnn, separable, transposed, lstm, gru, rnn, bidirectional, attention, residual,
                                 sequence, volume)}  # fmt: skip


def built(name):
    """The two models of an architecture, torch's in inference mode, and their inputs."""
    k, t, x, axes = PAIRS[name]()
    y = torch.from_numpy(np.ascontiguousarray(x if axes is None else x.transpose(axes)))
    return _shaken(k), t.eval(), x, y


def main(names):
    """Port each architecture to torch and back, and compare."""
    for name in names or PAIRS:
        k, t, x, y = built(name)
        before = [np.array(keras.ops.convert_to_numpy(w)) for w in k.weights]
        port(k, t)
        found = compare(k, t, inputs_a=x, inputs_b=y)
        for w in k.weights:
            w.assign(np.zeros(w.shape, "float32"))
        port(t, k)
        after = [keras.ops.convert_to_numpy(w) for w in k.weights]
        back = all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        row = {"name": name, "verdict": str(found.verdict), "causes": [c.code for c in found.causes], "back": back}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
