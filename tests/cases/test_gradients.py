"""Gradients: branches that are not taken, singular points, infinities, paths that are cut."""

import numpy as np
import pytest
from casebook import case, parts, verify

import oracle

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
jax = pytest.importorskip("jax")
jnp = jax.numpy
INF = float("inf")


def _stepped(a, b, numbers):
    """Value and gradient of two torch functions of one tensor."""
    return oracle.compare(a, b, torch.tensor(numbers, requires_grad=True), train_step=True)


def _root(x):
    return torch.where(x > 0, torch.sqrt(x), x).sum()


def _safe_root(x):
    return torch.where(x > 0, torch.sqrt(torch.where(x > 0, x, 1.0)), x).sum()


@case("GRD01", "where(x > 0, sqrt(x), x): NaN from the branch that is not taken", "nan-gradient")
def root():
    return _stepped(_root, _safe_root, [-2.0, -0.5, 3.0])


@case("GRD01", "The same in JAX", "nan-gradient")
def root_in_jax():
    x = np.float32([-2, -0.5, 3])
    a = lambda x: jnp.where(x > 0, jnp.sqrt(x), x).sum()  # noqa: E731
    b = torch.from_numpy(x).requires_grad_()
    return oracle.compare(a, _safe_root, inputs_a=(jnp.asarray(x),), inputs_b=b, train_step=True)


@case("GRD01", "The same against the definition", "nan-gradient", verdict="BEYOND")
def root_checked():
    definition = lambda x: jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), x)  # noqa: E731
    function = lambda x: torch.where(x > 0, torch.sqrt(x), x)  # noqa: E731
    return oracle.check(function, reference=definition, inputs=torch.tensor([-2.0, -0.5, 3.0]), grad=True)


@case("GRD01", "The double where (negative control)")
def double_where():
    return _stepped(_safe_root, lambda x: _safe_root(x) * 1, [-2.0, -0.5, 3.0])


@case(
    "GRD02", "where(x <= 0, exp(x), 1 + x): overflow in the branch that is not taken", "nan-gradient", verdict="BEYOND"
)
def overflow():
    naive = lambda x: torch.where(x <= 0, torch.exp(x), 1 + x).sum()  # noqa: E731
    safe = lambda x: torch.where(x <= 0, torch.exp(torch.where(x <= 0, x, 0.0)), 1 + x).sum()  # noqa: E731
    return _stepped(naive, safe, [120.0, -1.0])


@case("GRD02", "The same against the definition", "nan-gradient", verdict="BEYOND")
def overflow_checked():
    definition = lambda x: jnp.where(x <= 0, jnp.exp(jnp.where(x <= 0, x, 0)), 1 + x)  # noqa: E731
    function = lambda x: torch.where(x <= 0, torch.exp(x), 1 + x)  # noqa: E731
    return oracle.check(function, reference=definition, inputs=torch.tensor([120.0, -1.0]), grad=True)


@case(
    "GRD04",
    "The gradient of the standard deviation of equal numbers does not exist",
    "singular-gradient",
    verdict="SAME",
)
def singular():
    x = torch.full((5,), 0.35)
    return oracle.check(torch.std, reference=lambda x: jnp.std(x, ddof=1), inputs=x, grad=True)


@case("GRD05", "logaddexp in a chain from -inf, against logsumexp", "nan-gradient")
def chained():
    chain = lambda x: torch.logaddexp(torch.logaddexp(x[0], x[1]), x[2])  # noqa: E731
    return _stepped(chain, lambda x: torch.logsumexp(x, 0), [-INF, -INF, 1.5])


@case("GRD05", "The same against the definition", "nan-gradient", verdict="BEYOND")
def chained_checked():
    chain = lambda x: torch.logaddexp(torch.logaddexp(x[0], x[1]), x[2])  # noqa: E731
    return oracle.check(chain, reference=jax.scipy.special.logsumexp, inputs=torch.tensor([-INF, -INF, 1.5]), grad=True)


@case("GRD09", "Batch normalisation with the mean detached", "wrong-gradient")
def detached():
    def norm(cut):
        def function(x):
            mean = x.mean(0).detach() if cut else x.mean(0)
            return ((x - mean) / torch.sqrt(((x - mean) ** 2).mean(0) + 1e-5)).pow(3).sum()

        return function

    return _stepped(norm(False), norm(True), np.random.default_rng(1).normal(size=(6, 3)).tolist())


@pytest.mark.parametrize("part", parts(__name__), ids=lambda p: p.name)
def test_the_tool_says_what_it_is(part):
    verify(part)
