"""Precision planning: what is predicted is what running shows, and a sensitive operation is named first."""

import json
import math

import numpy as np
import pytest
import scipy.stats

import oracle
from oracle.commands.cli import _run
from oracle.errors import OracleError
from oracle.networks.network import Network
from oracle.precision.rounded_run import LOW_FORMATS, LowPrecision, low_format, product_operands
from oracle.recordings.recording import record

torch = pytest.importorskip("torch")
nn = torch.nn


def _draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def _mlp():
    layers = [
        nn.Linear(64, 256),
        nn.ReLU(),
        nn.Linear(256, 8),
        nn.Tanh(),
        nn.Linear(8, 64),
        nn.Tanh(),
        nn.Linear(64, 10),
    ]
    return nn.Sequential(*layers), _draw(8, 64)


def _cnn():
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GELU(), nn.AvgPool2d(2), nn.Conv2d(8, 8, 3), nn.Tanh()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(200, 10)), _draw(4, 3, 16, 16)


def _transformer():
    return nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True), _draw(4, 5, 16)


def _square(y):
    return (y**2).mean()


MODELS = {"mlp": _mlp, "cnn": _cnn, "transformer": _transformer}


def _model(name):
    torch.manual_seed(0)
    return MODELS[name]()


class _Cancelling(nn.Module):
    """A large number is added and taken away again: what the addition rounds is all that the result has."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return self.last((self.first(x) + 300.0) - 300.0)


class _Exponential(nn.Module):
    """A softmax without the subtraction of the maximum, of large arguments."""

    def __init__(self, shift):
        super().__init__()
        self.first, self.shift = nn.Linear(8, 8), shift

    def forward(self, x):
        e = torch.exp(self.first(x) + self.shift)
        return e / e.sum(-1, keepdim=True)


@pytest.mark.parametrize(
    ("name", "format"), [("mlp", "bfloat16"), ("mlp", "float16"), ("cnn", "bfloat16"), ("transformer", "bfloat16")]
)
def test_predictions_rank_operations_as_running_does(name, format):
    """A run is one draw of the roundings, a prediction their root mean square: three inputs, three draws."""
    squares = {}
    for seed in range(3):
        model, x = _model(name)
        x = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        found = oracle.plan_precision(model, x, formats=[format], target="gradients", loss=_square, verified=99)[format]
        for n in found.needs:
            squares.setdefault(n.index, []).append((n.predicted**2, n.measured**2))
    predicted, measured = np.sqrt(np.array([np.mean(pairs, 0) for pairs in squares.values()])).T
    assert len(predicted) >= 15
    assert scipy.stats.spearmanr(predicted, measured).statistic > 0.8
    assert np.mean(np.abs(np.log2(measured / predicted)) < 1) > 0.9


@pytest.mark.parametrize("name", MODELS)
def test_predicted_simulated_and_executed_errors_agree(name):
    """The prediction is a root mean square, the simulation the framework's own error but for the order of sums."""
    found = oracle.plan_precision(*_model(name), formats=["bfloat16", "tf32"])
    for plan in found.values():
        assert plan.measured / 2 < plan.predicted < 2 * plan.measured
    bfloat16 = found["bfloat16"]
    assert bfloat16.measured / 1.5 < bfloat16.executed < 1.5 * bfloat16.measured
    assert math.isnan(found["tf32"].executed)
    assert found["tf32"].note


def test_the_sensitive_operation_comes_first_and_keeping_it_helps():
    torch.manual_seed(0)
    plan = oracle.plan_precision(_Cancelling(), _draw(4, 8), formats=["bfloat16"])["bfloat16"]
    assert plan.needs[0].op == "aten.add.Tensor"
    assert plan.needs[0].predicted > 100 * plan.needs[1].predicted
    kept = plan.keep(gain=100)
    assert kept is not None
    assert kept.layers == (plan.needs[0].layer,)
    assert "keeping aten.add.Tensor" in plan.sentence()


def test_an_overflow_of_float16_is_named():
    torch.manual_seed(0)
    found = oracle.plan_precision(_Exponential(11.5), _draw(4, 8), formats=["float16", "bfloat16"])
    plan = found["float16"]
    assert plan.needs[0].op == "aten.exp.default"
    assert plan.needs[0].overflowed
    assert not math.isfinite(plan.measured)
    assert not math.isfinite(plan.executed)
    assert "overflows" in str(plan)
    assert min(k.measured for k in plan.curve) < 0.01
    assert not found["bfloat16"].overflows


