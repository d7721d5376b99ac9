"""A hypothesis that does not fit is passed over; one that is mistaken is told, and costs nothing else."""

import pytest

import oracle
import oracle.causes
from oracle import unfit
from oracle.reference.balls import MissingRule

TELLS = unfit.mistaken  # before the fixture of all tests makes a failure of it


def test_what_does_not_fit_is_passed_over_in_silence():
    with unfit.mistakes() as told:
        for error in (unfit.Unfit("shapes"), MissingRule("no rule")):
            with unfit.attempt("a hypothesis"):
                raise error
    assert told == []


@pytest.mark.parametrize("error", [TypeError, KeyError, AssertionError, AttributeError, ZeroDivisionError])
def test_a_mistake_is_told_once_with_its_place(monkeypatch, error):
    monkeypatch.setattr(unfit, "mistaken", TELLS)

    def attempt():
        with unfit.attempt("hypothesis 'x'"):
            raise error("a slip")

    with unfit.mistakes() as told:
        attempt()
        attempt()
    (note,) = told
    assert "hypothesis 'x'" in note
    assert error.__name__ in note
    assert "please report it" in note


def test_outside_of_a_search_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(unfit, "mistaken", TELLS)
    with unfit.attempt("a hypothesis"):
        raise TypeError
    with unfit.mistakes() as told:
        pass
    assert told == []


@pytest.fixture
def slipping(monkeypatch):
    """A mistaken hypothesis that is asked before all others."""

    def slip(context):
        yield context.no_such_field

    oracle.causes._discover()
    monkeypatch.setattr(oracle.causes, "_HYPOTHESES", [(0, "slip", slip), *oracle.causes._HYPOTHESES])


def _compared():
    torch = pytest.importorskip("torch")
    x = torch.linspace(-2, 2, 12).reshape(3, 4)
    return oracle.compare(torch.nn.LeakyReLU(0.1), torch.nn.LeakyReLU(0.3), x)


def test_a_mistaken_hypothesis_costs_a_comparison_nothing_else(monkeypatch, slipping):
    monkeypatch.setattr(unfit, "mistaken", TELLS)
    found = _compared()
    assert found.codes == ("activation-slope",)
    assert any("hypothesis 'slip'" in note and "AttributeError" in note for note in found.notes)


def test_a_mistaken_hypothesis_fails_the_tests(slipping):
    with pytest.raises(AttributeError, match="no_such_field"):
        _compared()
