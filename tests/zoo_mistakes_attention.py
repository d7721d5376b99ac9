"""Mistakes in attention: scale, mask, rotary positions."""

# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported
from collections.abc import Callable
from typing import Any

import numpy as np
from zoo_compare import carry, functional, randomize, sequences
from zoo_registry import Mistake, mistake, modules


def _attention(torch_side: Callable, keras_side: Callable) -> Mistake:
    """Projections to q, k, v of four heads of two; either side says what is done with them."""
    nn, layers, ops = modules()
    x_t, x_k = sequences(5, 8, 2)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))

        def forward(self, x: Any) -> Any:
            q, k, v = (p(x).unflatten(-1, (2, 4)).transpose(1, 2) for p in (self.q, self.k, self.v))
            return self.o(torch_side(q, k, v).transpose(1, 2).flatten(2))

    t = randomize(Net())
    q, kk, v, o = (layers.Dense(8) for _ in range(4))

    def call(x: Any) -> Any:
        heads = [ops.transpose(ops.reshape(p(x), (-1, 5, 2, 4)), (0, 2, 1, 3)) for p in (q, kk, v)]
        return o(ops.reshape(ops.transpose(keras_side(*heads), (0, 2, 1, 3)), (-1, 5, 8)))

    k = functional(x_k, call)
    carry([(t.q, q), (t.k, kk), (t.v, v), (t.o, o)])
    return Mistake(t, k, x_t, x_k)


def _scores(q: Any, k: Any, v: Any, scale: float = 0.5, mask: Any = None) -> Any:
    import keras

    scores = keras.ops.matmul(q, keras.ops.transpose(k, (0, 1, 3, 2))) * scale
    return keras.ops.matmul(keras.ops.softmax(scores if mask is None else scores + mask), v)


@mistake("attention-scale")
def unscaled_attention() -> Mistake:
    from torch.nn import functional as f

    return _attention(f.scaled_dot_product_attention, lambda q, k, v: _scores(q, k, v, 1.0))


@mistake("attention-scale")
def scaled_by_the_width() -> Mistake:
    from torch.nn import functional as f

    return _attention(f.scaled_dot_product_attention, lambda q, k, v: _scores(q, k, v, 8**-0.5))


@mistake("attention-mask")
def causal_mask_forgotten() -> Mistake:
    from torch.nn import functional as f

    return _attention(lambda q, k, v: f.scaled_dot_product_attention(q, k, v, is_causal=True), _scores)


@mistake("attention-mask")
def causal_mask_of_keras_alone() -> Mistake:
    from torch.nn import functional as f

    mask = (1 - np.tri(5, dtype=np.float32)) * -1e9
    return _attention(f.scaled_dot_product_attention, lambda q, k, v: _scores(q, k, v, 0.5, mask))


@mistake("attention-mask")
def mask_of_the_other_polarity() -> Mistake:
    import torch
    from torch.nn import functional as f

    allowed = np.tri(5, dtype=bool)
    allowed[:, 4] = True
    allowed[4, 4] = False
    mask = np.where(allowed, 0, -1e9).astype(np.float32)
    return _attention(lambda q, k, v: f.scaled_dot_product_attention(q, k, v, attn_mask=torch.from_numpy(~allowed)),
                      lambda q, k, v: _scores(q, k, v, 0.5, mask))  # fmt: skip


@mistake("rotary-layout")
def rotary_pairs() -> Mistake:
    import keras
    import torch

    angles = np.outer(np.arange(5), [1.0, 0.01]).astype(np.float32)
    cos, sin = np.cos(angles), np.sin(angles)

    def halves(x: Any) -> Any:
        a, b = x[..., :2], x[..., 2:]
        return torch.cat([a * torch.from_numpy(cos) - b * torch.from_numpy(sin),
                          b * torch.from_numpy(cos) + a * torch.from_numpy(sin)], -1)  # fmt: skip

    def pairs(x: Any) -> Any:
        a, b = x[..., ::2], x[..., 1::2]
        turned = keras.ops.stack([a * cos - b * sin, b * cos + a * sin], -1)
        return keras.ops.reshape(turned, (-1, 2, 5, 4))

    def torch_side(q: Any, k: Any, v: Any) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(halves(q), halves(k), v)

    return _attention(torch_side, lambda q, k, v: _scores(pairs(q), pairs(k), v))
