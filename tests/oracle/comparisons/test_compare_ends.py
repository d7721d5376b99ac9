"""The end of a sequence, taken along the wrong axis or at the wrong end."""

import pytest

import oracle
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
nn = torch.nn


class _Last(nn.Module):
    def __init__(self, take):
        super().__init__()
        torch.manual_seed(0)
        self.gru, self.dense, self.take = nn.GRU(3, 5, batch_first=True), nn.Linear(5, 2), take

    def forward(self, x):
        return self.dense(self.take(self.gru(x)[0]))


class _Step(_Last):
    """Keeps the last state alone: the sequence of outputs is never made."""

    def forward(self, x):
        return self.dense(self.gru(x)[1][0])


X = torch.randn(6, 6, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("take", "code", "written"),
    [
        (lambda out: out[-1], "batch-first", "out[:, -1] instead of out[-1]"),
        (lambda out: out[:, 0], "reverse-direction", "out[:, -1] instead of out[:, 0]"),
    ],
)
def test_the_wrong_end_is_named_and_proved(take, code, written):
    found = oracle.compare(_Step(None), _Last(take), X)
    assert [c.code for c in found.causes] == [code]
    assert found.causes[0].residual < 1e-6 * found.causes[0].before
    assert written in found.causes[0].fix_b


def test_the_right_end_is_no_finding():
    assert oracle.compare(_Step(None), _Last(lambda out: out[:, -1]), X).verdict is Meaning.SAME


def test_another_step_is_not_called_an_end():
    found = oracle.compare(_Step(None), _Last(lambda out: out[:, 3]), X)
    assert found.verdict is Meaning.DIFFERENT
    assert not {"batch-first", "reverse-direction"} & {c.code for c in found.causes}
