"""One operation anywhere in a 20-layer model is replaced by a faulty one: it is blamed first, in both passes."""

import numpy as np
import pytest

from oracle.explanations.explaining import explain
from oracle.recordings.recording import record

torch = pytest.importorskip("torch")

from planted import Planting, deep_model  # noqa: E402 - needs torch


def _trace(phase, place, fault):
    x = torch.randn(4, 3, 12, generator=torch.Generator().manual_seed(1))
    target = torch.randn(4, 3, 12, generator=torch.Generator().manual_seed(2))
    with Planting(phase, place, fault) as planting:
        trace = record(deep_model(), x, loss=torch.nn.MSELoss(), target=target, full=True)
    return trace, planting


@pytest.mark.parametrize("fault", ["1 + 2^-12", pytest.param("bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("phase", "target"), [("forward", "loss"), ("backward", "gradients")])
def test_a_planted_operation_is_blamed_first_wherever_it_is(phase, target, fault):
    _, clean = _trace(phase, -1, fault)
    places = np.random.default_rng(0).choice(clean.candidates, 20, replace=False)
    missed = []
    for place in places:
        trace, planting = _trace(phase, int(place), fault)
        found = explain(trace, target)
        first = found.blame(1)[0]
        if not (first.op == planting.planted and first.phase == phase and first.accused and len(found.accused) == 1):
            missed.append(
                (int(place), planting.planted, [(n.op, n.scope, n.budget_used, n.contribution) for n in found.blame(3)])
            )
    assert not missed


class _InBfloat16(torch.nn.Module):
    """A layer computed in bfloat16 between layers in float32."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer.bfloat16()

    def forward(self, x):
        return self.layer(x.bfloat16()).float()


class _Rounding(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.bfloat16().float()


class _RoundedGradient(torch.nn.Module):
    """A layer whose gradient comes back in bfloat16."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return _Rounding.apply(self.layer(x))


@pytest.mark.parametrize(("wrapper", "target"), [(_InBfloat16, "outputs"), (_RoundedGradient, "gradients")])
@pytest.mark.parametrize("place", [i if i in (3, 16) else pytest.param(i, marks=pytest.mark.slow) for i in range(20)])
def test_a_layer_in_bfloat16_is_blamed_first_wherever_it_is(wrapper, target, place):
    model = deep_model()
    model[place] = wrapper(model[place])
    x = torch.randn(4, 3, 12, generator=torch.Generator().manual_seed(1))
    first = explain(record(model, x, loss=lambda y: (y**2).mean(), full=True), target).blame(1)[0]
    assert first.scope.split(".")[0] == str(place)
    assert first.phase == ("forward" if target == "outputs" else "backward")
