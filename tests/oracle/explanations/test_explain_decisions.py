"""Decisions that rounding turned are counted where they are taken, and no comparison that decides nothing is."""

import numpy as np
import pytest

from oracle.errors import OracleError
from oracle.explanations.explaining import _closest_call, explain
from oracle.recordings.recording import record

torch = pytest.importorskip("torch")
nn = torch.nn


class _OffBy(torch.nn.Module):
    """A sum that rounding takes for zero, less half of what was lost: -2^-25 in float32, x - 2^-25 in truth."""

    def forward(self, x):
        return ((x + 1) - 1) - 2.0**-25


def _explained(model, x):
    return explain(record(model, x, full=True))


def _flips(model, x):
    return _explained(model, x).flips


X = 2.0**-24 * torch.tensor([[0.9, 0.1, 0.6, 0.2], [0.7, 0.3, 0.1, 0.8]])  # half of them positive in truth


def test_the_sign_of_a_relu_is_a_decision():
    assert _flips(nn.Sequential(_OffBy(), nn.ReLU()), X) == {"aten.relu.default": 4}


@pytest.mark.parametrize(
    ("model", "op", "count"),
    [
        (lambda x: torch.argmax(x, -1), "aten.argmax.default", 1),
        (lambda x: x > 0, "aten.gt.Scalar", 4),
        (lambda x: torch.clamp(x, max=0.0), "aten.clamp.default", 4),
        (lambda x: torch.where(x > 0, x, 2 * x), "aten.gt.Scalar", 4),
        (torch.sign, "aten.sign.default", 4),
        (nn.functional.leaky_relu, "aten.leaky_relu.default", 4),
    ],
)
def test_each_kind_of_decision_is_counted(model, op, count):
    off = _OffBy()
    assert _flips(lambda x: (off(x), model(off(x))), X)[op] == count


def test_a_maximum_of_a_window_is_a_decision():
    flips = _flips(nn.Sequential(_OffBy(), nn.MaxPool1d(2)), X[None])
    assert flips["aten.max_pool2d_with_indices.default"] == 1


@pytest.mark.parametrize("model", [nn.Softmax(-1), nn.Softplus(), nn.LogSoftmax(-1), nn.LayerNorm(4)])
def test_comparisons_that_decide_nothing_do_not_count(model):
    assert _flips(nn.Sequential(_OffBy(), model), X) == {}


def test_nothing_turns_where_rounding_is_far_from_every_decision():
    torch.manual_seed(0)
    assert _flips(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Softmax(-1)), torch.randn(4, 8)) == {}


def test_the_margin_is_of_the_row_nearest_to_turning():
    """The smallest gap is safe where its error is smaller still; the third class may overtake the first."""
    true, error = np.array([[1.0, 0.9, 0.0], [1.0, 0.5, 0.4]]), np.zeros((2, 3))
    error[0, 1], error[1] = 0.01, (0.0, -0.1, 0.35)
    near = _closest_call(true + error, true)
    assert (near.rows, near.flipped) == (2, 0)
    assert near.margin == pytest.approx(0.6)
    assert near.error == pytest.approx(0.35)
    error[0, 1] = 0.2
    turned = _closest_call(true + error, true)
    assert turned.flipped == 1
    assert turned.error > turned.margin
    assert turned.margin == pytest.approx(0.1)


def test_decisions_alone_have_no_error_to_attribute():
    with pytest.raises(OracleError, match="integers or booleans alone"):
        _explained(lambda x: torch.argmax(x, -1), X)


def test_the_terminal_says_what_turned():
    text = str(_explained(nn.Sequential(_OffBy(), nn.ReLU()), X))
    assert "decided otherwise than in exact arithmetic: aten.relu.default 4" in text
    assert all(len(line) < 160 for line in text.splitlines())
