"""Single operations against their definitions: cancellation, poles, overflow, constants, identities."""

import numpy as np
import pytest
from casebook import case, parts, verify

import oracle

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
jax = pytest.importorskip("jax")
jnp = jax.numpy
F = torch.nn.functional


def _f32(*numbers):
    return np.float32(numbers)


def _exact_gelu(x):
    return 0.5 * x * jax.lax.erfc(-x * jnp.sqrt(0.5))


@case("OP01", "torch's GELU loses the negative tail", "numerically-unstable-formula", verdict="BEYOND")
def gelu_tail():
    x = torch.tensor([-4.5, -5.2, -5.7, -6.5, -7.5] * 8)
    return oracle.check(F.gelu, reference=_exact_gelu, inputs=x)


@case("OP05", "spence where 1/x is subnormal", "flush-to-zero", verdict="SAME")
def spence():
    return oracle.check(
        jax.scipy.special.spence, reference=jax.scipy.special.spence, inputs=jnp.float32([3e37, 8.8e37, 2e38])
    )


@case("OP06", "digamma at zero", "nonfinite-result", verdict="BEYOND")
def digamma_at_zero():
    digamma = jax.scipy.special.digamma
    return oracle.check(digamma, reference=digamma, inputs=jnp.float32([-0.0, 0.0, 3e-6]))


@case("OP10", "digamma near the poles (repaired; negative control)")
def digamma_at_poles():
    x = torch.tensor([-2.99999976, -0.75, -7.0002])
    return oracle.check(torch.digamma, reference=jax.scipy.special.digamma, inputs=x)


@case("OP11", "digamma 'differs by 1e-6' (negative control)")
def digamma_step():
    x = _f32(0.1, 0.07)
    digamma = jax.scipy.special.digamma
    return oracle.compare(torch.digamma, digamma, inputs_a=torch.from_numpy(x), inputs_b=jnp.asarray(x))


@case("OP12", "erfinv in float64 'is off by 3.5e-11' (negative control)")
def erfinv():
    x = np.concatenate([np.linspace(-0.9995, 0.9995, 120), 1 - 2.0 ** -np.arange(3, 52)])
    return oracle.check(torch.erfinv, reference=jax.lax.erf_inv, inputs=torch.from_numpy(x))


@case("OP13", "TensorFlow's erfinv just below one", "numerically-unstable-formula", verdict="BEYOND")
def erfinv_at_one():
    x = tf.constant([np.nextafter(np.float32(1), np.float32(0)), np.float32(0.9999997), np.float32(0.99)])
    return oracle.check(tf.math.erfinv, reference=jax.lax.erf_inv, inputs=x)


def _parts(function):
    """A function of complex numbers as one of their real and imaginary parts."""

    def of_parts(re, im):
        y = function((re + 1j * im).astype(np.complex64))
        return y.real, y.imag

    return of_parts


def _log1p_parts(re, im):
    return 0.5 * jnp.log1p(2 * re + re * re + im * im), jnp.arctan2(im, 1 + re)


@case("OP14", "NumPy's complex log1p of small numbers", "kernel-inaccuracy", verdict="BEYOND")
def complex_log1p():
    return oracle.check(_parts(np.log1p), reference=_log1p_parts, inputs=(_f32(3e-7, 2e-6), _f32(2e-7, -1e-6)))


@case("OP14", "torch's complex log1p of small numbers (negative control)")
def complex_log1p_of_torch():
    function = _parts(lambda z: torch.log1p(torch.from_numpy(z)).numpy())
    return oracle.check(function, reference=_log1p_parts, inputs=(_f32(3e-7, 2e-6), _f32(2e-7, -1e-6)))


@case("OP16", "softplus with a beta that overflows", "overflow", verdict="SAME")
def softplus_beta():
    def definition(x):
        return jnp.logaddexp(x * 1e30, 0) / 1e30

    return oracle.check(
        lambda x: F.softplus(x, beta=1e30, threshold=1e30), reference=definition, inputs=torch.tensor([0.25, -2.0, 1.5])
    )


