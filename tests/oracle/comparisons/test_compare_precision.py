"""Two models of one meaning: rounding alone, or an operation beyond its budget whose error is told by its look."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from oracle.comparisons.comparing import compare, compare_traces
from oracle.comparisons.comparison import Meaning
from oracle.recordings.recording import record
from oracle.recordings.tracefile import save_trace

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional


def _inputs(*shape, scale=1.0):
    return scale * torch.randn(*(shape or (16, 32)), generator=torch.Generator().manual_seed(0))


def _faulty(trace, op, kernel):
    """The recording, with the first result of `op` as the faulty kernel makes it."""
    node = next(n for n in trace.nodes if op in n.op)
    arrays = {i: v.array for i, v in trace.values.items()}
    made = kernel(node.arguments(arrays)[0], arrays[node.outputs[0]]).astype(np.float32)
    value = dataclasses.replace(trace.values[node.outputs[0]], array=made)
    return dataclasses.replace(trace, values={**trace.values, node.outputs[0]: value})


def _tf32(x):
    bits = np.ascontiguousarray(x).view(np.int32)
    return ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(np.float32)


def _bfloat16(x):
    return torch.from_numpy(np.array(x)).bfloat16()


KERNELS = {
    "tf32": lambda args, y: args[0] + _tf32(args[1]) @ _tf32(args[2]),
    "accumulation-precision": lambda args, y: args[0] + (_bfloat16(args[1]) @ _bfloat16(args[2])).float().numpy(),
    "kernel-inaccuracy": lambda args, y: y * np.float32(1.001),
    "nonfinite-result": lambda args, y: np.where(y > 1, np.float32("nan"), y),
}


@pytest.mark.parametrize("code", KERNELS)
def test_a_faulty_kernel_is_told_by_its_error(code):
    torch.manual_seed(0)
    honest = record(nn.Linear(32, 16), _inputs(), full=True)
    found = compare_traces(honest, _faulty(honest, "addmm", KERNELS[code]))
    assert found.verdict is Meaning.SAME_BEYOND_BUDGET
    assert [o.code for o in found.accused] == [code]
    assert [o.side for o in found.accused] == ["B"]
    (cause,) = found.causes
    assert cause.code == code
    assert cause.share > 0.99
    assert cause.node_b
    assert not cause.node_a


def test_lost_subnormals_are_told():
    honest = record(lambda x: x * 1e-12, _inputs(scale=1e-30), full=True)
    found = compare_traces(honest, _faulty(honest, "mul", lambda _, y: np.where(np.abs(y) < 2.0**-126, 0, y)))
    assert found.codes == ("flush-to-zero",)


UNSTABLE = {
    "softplus": (functional.softplus, lambda x: torch.log(1 + torch.exp(x)), _inputs() - 9),
    "variance": (lambda x: x.var(1, correction=0), lambda x: (x * x).mean(1) - x.mean(1) ** 2, _inputs() + 100),
    "overflow": (lambda x: torch.logsumexp(x, 1), lambda x: torch.log(torch.exp(x).sum(1)), _inputs(scale=60)),
}
STABLE = {
    "softplus": (functional.softplus, lambda x: torch.log1p(torch.exp(x)), _inputs()),
    "variance": (
        lambda x: x.var(1, correction=0),
        lambda x: ((x - x.mean(1, keepdim=True)) ** 2).mean(1),
        _inputs() + 100,
    ),
    "shifted": (
        lambda x: torch.logsumexp(x, 1),
        lambda x: torch.log(torch.exp(x - x.amax(1, keepdim=True)).sum(1)) + x.amax(1),
        _inputs(scale=60),
    ),
    "log of softmax": (lambda x: functional.log_softmax(x, 1), lambda x: functional.softmax(x, 1).log(), _inputs()),
    "layer norm": (
        lambda x: functional.layer_norm(x, (32,)),
        lambda x: (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, correction=0, keepdim=True) + 1e-5),
        _inputs(),
    ),
}


@pytest.mark.parametrize("name", UNSTABLE)
def test_a_formula_that_cancels_or_overflows_is_a_finding(name):
    found = compare(*UNSTABLE[name])
    assert found.verdict is Meaning.SAME_BEYOND_BUDGET
    assert found.codes == ("numerically-unstable-formula",)


@pytest.mark.parametrize("name", STABLE)
def test_another_honest_formula_is_rounding_alone(name):
    found = compare(*STABLE[name])
    assert found.verdict is Meaning.SAME
    assert found.causes == ()
    assert found.codes == ("rounding-only",)


def test_a_useless_cast_is_a_finding():
    found = compare(lambda x: x.tanh() * 2, lambda x: x.tanh().bfloat16().float() * 2, _inputs())
    assert found.codes == ("reduced-precision",)


class _Backward(torch.autograd.Function):
    """The identity whose gradient is changed."""

    @staticmethod
    def forward(ctx, x, change):
        ctx.change = change
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return ctx.change(gradient), None


class _Changed(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return _Backward.apply(x, self.change)


CHANGES = (lambda g: g * 1.001, lambda g: g.bfloat16().float())


def _trained(seed, change):
    torch.manual_seed(seed)
    width = 8 + seed
    layers = [nn.Linear(12, width), nn.LayerNorm(width), nn.GELU(), nn.Linear(width, width), nn.Tanh()]
    if change is not None:
        layers.insert(1 + seed % 5, _Changed(change))
    return nn.Sequential(*layers, nn.Linear(width, 4))


def _step(seed, change):
    labels = torch.arange(10) % 4
    return compare(
        _trained(seed, None),
        _trained(seed, change),
        torch.randn(10, 12, generator=torch.Generator().manual_seed(seed)),
        train_step=True,
        loss=functional.cross_entropy,
        target=labels,
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_gradient_wrong_by_a_thousandth_is_caught(seed):
    found = _step(seed, CHANGES[seed % 2])
    assert found.verdict is not Meaning.SAME
    if seed % 2 == 0:
        assert found.codes == ("wrong-gradient",)
    else:
        assert "reduced-precision" in found.codes


@pytest.mark.parametrize("seed", range(20))
def test_a_right_gradient_is_not_accused(seed):
    assert _step(seed, lambda g: g.clone()).verdict is Meaning.SAME


def test_two_traces_are_compared_without_a_framework(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    save_trace(record(model, images, full=True), tmp_path / "a.trace")
    model[1].eps = 1e-2
    save_trace(record(model, images, full=True), tmp_path / "b.trace")
    code = (
        "import sys, oracle; found = oracle.compare('a.trace', 'b.trace')\n"
        "print(*found.codes, *({'torch', 'tensorflow', 'keras'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["eps"]
