"""One operation anywhere in a 20-layer model is replaced by a faulty one: it is blamed first, in both passes."""

import numpy as np
import pytest

from oracle.explaining import explain
from oracle.recording import record

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
