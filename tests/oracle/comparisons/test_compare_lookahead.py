"""Causes that hide each other: adjacent ones, ones that fade before the outputs, and parts of a joint edit."""

import copy

import pytest

from oracle.comparisons.comparing import compare

torch = pytest.importorskip("torch")
nn = torch.nn


def _net():
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 6), nn.GELU(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 4),
        nn.Softmax(-1),
    )  # fmt: skip


def _inputs():
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(0))


def _with(*changes):
    other = copy.deepcopy(_net())
    with torch.no_grad():
        for change in changes:
            change(other)
    return other


def _norm_left_out(net):
    net[1] = nn.Identity()


def _transposed(net):
    net[2].weight.copy_(net[2].weight.T.clone())


def _tanh_gelu(net):
    net[3] = nn.GELU(approximate="tanh")


def _softmax_again(net):
    net.append(nn.Softmax(-1))


def _other_eps(net):
    net[1].eps = 1e-6


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ((_norm_left_out, _transposed), {"missing-node", "kernel-layout"}),
        ((_transposed, _tanh_gelu), {"kernel-layout", "gelu-form"}),
        ((_norm_left_out, _transposed, _tanh_gelu), {"missing-node", "kernel-layout", "gelu-form"}),
    ],
)
def test_adjacent_causes_are_each_named_and_together_proved(changes, codes):
    found = compare(_net(), _with(*changes), _inputs(), budgets=False)
    assert sorted(c.code for c in found.causes) == sorted(codes)
    assert min(c.residual for c in found.causes) < 1e-9


def test_a_setting_whose_effect_another_cause_dwarfs_is_named():
    found = compare(_net(), _with(_other_eps, _softmax_again), _inputs(), budgets=False)
    assert sorted(c.code for c in found.causes) == ["double-softmax", "eps"]


def test_an_operation_in_the_place_of_another_is_not_one_left_out_and_one_too_many():
    def replaced(net):
        class Odd(nn.Module):
            def forward(self, x):
                return torch.sin(3 * x) * torch.cos(x)

        net[5] = Odd()

    found = compare(_net(), _with(replaced), _inputs(), budgets=False)
    assert [c.code for c in found.causes] == ["unknown-semantics"]


def test_it_is_the_look_ahead_that_names_them(monkeypatch):
    monkeypatch.setattr("oracle.comparisons.search.behind", lambda *asked: [])
    found = compare(_net(), _with(_norm_left_out, _transposed), _inputs(), budgets=False)
    assert "kernel-layout" not in {c.code for c in found.causes}
