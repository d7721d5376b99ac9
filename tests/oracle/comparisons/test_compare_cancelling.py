"""Two formulas for one value, one of which cancels; and ill-conditioned values, of which no formula is to blame."""

import pytest

import oracle
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")


def _x(*shape, seed=0, at=0.0, spread=1.0):
    return at + spread * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


Y = _x(6, 16, seed=1, at=100)
NEAR = _x(6, 16, seed=1, at=50, spread=0.01)


def _directly(x, y):
    return (x[:, None] - y).pow(2).sum(-1)


def _by_products(x, y):
    return x.pow(2).sum(-1, keepdim=True) + y.pow(2).sum(-1) - 2 * x @ y.T


def _covariance(x):
    centred = x - x.mean(0)
    return centred.T @ centred / len(x)


CANCELLING = {
    # https://github.com/pytorch/pytorch/issues/42479
    "distances": (lambda x: _directly(x, Y), lambda x: _by_products(x, Y), _x(5, 16, at=100)),
    "Gaussian kernel": (
        lambda x: torch.exp(-_directly(x, NEAR)),
        lambda x: torch.exp(-_by_products(x, NEAR)),
        _x(5, 16, at=50, spread=0.01),
    ),
    "covariance": (
        _covariance,
        lambda x: x.T @ x / len(x) - x.mean(0)[:, None] * x.mean(0),
        _x(64, 4, at=300),
    ),
}


@pytest.mark.parametrize("name", CANCELLING)
def test_the_formula_that_cancels_is_named(name):
    stable, unstable, x = CANCELLING[name]
    for a, b, side in ((stable, unstable, "B"), (unstable, stable, "A")):
        found = oracle.compare(a, b, x)
        assert found.verdict is Meaning.SAME_BEYOND_BUDGET
        assert {(o.code, o.side) for o in found.accused} == {("numerically-unstable-formula", side)}


def _in_a_loop(x):
    total = x[:, 0]
    for k in range(1, x.shape[1]):
        total = total + x[:, k]
    return total


def _nearly_balanced():
    """Rows whose sum is nearly zero: whatever the order of summation, the result has few digits."""
    x = _x(3, 30, spread=10)
    return torch.cat([x, -x + 1e-6 * _x(3, 30, seed=2)], 1)[:, torch.randperm(60, generator=torch.Generator())][:, :36]


HONEST = {
    "distances of numbers around zero": (
        lambda x: _directly(x, Y - 100),
        lambda x: _by_products(x, Y - 100),
        _x(5, 16),
    ),
    "a sum in a loop": (lambda x: x.flip(1).sum(1), _in_a_loop, _x(3, 36, at=5)),
    "a sum that is nearly zero": (lambda x: x.flip(1).sum(1), _in_a_loop, _nearly_balanced()),
    "a balanced sum": (
        lambda x: (x - x.mean(1, keepdim=True)).sum(1),
        lambda x: _in_a_loop(x) - x.mean(1) * 36,
        _x(3, 36),
    ),
    "a standardised sample far from zero": (
        lambda x: (x - x.mean(0)) / (x - x.mean(0)).square().mean(0).sqrt(),
        lambda x: (x - x.sum(0) / len(x)) * (x - x.sum(0) / len(x)).square().mean(0).rsqrt(),
        _x(40, 5, at=1000, spread=0.1),
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_ill_conditioned_value_accuses_nobody(name):
    assert oracle.compare(*HONEST[name]).verdict is Meaning.SAME