def test_a_harmless_overflow_is_not_blamed():
    """The most negative float32 is minus infinity in float16: of a mask that is all the same."""

    def masked(x):
        low = torch.where(torch.arange(8) < 5, 0.0, torch.finfo(torch.float32).min)
        return torch.softmax(x + low, -1)

    plan = oracle.plan_precision(masked, _draw(4, 8), formats=["float16"])["float16"]
    assert plan.overflows
    assert math.isfinite(plan.measured)
    assert "overflows in" not in plan.sentence()


def test_gradients_that_vanish_in_float16_are_counted():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    found = oracle.plan_precision(
        model, _draw(4, 8), formats=["float16"], loss=lambda y: 1e-7 * y.sum(), target="gradients"
    )
    assert sum(n.vanished for n in found["float16"].needs) > 0


def test_what_stays_in_float32_rounds_nothing():
    trace = record(*_model("mlp"), full=True)
    network = Network(trace)
    exact = network.run()
    for low in LOW_FORMATS.values():
        run, made = LowPrecision(network, low).run(kept={n.node.index for n in network.nodes})
        assert not made
        assert all(np.array_equal(run.values[o], exact.values[o]) for o in trace.outputs.values())


def test_tf32_rounds_the_operands_of_products_alone():
    network = Network(record(*_model("mlp"), full=True))
    operands = {n.node.op: product_operands(n.signature) for n in network.nodes}
    assert operands["aten.addmm.default"] == (1, 2)  # not the bias
    assert operands["aten.relu.default"] == ()


@pytest.mark.parametrize("name", ["bfloat16", "float16", "tf32"])
def test_rounding_is_to_the_nearest_of_the_format(name):
    low = low_format(name)
    x = np.random.default_rng(0).normal(size=200)
    y = low.round(x)
    assert np.all(np.abs(y - x) <= low.spacing(x) / 2)
    assert np.array_equal(low.round(y), y)
    assert low.round(np.array([1 + 2.0**-low.precision]))[0] == 1  # halfway, to even


def test_json_frame_and_refusals(tmp_path):
    model, x = _model("mlp")
    plan = oracle.plan_precision(record(model, x, full=True), formats=["bfloat16"])
    data = json.loads(plan.to_json(tmp_path / "p.json"), parse_constant=lambda c: pytest.fail(f"not strict JSON: {c}"))
    assert data["bfloat16"]["executed"] == "nan"
    assert plan["bfloat16"].note == "no live model was run"
    assert len(plan.to_frame()) == len(plan["bfloat16"].needs)
    assert all(len(line) < 160 for line in str(plan).splitlines())
    with pytest.raises(OracleError, match="unknown precision 'int8'"):
        oracle.plan_precision(model, x, formats=["int8"])
    with pytest.raises(OracleError, match="needs inputs"):
        oracle.plan_precision(model)
    with pytest.raises(OracleError, match="no target 'nothing'"):
        oracle.plan_precision(model, x, target="nothing")
    with pytest.raises(OracleError, match="no values wider than bfloat16"):
        oracle.plan_precision(model.bfloat16(), x.bfloat16(), formats=["bfloat16"])


def test_a_model_that_draws_is_not_run_again():
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5))
    plan = oracle.plan_precision(model, _draw(4, 8), formats=["bfloat16"])["bfloat16"]
    assert math.isnan(plan.executed)
    assert "random" in plan.note


def test_the_command_line_plans_a_trace(capsys, tmp_path):
    path = tmp_path / "run.trace"
    oracle.save_trace(record(*_model("mlp"), full=True), path)
    assert _run(["precision", str(path), "--format", "bfloat16", "--json", str(tmp_path / "p.json")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("outputs in bfloat16: error ")
    assert "kept in float32" in said
    assert json.loads((tmp_path / "p.json").read_text())["bfloat16"]["needs"]
    assert _run(["precision", str(path), "--format", "int8"]) == 2
    assert "unknown precision 'int8'" in capsys.readouterr().err
