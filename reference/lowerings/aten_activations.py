"""Activations and their gradients.

Gradients have torch's own signatures: they take the saved input or output that the kernel is given, and are functions
of it. Where mathematics leaves a choice at a kink, torch's is taken.
"""

from typing import Any

from oracle.reference.constants import exact
from oracle.reference.lazy import jnp, lax
from oracle.reference.lowerings.aten import aten


@aten("sigmoid_backward")
def _sigmoid_backward(grad: Any, y: Any) -> Any:
    return grad * (y * (1 - y))


@aten("tanh_backward")
def _tanh_backward(grad: Any, y: Any) -> Any:
    return grad * (1 - y * y)


@aten("relu", inplace=True)
def _relu(x: Any) -> Any:
    return jnp.maximum(x, 0)


@aten("threshold", inplace=True)
def _threshold(x: Any, threshold: Any, value: Any) -> Any:
    return jnp.where(x <= threshold, value, x)


@aten("threshold_backward")
def _threshold_backward(grad: Any, x: Any, threshold: Any) -> Any:
    return jnp.where(x <= threshold, 0.0, grad)


@aten("leaky_relu", inplace=True)
def _leaky_relu(x: Any, negative_slope: Any = 0.01) -> Any:
    return jnp.where(x > 0, x, x * negative_slope)


@aten("leaky_relu_backward")
def _leaky_relu_backward(grad: Any, x: Any, negative_slope: Any, self_is_result: bool) -> Any:
    return jnp.where(x > 0, grad, grad * negative_slope)


