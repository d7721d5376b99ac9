"""Losses read off their gradients, and two models stepped side by side."""

import pytest

from oracle.comparisons.comparing import compare
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional
LABELS = torch.tensor([0, 3, 1, 4, 2, 2, 0, 1])
WEIGHTS = torch.linspace(0.5, 2, 5)


def _net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 5))


def _inputs():
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(0))


def _smoothed(outputs, labels):
    """Label smoothing with eps/(K - 1) for each wrong class."""
    targets = torch.full_like(outputs, 0.1 / 4)
    targets[torch.arange(8), labels] = 0.9
    return -(targets * torch.log_softmax(outputs, 1)).sum(1).mean()


def _entropy(**settings):
    return lambda outputs, labels: functional.cross_entropy(outputs, labels, **settings)


def _binary(change):
    return lambda outputs, labels: functional.binary_cross_entropy_with_logits(
        change(outputs[:, 0]), (labels > 2).float()
    )


LOSSES = {
    "reduction": (_entropy(), _entropy(reduction="sum")),
    "label-smoothing": (_entropy(), _entropy(label_smoothing=0.1)),
    "label-smoothing (convention)": (_entropy(label_smoothing=0.1), _smoothed),
    "class-weights": (
        _entropy(weight=WEIGHTS),
        lambda o, t: functional.cross_entropy(o, t, weight=WEIGHTS, reduction="none").mean(),
    ),
    "class-weights (one side)": (_entropy(), _entropy(weight=WEIGHTS)),
    "double-softmax": (_entropy(), lambda o, t: functional.cross_entropy(o.softmax(1), t)),
    "double-sigmoid": (_binary(lambda x: x), _binary(torch.sigmoid)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_another_loss_is_named_and_its_gradients_follow(name):
    found = compare(_net(), _net(), _inputs(), train_step=True, loss=LOSSES[name], target=LABELS)
    assert [c.code for c in found.causes] == [name.partition(" ")[0]]
    (cause,) = found.causes
    assert cause.residual <= 1e-3 * cause.before


def test_two_causes_in_one_loss_are_both_named():
    other = _entropy(label_smoothing=0.2, reduction="sum")
    found = compare(_net(), _net(), _inputs(), train_step=True, loss=(_entropy(), other), target=LABELS)
    assert {c.code for c in found.causes} == {"label-smoothing", "reduction"}


def _steps(optimizer_a, optimizer_b, steps=3):
    a, b = _net(), _net()
    return compare(
        a,
        b,
        _inputs(),
        train_step=True,
        loss=functional.cross_entropy,
        target=LABELS,
        optimizer=(optimizer_a(a.parameters()), optimizer_b(b.parameters())),
        steps=steps,
    )


def test_drift_is_split_by_step_and_by_operation():
    found = _steps(lambda p: torch.optim.SGD(p, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5))
    weights = [d for d in found.drift if d.kind == "parameters"]
    assert [d.step for d in weights] == [0, 1, 2]
    assert weights[0].semantics == 0
    assert 0 < weights[1].semantics < weights[2].semantics
    for d in found.drift:
        assert d.difference <= d.semantics + d.rounding_a + d.rounding_b + 1e-12
    assert {d.side for d in found.drift_by_operation} == {"A", "B"}
    assert {d.step for d in found.drift_by_operation} == {0, 1, 2}


def test_the_same_steps_drift_by_rounding_alone():
    found = _steps(torch.optim.Adam, lambda p: torch.optim.Adam(p, foreach=True))
    assert found.verdict is Meaning.SAME
    assert all(d.semantics == 0 for d in found.drift)
