"""Comparison of recurrent layers: each convention in which frameworks differ is named and proved."""

import copy

import numpy as np
import pytest

from oracle.comparisons.comparing import compare
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

slow = pytest.mark.slow
UNITS, FEATURES = 5, 6


def _array(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


X = torch.from_numpy(_array(3, 7, FEATURES))
PADDED = X.clone()
PADDED[0, 4:] = 0
PADDED[2, 2:] = 0


def _layer(kind, **options):
    layer = kind(FEATURES, UNITS, batch_first=True, **options)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(0.4 * torch.randn(p.shape, generator=generator))
    return layer


def _changed(layer, change):
    other = copy.deepcopy(layer)
    with torch.no_grad():
        change(other)
    return other


def _gates(layer, order):
    def change(other):
        for p in other.parameters():
            p.copy_(torch.cat([p.chunk(len(order), 0)[k] for k in order], 0))

    return _changed(layer, change)


def _time_first(layer):
    other = copy.deepcopy(layer)
    other.batch_first = False
    return other


class Sequence(nn.Module):
    """The outputs of a recurrent layer, or the last of them."""

    def __init__(self, layer, last=False):
        super().__init__()
        self.layer, self.last = layer, last

    def forward(self, x):
        y = self.layer(x)[0]
        return y[:, -1] if self.last else y


class Packed(Sequence):
    """The same on sequences of other lengths."""

    def forward(self, x):
        rnn = nn.utils.rnn
        packed = rnn.pack_padded_sequence(x, torch.tensor([4, 7, 2]), batch_first=True, enforce_sorted=False)
        y, state = self.layer(packed)
        state = state[0] if isinstance(state, tuple) else state
        return state[-1] if self.last else rnn.pad_packed_sequence(y, batch_first=True)[0]


class Cell(nn.Module):
    """An LSTM, or a GRU, by hand, with its conventions as options."""

    def __init__(self, layer, gates=torch.sigmoid, act=torch.tanh, backward=False, after=True):
        super().__init__()
        self.p = nn.ParameterList([p.detach().clone() for p in layer.parameters()])
        self.gates, self.act, self.backward, self.after = gates, act, backward, after

    def forward(self, x):
        h = c = torch.zeros(x.shape[0], UNITS)
        out = []
        for t in reversed(range(x.shape[1])) if self.backward else range(x.shape[1]):
            h, c = self.step(x[:, t], h, c)
            out.append(h)
        return torch.stack(out[::-1] if self.backward else out, 1)

    def step(self, x, h, c):
        w, u, b, d = self.p
        if len(w) == 4 * UNITS:
            i, f, g, o = (x @ w.T + b + h @ u.T + d).chunk(4, -1)
            c = self.gates(f) * c + self.gates(i) * self.act(g)
            return self.gates(o) * self.act(c), c
        a, k = (x @ w.T + b).chunk(3, -1), (h @ u.T + d).chunk(3, -1)
        r, z = self.gates(a[0] + k[0]), self.gates(a[1] + k[1])
        n = r * k[2] if self.after else (r * h) @ u[2 * UNITS :].T + d[2 * UNITS :]
        return z * h + (1 - z) * self.act(a[2] + n), c


class Split(Cell):
    """A cell with kernels of its own for each gate, or (`joined`) with one on [x, h]; gates taken in `order`."""

    def __init__(self, layer, order=None, joined=False, forget=0.0, **options):
        super().__init__(layer, **options)
        self.count = len(self.p[0]) // UNITS
        parts = [[x.chunk(self.count)[k] for k in order or range(self.count)] for x in self.p]
        w, u, b, d = ([nn.Parameter(x.clone()) for x in part] for part in parts)
        self.joined, self.p = joined, nn.ParameterList()
        if joined:
            b = [nn.Parameter((x + y).detach()) for x, y in zip(b, d, strict=True)]
            w, u, d = [nn.Parameter(torch.cat([torch.cat(w), torch.cat(u)], 1).detach())], [], []
        with torch.no_grad():
            b[1].add_(forget)
        self.w, self.u, self.b, self.d = (nn.ParameterList(x) for x in (w, u, b, d))

    def step(self, x, h, c):
        if self.joined:
            z = (torch.cat([x, h], -1) @ self.w[0].T + torch.cat(list(self.b))).chunk(4, -1)
        else:
            outer = [x @ w.T + b for w, b in zip(self.w, self.b, strict=True)]
            inner = [h @ u.T + d for u, d in zip(self.u, self.d, strict=True)]
            z = [a + k for a, k in zip(outer, inner, strict=True)]
        if self.count == 4:
            c = self.gates(z[1]) * c + self.gates(z[0]) * self.act(z[2])
            return self.gates(z[3]) * self.act(c), c
        r, keep = self.gates(z[0]), self.gates(z[1])
        n = r * inner[2] if self.after else (r * h) @ self.u[2].T + self.d[2]
        return keep * h + (1 - keep) * self.act(outer[2] + n), c


def _zero(layer):
    layer.bias_hh_l0.zero_()


def _twice(layer):
    layer.bias_hh_l0.copy_(layer.bias_ih_l0)


def _exchanged(layer):
    first = layer.bias_ih_l0.clone()
    layer.bias_ih_l0.copy_(layer.bias_hh_l0)
    layer.bias_hh_l0.copy_(first)


def _forget(layer):
    layer.bias_hh_l0[UNITS : 2 * UNITS].add_(1.0)


def _ends(layer, dense):
    def last(x):
        return dense(layer(x)[0][:, -1])

    def both(x):
        state = layer(x)[1]
        state = state[0] if isinstance(state, tuple) else state
        return dense(torch.cat([state[0], state[1]], -1))

    return last, both


def _turned(forward, backward, dense, back):
    def run(x):
        y = backward(x.flip(1))[0]
        return dense(torch.cat([forward(x)[0], y.flip(1) if back else y], -1))

    return run


LSTM, GRU, RNN = (
    (lambda **k: _layer(nn.LSTM, **k)),
    (lambda **k: _layer(nn.GRU, **k)),
    (lambda **k: _layer(nn.RNN, **k)),
)


def _relu():
    layer = nn.RNN(FEATURES, UNITS, batch_first=True, nonlinearity="relu")
    layer.load_state_dict(RNN().state_dict())
    return layer


PAIRS = {
    "gates of an LSTM": ("gate-order", lambda: (Sequence(LSTM()), Sequence(_gates(LSTM(), (0, 2, 1, 3))))),
    "gates, last state": ("gate-order", lambda: (Sequence(LSTM(), True), Sequence(_gates(LSTM(), (3, 2, 1, 0)), True))),
    "gates of a GRU": ("gate-order", lambda: (Sequence(GRU()), Sequence(_gates(GRU(), (1, 0, 2))))),
    "gates of two directions": (
        "gate-order",
        lambda: (Sequence(GRU(bidirectional=True)), Sequence(_gates(GRU(bidirectional=True), (2, 1, 0)))),
    ),
    "gates of two layers": (
        "gate-order",
        lambda: (Sequence(LSTM(num_layers=2)), Sequence(_gates(LSTM(num_layers=2), (0, 2, 1, 3)))),
    ),
    "bias twice": ("double-bias", lambda: (Sequence(_changed(LSTM(), _zero)), Sequence(_changed(LSTM(), _twice)))),
    "bias left out": ("double-bias", lambda: (Sequence(GRU()), Sequence(_changed(GRU(), _zero)))),
    "biases exchanged": ("double-bias", lambda: (Sequence(GRU()), Sequence(_changed(GRU(), _exchanged)))),
    "forget bias": ("forget-bias", lambda: (Sequence(LSTM()), Sequence(_changed(LSTM(), _forget)))),
    "time first, LSTM": ("batch-first", lambda: (Sequence(LSTM()), Sequence(_time_first(LSTM())))),
    "time first, last": ("batch-first", lambda: (Sequence(GRU(), True), Sequence(_time_first(GRU()), True))),
    "time first, RNN": ("batch-first", lambda: (Sequence(RNN()), Sequence(_time_first(RNN())))),
    "time first, two layers": (
        "batch-first",
        lambda: (Sequence(GRU(num_layers=2)), Sequence(_time_first(GRU(num_layers=2)))),
    ),
    "relu for tanh": ("activation-variant", lambda: (Sequence(RNN()), Sequence(_relu()))),
    "hard sigmoid": ("activation-variant", lambda: (Sequence(LSTM()), Cell(LSTM(), gates=F.hardsigmoid))),
    "relu in an LSTM": ("activation-variant", lambda: (Sequence(LSTM()), Cell(LSTM(), act=torch.relu))),
    "read backward": ("reverse-direction", lambda: (Sequence(LSTM()), Cell(LSTM(), backward=True))),
    "reset before": ("reset-after", lambda: (Sequence(GRU()), Cell(GRU(), after=False))),
    "last step of both": ("reverse-direction", lambda: _ends(LSTM(bidirectional=True), nn.Linear(2 * UNITS, 3))),
    "not turned back": (
        "reverse-direction",
        lambda: tuple(_turned(LSTM(), _gates(LSTM(), (1, 0, 2, 3)), DENSE, back) for back in (True, False)),
    ),
    "packed": ("masking", lambda: (Sequence(LSTM()), Packed(LSTM()))),
    "packed, last": ("masking", lambda: (Sequence(GRU(), True), Packed(GRU(), True))),
}
SPLIT = {
    "gates in another order": ("gate-order", lambda: (Split(LSTM()), Split(LSTM(), order=(0, 2, 1, 3)))),
    "gates in another order, joined": (
        "gate-order",
        lambda: (Sequence(LSTM()), Split(LSTM(), order=(0, 2, 1, 3), joined=True)),
    ),
    "forget bias of one gate": ("forget-bias", lambda: (Split(LSTM()), Split(LSTM(), forget=1.0))),
    "forget bias, joined": ("forget-bias", lambda: (Split(LSTM(), joined=True), Split(LSTM(), forget=1.0))),
    "reset before, split": ("reset-after", lambda: (Split(GRU()), Split(GRU(), after=False))),
    "gates of a GRU, split": ("gate-order", lambda: (Split(GRU()), Split(GRU(), order=(1, 0, 2)))),
    "backward, split": ("reverse-direction", lambda: (Split(LSTM()), Split(LSTM(), backward=True))),
    "relu, split": ("activation-variant", lambda: (Split(LSTM()), Split(LSTM(), act=torch.relu))),
}
PAIRS |= SPLIT
DENSE = nn.Linear(2 * UNITS, 3)
SLOW = ("gates, last state", "gates of two layers", "time first, RNN", "relu in an LSTM", "packed, last")


@pytest.mark.parametrize("name", [pytest.param(n, marks=slow) if n in SLOW else n for n in PAIRS])
def test_a_convention_is_named_and_proved(name):
    torch.manual_seed(0)
    code, make = PAIRS[name]
    found = compare(*make(), X, budgets=False)
    assert found.verdict is Meaning.DIFFERENT
    assert [c.code for c in found.causes] == [code]
    assert found.causes[0].residual < 1e-5 * found.causes[0].before
    assert found.causes[0].fix_a
    assert found.causes[0].fix_b


@pytest.mark.parametrize(
    ("cell", "hand"),
    [(LSTM, Cell), (LSTM, Split), (LSTM, lambda layer: Split(layer, joined=True)), (GRU, Cell), (GRU, Split)],
    ids=["lstm", "lstm, split", "lstm, joined", "gru", "gru, split"],
)
def test_a_cell_by_hand_means_the_same(cell, hand):
    found = compare(Sequence(cell()), hand(cell()), X, budgets=False)
    assert found.verdict is Meaning.SAME
    assert found.causes == ()


def test_a_batch_of_another_shape_leaves_no_trace():
    """An edit that exchanges axes runs operations on other shapes; what they mean on the recorded ones stays."""
    compare(*PAIRS["time first, two layers"][1](), X, budgets=False)
    assert compare(Sequence(GRU()), Cell(GRU()), X, budgets=False).verdict is Meaning.SAME


@pytest.mark.parametrize(
    ("make", "codes"),
    [
        (lambda: (Sequence(GRU()), Cell(_gates(GRU(), (1, 0, 2)), after=False)), {"gate-order", "reset-after"}),
        (
            lambda: (Sequence(LSTM()), Split(LSTM(), order=(0, 2, 1, 3), backward=True)),
            {"gate-order", "reverse-direction"},
        ),
    ],
    ids=["reset", "direction"],
)
def test_two_conventions_are_named_together(make, codes):
    found = compare(*make(), X, budgets=False)
    assert {c.code for c in found.causes} == codes
    assert found.causes[-1].residual < 1e-5 * found.causes[0].before


def test_a_training_step_has_the_cause_of_its_forward_pass():
    a, b = Cell(GRU()), Cell(GRU(), after=False)
    target = torch.from_numpy(_array(3, 7, UNITS, seed=5))
    found = compare(a, b, X, train_step=True, loss=F.mse_loss, target=target, budgets=False)
    assert [c.code for c in found.causes] == ["reset-after"]


def test_other_weights_are_no_convention():
    """A cell with random other weights is no permutation, scaling or turning of the first: nothing of it is claimed."""
    torch.manual_seed(9)
    found = compare(Sequence(LSTM()), Sequence(nn.LSTM(FEATURES, UNITS, batch_first=True)), X, budgets=False)
    assert found.verdict is Meaning.DIFFERENT
    conventions = {"gate-order", "double-bias", "forget-bias", "batch-first", "reverse-direction", "masking"}
    assert not conventions & {c.code for c in found.causes}