@aten("elu", inplace=True)
def _elu(x: Any, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> Any:
    below = jnp.expm1(jnp.minimum(x, 0.0) * input_scale) * (alpha * scale)
    return jnp.where(x > 0, x * scale, below)


@aten("elu_backward")
def _elu_backward(grad: Any, alpha: Any, scale: Any, input_scale: Any, is_result: bool, x: Any) -> Any:
    if is_result:
        below = grad * input_scale * (x + alpha * scale)
    else:
        below = grad * input_scale * (alpha * scale) * jnp.exp(jnp.minimum(x, 0.0) * input_scale)
    return jnp.where(x <= 0, below, grad * scale)


@aten("celu", inplace=True)
def _celu(x: Any, alpha: Any = 1.0) -> Any:
    return jnp.where(x > 0, x, alpha * jnp.expm1(jnp.minimum(x, 0.0) / alpha))


def _tanh_gate(x: Any) -> Any:
    """(1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2, written so that its lower tail does not cancel."""
    return lax.logistic(2 * exact("sqrt(2/pi)") * (x + exact("0.044715") * x * x * x))


@aten("gelu", inplace=True)
def _gelu(x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return x * _tanh_gate(x)
    return 0.5 * x * lax.erfc(-x / exact("sqrt(2)"))


@aten("gelu_backward")
def _gelu_backward(grad: Any, x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        gate = _tanh_gate(x)
        slope = 2 * exact("sqrt(2/pi)") * (1 + 3 * exact("0.044715") * x * x)
        return grad * (gate + x * gate * _tanh_gate(-x) * slope)
    density = jnp.exp(-0.5 * x * x) / exact("sqrt(2*pi)")
    return grad * (0.5 * lax.erfc(-x / exact("sqrt(2)")) + x * density)


@aten("silu", inplace=True)
def _silu(x: Any) -> Any:
    return x * lax.logistic(x)


@aten("silu_backward")
def _silu_backward(grad: Any, x: Any) -> Any:
    s = lax.logistic(x)
    return grad * s * (1 + x * lax.logistic(-x))


def _softplus(x: Any) -> Any:
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@aten("mish", inplace=True)
def _mish(x: Any) -> Any:
    return x * jnp.tanh(_softplus(x))


@aten("mish_backward")
def _mish_backward(grad: Any, x: Any) -> Any:
    t = jnp.tanh(_softplus(x))
    return grad * (t + x * lax.logistic(x) * (1 - t * t))


@aten("hardsigmoid", inplace=True)
def _hardsigmoid(x: Any) -> Any:
    return jnp.minimum(jnp.maximum(x + 3, 0.0), 6.0) / 6


@aten("hardsigmoid_backward")
def _hardsigmoid_backward(grad: Any, x: Any) -> Any:
    return jnp.where((x > -3) & (x < 3), grad / 6, 0.0)


@aten("hardswish", inplace=True)
def _hardswish(x: Any) -> Any:
    return x * _hardsigmoid(x)


@aten("hardswish_backward")
def _hardswish_backward(grad: Any, x: Any) -> Any:
    return jnp.where(x <= -3, 0.0, jnp.where(x < 3, grad * (x / 3 + 0.5), grad))


@aten("hardtanh", inplace=True)
def _hardtanh(x: Any, min_val: Any = -1, max_val: Any = 1) -> Any:
    return jnp.minimum(jnp.maximum(x, min_val), max_val)


@aten("hardtanh_backward")
def _hardtanh_backward(grad: Any, x: Any, min_val: Any, max_val: Any) -> Any:
    return jnp.where((x <= min_val) | (x >= max_val), 0.0, grad)


@aten("softplus")
def _softplus_op(x: Any, beta: Any = 1, threshold: Any = 20) -> Any:
    """log(1 + exp(beta x)) / beta, and x itself where beta x exceeds the threshold: torch defines it so."""
    return jnp.where(x * beta > threshold, x, _softplus(x * beta) / beta)


@aten("softplus_backward")
def _softplus_backward(grad: Any, x: Any, beta: Any, threshold: Any) -> Any:
    return jnp.where(x * beta > threshold, grad, grad * lax.logistic(x * beta))


@aten("log_sigmoid_forward")
def _log_sigmoid(x: Any) -> tuple:
    buffer = jnp.exp(-jnp.abs(x))
    return jnp.minimum(x, 0.0) - jnp.log1p(buffer), buffer


@aten("log_sigmoid_backward")
def _log_sigmoid_backward(grad: Any, x: Any, buffer: Any) -> Any:
    """The kernel reads exp(-|x|) from the forward pass where it kept it (on CPU)."""
    z = buffer if buffer.size else jnp.exp(-jnp.abs(x))
    return grad * jnp.where(x < 0, 1 / (1 + z), z / (1 + z))


@aten("softshrink")
def _softshrink(x: Any, lambd: Any = 0.5) -> Any:
    return jnp.where(x > lambd, x - lambd, jnp.where(x < -lambd, x + lambd, 0.0))


@aten("hardshrink")
def _hardshrink(x: Any, lambd: Any = 0.5) -> Any:
    return jnp.where((x >= -lambd) & (x <= lambd), 0.0, x)


@aten("softshrink_backward", "hardshrink_backward")
def _shrink_backward(grad: Any, x: Any, lambd: Any) -> Any:
    return jnp.where((x >= -lambd) & (x <= lambd), 0.0, grad)


@aten("glu")
def _glu(x: Any, dim: int = -1) -> Any:
    a, b = jnp.split(x, 2, dim)
    return a * lax.logistic(b)


@aten("glu_backward")
def _glu_backward(grad: Any, x: Any, dim: int) -> Any:
    a, b = jnp.split(x, 2, dim)
    s = lax.logistic(b)
    return jnp.concatenate([grad * s, grad * a * s * lax.logistic(-b)], dim)


@aten("_prelu_kernel")
def _prelu(x: Any, weight: Any) -> Any:
    return jnp.where(x > 0, x, weight * x)


@aten("_prelu_kernel_backward")
def _prelu_backward(grad: Any, x: Any, weight: Any) -> tuple:
    return jnp.where(x > 0, grad, weight * grad), jnp.where(x > 0, 0.0, x * grad)


@aten("native_dropout")
def _native_dropout(x: Any, p: float, train: bool | None, mask: Any = None) -> tuple:
    """The recorded mask times x / (1 - p); the mask itself is a recorded draw, not a result."""
    if train is False or mask is None:
        return x, None
    return (jnp.zeros_like(x) if p == 1 else jnp.where(mask, x, 0.0) / (1 - jnp.asarray(p))), None


@aten("native_dropout_backward")
def _native_dropout_backward(grad: Any, mask: Any, scale: Any) -> Any:
    return jnp.where(mask, grad, 0.0) * scale


def _allowed(x: Any, dim: int) -> tuple[Any, Any]:
    """exp(x - max) with exact zeros where x is minus infinity, and its sum along `dim`."""
    allowed = x > -jnp.inf
    kept = jnp.where(allowed, x, jnp.min(jnp.where(allowed, x, 0.0), axis=dim, keepdims=True))
    e = jnp.where(allowed, jnp.exp(kept - jnp.max(kept, axis=dim, keepdims=True)), 0.0)
    return e, jnp.sum(e, axis=dim, keepdims=True)


@aten("_softmax")
def _softmax(x: Any, dim: int, half_to_float: bool) -> Any:
    e, total = _allowed(x, dim)
    return e / total


@aten("_safe_softmax")
def _safe_softmax(x: Any, dim: int, dtype: str | None = None) -> Any:
    """Softmax whose rows of nothing but minus infinity are zero."""
    e, total = _allowed(x, dim)
    return e / jnp.where(total == 0, 1.0, total)


@aten("_softmax_backward_data")
def _softmax_backward(grad: Any, y: Any, dim: int, input_dtype: str) -> Any:
    return y * (grad - jnp.sum(grad * y, axis=dim, keepdims=True))


@aten("_log_softmax")
def _log_softmax(x: Any, dim: int, half_to_float: bool) -> Any:
    shifted = x - jnp.max(x, axis=dim, keepdims=True)
    return shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis=dim, keepdims=True))


@aten("_log_softmax_backward_data")
def _log_softmax_backward(grad: Any, y: Any, dim: int, input_dtype: str) -> Any:
    return grad - jnp.exp(y) * jnp.sum(grad, axis=dim, keepdims=True)
