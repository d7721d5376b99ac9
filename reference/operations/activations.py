"""Activation functions, elementwise: argument `x` of any shape."""

import functools
from typing import Any

from oracle.reference.constants import exact
from oracle.reference.lazy import jax, jnp, lax, np
from oracle.reference.operation import INF, Arg, Config, limits, odd_limits, operation
from oracle.reference.operations import derivatives, kinks
from oracle.reference.operations.kinks import corners

X = Arg("x", scale=3.0)
activation = functools.partial(operation, args=[X], family="activation", elementwise=True)


def _configs(**attrs: Any) -> list[Config]:
    return [Config("elementwise", {"x": (4099,)}, attrs)]


def _shrunk_corners(x: "np.ndarray", *, threshold: float) -> kinks.Masks:
    return (np.abs(x) == threshold,)


def stable_softplus(x: "jax.Array") -> "jax.Array":
    """ln(1 + e^x) as max(x, 0) + ln(1 + e^-|x|): no overflow, no cancellation.

    Both branches are smooth, so that the derivative at zero is 1/2; that of max and |x| would be a convention.
    """
    positive = x > 0
    return jnp.where(positive, x, 0) + jnp.log1p(jnp.exp(jnp.where(positive, -x, x)))


@activation("relu", formula="max(x, 0)", source="Nair & Hinton 2010", special=limits(0.0, INF), kinks=corners(0))
def relu(x: "jax.Array") -> "jax.Array":
    """Rectified linear unit; its derivative at zero is 0 by convention."""
    return jnp.where(x <= 0, 0, x)


@activation(
    "relu6", formula="min(max(x, 0), 6)", source="Krizhevsky 2010", special=limits(0.0, 6.0), kinks=corners(0, 6)
)
def relu6(x: "jax.Array") -> "jax.Array":
    """Rectified linear unit cut at six; its derivative at both corners is 0 by convention."""
    return jnp.where(x <= 0, 0, jnp.where(x >= 6, 6, x))


@activation(
    "leaky_relu",
    formula="x if x > 0 else negative_slope x",
    source="Maas et al. 2013",
    configs=_configs(negative_slope=0.01),
    kinks=corners(0),
    special=odd_limits(INF),
)
def leaky_relu(x: "jax.Array", *, negative_slope: float) -> "jax.Array":
    """Leaky rectified linear unit; its derivative at zero is `negative_slope` by convention."""
    return jnp.where(x > 0, x, negative_slope * x)


@activation(
    "elu",
    formula="x if x > 0 else alpha (e^x - 1)",
    source="Clevert et al. 2016, arXiv:1511.07289",
    configs=_configs(alpha=1.0),
    special=limits(-1.0, INF, -0.0, 0.0),
)
def elu(x: "jax.Array", *, alpha: float) -> "jax.Array":
    """Exponential linear unit."""
    return jnp.where(x > 0, x, alpha * jnp.expm1(jnp.where(x > 0, 0, x)))


@activation(
    "celu",
    formula="max(x, 0) + min(0, alpha (e^(x/alpha) - 1))",
    source="Barron 2017, arXiv:1704.07483",
    configs=_configs(alpha=2.0),
    special=limits(-2.0, INF),
)
def celu(x: "jax.Array", *, alpha: float) -> "jax.Array":
    """Continuously differentiable exponential linear unit."""
    return jnp.where(x > 0, x, alpha * jnp.expm1(jnp.where(x > 0, 0, x) / alpha))


SELU_ALPHA = "1.6732632423543772848170429916717"
SELU_SCALE = "1.0507009873554804934193349852946"


@activation(
    "selu",
    formula="scale (x if x > 0 else alpha (e^x - 1))",
    source="Klambauer et al. 2017, arXiv:1706.02515, with its 32-digit constants",
    kinks=corners(0),
    special=((INF, INF), (-0.0, -0.0), (0.0, 0.0)),
)
def selu(x: "jax.Array") -> "jax.Array":
    """Scaled exponential linear unit."""
    negative = exact(SELU_ALPHA) * jnp.expm1(jnp.where(x > 0, 0, x))
    return exact(SELU_SCALE) * jnp.where(x > 0, x, negative)


@activation(
    "gelu_erf",
    formula="x/2 erfc(-x/√2)",
    source="Hendrycks & Gimpel 2016, arXiv:1606.08415",
    special=limits(-0.0, INF, -0.0, 0.0),
)
def gelu_erf(x: "jax.Array") -> "jax.Array":
    """Gaussian error linear unit x Φ(x); by erfc, which keeps the negative tail."""
    return 0.5 * x * derivatives.erfc(-x / exact("sqrt(2)"))


@activation(
    "gelu_tanh",
    formula="x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))",
    source="Hendrycks & Gimpel 2016, arXiv:1606.08415",
    special=limits(-0.0, INF, -0.0, 0.0),
)
def gelu_tanh(x: "jax.Array") -> "jax.Array":
    """The tanh approximation of the Gaussian error linear unit, as x σ(2u): 1 + tanh u would cancel."""
    u = exact("sqrt(2/pi)") * (x + exact("0.044715") * (x * x * x))
    return x * lax.logistic(2 * u)


@activation(
    "quick_gelu",
    formula="x σ(1.702 x)",
    source="Hendrycks & Gimpel 2016, arXiv:1606.08415",
    special=limits(-0.0, INF, -0.0, 0.0),
)
def quick_gelu(x: "jax.Array") -> "jax.Array":
    """The sigmoid approximation of the Gaussian error linear unit."""
    return x * lax.logistic(exact("1.702") * x)


