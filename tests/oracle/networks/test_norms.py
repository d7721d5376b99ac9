"""Inner products in pieces are inner products."""

import numpy as np
import pytest

from oracle.networks.norms import inner, norm


@pytest.mark.parametrize("shape", [(), (0,), (5,), (300, 100), (8193,), (3, 4, 5)])
def test_every_layout(shape):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape), rng.standard_normal(shape)
    expected = float((x * y).sum())
    for a, b in [(x, y), (x.T, y.T), (np.asfortranarray(x), y), (np.broadcast_to(x, shape), y)]:
        assert inner(a, b) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert norm(x, y) == pytest.approx(np.sqrt((x * x).sum() + (y * y).sum()), rel=1e-13)
