"""A hypothesis that does not fit is passed over; one that is mistaken is told, and costs nothing else."""

import numpy as np
import pytest

import oracle
import oracle.causes
from oracle.networks import unfit
from oracle.networks.network import Edits, Network
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


def _edited_after(shape):
    """A network whose first operation is edited to make `shape`, and the second to read that as (3, 4)."""
    torch = pytest.importorskip("torch")
    trace = oracle.record(lambda x: torch.exp(torch.sin(x)), torch.ones(3, 4), framework="torch", full=True)
    network = Network(trace)
    first, second = network.nodes
    edits = Edits(
        nodes={
            first.node.index: lambda values: {first.outputs[0]: np.ones(shape)},
            second.node.index: lambda values: {second.outputs[0]: values[first.outputs[0]].reshape(4, 3) + np.ones(5)},
        }
    )
    return network.edited(network.run(), edits)


def test_an_edit_made_for_other_shapes_does_not_fit():
    with pytest.raises(unfit.Unfit, match="not made for these shapes"):
        _edited_after((3, 5))


def test_an_edit_that_fails_on_the_shapes_it_was_made_for_is_mistaken():
    with pytest.raises(ValueError, match="broadcast") as caught:
        _edited_after((3, 4))
    assert not isinstance(caught.value, unfit.Unfit)
