"""Correct ports of attention: encoder, decoder, patches, rotary positions."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

from typing import Any

import numpy as np
from zoo_compare import carry, functional, images, randomize, sequences, tokens
from zoo_registry import Port, modules, port


def _wide() -> tuple[Any, np.ndarray]:
    return sequences(5, 8, 2)


@port
def encoder_block() -> Port:
    """A fused attention module with stacked projections against Keras's separate ones; layer norm after."""
    nn, layers, _ = modules()
    x_t, x_k = _wide()

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.att = nn.MultiheadAttention(8, 2, batch_first=True)
            self.n1, self.n2 = nn.LayerNorm(8, eps=1e-6), nn.LayerNorm(8, eps=1e-6)
            self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 8)

        def forward(self, x: Any) -> Any:
            x = self.n1(x + self.att(x, x, x, need_weights=False)[0])
            return self.n2(x + self.b(self.a(x).relu()))

    t = randomize(Block())
    att, n1, n2 = layers.MultiHeadAttention(2, 4), *(layers.LayerNormalization(epsilon=1e-6) for _ in range(2))
    a, b = layers.Dense(16, activation="relu"), layers.Dense(8)

    def call(x: Any) -> Any:
        x = n1(layers.Add()([x, att(x, x)]))
        return n2(layers.Add()([x, b(a(x))]))

    k = functional(x_k, call)
    carry([(t.att, att), (t.n1, n1), (t.n2, n2), (t.a, a), (t.b, b)])
    return Port(t, k, x_t, x_k)


@port
def decoder_block() -> Port:
    """Causal: fused on one side, a mask of minus infinity on the other."""
    nn, layers, _ = modules()
    x_t, x_k = _wide()

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
            self.n = nn.LayerNorm(8, eps=1e-6)

        def forward(self, x: Any) -> Any:
            q, k, v = (p.unflatten(-1, (2, 4)).transpose(1, 2) for p in self.qkv(self.n(x)).chunk(3, -1))
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return x + self.out(y.transpose(1, 2).flatten(2))

    t = randomize(Block())
    att, n = layers.MultiHeadAttention(2, 4), layers.LayerNormalization(epsilon=1e-6)

    def call(x: Any) -> Any:
        y = n(x)
        return layers.Add()([x, att(y, y, use_causal_mask=True)])

    k = functional(x_k, call)
    carry([(t.n, n)])
    state = {k_: v.detach().numpy() for k_, v in t.state_dict().items()}
    parts = []
    for w, b in zip(np.split(state["qkv.weight"], 3), np.split(state["qkv.bias"], 3), strict=True):
        parts += [w.T.reshape(8, 2, 4), b.reshape(2, 4)]
    att.set_weights([*parts, state["out.weight"].T.reshape(2, 4, 8), state["out.bias"]])
    return Port(t, k, x_t, x_k)


@port
def patch_embedding() -> Port:
    """A strided convolution against a product with unfolded patches; a class token and learned positions."""
    nn, layers, ops = modules()
    x_t, x_k = images(3, 8)

    class Patches(nn.Module):
        def __init__(self) -> None:
            import torch

            super().__init__()
            self.p, self.n, self.h = nn.Conv2d(3, 6, 4, 4), nn.LayerNorm(6, eps=1e-6), nn.Linear(6, 3)
            self.token, self.place = nn.Parameter(torch.zeros(1, 1, 6)), nn.Parameter(torch.zeros(1, 5, 6))

        def forward(self, x: Any) -> Any:
            import torch

            y = self.p(x).flatten(2).transpose(1, 2)
            y = torch.cat([self.token.expand(len(y), -1, -1), y], 1) + self.place
            return self.h(self.n(y)[:, 0] + self.n(y)[:, 1:].mean(1))

    t = randomize(Patches())
    p, n, h = layers.Dense(6), layers.LayerNormalization(epsilon=1e-6), layers.Dense(3)
    token, place = t.token.detach().numpy(), t.place.detach().numpy()

    class Positions(layers.Layer):
        def build(self, shape: Any) -> None:
            self.token = self.add_weight(shape=(1, 1, 6), name="token")
            self.place = self.add_weight(shape=(1, 5, 6), name="place")

        def call(self, x: Any) -> Any:
            first = ops.repeat(self.token, ops.shape(x)[0], axis=0)
            return ops.concatenate([first, x], 1) + self.place

    positions = Positions()

    def call(x: Any) -> Any:
        y = layers.Reshape((2, 4, 2, 12))(x)
        y = layers.Reshape((4, 48))(layers.Permute((1, 3, 2, 4))(y))
        y = n(positions(p(y)))
        return h(y[:, 0] + ops.mean(y[:, 1:], 1))

    k = functional(x_k, call)
    carry([(t.n, n), (t.h, h)])
    p.set_weights([t.p.weight.detach().numpy().transpose(2, 3, 1, 0).reshape(48, 6), t.p.bias.detach().numpy()])
    positions.set_weights([token, place])
    return Port(t, k, x_t, x_k)


