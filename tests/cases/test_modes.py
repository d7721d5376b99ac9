"""One framework in two modes: compiled, batched, threaded; kept conditions, thresholds, ill-conditioned formulas."""

import numpy as np
import pytest
from casebook import case, parts, verify

import oracle

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
jax = pytest.importorskip("jax")
jnp = jax.numpy
# What the compiler of torch imports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
nn = torch.nn
DRAW = np.random.default_rng(10)


def _x(*shape):
    return torch.from_numpy(DRAW.normal(size=shape).astype("float32"))


@case("BAT01", "A row of a product alone and among others (negative control)")
def one_row():
    x, w = _x(32, 300), _x(300, 90)
    return oracle.compare(lambda x: x[:1] @ w, lambda x: (x @ w)[:1], x)


def _threads(count, function):
    def run(x):
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            return function(x)
        finally:
            torch.set_num_threads(before)

    return run


@case("BAT02", "A sum with one thread and with two (negative control)")
def threads():
    return oracle.compare(_threads(1, lambda x: x.sum()), _threads(2, lambda x: x.sum()), _x(300_000))


@case("BAT04", "A transformer in bfloat16, prompts together and alone (negative control)")
def prompts():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True, norm_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval().bfloat16()
    with torch.no_grad():
        return oracle.compare(lambda x: model(x)[:1], lambda x: model(x[:1]), _x(5, 4, 16).bfloat16())


@case("BAT09", "A convolution as a worker with one thread runs it (negative control)")
def worker():
    torch.manual_seed(0)
    conv = nn.Conv1d(32, 32, 1).requires_grad_(False)
    return oracle.compare(_threads(1, conv), _threads(2, conv), _x(4, 32, 48))


@case("CMP02", "A fused kernel keeps float16 intermediates wider (negative control)")
def fused():
    function = lambda x, y: (x * y + 1.0) * 3.0 - x  # noqa: E731
    return oracle.compare(function, torch.compile(function), (_x(512).half(), _x(512).half()))


@case("CMP03", "Division by a constant under jit (negative control)")
def reciprocal():
    function = lambda x: x / jnp.float32(3e8)  # noqa: E731
    x = jnp.asarray(DRAW.random(500).astype("float32") * 3e8)
    return oracle.compare(function, jax.jit(function), x)


@case("CMP04", "An additive mask of -1e30 (repaired; negative control)")
def mask():
    def function(s):
        masked = s - 1e30 * (1.0 - jnp.float32(1))
        return masked - masked.max()

    return oracle.compare(function, jax.jit(function), jnp.float32([0.9, 0.4, 0.1]))


@case(
    "CMP05",
    "sinh of a sum, eager and jitted: the same, both poor",
    "kernel-inaccuracy",
    verdict="BEYOND",
    optional=("kernel-inaccuracy",),
)
def sinh():
    function = lambda a: jax.lax.sinh(a + jnp.float32(16))  # noqa: E731
    return oracle.compare(function, jax.jit(function), jnp.float32([-0.5851, -1.2, -0.9]))


@case("CMP07", "A threshold that the format rounds onto an element (repaired; negative control)")
def threshold():
    function = lambda s: (s > 0.2).float()  # noqa: E731
    x = torch.tensor([0.1, 0.2002, 0.35, 0.45]).bfloat16()
    return oracle.compare(function, torch.compile(function, backend="eager"), x)


@case("CMP09", "tan(cosh(cosh(x))): no implementation in float64 has a digit", "ill-conditioned", verdict="SAME")
def tangent():
    function = lambda x: tf.math.tan(tf.math.cosh(tf.math.cosh(x)))  # noqa: E731
    x = tf.constant([4.698, 4.71], tf.float64)
    return oracle.check(function, reference=lambda x: jnp.tan(jnp.cosh(jnp.cosh(x))), inputs=x)


@case("CMP09", "The same compiled", "ill-conditioned", verdict="SAME")
def tangent_compiled():
    function = tf.function(lambda x: tf.math.tan(tf.math.cosh(tf.math.cosh(x))), jit_compile=True)
    x = tf.constant([4.698, 4.71], tf.float64)
    return oracle.check(function, reference=lambda x: jnp.tan(jnp.cosh(jnp.cosh(x))), inputs=x)


@pytest.mark.parametrize("part", parts(__name__), ids=lambda p: p.name)
def test_the_tool_says_what_it_is(part):
    verify(part)
