"""Both models draw random numbers: other draws are one cause, and named as that."""

import copy

import pytest

from oracle.comparisons.comparing import compare

torch = pytest.importorskip("torch")
nn = torch.nn


def _net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(0.4), nn.Linear(16, 16), nn.Dropout(0.1)).train()


def _inputs():
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def test_other_draws_are_named():
    net = _net()
    found = compare(net, net, _inputs())
    assert found.codes == ("random-draws",)
    (cause,) = found.causes
    assert cause.residual == 0
    assert "seed" in cause.fix


def test_another_rate_is_a_cause_of_its_own():
    net = _net()
    other = copy.deepcopy(net)
    other[2].p = 0.6
    found = compare(net, other, _inputs())
    assert found.codes[0] == "random-draws"
    assert found.causes[1].detail == "b: 0.6 in A, 0.4 in B"
    assert found.causes[1].residual == 0


def test_dropout_on_one_side_is_no_other_draw():
    net = _net()
    assert compare(copy.deepcopy(net).eval(), net, _inputs()).codes == ("dropout-active",)


def test_other_draws_do_not_hide_another_cause():
    net = _net()
    other = copy.deepcopy(net)
    other[1] = nn.SiLU()
    assert set(compare(net, other, _inputs()).codes) == {"random-draws", "activation-variant"}