@activation(
    "silu",
    formula="x σ(x)",
    source="Elfwing et al. 2017, arXiv:1702.03118",
    special=limits(-0.0, INF, -0.0, 0.0),
)
def silu(x: "jax.Array") -> "jax.Array":
    """Sigmoid linear unit, also called swish."""
    return x * lax.logistic(x)


@activation(
    "mish",
    formula="x tanh(ln(1 + e^x))",
    source="Misra 2019, arXiv:1908.08681",
    special=limits(-0.0, INF, -0.0, 0.0),
)
def mish(x: "jax.Array") -> "jax.Array":
    """Self-regularised non-monotonic activation."""
    return x * jnp.tanh(stable_softplus(x))


def _softplus_directly(x: "jax.Array") -> "jax.Array":
    """ln(1 + e^x) as it is written wherever e^-x still counts in 32 bits, with its derivative σ(x)."""

    def direct(x: "jax.Array") -> "jax.Array":
        return jnp.where(x > 20, stable_softplus(x), jnp.log1p(jnp.exp(jnp.where(x > 20, 0, x))))

    return derivatives.with_derivative(direct, lambda x, _: lax.logistic(x))(x)


@activation(
    "softplus",
    formula="ln(1 + e^x)",
    source="Dugas et al. 2001",
    special=limits(0.0, INF),
    forms=(_softplus_directly,),
)
def softplus(x: "jax.Array") -> "jax.Array":
    """Smooth rectifier, with no threshold beyond which it becomes x."""
    return stable_softplus(x)


@activation("sigmoid", formula="1/(1 + e^-x)", source="DLMF 4.2.19", special=limits(0.0, 1.0, 0.5, 0.5))
def sigmoid(x: "jax.Array") -> "jax.Array":
    """Logistic function."""
    return lax.logistic(x)


def _log_sigmoid_by_derivative(x: "jax.Array") -> "jax.Array":
    """The same value with its derivative σ(-x), multiplied into the cotangent last."""
    return derivatives.with_derivative(lambda x: -stable_softplus(-x), lambda x, _: lax.logistic(-x))(x)


@activation(
    "log_sigmoid",
    formula="-ln(1 + e^-x)",
    source="PyTorch reference, torch.nn.LogSigmoid",
    special=((-INF, -INF),),
    forms=(_log_sigmoid_by_derivative,),
)
def log_sigmoid(x: "jax.Array") -> "jax.Array":
    """Logarithm of the logistic function."""
    return -stable_softplus(-x)


@activation(
    "hard_sigmoid",
    formula="min(max(x + 3, 0), 6)/6",
    source="Howard et al. 2019, arXiv:1905.02244",
    kinks=corners(-3, 3),
    special=limits(0.0, 1.0, 0.5, 0.5),
)
def hard_sigmoid(x: "jax.Array") -> "jax.Array":
    """Piecewise linear sigmoid of slope 1/6; its derivative at both corners is 0 by convention."""
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, 1, (x + 3) / 6))


def _hard_swish_by_relu6(x: "jax.Array") -> "jax.Array":
    """The paper's formula, which rounds x 6 / 6 where the value is x."""
    return x * relu6(x + 3) / 6


@activation(
    "hard_swish",
    formula="x min(max(x + 3, 0), 6)/6",
    source="Howard et al. 2019, arXiv:1905.02244",
    kinks=corners(-3, 3),
    special=((INF, INF), (-0.0, -0.0), (0.0, 0.0)),
    forms=(_hard_swish_by_relu6,),
)
def hard_swish(x: "jax.Array") -> "jax.Array":
    """Piecewise quadratic swish; its derivative is 0 at -3 and 1 at 3 by convention."""
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, x, x * (x + 3) / 6))


@activation(
    "hard_tanh", formula="min(max(x, -1), 1)", source="Collobert 2004", kinks=corners(-1, 1), special=odd_limits(1.0)
)
def hard_tanh(x: "jax.Array") -> "jax.Array":
    """Piecewise linear tanh; its derivative at both corners is 0 by convention."""
    return jnp.where(x <= -1, -1, jnp.where(x >= 1, 1, x))


@activation("softsign", formula="x/(1 + |x|)", source="Bergstra et al. 2009", special=odd_limits(1.0))
def softsign(x: "jax.Array") -> "jax.Array":
    """Softsign; its derivative 1/(1 + |x|)² is stated because that of the quotient cancels for large |x|."""

    def derivative(x: "jax.Array", _: "jax.Array") -> "jax.Array":
        denominator = 1 + jnp.abs(x)
        return 1 / (denominator * denominator)

    return derivatives.with_derivative(lambda x: x / (1 + jnp.abs(x)), derivative)(x)


@activation(
    "tanhshrink",
    formula="x - tanh x",
    source="PyTorch reference, torch.nn.Tanhshrink",
    special=limits(-INF, INF),
    at_scale=True,
)
def tanhshrink(x: "jax.Array") -> "jax.Array":
    """Shrinkage by tanh; the derivative tanh² x is stated because 1 - (1 - tanh² x) cancels near zero."""
    return derivatives.with_derivative(lambda x: x - jnp.tanh(x), lambda x, _: jnp.square(jnp.tanh(x)))(x)


@activation(
    "softshrink",
    formula="x - λ if x > λ, x + λ if x < -λ, else 0",
    source="PyTorch reference, torch.nn.Softshrink",
    configs=_configs(threshold=0.5),
    kinks=_shrunk_corners,
    special=limits(-INF, INF),
)
def softshrink(x: "jax.Array", *, threshold: float) -> "jax.Array":
    """Soft shrinkage by `threshold` (λ); its derivative at both corners is 0 by convention."""
    return jnp.where(x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, 0 * x))
