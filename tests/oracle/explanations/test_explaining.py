"""Explanation: contributions sum to the total, a planted operation is blamed first, nothing correct is accused."""

import json

import numpy as np
import pytest

from oracle.errors import OracleError
from oracle.explanations.explaining import explain
from oracle.recordings.recording import record

torch = pytest.importorskip("torch")
nn = torch.nn


def _inputs(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def _mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10), nn.Softmax(-1))


def _cnn():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 10)
    )


class _Bfloat16Linear(nn.Linear):
    """A planted fault: the product in bfloat16."""

    def forward(self, x):
        return super().forward(x).bfloat16().float()


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_contributions_sum_to_the_total(model):
    net, x = (_mlp(), _inputs(8, 784)) if model == "mlp" else (_cnn(), _inputs(2, 3, 16, 16))
    found = explain(record(net, x, full=True))
    total = sum(n.contribution for n in found.nodes)
    assert total == pytest.approx(found.total, rel=1e-6)
    assert abs(found.remainder) <= 1e-6 * abs(found.total)
    assert found.completeness < 1e-12
    assert not found.accused
    assert not found.missing


@pytest.mark.parametrize("target", ["loss", "gradients", "parameters"])
def test_a_training_step_is_explained_backward_too(target):
    net = _cnn()
    labels = torch.tensor([1, 7])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    trace = record(
        net, _inputs(2, 3, 16, 16), loss=nn.CrossEntropyLoss(), target=labels, optimizer=optimizer, full=True
    )
    found = explain(trace, target)
    assert sum(n.contribution for n in found.nodes) == pytest.approx(found.total, rel=1e-5)
    assert {n.phase for n in found.nodes} == {"forward", "backward", "optimizer"}
    assert not found.accused


def test_what_the_quadrature_cannot_reach_is_a_jump():
    """Adam's first step is the gradient's sign; where the true gradient is zero rounding decides it, all at once."""
    net = _cnn()
    optimizer = torch.optim.Adam(net.parameters())
    labels = torch.tensor([1, 7])
    trace = record(
        net, _inputs(2, 3, 16, 16), loss=nn.CrossEntropyLoss(), target=labels, optimizer=optimizer, full=True
    )
    found = explain(trace, "parameters")
    assert sum(n.contribution for n in found.nodes) == pytest.approx(found.total, rel=1e-6)
    assert sum(abs(n.jump) for n in found.nodes) > 1e-6 * found.total


@pytest.mark.parametrize("place", [0, 7, 19])
def test_a_bfloat16_layer_is_blamed_first(place):
    torch.manual_seed(0)
    layers = [(_Bfloat16Linear if i == place else nn.Linear)(32, 32) for i in range(20)]
    for layer in layers:  # neither shrinking nor growing what passes through, so that a fault matters wherever it is
        nn.init.orthogonal_(layer.weight)
    net = nn.Sequential(*[nn.Sequential(layer, nn.LeakyReLU(0.8)) for layer in layers])
    found = explain(record(net, _inputs(4, 32), full=True))
    assert found.blame(1)[0].scope.startswith(f"{place}.0")


def test_a_tampered_result_is_accused():
    """One product's value is scaled by 1 + 2^-12, as if its kernel had done it: that node alone is accused."""
    import dataclasses  # noqa: PLC0415 - used here only

    trace = record(nn.Sequential(nn.Linear(32, 32)), _inputs(4, 32), full=True)
    node = next(n for n in trace.nodes if "addmm" in n.op)
    (out,) = node.outputs
    value = trace.values[out]
    scaled = dataclasses.replace(value, array=(value.array * np.float32(1 + 2.0**-12)).astype(np.float32))
    found = explain(dataclasses.replace(trace, values={**trace.values, out: scaled}))
    assert [n.op for n in found.accused] == [node.op]


def test_json_is_strict_and_frames_have_a_row_for_each_node(tmp_path):
    found = explain(record(_mlp(), _inputs(2, 784), full=True))
    json.loads(found.to_json(tmp_path / "e.json"), parse_constant=lambda c: pytest.fail(f"not strict JSON: {c}"))
    assert len(found.to_frame()) == len(found.nodes)
    page = found.to_html(tmp_path / "e.html").read_text()
    assert "Who made the error" in page
    assert "<table>" in found._repr_html_()


def test_unknown_targets_and_statistics_only_traces_are_refused():
    with pytest.raises(OracleError, match="no target 'nothing'"):
        explain(record(_mlp(), _inputs(2, 784), full=True), "nothing")
    with pytest.raises(OracleError, match="full"):
        explain(record(_mlp(), _inputs(2, 784), full=False))
