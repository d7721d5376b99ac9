"""Optimizer kernels: operations over lists of tensors, and whole optimizer steps in one kernel."""

from collections.abc import Callable, Sequence
from typing import Any

from oracle.reference.lazy import jnp
from oracle.reference.lowerings import lowering
from oracle.reference.lowerings.aten import aten

_UNARY = (
    *("abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor", "frac", "lgamma"),
    *("log", "log10", "log1p", "log2", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh"),
    *("sqrt", "tan", "tanh", "trunc"),
)
_BINARY = {"add": "add.Tensor", "sub": "sub.Tensor", "mul": "mul.Tensor", "div": "div.Tensor"}
_EXTREMES = {
    "maximum": "maximum",
    "minimum": "minimum",
    "clamp_min": "clamp_min.Tensor",
    "clamp_max": "clamp_max.Tensor",
}


def _single(name: str) -> Callable:
    """The lowering of one operation by its aten name, looked up when it runs: the families import in any order."""
    full = f"aten.{name}" if "." in name else f"aten.{name}.default"

    def apply(*args: Any, **attrs: Any) -> Any:
        define = lowering("torch", full)
        assert define is not None, full
        return define(*args, **attrs)

    return apply


def _each(function: Callable) -> Callable:
    """`function` of every tensor of a list; other lists go along, single numbers and tensors are shared."""

    def apply(tensors: Sequence[Any], *others: Any, **attrs: Any) -> tuple:
        columns = [o if isinstance(o, list | tuple) else [o] * len(tensors) for o in others]
        return tuple(function(*row, **attrs) for row in zip(tensors, *columns, strict=True))

    return apply


def _each_with_factors(function: Callable) -> Callable:
    """As `_each`, the last argument being one tensor with a factor for every row."""

    def apply(tensors: Sequence[Any], first: Sequence[Any], second: Sequence[Any], factors: Any) -> tuple:
        return _each(function)(tensors, first, second, [factors[i] for i in range(len(tensors))])

    return apply


def _weighted(name: str) -> Callable:
    """`addcmul` or `addcdiv` with the factor in last place, as lists have it."""
    function = _single(name)
    return lambda x, a, b, value=1: function(x, a, b, value=value)


def _register(name: str, overloads: Sequence[str], function: Callable) -> None:
    aten(*(f"_foreach_{name}.{overload}" for overload in overloads), inplace=True)(function)


for _name in _UNARY:
    _register(_name, ("default",), _each(_single(_name)))
for _name, _full in _BINARY.items():
    _register(_name, ("Scalar", "List", "ScalarList"), _each(_single(_full)))
for _name in ("add", "mul", "div"):
    _register(_name, ("Tensor",), _each(_single(_BINARY[_name])))
for _name, _full in _EXTREMES.items():
    _register(_name, ("Scalar", "List", "ScalarList"), _each(_single(_full)))
_register("pow", ("Scalar", "ScalarList"), _each(_single("pow.Tensor_Scalar")))
_register("pow", ("List",), _each(_single("pow.Tensor_Tensor")))
for _name in ("addcmul", "addcdiv"):
    _register(_name, ("Scalar", "ScalarList"), _each(_weighted(_name)))
    _register(_name, ("Tensor",), _each_with_factors(_weighted(_name)))
_register("lerp", ("List", "Scalar", "ScalarList"), _each(_single("lerp.Tensor")))
aten("_foreach_norm.Scalar", ignores=("dtype",))(_each(_single("linalg_vector_norm")))
aten("_foreach_max")(_each(_single("max")))
aten("_foreach_zero_")(_each(_single("zero")))
aten("_foreach_copy", inplace=True)(lambda targets, sources, *_: _each(_single("copy"))(targets, sources))


@aten("_foreach_pow.ScalarAndTensor")
def _foreach_scalar_pow(base: Any, exponents: Sequence[Any]) -> tuple:
    return tuple(jnp.power(base, e) for e in exponents)


@aten("_amp_foreach_non_finite_check_and_unscale_")
def _unscale(grads: Sequence[Any], found_inf: Any, inv_scale: Any) -> tuple:
    """Gradients times the inverse scale, and 1 if any of them is not finite."""
    finite = jnp.stack([jnp.all(jnp.isfinite(g)) for g in grads])
    return (*(g * inv_scale for g in grads), jnp.where(jnp.all(finite), found_inf, 1.0))


def _decayed(grad: Any, param: Any, weight_decay: Any, maximize: bool) -> Any:
    """The gradient to descend along, with the weight decay added."""
    grad = -grad if maximize else grad
    return grad + weight_decay * param if weight_decay else grad


def _adam(decoupled: bool) -> Callable:
    """Adam with its bias corrections; the weight decay added to the gradient, or `decoupled` from it."""

    def step(
        params: Any, grads: Any, means: Any, squares: Any, largest: Any, steps: Any, *, lr: Any, beta1: Any, beta2: Any,
        weight_decay: Any, eps: Any, amsgrad: bool, maximize: bool, **_: Any,
    ) -> tuple:  # fmt: skip
        def one(p: Any, grad: Any, mean: Any, square: Any, top: Any, t: Any) -> tuple:
            start = p * (1 - lr * jnp.asarray(weight_decay)) if decoupled else p
            g = _decayed(grad, p, 0 if decoupled else weight_decay, maximize)
            m = mean + (1 - jnp.asarray(beta1)) * (g - mean)
            v = beta2 * square + (1 - jnp.asarray(beta2)) * (g * g)
            highest = jnp.maximum(top, v) if amsgrad else v
            root = jnp.sqrt(highest) / jnp.sqrt(1 - jnp.power(beta2, t))
            return start - lr / (1 - jnp.power(beta1, t)) * m / (root + eps), m, v, highest

        tops = largest if amsgrad else [None] * len(params)
        rows = [one(*row) for row in zip(params, grads, means, squares, tops, steps, strict=True)]
        p, m, v, highest = zip(*rows, strict=True)
        return (*p, *grads, *m, *v, *(highest if amsgrad else ()))

    return step


aten("_fused_adam_", "_fused_adam_.tensor_lr")(_adam(decoupled=False))
aten("_fused_adamw_", "_fused_adamw_.tensor_lr")(_adam(decoupled=True))


@aten("_fused_sgd_", "_fused_sgd_.tensor_lr")
def _fused_sgd(
    params: Any, grads: Any, buffers: Any, *, weight_decay: Any, momentum: Any, lr: Any, dampening: Any, nesterov: bool,
    maximize: bool, is_first_step: bool, **_: Any,
) -> tuple:  # fmt: skip
    """Gradient descent; the first step starts the momentum buffer with the gradient itself."""
    updated, kept = [], []
    for i, (p, grad) in enumerate(zip(params, grads, strict=True)):
        g = _decayed(grad, p, weight_decay, maximize)
        if momentum:
            kept.append(g if is_first_step else momentum * buffers[i] + (1 - jnp.asarray(dampening)) * g)
            g = g + momentum * kept[-1] if nesterov else kept[-1]
        updated.append(p - lr * g)
    return (*updated, *grads, *kept)


@aten("_fused_adagrad_", "_fused_adagrad_.tensor_lr")
def _fused_adagrad(
    params: Any, grads: Any, sums: Any, steps: Any, *, lr: Any, lr_decay: Any, weight_decay: Any, eps: Any,
    maximize: bool, **_: Any,
) -> tuple:  # fmt: skip
    """p - lr / (1 + (t - 1) lr_decay) g / (sqrt(sum of squares) + eps)."""
    updated, kept = [], []
    for p, grad, total, t in zip(params, grads, sums, steps, strict=True):
        g = _decayed(grad, p, weight_decay, maximize)
        kept.append(total + g * g)
        updated.append(p - lr / (1 + (t - 1) * lr_decay) * g / (jnp.sqrt(kept[-1]) + eps))
    return (*updated, *grads, *kept, *steps)
