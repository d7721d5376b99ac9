"""A setting that differs in every layer of a model, as a configuration's does: one cause, or the same once more."""

import numpy as np
import pytest

import oracle

torch = pytest.importorskip("torch")
nn = torch.nn
LAYERS = 14


def _x(scale=1.0):
    return (scale * np.random.default_rng(0).standard_normal((4, 16))).astype(np.float32)


def _pair(of_a, of_b):
    """Two stacks of linear layers with the same weights, and other layers behind each."""
    models = []
    for behind in (of_a, of_b):
        torch.manual_seed(0)
        models.append(nn.Sequential(*[m for k in range(LAYERS) for m in (nn.Linear(16, 16), *behind(k))]))
    return models


def _norm(eps, act=nn.Tanh):
    return lambda k: (nn.LayerNorm(16, eps=eps), act())


def _explained(found):
    return sum(c.share for c in found.causes)


def test_the_same_eps_in_every_layer_is_one_cause():
    found = oracle.compare(*_pair(_norm(1e-5), _norm(1e-3)), _x())
    assert found.codes == ("eps",)
    (cause,) = found.causes
    assert f"{LAYERS} operations alike" in cause.detail
    assert cause.share == pytest.approx(1)


def test_a_layer_that_is_right_is_left_alone():
    found = oracle.compare(*_pair(lambda k: _norm(1e-3 if k == 5 else 1e-5)(k), _norm(1e-3)), _x())
    assert found.codes == ("eps",)
    assert _explained(found) == pytest.approx(1)


def test_one_wrong_layer_is_not_said_of_all():
    found = oracle.compare(*_pair(_norm(1e-5), lambda k: _norm(1e-3 if k == 5 else 1e-5)(k)), _x())
    (cause,) = found.causes
    assert cause.code == "eps"
    assert "alike" not in cause.detail


def test_another_activation_in_every_layer():
    found = oracle.compare(*_pair(lambda k: (nn.SiLU(),), lambda k: (nn.ReLU(),)), _x(3))
    assert found.codes == ("activation-variant",)
    assert _explained(found) == pytest.approx(1)


def test_two_settings_of_the_whole_model():
    slopes = (_norm(1e-5, lambda: nn.LeakyReLU(0.01)), _norm(1e-3, lambda: nn.LeakyReLU(0.3)))
    found = oracle.compare(*_pair(*slopes), _x())
    assert set(found.codes) == {"eps", "activation-slope"}
    assert _explained(found) == pytest.approx(1)
