"""Embeddings that read other rows of the same table: by position, or by the data."""

import numpy as np
import pytest

import oracle
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
nn = torch.nn
TOKENS = np.random.default_rng(5).integers(3, 30, (2, 7))


@pytest.fixture(scope="module")
def tables():
    torch.manual_seed(0)
    return nn.Embedding(30, 16), nn.Embedding(12, 16), nn.Linear(16, 5)


def _model(tables, positions):
    words, places, out = tables
    return lambda tokens: out(torch.tanh(words(tokens) + places(positions)))


COUNTED = {
    "from two": torch.arange(7) + 2,
    "behind the padding": torch.tensor([[0, 0, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6]]),
}


@pytest.mark.parametrize("how", COUNTED)
def test_positions_counted_otherwise(tables, how):
    found = oracle.compare(_model(tables, torch.arange(7)), _model(tables, COUNTED[how]), TOKENS)
    assert found.codes == ("positional-encoding",)
    assert found.causes[0].share > 0.999


def test_the_fix_says_how_far_the_positions_are_apart(tables):
    found = oracle.compare(_model(tables, torch.arange(7) + 2), _model(tables, torch.arange(7)), TOKENS)
    assert "positions +2" in found.causes[0].fix


def test_a_slice_of_the_table_is_a_lookup(tables):
    words, places, out = tables
    sliced = lambda tokens: out(torch.tanh(words(tokens) + places.weight[:7]))  # noqa: E731
    assert oracle.compare(sliced, _model(tables, torch.arange(7)), TOKENS).verdict is Meaning.SAME


def test_rows_chosen_by_the_data_are_no_positions(tables):
    words, _, out = tables
    found = oracle.compare(lambda t: out(words(t)), lambda t: out(words((t + 1) % 30)), TOKENS)
    assert found.verdict is Meaning.DIFFERENT
    assert found.codes == ("indexing",)
