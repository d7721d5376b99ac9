"""A constant is defined to the rounding of its format, and a whole number exactly."""

import pytest

import oracle
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")

X = torch.randn(64, generator=torch.Generator().manual_seed(0))


def _rounded(beta):
    """1 - beta, computed from a float32 beta, as Keras's Adam corrects its bias."""
    one, held = torch.tensor(1.0), torch.tensor(beta)
    return lambda x: x * (one - held)


def _exact(x):
    return x * (1 - 0.999)


def test_the_rounding_of_a_constant_is_no_difference_of_meaning():
    assert oracle.compare(_rounded(0.999), _exact, X).verdict is Meaning.SAME


def test_another_constant_is_one():
    assert oracle.compare(_rounded(0.99901), _exact, X).verdict is Meaning.DIFFERENT


def test_a_whole_number_has_no_rounding():
    """Two neighbours in float32 differ by no more than a rounding, and yet in meaning, where both are whole."""
    many, one_less = torch.tensor(2.0**24), torch.tensor(2.0**24 - 1)
    assert oracle.compare(lambda x: x * many, lambda x: x * one_less, X).verdict is Meaning.DIFFERENT
