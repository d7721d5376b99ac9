"""Activation functions of one real number, as their papers define them."""

from mpmath import mp, mpf

from oracle.reference.operation import textbook


@textbook("relu")
def relu(x: mpf) -> mpf:
    """max(0, x)."""
    return max(mpf(0), x)


@textbook("relu6")
def relu6(x: mpf) -> mpf:
    """min(max(0, x), 6)."""
    return min(max(mpf(0), x), mpf(6))


@textbook("leaky_relu")
def leaky_relu(x: mpf, negative_slope: float) -> mpf:
    """max(0, x) + slope min(0, x)."""
    return max(mpf(0), x) + mpf(negative_slope) * min(mpf(0), x)


@textbook("elu")
def elu(x: mpf, alpha: float) -> mpf:
    """x, or alpha (e^x - 1) for negative x."""
    return x if x > 0 else mpf(alpha) * (mp.exp(x) - 1)


@textbook("celu")
def celu(x: mpf, alpha: float) -> mpf:
    """max(0, x) + min(0, alpha (e^(x/alpha) - 1))."""
    return max(mpf(0), x) + min(mpf(0), mpf(alpha) * (mp.exp(x / mpf(alpha)) - 1))


@textbook("selu")
def selu(x: mpf) -> mpf:
    """λ x, or λ α (e^x - 1) for negative x.

    λ and α make mean 0 and variance 1 a fixed point; the frameworks and the reference keep the paper's 32 digits, so
    those define the operation, and the closed forms are checked in the tests.
    """
    scale, alpha = mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717")
    return scale * (x if x > 0 else alpha * (mp.exp(x) - 1))


@textbook("gelu_erf")
def gelu_erf(x: mpf) -> mpf:
    """x Φ(x) with Φ the normal distribution function."""
    return x * mp.ncdf(x)


@textbook("gelu_tanh")
def gelu_tanh(x: mpf) -> mpf:
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
    return x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)))


@textbook("quick_gelu")
def quick_gelu(x: mpf) -> mpf:
    """x/(1 + e^(-1.702 x))."""
    return x / (1 + mp.exp(-mpf("1.702") * x))


@textbook("silu")
def silu(x: mpf) -> mpf:
    """x/(1 + e^-x)."""
    return x / (1 + mp.exp(-x))


@textbook("mish")
def mish(x: mpf) -> mpf:
    """x tanh(ln(1 + e^x))."""
    return x * mp.tanh(mp.ln(1 + mp.exp(x)))


@textbook("softplus")
def softplus(x: mpf) -> mpf:
    """ln(1 + e^x)."""
    return mp.ln(1 + mp.exp(x))


@textbook("sigmoid")
def sigmoid(x: mpf) -> mpf:
    """1/(1 + e^-x)."""
    return 1 / (1 + mp.exp(-x))


@textbook("log_sigmoid")
def log_sigmoid(x: mpf) -> mpf:
    """ln(1/(1 + e^-x))."""
    return mp.ln(1 / (1 + mp.exp(-x)))


@textbook("hard_sigmoid")
def hard_sigmoid(x: mpf) -> mpf:
    """relu6(x + 3)/6."""
    return relu6(x + 3) / 6


@textbook("hard_swish")
def hard_swish(x: mpf) -> mpf:
    """x relu6(x + 3)/6."""
    return x * relu6(x + 3) / 6


@textbook("hard_tanh")
def hard_tanh(x: mpf) -> mpf:
    """min(max(-1, x), 1)."""
    return min(max(mpf(-1), x), mpf(1))


@textbook("softsign")
def softsign(x: mpf) -> mpf:
    """x/(1 + |x|)."""
    return x / (1 + mp.fabs(x))


@textbook("tanhshrink")
def tanhshrink(x: mpf) -> mpf:
    """x - tanh x."""
    return x - mp.tanh(x)


@textbook("softshrink")
def softshrink(x: mpf, threshold: float) -> mpf:
    """sign(x) max(|x| - λ, 0)."""
    return mp.sign(x) * max(mp.fabs(x) - mpf(threshold), mpf(0))