@case("OP16", "softplus in float64 is cut off at 20", "kernel-inaccuracy", verdict="BEYOND")
def softplus_cut():
    x = torch.tensor([21.0, 22.5, 3.0], dtype=torch.float64)
    return oracle.check(F.softplus, reference=lambda x: jnp.logaddexp(x, 0), inputs=x)


@case("OP17", "std of equal numbers is not zero (negative control)")
def std_of_equal():
    return oracle.check(torch.std, reference=lambda x: jnp.std(x, ddof=1), inputs=torch.full((7,), 0.35))


@case("OP18", "TensorFlow's gelu holds sqrt(2) in float32 in float64", "rounded-constant")
def rounded_root():
    x = np.array([-3.5, -1.25, 0.75, 2.5, 1.5])
    a = lambda x: tf.nn.gelu(x, approximate=False)  # noqa: E731
    return oracle.compare(a, F.gelu, inputs_a=tf.constant(x), inputs_b=torch.from_numpy(x))


@case("OP18", "The same against the definition", "rounded-constant", verdict="BEYOND")
def rounded_root_checked():
    x = tf.constant([-3.5, -1.25, 0.75, 2.5], tf.float64)
    return oracle.check(lambda x: tf.nn.gelu(x, approximate=False), reference=_exact_gelu, inputs=x)


@case("OP20", "asinh as log(x + sqrt(x^2 + 1))", "numerically-unstable-formula", verdict="BEYOND")
def naive_asinh():
    function = lambda x: torch.log(x + torch.sqrt(x * x + 1))  # noqa: E731
    return oracle.check(function, reference=jnp.arcsinh, inputs=torch.tensor([-200.0, -800.0, -2500.0]))


@case("OP20", "cos as sin(pi/2 - x)", "numerically-unstable-formula", verdict="BEYOND")
def shifted_sine():
    function = lambda x: torch.sin(np.float32(np.pi / 2) - x)  # noqa: E731
    return oracle.check(function, reference=jnp.cos, inputs=torch.tensor([2e3, 3e5, 7e5]))


@case("OP21", "float32 against float64: each at its own rounding level")
def default_formats():
    draw = np.random.default_rng(2)
    a, b = draw.normal(size=(40, 40)), draw.normal(size=40)
    product = lambda a, b: a @ b  # noqa: E731
    of32 = (torch.from_numpy(a).float(), torch.from_numpy(b).float())
    return oracle.compare(
        product, lambda a, b: a @ b, inputs_a=of32, inputs_b=(torch.from_numpy(a), torch.from_numpy(b))
    )


def _tf32(x):
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


def _factors():
    draw = np.random.default_rng(3)
    return tuple(torch.from_numpy(draw.normal(size=(40, 40)).astype("float32")) for _ in range(2))


@case("TF01", "A product with its operands rounded to TensorFloat-32", "tf32")
def tf32_product():
    return oracle.compare(lambda a, b: a @ b, lambda a, b: _tf32(a) @ _tf32(b), _factors())


@case("TF01", "The same against the definition", "tf32", verdict="BEYOND")
def tf32_checked():
    return oracle.check(lambda a, b: _tf32(a) @ _tf32(b), reference=lambda a, b: a @ b, inputs=_factors())


@case("DIV01", "Whole numbers divided with // for /", "division")
def whole_division():
    x, w = torch.arange(24).reshape(3, 8), _factors()[0][:8, :4]
    return oracle.compare(lambda x: (x / 5) @ w, lambda x: (x // 5).float() @ w, x)


@case("VAR01", "A variance as mean(x^2) - mean(x)^2", "numerically-unstable-formula", verdict="BEYOND")
def one_pass_variance():
    x = _factors()[0] * 0.01 + 50
    one_pass = lambda x: (x * x).mean(1) - x.mean(1) ** 2  # noqa: E731
    return oracle.compare(lambda x: x.var(1, correction=0), one_pass, x)


@pytest.mark.parametrize("part", parts(__name__), ids=lambda p: p.name)
def test_the_tool_says_what_it_is(part):
    verify(part)
