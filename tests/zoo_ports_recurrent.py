"""Correct ports of recurrent layers."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

from typing import Any

from zoo_compare import carry, chained, functional, randomize, sequences
from zoo_registry import Port, modules, port


class _Last:
    """A torch recurrent layer whose last step is read by a dense layer."""

    def __new__(cls, cell: Any, size: int, **options: Any) -> Any:
        from torch import nn

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.cell, self.out = cell(6, size, batch_first=True, **options), nn.Linear(size, 2)

            def forward(self, x: Any) -> Any:
                return self.out(self.cell(x)[0][:, -1])

        return randomize(Net())


def _recurrent(t: Any, layer: Any) -> Port:
    _, layers, _ = modules()
    x_t, x_k = sequences()
    out = layers.Dense(2)
    k = functional(x_k, chained(layer, out))
    carry([(t.cell, layer), (t.out, out)])
    return Port(t, k, x_t, x_k)


@port
def lstm() -> Port:
    """Two biases on one side, one on the other."""
    nn, layers, _ = modules()
    return _recurrent(_Last(nn.LSTM, 4), layers.LSTM(4))


@port
def gru() -> Port:
    """Gates in another order; reset after the product on both sides."""
    nn, layers, _ = modules()
    return _recurrent(_Last(nn.GRU, 4), layers.GRU(4, reset_after=True))


@port
def simple_rnn() -> Port:
    """The plain recurrence."""
    nn, layers, _ = modules()
    return _recurrent(_Last(nn.RNN, 4), layers.SimpleRNN(4))


@port
def bidirectional_lstm() -> Port:
    """Both directions, every step returned."""
    nn, layers, _ = modules()
    x_t, x_k = sequences()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.out = nn.LSTM(6, 4, batch_first=True, bidirectional=True), nn.Linear(8, 2)

        def forward(self, x: Any) -> Any:
            return self.out(self.cell(x)[0])

    t = randomize(Net())
    cell, out = layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.Dense(2)
    k = functional(x_k, chained(cell, out))
    carry([(t.cell, cell), (t.out, out)])
    return Port(t, k, x_t, x_k)
