"""What lies in a tensor's memory and what it stands for: lazy conjugates and negatives, memory not yet written."""

import numpy as np
import pytest

from oracle.networks.network import Network
from oracle.recordings.recording import record

torch = pytest.importorskip("torch")


def _complex(x):
    return torch.view_as_complex(x.reshape(-1, 2))


def _conjugate(x):
    z = _complex(x)
    return torch.view_as_real(z * z.conj())


def _negative(x):
    return _complex(x).conj().imag * 3.0


@pytest.mark.parametrize("function", [_conjugate, _negative])
def test_what_the_tensor_stands_for_is_recorded(function):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    network = Network(record(function, x, framework="torch", full=True))
    exact = network.run().values
    assert all(
        np.allclose(exact[o], network.actual[o], rtol=1e-5, atol=1e-6) for node in network.nodes for o in node.results
    )


def test_the_gradient_of_a_complex_product_is_the_recorded_one():
    x, y = (np.random.default_rng(k).normal(size=(3, 4)).astype(np.float32) for k in (0, 1))

    class Rotation(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(4))
            self.turn = torch.polar(torch.ones(2), torch.tensor([0.3, 1.1]))

        def forward(self, x):
            return torch.view_as_real(torch.view_as_complex((x * self.w).reshape(-1, 2, 2)) * self.turn).reshape(3, 4)

    recorded = record(Rotation(), x, target=y, train_step=True, loss=torch.nn.MSELoss(), full=True)
    exact = Network(recorded).run().values[recorded.gradients["w"]]
    assert np.allclose(exact, recorded.values[recorded.gradients["w"]].array, rtol=1e-5)


def test_memory_that_was_allocated_and_not_written_is_recorded_as_it_is_used():
    junk = [torch.full((64,), 1e30) for _ in range(64)]
    del junk
    x = np.random.default_rng(0).normal(size=(1, 2, 4, 4)).astype(np.float32)
    padded = lambda x: torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular")  # noqa: E731
    network = Network(record(padded, x, framework="torch", full=True))
    exact = network.run().values
    assert all(np.array_equal(exact[o], network.actual[o]) for node in network.nodes for o in node.results)
