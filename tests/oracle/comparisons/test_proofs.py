"""The shares of several causes: signed parts along the whole difference that sum to one."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest

import oracle
from oracle.comparisons.proofs import share

torch = pytest.importorskip("torch")
nn = torch.nn


@dataclass
class _Stand:
    """A state of the search, as far as shares look at it."""

    gap: np.ndarray | None

    @property
    def remaining(self) -> float:
        return math.inf if self.gap is None else float(np.linalg.norm(self.gap))


def _shares(*gaps):
    states = [_Stand(None if g is None else np.array(g, float)) for g in gaps]
    return [share(states[0], before, after) for before, after in itertools.pairwise(states)]


def test_shares_of_effects_that_add_up_do_not_depend_on_the_order():
    first, second = np.array([3.0, 0, 0]), np.array([0, 1.0, 2.0])
    one, other = _shares(first + second, second, [0, 0, 0]), _shares(first + second, first, [0, 0, 0])
    assert one == pytest.approx([9 / 14, 5 / 14])
    assert other == pytest.approx(one[::-1])


def test_shares_sum_to_one_less_what_remains_along_the_whole():
    found = _shares([3, 4], [5, 1], [0.3, 0.4])
    assert sum(found) == pytest.approx(1 - 0.1)
    assert found[0] < 0.4 < found[1]


def test_a_cause_that_hides_part_of_another_has_a_negative_share():
    assert _shares([1, 0], [3, 0], [0, 0]) == pytest.approx([-2, 3])


def test_an_infinite_difference_belongs_to_the_edit_that_makes_it_a_number():
    assert _shares([math.inf, 1], [1, 1], [0, 0]) == [1.0, 0.0]
    assert _shares(None, None, [0, 0]) == [0.0, 1.0]


def test_where_a_target_changes_its_size_norms_stand_in():
    assert _shares([4, 3], [1], [0]) == pytest.approx([0.8, 0.2])


class _Net(nn.Module):
    def __init__(self, eps=1e-5, slope=0.01):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.last = nn.Linear(32, 64), nn.Linear(64, 10)
        self.norm, self.act = nn.LayerNorm(64, eps=eps), nn.LeakyReLU(slope)

    def forward(self, x):
        return self.last(self.act(self.norm(self.first(x))))


def test_shares_of_a_comparison_sum_to_one_at_their_target():
    x = torch.randn(16, 32, generator=torch.Generator().manual_seed(0))
    found = oracle.compare(_Net(), _Net(eps=0.1, slope=0.3), x)
    assert {c.code: c.target for c in found.causes} == {"eps": "outputs", "activation-slope": "outputs"}
    assert sum(c.share for c in found.causes) == pytest.approx(1, abs=1e-9)
    assert all(0 < c.share < 1 for c in found.causes)
