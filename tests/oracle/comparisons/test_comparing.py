"""Comparison: planted causes are named and proved, correct ports mean the same, and the search can fail."""

import copy

import numpy as np
import pytest

from oracle.comparisons.comparing import compare
from oracle.comparisons.comparison import Meaning
from oracle.errors import OracleError

torch = pytest.importorskip("torch")
nn = torch.nn


def _net(*last, eps=1e-5, activation=None):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(32, 64), nn.LayerNorm(64, eps=eps), activation or nn.GELU(), nn.Linear(64, 10), *last
    )


def _inputs():
    return torch.randn(16, 32, generator=torch.Generator().manual_seed(0))


def _changed(model, change):
    other = copy.deepcopy(model)
    with torch.no_grad():
        change(other)
    return other


class _Std(nn.Module):
    def __init__(self, correction):
        super().__init__()
        self.linear, self.correction = nn.Linear(32, 16), correction

    def forward(self, x):
        x = self.linear(x)
        return (x - x.mean(-1, keepdim=True)) / x.std(-1, correction=self.correction, keepdim=True)


class _Flatten(nn.Module):
    def __init__(self, channels_last):
        super().__init__()
        self.conv, self.dense, self.channels_last = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 5), channels_last

    def forward(self, x):
        x = self.conv(x).relu()
        return self.dense((x.permute(0, 2, 3, 1) if self.channels_last else x).flatten(1))


def _std_pair():
    torch.manual_seed(2)
    a, b = _Std(0), _Std(1)
    b.load_state_dict(a.state_dict())
    return a, b


def _flatten_pair():
    torch.manual_seed(3)
    a, b = _Flatten(False), _Flatten(True)
    b.load_state_dict(a.state_dict())
    return a, b


def _square():
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))


PLANTED = {
    "eps": lambda: (_net(), _net(eps=1e-3)),
    "double-softmax": lambda: (_net(nn.Softmax(-1)), _net(nn.Softmax(-1), nn.Softmax(-1))),
    "gelu-form": lambda: (_net(), _net(activation=nn.GELU(approximate="tanh"))),
    "activation-slope": lambda: (_net(activation=nn.LeakyReLU(0.01)), _net(activation=nn.LeakyReLU(0.3))),
    "activation-variant": lambda: (_net(activation=nn.Hardsigmoid()), _net(activation=nn.Sigmoid())),
    "variance-ddof": _std_pair,
    "kernel-layout": lambda: (_square(), _changed(_square(), lambda m: m[0].weight.copy_(m[0].weight.T.clone()))),
    "weights-differ": lambda: (_square(), _changed(_square(), lambda m: m[0].weight.mul_(1.01))),
}


@pytest.mark.parametrize("code", PLANTED)
def test_planted_cause_is_named_and_proved(code):
    a, b = PLANTED[code]()
    found = compare(a, b, _inputs())
    assert found.verdict is Meaning.DIFFERENT
    assert [c.code for c in found.causes] == [code]
    (cause,) = found.causes
    assert cause.share == pytest.approx(1, abs=1e-6)
    assert cause.residual < 1e-5 * cause.before
    assert cause.fix


def test_flatten_order_is_named():
    a, b = _flatten_pair()
    found = compare(a, b, torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert [c.code for c in found.causes] == ["flatten-order"]


def test_two_causes_are_peeled_one_after_another():
    found = compare(_net(nn.Softmax(-1)), _net(nn.Softmax(-1), nn.Softmax(-1), eps=1e-3), _inputs())
    assert {c.code for c in found.causes} == {"eps", "double-softmax"}
    assert found.causes[-1].residual == 0


def test_the_same_model_means_the_same():
    found = compare(_net(), _net(), _inputs())
    assert found.verdict is Meaning.SAME
    assert found.causes == ()
    assert found.exit_code == 0


def test_a_correct_port_in_another_layout_means_the_same():
    torch.manual_seed(5)
    dense = nn.Linear(32, 8)
    weight, bias = dense.weight.detach().T.contiguous(), dense.bias.detach()

    def by_hand(x):
        return torch.matmul(x, weight) + bias

    found = compare(dense, by_hand, _inputs())
    assert found.verdict is Meaning.SAME


def test_the_identity_holds_to_the_last_digit():
    found = compare(_net(), _net(eps=1e-3), _inputs())
    (target,) = found.targets
    parts = target.semantics.worst
    assert target.difference.norm <= target.semantics.norm + target.rounding_a.norm + target.rounding_b.norm
    assert np.isfinite(parts)


def test_an_unknown_difference_is_localised_not_guessed():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.sin(3 * x) * torch.cos(x)

    found = compare(_net(), _net(activation=Odd()), _inputs())
    assert found.verdict is Meaning.DIFFERENT
    (cause,) = found.causes
    assert cause.code == "unknown-semantics"
    assert "gelu(" in cause.detail
    assert "sin(" in cause.detail
    assert "cos(" in cause.detail


def test_models_without_a_common_output_are_refused():
    with pytest.raises(OracleError, match="counterpart"):
        compare(nn.Linear(32, 3), nn.Linear(32, 4), _inputs())


def test_missing_inputs_are_asked_for():
    with pytest.raises(OracleError, match="inputs"):
        compare(_net(), _net())


def test_small_networks_are_compared_with_one_thread(monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    seen = []

    def looked(*_):
        seen.append({p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"})
        return []

    monkeypatch.setattr("oracle.comparisons.comparing.accuse", looked)
    compare(_net(), _net(), _inputs())
    assert seen
    assert all(threads == {1} for threads in seen)