@port
def gpt() -> Port:
    """Rotary positions (complex pairs as halves), causal attention, RMS norm, tied output."""
    nn, layers, ops = modules()
    x_t, x_k = tokens(5, 11)
    angles = np.outer(np.arange(5), 10000.0 ** (-np.arange(2) / 2)).astype(np.float32)
    cos, sin = (np.concatenate([f(angles)] * 2, -1) for f in (np.cos, np.sin))

    class GPT(nn.Module):
        def __init__(self) -> None:
            import torch

            super().__init__()
            self.e, self.n = nn.Embedding(11, 8), nn.RMSNorm(8, eps=1e-6)
            self.q, self.k, self.v, self.o = (nn.Linear(8, 8, bias=False) for _ in range(4))
            self.register_buffer("cos_", torch.from_numpy(cos), persistent=False)
            self.register_buffer("sin_", torch.from_numpy(sin), persistent=False)

        def rotated(self, x: Any) -> Any:
            import torch

            a, b = x.chunk(2, -1)
            return x * self.cos_ + torch.cat([-b, a], -1) * self.sin_

        def forward(self, x: Any) -> Any:
            x = self.e(x)
            y = self.n(x)
            q, k, v = (p(y).unflatten(-1, (2, 4)).transpose(1, 2) for p in (self.q, self.k, self.v))
            y = nn.functional.scaled_dot_product_attention(self.rotated(q), self.rotated(k), v, is_causal=True)
            return (x + self.o(y.transpose(1, 2).flatten(2))) @ self.e.weight.T

    t = GPT()
    buffers = t.cos_, t.sin_
    t.cos_, t.sin_ = (b.clone() for b in buffers)
    randomize(t)
    t.cos_, t.sin_ = buffers

    class Tied(layers.Embedding):
        def call(self, x: Any) -> Any:
            return ops.matmul(x, ops.transpose(self.embeddings)) if x.ndim == 3 else super().call(x)

        def compute_output_shape(self, shape: Any) -> Any:
            return (*shape[:-1], 11) if len(shape) == 3 else super().compute_output_shape(shape)

    e, n = Tied(11, 8), layers.RMSNormalization(epsilon=1e-6)
    q, kk, v, o = (layers.Dense(8, use_bias=False) for _ in range(4))

    def rotated(x: Any) -> Any:
        a, b = x[..., :2], x[..., 2:]
        c, s = cos[:, :2][:, None], sin[:, :2][:, None]
        return ops.concatenate([a * c - b * s, b * c + a * s], -1)

    def call(x: Any) -> Any:
        x = e(x)
        y = n(x)
        heads = [ops.reshape(p(y), (-1, 5, 2, 4)) for p in (q, kk, v)]
        scores = ops.einsum("bqhd,bkhd->bhqk", rotated(heads[0]), rotated(heads[1])) / 2.0
        scores = scores + (1 - np.tri(5, dtype=np.float32)) * -1e9
        y = ops.einsum("bhqk,bkhd->bqhd", ops.softmax(scores), heads[2])
        return e(x + o(ops.reshape(y, (-1, 5, 8))))

    k = functional(x_k, call)
    carry([(t.e, e), (t.n, n), (t.q, q), (t.k, kk), (t.v, v), (t.o, o)])
    return Port(t, k, x_t, x_k)
