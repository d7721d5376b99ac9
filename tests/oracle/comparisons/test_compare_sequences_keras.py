"""Comparison of Keras's and JAX's recurrent layers with torch's: ports mean the same, each convention is named."""

import numpy as np
import pytest

from oracle.comparisons.comparing import compare
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")
nn, layers = torch.nn, keras.layers

UNITS, FEATURES, STEPS = 5, 6, 7
X = np.random.default_rng(0).normal(size=(3, STEPS, FEATURES)).astype(np.float32)
PADDED = X.copy()
PADDED[0, 4:] = 0
PADDED[2, 2:] = 0
KEEP, LSTM, GRU = {"return_sequences": True}, (0, 1, 2, 3), (1, 0, 2)


def _weights(gates, biases=1, seed=1):
    generator = np.random.default_rng(seed)
    shapes = (FEATURES, gates * UNITS), (UNITS, gates * UNITS), (2, gates * UNITS) if biases == 2 else (gates * UNITS,)
    return [0.5 * generator.normal(size=s).astype(np.float32) for s in shapes]


def _keras(layer, *weights):
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), *(layer if isinstance(layer, list) else [layer])])
    model.set_weights([w for group in weights for w in group])
    return model


def _blocks(x, order):
    return torch.from_numpy(np.concatenate([np.split(x, len(order), -1)[k] for k in order], -1))


class Torch(nn.Module):
    """A torch layer with Keras's weights, its gates taken in `order`; the last of its outputs, or all."""

    def __init__(self, kind, order, *weights, last=False, second=0.0, batch_first=True):
        super().__init__()
        self.last = last
        self.layer = kind(FEATURES, UNITS, batch_first=batch_first, bidirectional=len(weights) == 2)
        with torch.no_grad():
            for (w, u, b), suffix in zip(weights, ("", "_reverse"), strict=False):
                first, other = b if b.ndim == 2 else (b, second * b)
                parts = (_blocks(w, order).T, _blocks(u, order).T, _blocks(first, order), _blocks(other, order))
                for name, part in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), parts, strict=True):
                    getattr(self.layer, f"{name}_l0{suffix}").copy_(part)

    def forward(self, x):
        y = self.layer(x)[0]
        return y[:, -1] if self.last else y


def _lstm(layer, **options):
    return lambda: (_keras(layer(), _weights(4)), Torch(nn.LSTM, options.pop("order", LSTM), _weights(4), **options))


def _gru(layer, order=GRU, biases=2, **options):
    return lambda: (_keras(layer(), _weights(3, biases)), Torch(nn.GRU, order, _weights(3, biases), **options))


def _both(layer, kind, order, gates, **options):
    biases = 2 if gates == 3 else 1
    weights = _weights(gates, biases), _weights(gates, biases, seed=2)
    return lambda: (_keras(layer(), *weights), Torch(kind, order, *weights, **options))


def _masked(layer):
    return [layers.Masking(), layer]


def _two(**first):
    w, u, b = _weights(4, seed=2)
    return _keras([layers.LSTM(UNITS, **KEEP, **first), layers.LSTM(UNITS, **KEEP)], _weights(4), [w[:UNITS], u, b])


PORTS = {
    "lstm": _lstm(lambda: layers.LSTM(UNITS, **KEEP)),
    "gru": _gru(lambda: layers.GRU(UNITS, **KEEP)),
    "both": _both(lambda: layers.Bidirectional(layers.LSTM(UNITS, **KEEP)), nn.LSTM, LSTM, 4),
}
PAIRS = {
    "gates": ("gate-order", X, _lstm(lambda: layers.LSTM(UNITS, **KEEP), order=(0, 2, 1, 3))),
    "gates of a GRU": ("gate-order", X, _gru(lambda: layers.GRU(UNITS), order=(0, 1, 2), last=True)),
    "bias twice": ("double-bias", X, _lstm(lambda: layers.LSTM(UNITS, **KEEP), second=1.0)),
    "time first": ("batch-first", X, _lstm(lambda: layers.LSTM(UNITS, **KEEP), batch_first=False)),
    "relu": ("activation-variant", X, _lstm(lambda: layers.LSTM(UNITS, activation="relu", **KEEP))),
    "backward": ("reverse-direction", X, _lstm(lambda: layers.LSTM(UNITS, go_backwards=True), last=True)),
    "backward, all outputs": (
        "reverse-direction",
        X,
        _gru(lambda: layers.GRU(UNITS, go_backwards=True, **KEEP)),
    ),
    "first of two backward": ("reverse-direction", X, lambda: (_two(go_backwards=True), _two())),
    "reset before": ("reset-after", X, _gru(lambda: layers.GRU(UNITS, reset_after=False, **KEEP), biases=1)),
    "ends of both": (
        "reverse-direction",
        X,
        _both(lambda: layers.Bidirectional(layers.LSTM(UNITS)), nn.LSTM, LSTM, 4, last=True),
    ),
    "masked": ("masking", PADDED, _lstm(lambda: _masked(layers.LSTM(UNITS)), last=True)),
    "masked GRU": ("masking", PADDED, _gru(lambda: _masked(layers.GRU(UNITS, **KEEP)))),
    "masked both": (
        "masking",
        PADDED,
        _both(lambda: _masked(layers.Bidirectional(layers.LSTM(UNITS, **KEEP))), nn.LSTM, LSTM, 4),
    ),
}
SLOW = ("relu", "masked GRU", "masked both")


def _compare(make, x):
    a, b = make()
    other = torch.from_numpy(x) if isinstance(b, Torch) else x
    return compare(a, b, inputs_a=x, inputs_b=other, budgets=False)


@pytest.mark.parametrize("name", PORTS)
def test_a_port_means_the_same(name):
    assert _compare(PORTS[name], X).verdict is Meaning.SAME


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in PAIRS])
def test_a_convention_is_named_and_proved(name):
    code, x, make = PAIRS[name]
    found = _compare(make, x)
    assert [c.code for c in found.causes] == [code]
    assert found.causes[0].residual < 1e-5 * found.causes[0].before
    assert found.causes[0].fix_a
    assert found.causes[0].fix_b


def _scanned(order):
    jax = pytest.importorskip("jax")
    w, u, b = map(jax.numpy.asarray, _weights(4))

    def run(x):
        def step(state, x):
            h, c = state
            gates = dict(zip(order, jax.numpy.split(x @ w + h @ u + b, 4, -1), strict=True))
            i, f, o = (jax.nn.sigmoid(gates[k]) for k in "ifo")
            c = f * c + i * jax.numpy.tanh(gates["g"])
            h = o * jax.numpy.tanh(c)
            return (h, c), h

        zero = jax.numpy.zeros((len(x), UNITS))
        return jax.lax.scan(step, (zero, zero), x.transpose(1, 0, 2))[1].transpose(1, 0, 2)

    return run, jax.numpy.asarray(X)


@pytest.mark.parametrize(("order", "codes"), [("ifgo", []), ("igfo", ["gate-order"])])
def test_a_scan_in_jax(order, codes):
    run, x = _scanned(order)
    port = Torch(nn.LSTM, LSTM, _weights(4))
    found = compare(run, port, inputs_a=x, inputs_b=torch.from_numpy(X), budgets=False)
    assert [c.code for c in found.causes] == codes
    assert (found.verdict is Meaning.SAME) is not bool(codes)
