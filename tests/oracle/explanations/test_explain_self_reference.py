"""An operation without a lowering is held to its framework's own float64, marked, and nothing that it hides is lost."""

import numpy as np
import pytest

from oracle.adapters.in_float64 import run
from oracle.explanations.explaining import explain
from oracle.recordings.recording import record

X = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32) + 4 * np.eye(6, dtype=np.float32)


def _torch():
    torch = pytest.importorskip("torch")
    return lambda x: torch.softmax(torch.linalg.inv(x @ x) @ x, -1), torch.from_numpy(X)


def _tensorflow():
    tf = pytest.importorskip("tensorflow")
    return lambda x: tf.nn.softmax(tf.linalg.inv(x @ x) @ x), tf.constant(X)


def _jax():
    jax = pytest.importorskip("jax")
    return lambda x: jax.nn.softmax(jax.lax.linalg.cholesky(x @ x.T) @ x), jax.numpy.asarray(X)


@pytest.mark.parametrize("framework", [_torch, _tensorflow, _jax])
def test_the_frameworks_own_float64_is_the_reference(framework):
    model, x = framework()
    found = explain(record(model, x, full=True))
    (unknown,) = (n for n in found.nodes if n.self_referenced)
    assert 1e-9 < unknown.local_error / unknown.magnitude < 1e-5
    assert np.isnan(unknown.budget_used)
    assert not unknown.accused
    assert unknown.jump != 0  # the errors of the product before it pass through it
    assert sum(n.contribution for n in found.nodes) == pytest.approx(found.total, rel=1e-6)
    assert found.completeness < 1e-12
    assert "1 of" in str(found).splitlines()[0]
    assert f"{unknown.op}" in str(found).split("self-referenced (")[1]


def test_what_draws_writes_or_is_a_users_own_is_not_run():
    torch = pytest.importorskip("torch")
    x = np.ones(3, np.float64)
    assert run("torch", "aten.histc.default", [x, 3, 0.0, 2.0], {})[0].tolist() == [0, 3, 0]
    assert run("torch", "aten.bernoulli.default", [x], {}) is None
    assert run("torch", "aten.add.out", [x, x], {"out": x}) is None
    assert run("torch", "aten.random_.default", [x], {}) is None
    assert run("torch", "aten.add_.Tensor", [x, x], {})[0].tolist() == [2, 2, 2]
    assert x.tolist() == [1, 1, 1]
    assert run("torch", "aten.abs.default", [x], {"draws": [x]}) is None
    assert run("torch", "aten.no_such_operation.default", [x], {}) is None
    assert run("torch", "aten.sum.default", [x], {"dtype": "torch.os"}) is None
    torch.library.define("oracle_test::twice", "(Tensor x) -> Tensor")
    called = []
    torch.library.impl("oracle_test::twice", "cpu", lambda x: called.append(1) or x * 2)
    assert run("torch", "oracle_test.twice.default", [x], {}) is None
    assert not called
