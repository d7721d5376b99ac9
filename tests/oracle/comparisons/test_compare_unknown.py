"""Comparison where no cause has a name: the place, both formulas, and what follows still told apart."""

import copy

import pytest

from oracle.comparisons.comparing import compare
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional


class _Odd(nn.Module):
    def forward(self, x):
        return torch.sin(3 * x) * torch.cos(x)


def _net():
    torch.manual_seed(1)
    layers = [m for _ in range(3) for m in (nn.Linear(16, 16), nn.LayerNorm(16), nn.GELU())]
    return nn.Sequential(*layers, nn.Linear(16, 5))


def _with(**changed):
    other = copy.deepcopy(_net())
    for place, module in changed.items():
        other[int(place.removeprefix("at"))] = module
    return other


def _inputs(*shape):
    return torch.randn(*(shape or (8, 16)), generator=torch.Generator().manual_seed(0))


def _codes(found):
    return [c.code for c in found.causes]


@pytest.mark.parametrize("place", [2, 5, 8])
def test_the_place_is_found_and_both_formulas_are_shown(place):
    found = compare(_net(), _with(**{f"at{place}": _Odd()}), _inputs())
    (cause,) = found.causes
    assert cause.code == "unknown-semantics"
    assert cause.residual == 0
    assert f" in {place} " in cause.node_a
    assert "gelu(" in cause.detail
    assert "sin(" in cause.detail


def test_a_named_cause_after_an_unknown_one_keeps_its_name():
    found = compare(_net(), _with(at2=_Odd(), at7=nn.LayerNorm(16, eps=1e-2)), _inputs())
    assert _codes(found) == ["unknown-semantics", "eps"]


def test_an_unknown_forward_cause_is_not_listed_again_for_its_gradients():
    labels = torch.arange(8) % 5
    found = compare(_net(), _with(at5=_Odd()), _inputs(), train_step=True, loss=functional.cross_entropy, target=labels)
    assert _codes(found) == ["unknown-semantics"]
    assert any("derivatives of the loss on both sides" in n for n in found.notes)


def test_several_bypasses_at_one_place_are_no_explanation():
    weight = _inputs(16, 16)
    found = compare(
        lambda x: torch.sin(x @ weight) * torch.cos(x @ weight) @ weight,
        lambda x: torch.sin(x @ weight + 0.1 * x) @ weight,
        _inputs(),
    )
    assert _codes(found) == ["unknown-semantics"]


@pytest.mark.parametrize(("change", "code"), [(lambda y: 0.73 * y, "constant-factor"), (lambda y: -y, "sign")])
def test_a_relation_is_named_before_the_formulas(change, code):
    def logits(x):
        return torch.linalg.norm(x, dim=1) * 2

    found = compare(logits, lambda x: change(torch.sqrt((x * x).sum(1)) * 2), _inputs())
    assert code in _codes(found) or _codes(found) in (["extra-node"], ["constant"])


def test_a_nan_on_one_side_is_a_difference():
    found = compare(lambda x: torch.sqrt(x.abs()), torch.sqrt, _inputs())
    assert found.verdict is Meaning.DIFFERENT


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (lambda p, t: ((p[:, 0] - t) ** 2).mean(), lambda p, t: ((p - t) ** 2).mean()),
        (lambda p, t: (p[:, 0] - t).abs().sum() / 12, lambda p, t: (p - t).abs().mean()),
    ],
)
def test_each_with_each_is_a_broadcasting_accident(a, b):
    found = compare(a, b, (_inputs(12, 1), _inputs(12)))
    assert _codes(found) == ["broadcast"]


def test_division_to_whole_numbers_is_named():
    found = compare(lambda x: (x * 7 / 2).tanh(), lambda x: torch.floor_divide(x * 7, 2).tanh(), _inputs())
    assert _codes(found) == ["division"]


def test_each_cause_has_a_script_that_shows_two_numbers(capsys):
    found = compare(_net(), _with(at4=nn.LayerNorm(16, eps=1e-2), at8=_Odd()), _inputs())
    assert len(found.causes) == 2
    for cause in found.causes:
        exec(cause.reproduction, {})
        shown = capsys.readouterr().out
        assert float(shown.rsplit(" ", 1)[1]) > 1e-3
