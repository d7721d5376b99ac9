"""The explanation's own arithmetic: bounded, far below a float32 error, and not below a float64 one."""

import numpy as np
import pytest

from oracle.explanations.attribution import total_error
from oracle.explanations.explaining import explain
from oracle.networks.carrier import carrier_error
from oracle.networks.network import Network, target_values
from oracle.recordings.recording import record

torch = pytest.importorskip("torch")
nn = torch.nn


def _trace(dtype=torch.float32):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 8), nn.Softmax(-1)).to(dtype)
    x = torch.randn(16, 32, generator=torch.Generator().manual_seed(1)).to(dtype)
    return record(model, x, loss=lambda y: (y**2).sum(), full=True)


def test_it_is_far_below_a_float32_error():
    found = explain(_trace(), "gradients")
    assert 0 < found.carrier_error < 1e-4 * found.total
    assert found.certified
    assert "errs by less than" in str(found)


def test_a_float64_error_is_said_to_be_too_small():
    found = explain(_trace(torch.float64), "gradients")
    assert not found.certified
    assert "too small for float64" in str(found)
    assert not found.accused


def test_it_bounds_what_another_evaluation_of_the_network_gives():
    """The same network with every sum in another order (float64 results perturbed by half an ulp) stays within it."""
    trace = _trace()
    network = Network(trace)
    exact, targets = network.run(), target_values(trace, "outputs")
    _, direction = total_error(network, exact, targets)
    bound = carrier_error(network, exact, direction)
    generator = np.random.default_rng(0)
    noise = {
        o: exact.values[o] * 2.0**-53 * generator.choice([-1.0, 1.0], exact.values[o].shape)
        for n in network.nodes
        for o in n.outputs
    }
    other = network.run(noise)
    moved = sum(float(np.vdot(c, other.values[i] - exact.values[i])) for i, c in direction.items())
    assert 0 < abs(moved) <= bound
