"""Recurrent layers: biases, gate orders, the axis of time, the reset gate, the activation."""

import numpy as np
import pytest
from casebook import case, parts, verify

import oracle

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
nn = torch.nn
DRAW = np.random.default_rng(8)
X = DRAW.normal(size=(3, 7, 5)).astype("float32")


class First(nn.Module):
    """The sequence that a recurrent layer returns."""

    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x):
        return self.recurrent(x)[0]


def _lstm(activation="tanh"):
    keras.utils.set_random_seed(3)
    layer = keras.layers.LSTM(6, return_sequences=True, activation=activation)
    layer.build(X.shape)
    kernel, recurrent, bias = layer.get_weights()
    bias = DRAW.normal(0, 0.5, bias.shape).astype("float32")
    layer.set_weights([kernel, recurrent, bias])
    return layer, kernel, recurrent, bias


def _against(make, activation="tanh", batch_first=True):
    """Keras's LSTM against torch's with the weights that `make` makes of Keras's."""
    layer, *weights = _lstm(activation)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    module = nn.LSTM(5, 6, batch_first=batch_first)
    module.load_state_dict(
        {n: torch.from_numpy(np.ascontiguousarray(w)) for n, w in zip(names, make(*weights), strict=True)}
    )
    return oracle.compare(layer, First(module), inputs_a=X, inputs_b=torch.from_numpy(X))


def _moved(a):
    return np.concatenate([np.split(a, 4, -1)[k] for k in (0, 2, 1, 3)], -1)


@case("RNN01", "LSTM with the bias in one place (negative control)")
def right():
    return _against(lambda w, u, b: (w.T, u.T, b, 0 * b))


@case("RNN01", "LSTM with the bias split in two parts (negative control)")
def split():
    return _against(lambda w, u, b: (w.T, u.T, b * np.float32(0.3), b * np.float32(0.7)))


@case("RNN01", "LSTM with the bias in both places", "double-bias")
def twice():
    return _against(lambda w, u, b: (w.T, u.T, b, b))


@case("RNN01", "LSTM without the bias", "double-bias")
def never():
    return _against(lambda w, u, b: (w.T, u.T, 0 * b, 0 * b))


@case("RNN01", "LSTM with gates in another order", "gate-order")
def gates():
    return _against(lambda w, u, b: (_moved(w).T, _moved(u).T, _moved(b), 0 * b))


@case("LOS08", "LSTM without batch_first", "batch-first")
def time_first():
    return _against(lambda w, u, b: (w.T, u.T, b, 0 * b), batch_first=False)


@case("LOS08", "A home-made hard sigmoid for the sigmoid of the head", "activation-variant")
def head():
    torch.manual_seed(2)
    body = nn.Linear(5, 1)
    hard = lambda x: (0.2 * body(x) + 0.5).clamp(0, 1)  # noqa: E731
    return oracle.compare(nn.Sequential(body, nn.Sigmoid()), hard, torch.from_numpy(3 * X), framework="torch")


@case("RNN07", "LSTM(activation='relu') against the tanh of fused kernels", "activation-variant")
def relu():
    return _against(lambda w, u, b: (w.T, u.T, b, 0 * b), activation="relu")


def _gru(order=(1, 0, 2), after=True, swap=False):
    torch.manual_seed(1)
    module = nn.GRU(5, 6, batch_first=True)
    kernel, recurrent, one, two = (
        np.concatenate([np.split(p.detach().numpy(), 3)[k] for k in order]) for p in module.parameters()
    )
    if swap:
        one, two = two, one
    layer = keras.layers.GRU(6, return_sequences=True, reset_after=after)
    layer.build(X.shape)
    layer.set_weights([kernel.T, recurrent.T, np.stack([one, two]) if after else one + two])
    return oracle.compare(First(module), layer, inputs_a=torch.from_numpy(X), inputs_b=X)


@case("RNN02", "GRU with reordered gates (negative control)")
def gru_right():
    return _gru()


@case("RNN02", "GRU with torch's gate order in Keras", "gate-order")
def gru_gates():
    return _gru(order=(0, 1, 2))


@case("RNN02", "GRU with its two biases exchanged", "double-bias", optional=("weights-exchanged",))
def gru_biases():
    return _gru(swap=True)


@case("RNN03", "GRU: the reset gate before the product", "reset-after")
def reset_before():
    return _gru(after=False)


@case("RNN10", "A recurrence of 60 steps summed in two orders (negative control)")
def growth():
    w = torch.from_numpy((DRAW.normal(size=(24, 24)) / 5).astype("float32"))

    def forward(h):
        for _ in range(60):
            h = torch.tanh(h @ w)
        return h

    def backward(h):
        for _ in range(60):
            h = torch.tanh(h.flip(-1) @ w.flip(0))
        return h

    return oracle.compare(forward, backward, torch.from_numpy(DRAW.normal(size=(2, 24)).astype("float32")))


@pytest.mark.parametrize("part", parts(__name__), ids=lambda p: p.name)
def test_the_tool_says_what_it_is(part):
    verify(part)
