"""Mistakes in activations, dense layers, embeddings and weights."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

from typing import Any

import numpy as np
from zoo_compare import carry, chained, functional, randomize, tokens
from zoo_registry import Mistake, mistake, modules
from zoo_small import dense_net, training


@mistake("gelu-form")
def gelu_form() -> Mistake:
    nn, layers, ops = modules()
    return dense_net(nn.GELU(), layers.Lambda(ops.gelu))


@mistake("activation-slope")
def leaky_slope() -> Mistake:
    nn, layers, _ = modules()
    return dense_net(nn.LeakyReLU(), layers.LeakyReLU())


@mistake("activation-slope")
def elu_alpha() -> Mistake:
    nn, layers, _ = modules()
    return dense_net(nn.ELU(0.5), layers.ELU())


@mistake("activation-variant")
def hard_swish_for_swish() -> Mistake:
    nn, layers, _ = modules()
    return dense_net(nn.Hardswish(), layers.Activation("swish"))


@mistake("activation-variant")
def relu6_for_relu() -> Mistake:
    nn, layers, _ = modules()
    m = dense_net(nn.ReLU6(), layers.ReLU())
    m.x_a, m.x_b = m.x_a * 8, m.x_b * 8
    return m


@mistake("weights-not-loaded")
def bias_still_zero() -> Mistake:
    nn, layers, _ = modules()
    m = dense_net(nn.ReLU(), layers.ReLU())
    kernel, bias = m.b.layers[1].get_weights()
    m.b.layers[1].set_weights([kernel, 0 * bias])
    return m


@mistake("weights-differ")
def another_checkpoint() -> Mistake:
    nn, layers, _ = modules()
    m = dense_net(nn.ReLU(), layers.ReLU())
    kernel, bias = m.b.layers[3].get_weights()
    m.b.layers[3].set_weights([kernel + 0.01 * np.sin(np.arange(kernel.size)).reshape(kernel.shape), bias])
    return m


@mistake("double-softmax")
def softmax_twice() -> Mistake:
    nn, layers, _ = modules()
    return dense_net(nn.Softmax(-1), chained(layers.Softmax(), layers.Softmax()))


@mistake("softmax-axis")
def softmax_over_the_wrong_axis() -> Mistake:
    nn, layers, _ = modules()
    return dense_net(nn.Softmax(1), layers.Softmax())


@mistake("extra-node")
def forgotten_activation() -> Mistake:
    nn, layers, _ = modules()
    return dense_net(nn.Identity(), layers.ReLU())


@mistake("missing-node")
def forgotten_residual() -> Mistake:
    nn, layers, _ = modules()

    class Residual(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + x.tanh()

    return dense_net(Residual(), layers.Activation("tanh"))


@mistake("embedding-padding")
def padding_row_trained() -> Mistake:
    import torch

    nn, layers, _ = modules()
    x_t, x_k = tokens(5)
    x_t[:, 3:] = 0
    x_k = x_t.numpy().astype(np.int32)
    t = nn.Sequential(randomize(nn.Embedding(11, 4, padding_idx=0)), randomize(nn.Linear(4, 3)))
    e, out = layers.Embedding(11, 4), layers.Dense(3)
    k = functional(x_k, chained(e, out))
    carry([(t[0], e), (t[1], out)])
    m = Mistake(t, k, x_t, x_k)
    y = np.random.default_rng(5).normal(size=(2, 5, 3)).astype(np.float32)
    m.options = {"train_step": True, "target": (torch.from_numpy(y), y),
                 "loss": (torch.nn.functional.mse_loss, "mean_squared_error")}  # fmt: skip
    return m


@mistake("embedding-padding")
def padding_row_zero() -> Mistake:
    m = padding_row_trained()
    m.options = {}
    (weights,) = m.b.layers[1].get_weights()
    weights[0] = 0
    m.b.layers[1].set_weights([weights])
    return m


@mistake("weights-shared")
def untied_head() -> Mistake:
    nn, layers, _ = modules()
    x_t, x_k = tokens(5)

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e, self.m = nn.Embedding(11, 4), nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return self.m(self.e(x)).tanh() @ self.e.weight.T

    t = randomize(Tied())
    e, m, out = layers.Embedding(11, 4), layers.Dense(4, activation="tanh"), layers.Dense(11, use_bias=False)
    k = functional(x_k, chained(e, m, out))
    carry([(t.e, e), (t.m, m)])
    out.set_weights([t.e.weight.detach().numpy().T])
    return training(Mistake(t, k, x_t, x_k))
