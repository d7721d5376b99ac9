"""Decisions that rounding turns, and singularities between the exact and the recorded run, are contributions apart."""

import numpy as np
import pytest

import oracle

torch = pytest.importorskip("torch")
nn = torch.nn


def _explained(model, x, of, **options):
    trace = oracle.record(model, x, train_step=True, **options)
    return oracle.explain(trace, of, budgets=False)


def _sum(found):
    return sum(n.contribution for n in found.nodes)


def _turned(x):
    """5e-9 at x = 1e-8, where float32 gets -5e-9."""
    return ((x + 1) - 1) - 5e-9


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda x: torch.relu(_turned(x)), "aten.relu.default"),
        (lambda x: torch.where(_turned(x) > 0, 5.0, -5.0) * x, "aten.gt.Scalar"),
        (lambda x: torch.abs(_turned(x)), "aten.abs.default"),
        (lambda x: torch.amax(torch.stack([_turned(x), torch.zeros_like(x)]), 0), "aten.amax.default"),
        (lambda x: torch.clamp(_turned(x), max=0.0), "aten.clamp.default"),
        (lambda x: torch.sign(_turned(x)) * x, "aten.sign.default"),
    ],
)
def test_a_decision_that_rounding_turned_is_counted(function, op):
    found = oracle.explain(oracle.record(function, np.float32([1e-8, 2.0]), framework="torch"), budgets=False)
    assert {n.op: n.flips for n in found.nodes if n.flips}.get(op) == 1
    assert _sum(found) == pytest.approx(found.total, rel=1e-6)


def test_without_a_turned_decision_none_is_counted():
    found = oracle.explain(
        oracle.record(lambda x: torch.relu(_turned(x)), np.float32([1.0, 2.0]), framework="torch"), budgets=False
    )
    assert not any(n.flips for n in found.nodes)


def test_flips_of_a_bfloat16_network_are_counted_and_add_up():
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5))
    model = nn.Sequential(*layers).to(torch.bfloat16)
    x, y = torch.randn(8, 3, 8, 8).bfloat16(), torch.randint(0, 5, (8,))
    found = _explained(model, x, "gradients", target=y, loss=nn.CrossEntropyLoss())
    turned = [n for n in found.nodes if n.flips]
    assert [n.op for n in turned] == [
        "aten.max_pool2d_with_indices.default", "aten.max_pool2d_with_indices_backward.default",
    ]  # fmt: skip
    assert abs(turned[1].jump) > 0.5 * found.total
    assert _sum(found) == pytest.approx(found.total, rel=1e-6)


def test_the_sign_that_adam_takes_of_a_small_gradient_is_a_jump():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(100, 128), nn.ReLU(), nn.Linear(128, 10)).to(torch.bfloat16)
    x, y = torch.randn(32, 100).bfloat16(), torch.randint(0, 10, (32,))
    adam = torch.optim.Adam(model.parameters())
    found = _explained(model, x, "parameters", target=y, loss=nn.CrossEntropyLoss(), optimizer=adam)
    assert sum(abs(n.jump) for n in found.nodes) > 1e-3 * found.total
    assert _sum(found) == pytest.approx(found.total, rel=1e-6)


def test_a_smooth_network_has_no_jumps():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 3)).to(torch.bfloat16)
    x, y = torch.randn(8, 20).bfloat16(), torch.randn(8, 3).bfloat16()
    found = _explained(model, x, "gradients", target=y, loss=nn.MSELoss())
    assert not any(n.jump or n.flips for n in found.nodes)
    assert _sum(found) == pytest.approx(found.total, rel=1e-6)
