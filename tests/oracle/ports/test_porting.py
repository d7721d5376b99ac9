"""Ports carry all weights by structure, both ways, on every backend; what does not fit is named and changes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import oracle
from oracle.commands.cli import _run
from oracle.comparisons.comparison import Meaning
from oracle.errors import OracleError

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
nn = torch.nn
SCRIPT = Path(__file__).parents[2] / "port_architectures.py"
QUICK = ("cnn", "gru", "attention")


def _rows(backend, names):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *names], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _all_mean_the_same(rows):
    wrong = [r for r in rows if r["verdict"] != Meaning.SAME or r["causes"] or not r["back"]]
    assert rows
    assert not wrong


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_ported_models_mean_the_same_and_come_back_bit_by_bit(backend):
    _all_mean_the_same(_rows(backend, () if backend == "tensorflow" else QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_architecture_ports_on_every_backend(backend):
    _all_mean_the_same(_rows(backend, ()))


def _zeros(module):
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
    return module


def _dense(*sizes):
    return keras.Sequential([keras.Input((sizes[0],)), *[keras.layers.Dense(n) for n in sizes[1:]]])


def _untouched(module):
    return not any(bool(p.any()) for p in module.parameters())


def test_fifteen_numbers_do_not_fill_a_network_of_71():
    network = _zeros(nn.Sequential(nn.Linear(5, 10), nn.ReLU(), nn.Linear(10, 1)))
    with pytest.raises(OracleError, match=r"71 numbers.*given 15.*0\.weight needs \(10, 5\) = 50 numbers"):
        oracle.port(np.random.default_rng(0).random(15), network)
    assert _untouched(network)


def test_arrays_in_the_order_of_the_target_are_taken():
    network = _zeros(nn.Linear(3, 2))
    oracle.port([np.ones((2, 3), "float32"), np.full(2, 2.0, "float32")], network)
    assert network.bias.tolist() == [2, 2]


def test_a_layer_too_many_is_named_and_nothing_is_loaded():
    target = _zeros(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(2, 2)))
    with pytest.raises(OracleError, match=r"without counterpart in the source: 2 \(dense: 2\.weight \(2, 2\)"):
        oracle.port(_dense(4, 4, 2), target)
    assert _untouched(target)


def test_a_bias_that_the_target_cannot_hold_is_named():
    target = _zeros(nn.Linear(4, 2, bias=False))
    model = _dense(4, 2)
    model.layers[0].bias.assign([1.0, 2.0])
    with pytest.raises(OracleError, match="no bias to hold"):
        oracle.port(model, target)
    assert _untouched(target)


def test_a_missing_bias_becomes_zero_and_is_reported():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, use_bias=False)])
    target = nn.Linear(4, 2)
    report = oracle.port(model, target)
    assert target.bias.tolist() == [0, 0]
    assert "the source has no bias" in str(report)


def test_another_gru_cell_is_refused():
    model = keras.Sequential([keras.Input((6, 5)), keras.layers.GRU(7, reset_after=False)])
    with pytest.raises(OracleError, match="reset_after=True"):
        oracle.port(model, nn.GRU(5, 7))


def test_other_heads_are_refused():
    x = keras.Input((5, 8))
    model = keras.Model(x, keras.layers.MultiHeadAttention(4, 2)(x, x))
    with pytest.raises(OracleError, match="without counterpart"):
        oracle.port(model, nn.MultiheadAttention(8, 2))


class _Scale(keras.layers.Layer):
    def __init__(self, *shape):
        super().__init__()
        self.table = self.add_weight(shape=shape, name="table")

    def call(self, x):
        return x


class _TorchScale(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(shape))


def test_an_unknown_square_array_is_not_guessed():
    with pytest.raises(OracleError, match="cannot be told"):
        oracle.port(_Scale(3, 3), _TorchScale(3, 3))
    target = _TorchScale(4, 3)
    report = oracle.port(_Scale(3, 4), target)
    assert [row.transform for row in report.rows] == ["transposed"]


def test_between_models_of_one_framework_arrays_stay_as_they_are():
    def made():
        return nn.ModuleList([nn.Linear(8, 4), nn.Conv2d(3, 4, 3), nn.GRU(3, 4), nn.MultiheadAttention(8, 2)])

    a, b = made(), made()
    report = oracle.port(a, b)
    assert {row.transform for row in report.rows} == {"as it is"}
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_the_way_back_is_told_as_such():
    x = keras.Input((6, 6, 3))
    layers = keras.layers
    model = keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x))))
    other = nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3), "dense": nn.Linear(4, 2)})
    there, back = oracle.port(model, other), oracle.port(other, model)
    assert [row.transform for row in there.rows] == ["...IO to OI...", "as it is", "transposed", "as it is"]
    assert [row.transform for row in back.rows] == ["OI... to ...IO", "as it is", "transposed", "as it is"]


def test_equal_names_decide_among_equal_layers():
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(4, name="b")(keras.layers.Dense(4, name="a")(x)))
    target = nn.ModuleDict({"b": nn.Linear(4, 4), "a": nn.Linear(4, 4)})
    oracle.port(model, target)
    assert np.array_equal(target["a"].weight.detach().numpy().T, model.get_layer("a").kernel.value.numpy())


def test_a_mapping_decides_where_structure_does_not():
    model, target = _dense(4, 4, 4), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    first, second = (layer.name for layer in model.layers)
    oracle.port(model, target, mapping={"0": second, "1": first})
    assert np.array_equal(target[0].weight.detach().numpy().T, model.layers[1].kernel.value.numpy())
    with pytest.raises(OracleError, match="no layer 'nowhere'"):
        oracle.port(model, target, mapping={"0": "nowhere"})


def test_models_that_cannot_be_ported_are_refused():
    with pytest.raises(OracleError, match="cannot port weights of a int"):
        oracle.port(3, nn.Linear(2, 2))
    with pytest.raises(OracleError, match="no shape yet"):
        oracle.port(_dense(4, 2), nn.LazyLinear(2))


def _flax(seed=0):
    draw = np.random.default_rng(seed)

    def a(*shape):
        return draw.normal(size=shape).astype("float32")

    return {
        "params": {
            "Conv_0": {"kernel": a(3, 3, 2, 4), "bias": a(4)},
            "BatchNorm_0": {"scale": a(4), "bias": a(4)},
            "Dense_0": {"kernel": a(36, 5), "bias": a(5)},
            "Dense_1": {"kernel": a(5, 3), "bias": a(3)},
        },
        "batch_stats": {"BatchNorm_0": {"mean": a(4), "var": abs(a(4)) + 0.5}},
    }


def _flax_apply(tree, x):
    """The network of `_flax` in JAX: convolution, batch norm, flatten, two dense layers."""
    p, s = tree["params"], tree["batch_stats"]["BatchNorm_0"]
    y = jax.lax.conv_general_dilated(
        x, p["Conv_0"]["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    y = y + p["Conv_0"]["bias"]
    y = (y - s["mean"]) / jax.numpy.sqrt(s["var"] + 1e-5) * p["BatchNorm_0"]["scale"] + p["BatchNorm_0"]["bias"]
    y = y.reshape(y.shape[0], -1) @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
    return y @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"]


def test_a_nested_mapping_as_flax_has_it_goes_to_torch_and_back():
    tree = _flax()
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 5), nn.Linear(5, 3)
    ).eval()  # fmt: skip
    oracle.port(tree, network)
    x = np.random.default_rng(3).normal(size=(2, 5, 5, 2)).astype("float32")
    found = oracle.compare(
        lambda x: _flax_apply(tree, x), network, inputs_a=jax.numpy.asarray(x),
        inputs_b=torch.from_numpy(x.transpose(0, 3, 1, 2).copy()),
    )  # fmt: skip
    assert found.verdict is Meaning.SAME
    other = _flax(seed=7)
    oracle.port(network, other)
    same = jax.tree.map(np.array_equal, tree, other)
    assert all(jax.tree.leaves(same))


def test_gates_that_flax_keeps_apart_are_joined():
    draw = np.random.default_rng(0)
    cell = {
        n: {"kernel": draw.normal(size=(5 if n[0] == "i" else 7, 7)).astype("float32")}
        for n in ("ir", "iz", "in", "hr", "hz", "hn")
    }
    for n in ("ir", "iz", "in", "hn"):
        cell[n]["bias"] = draw.normal(size=7).astype("float32")
    network = nn.GRUCell(5, 7)
    oracle.port({"GRUCell_0": cell}, network)
    x, h = (draw.normal(size=(3, n)).astype("float32") for n in (5, 7))

    def gate(k):
        return x @ cell["i" + k]["kernel"] + cell["i" + k]["bias"], h @ cell["h" + k]["kernel"]

    r, z = (1 / (1 + np.exp(-sum(gate(k)))) for k in "rz")
    given, held = gate("n")
    n = np.tanh(given + r * (held + cell["hn"]["bias"]))
    got = network(torch.from_numpy(x), torch.from_numpy(h)).detach().numpy()
    assert np.abs(got - ((1 - z) * n + z * h)).max() < 1e-6
    back = {"cell": {n: {k: np.zeros_like(a) for k, a in d.items()} for n, d in cell.items()}}
    oracle.port(network, back)
    assert all(np.allclose(back["cell"][n][k], cell[n][k]) for n in cell for k in cell[n])


def test_the_report_lists_every_array_of_the_target(tmp_path):
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    report = oracle.port(_dense(4, 3, 2), network)
    assert [row.dst for row in report.rows] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert report.numbers == sum(p.numel() for p in network.parameters())
    report.to_json(tmp_path / "port.json")
    assert json.loads((tmp_path / "port.json").read_text())["numbers"] == report.numbers


FACTORIES = """
import torch

def source():
    torch.manual_seed(0)
    return torch.nn.Linear(4, 3)

def target():
    return torch.nn.Sequential(torch.nn.Linear(4, 3)), torch.zeros(1, 4)

def other():
    return torch.nn.Linear(4, 2)
"""


def test_the_command_ports_and_saves(tmp_path, monkeypatch, capsys):
    (tmp_path / "factories.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert _run(["port", "factories:source", "factories:target", "-o", "w.npz", "--json", "w.json"]) == 0
    assert "0.weight" in capsys.readouterr().out
    saved = np.load(tmp_path / "w.npz")
    assert saved["0.weight"].shape == (3, 4)
    assert json.loads((tmp_path / "w.json").read_text())["numbers"] == 15
    assert _run(["port", "factories:source", "factories:other"]) == 2
    assert "nothing was loaded" in capsys.readouterr().err
