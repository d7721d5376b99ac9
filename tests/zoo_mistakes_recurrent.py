"""Mistakes in recurrent layers: gates, biases, directions, batch and time, masks."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

from collections.abc import Callable
from typing import Any

import numpy as np
from zoo_compare import carry, chained, functional, gates, randomize, sequences, tokens
from zoo_registry import Mistake, mistake, modules


class _Cell:
    """A torch recurrent layer and a dense one over a chosen part of what it returns."""

    def __new__(cls, cell: Any, size: int = 4, pick: Callable = lambda y: y[0][:, -1], **options: Any) -> Any:
        from torch import nn

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.cell = cell(6, size, **{"batch_first": True, **options})
                self.out = nn.Linear(size * (2 if options.get("bidirectional") else 1), 2)

            def forward(self, x: Any) -> Any:
                return self.out(pick(self.cell(x)))

        return randomize(Net())


def _recurrent(t: Any, layer: Any, change: Callable | None = None, length: int = 5) -> Mistake:
    _, layers, _ = modules()
    x_t, x_k = sequences(length)
    out = layers.Dense(2)
    k = functional(x_k, chained(layer, out))
    carry([(t.cell, layer), (t.out, out)])
    if change is not None:
        layer.set_weights(change(layer.get_weights()))
    return Mistake(t, k, x_t, x_k)


@mistake("gate-order")
def lstm_gates() -> Mistake:
    nn, layers, _ = modules()
    return _recurrent(_Cell(nn.LSTM), layers.LSTM(4),
                      lambda ws: [gates(w.T, (0, 2, 1, 3), 4).T for w in ws])  # fmt: skip


@mistake("gate-order")
def gru_gates() -> Mistake:
    nn, layers, _ = modules()
    return _recurrent(_Cell(nn.GRU), layers.GRU(4), lambda ws: [gates(w.T, (1, 0, 2), 3).T for w in ws])


@mistake("double-bias")
def lstm_bias_twice() -> Mistake:
    import torch

    nn, layers, _ = modules()
    t = _Cell(nn.LSTM)
    m = _recurrent(t, layers.LSTM(4))
    with torch.no_grad():
        bias = torch.from_numpy(m.b.layers[1].get_weights()[2])
        t.cell.bias_ih_l0.copy_(bias)
        t.cell.bias_hh_l0.copy_(bias)
    return m


@mistake("reset-after")
def gru_reset() -> Mistake:
    nn, layers, _ = modules()
    t = _Cell(nn.GRU)
    layer, out = layers.GRU(4, reset_after=False), layers.Dense(2)
    x_t, x_k = sequences()
    k = functional(x_k, chained(layer, out))
    s = {n: v.detach().numpy() for n, v in t.cell.state_dict().items()}
    order = (1, 0, 2)
    ih, hh = (gates(s[n], order, 3).T for n in ("weight_ih_l0", "weight_hh_l0"))
    layer.set_weights([ih, hh, gates(s["bias_ih_l0"] + s["bias_hh_l0"], order, 3)])
    carry([(t.out, out)])
    return Mistake(t, k, x_t, x_k)


@mistake("forget-bias")
def lstm_forget_bias() -> Mistake:
    nn, layers, _ = modules()
    return _recurrent(_Cell(nn.LSTM), layers.LSTM(4),
                      lambda ws: [*ws[:2], ws[2] + np.repeat([0, 1, 0, 0], 4).astype(np.float32)])  # fmt: skip


@mistake("reverse-direction")
def backward_direction_not_turned() -> Mistake:
    import torch

    nn, layers, _ = modules()
    t = _Cell(nn.LSTM, bidirectional=True, pick=lambda y: torch.cat([y[0][..., :4], y[0][..., 4:].flip(1)], -1))
    return _recurrent(t, layers.Bidirectional(layers.LSTM(4, return_sequences=True)))


@mistake("reverse-direction")
def last_step_of_both_directions() -> Mistake:
    nn, layers, _ = modules()
    return _recurrent(_Cell(nn.LSTM, bidirectional=True), layers.Bidirectional(layers.LSTM(4)))


@mistake("reverse-direction")
def runs_backward() -> Mistake:
    nn, layers, _ = modules()
    return _recurrent(_Cell(nn.LSTM), layers.LSTM(4, go_backwards=True))


@mistake("batch-first")
def time_read_as_batch() -> Mistake:
    nn, layers, _ = modules()
    return _recurrent(_Cell(nn.LSTM, batch_first=False, pick=lambda y: y[0]), layers.LSTM(4, return_sequences=True))


@mistake("batch-first")
def last_of_the_batch() -> Mistake:
    nn, layers, _ = modules()
    return _recurrent(_Cell(nn.GRU, batch_first=False, pick=lambda y: y[0][:, -1]), layers.GRU(4))


@mistake("masking")
def padded_steps_processed() -> Mistake:
    nn, layers, _ = modules()
    x_t, x_k = tokens(6)
    x_t[0, 4:] = 0
    x_t[1, 3:] = 0
    x_k = x_t.numpy().astype(np.int32)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e, self.cell, self.out = nn.Embedding(11, 5), nn.LSTM(5, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return self.out(self.cell(self.e(x))[0][:, -1])

    t = randomize(Net())
    e, cell, out = layers.Embedding(11, 5, mask_zero=True), layers.LSTM(4), layers.Dense(2)
    k = functional(x_k, chained(e, cell, out))
    carry([(t.e, e), (t.cell, cell), (t.out, out)])
    return Mistake(t, k, x_t, x_k)
