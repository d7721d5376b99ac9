"""Elementwise arithmetic and functions of one variable."""

import functools
from typing import Any

import numpy as np

from oracle.reference.constants import exact
from oracle.reference.lazy import jnp, lax
from oracle.reference.lowerings.aten import aten, is_real, real


@aten("add.Tensor", "add.Scalar", inplace=True)
def _add(a: Any, b: Any, alpha: Any = 1) -> Any:
    return jnp.add(a, b if alpha == 1 else jnp.multiply(b, alpha))


@aten("sub.Tensor", "sub.Scalar", inplace=True)
def _sub(a: Any, b: Any, alpha: Any = 1) -> Any:
    return jnp.subtract(a, b if alpha == 1 else jnp.multiply(b, alpha))


@aten("rsub.Tensor", "rsub.Scalar")
def _rsub(a: Any, b: Any, alpha: Any = 1) -> Any:
    return _sub(b, a, alpha)


@aten("mul.Tensor", "mul.Scalar", inplace=True)
def _mul(a: Any, b: Any) -> Any:
    return jnp.multiply(a, b)


@aten("div.Tensor", "div.Scalar", "div.Tensor_mode", "div.Scalar_mode", inplace=True)
def _div(a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode is None:
        return jnp.true_divide(a, b)
    if rounding_mode == "floor":
        return jnp.floor_divide(a, b)
    return jnp.trunc(jnp.true_divide(a, b)) if is_real(a) or is_real(b) else lax.div(*jnp.broadcast_arrays(a, b))


@aten("floor_divide", "floor_divide.Scalar", "floor_divide_.Tensor", "floor_divide_.Scalar")
def _floor_divide(a: Any, b: Any) -> Any:
    return jnp.floor_divide(a, b)


@aten("remainder.Tensor", "remainder.Scalar", inplace=True)
@aten("remainder.Scalar_Tensor")
def _remainder(a: Any, b: Any) -> Any:
    return jnp.remainder(a, b)


@aten("fmod.Tensor", "fmod.Scalar", inplace=True)
def _fmod(a: Any, b: Any) -> Any:
    return jnp.fmod(a, b)


@aten("pow.Tensor_Tensor", "pow.Scalar")
def _pow(a: Any, b: Any) -> Any:
    power = jnp.power(real(a), real(b))
    return power if is_real(a) or is_real(b) else jnp.round(power).astype(jnp.int64)


@aten("pow.Tensor_Scalar")
@aten("pow_.Scalar", "pow_.Tensor")
def _pow_scalar(x: Any, exponent: Any) -> Any:
    """Whole powers are products and halves are roots, as the kernels have them."""
    if not isinstance(exponent, int | float):
        return jnp.power(x, exponent)
    if exponent in (0.5, -0.5):
        return jnp.sqrt(real(x)) if exponent > 0 else 1 / jnp.sqrt(real(x))
    x = real(x) if isinstance(exponent, float) else x
    if exponent == int(exponent):
        return lax.integer_pow(jnp.asarray(x), int(exponent))
    return jnp.power(x, exponent)


def _in_jax(name: str, x: Any) -> Any:
    return getattr(jnp, name)(real(x))


_UNARY = {
    **{name: name for name in ("exp", "exp2", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan")},
    **{name: name for name in ("sinh", "cosh", "tanh")},
    **{f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
}
for _name, _function in _UNARY.items():
    aten(_name, inplace=True)(functools.partial(_in_jax, _function))


@aten("log2", inplace=True)
def _log2(x: Any) -> Any:
    return jnp.log(real(x)) / exact("log(2)")


@aten("log10", inplace=True)
def _log10(x: Any) -> Any:
    return jnp.log(real(x)) / exact("log(10)")


@aten("rsqrt", inplace=True)
def _rsqrt(x: Any) -> Any:
    return lax.rsqrt(real(x))


@aten("reciprocal", inplace=True)
def _reciprocal(x: Any) -> Any:
    return 1 / real(x)


@aten("sigmoid", inplace=True)
def _sigmoid(x: Any) -> Any:
    return lax.logistic(real(x))


@aten("erf", inplace=True)
def _erf(x: Any) -> Any:
    return lax.erf(real(x))


@aten("erfc", inplace=True)
def _erfc(x: Any) -> Any:
    return lax.erfc(real(x))


@aten("erfinv", inplace=True)
def _erfinv(x: Any) -> Any:
    return lax.erf_inv(real(x))


@aten("lgamma", inplace=True)
def _lgamma(x: Any) -> Any:
    return lax.lgamma(real(x))


@aten("digamma", inplace=True)
def _digamma(x: Any) -> Any:
    return lax.digamma(real(x))


@aten("neg", inplace=True)
def _neg(x: Any) -> Any:
    return jnp.negative(x)


@aten("abs", inplace=True)
def _abs(x: Any) -> Any:
    return jnp.abs(x)


@aten("sign", "sgn", inplace=True)
def _sign(x: Any) -> Any:
    return jnp.sign(x)


@aten("floor", inplace=True)
def _floor(x: Any) -> Any:
    return jnp.floor(x)


@aten("ceil", inplace=True)
def _ceil(x: Any) -> Any:
    return jnp.ceil(x)


@aten("trunc", inplace=True)
def _trunc(x: Any) -> Any:
    return jnp.trunc(x)


@aten("frac", inplace=True)
def _frac(x: Any) -> Any:
    return x - jnp.trunc(x)


@aten("round", inplace=True)
def _round(x: Any) -> Any:
    return lax.round(real(x), lax.RoundingMethod.TO_NEAREST_EVEN)


@aten("maximum", "clamp_min", "clamp_min.Tensor")
@aten("clamp_min_", "clamp_min_.Tensor")
def _maximum(a: Any, b: Any) -> Any:
    return jnp.maximum(a, b)


@aten("minimum", "clamp_max", "clamp_max.Tensor")
@aten("clamp_max_", "clamp_max_.Tensor")
def _minimum(a: Any, b: Any) -> Any:
    return jnp.minimum(a, b)


@aten("fmax")
def _fmax(a: Any, b: Any) -> Any:
    return jnp.fmax(a, b)


@aten("fmin")
def _fmin(a: Any, b: Any) -> Any:
    return jnp.fmin(a, b)


@aten("clamp", "clamp.Tensor", inplace=True)
def _clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else jnp.maximum(x, min)
    return x if max is None else jnp.minimum(x, max)


@aten("atan2", inplace=True)
def _atan2(a: Any, b: Any) -> Any:
    return jnp.arctan2(real(a), real(b))


@aten("hypot", inplace=True)
def _hypot(a: Any, b: Any) -> Any:
    return jnp.sqrt(a * a + b * b)


@aten("logaddexp")
def _logaddexp(a: Any, b: Any) -> Any:
    # Equal infinities are that infinity, not inf - inf.
    apart = jnp.where(a == b, 0.0, a - b)
    return jnp.maximum(a, b) + jnp.log1p(jnp.exp(-jnp.abs(apart)))


@aten("xlogy.Tensor", "xlogy.Scalar_Other", inplace=True)
@aten("xlogy.Scalar_Self")
def _xlogy(a: Any, b: Any) -> Any:
    zero = jnp.equal(a, 0)
    return jnp.where(zero, 0.0, a * jnp.log(jnp.where(zero, 1.0, b)))


@aten("maximum.out")
def _maximum_out(a: Any, b: Any, out: Any) -> Any:
    return jnp.maximum(a, b)


@aten("minimum.out")
def _minimum_out(a: Any, b: Any, out: Any) -> Any:
    return jnp.minimum(a, b)


@aten("lerp.Scalar", "lerp.Tensor", inplace=True)
def _lerp(start: Any, end: Any, weight: Any) -> Any:
    return start + weight * (end - start)


@aten("addcmul", inplace=True)
def _addcmul(x: Any, a: Any, b: Any, value: Any = 1) -> Any:
    return x + value * (a * b)


@aten("addcdiv", inplace=True)
def _addcdiv(x: Any, a: Any, b: Any, value: Any = 1) -> Any:
    return x + value * (a / b)


@aten("copysign.Tensor", "copysign.Scalar", inplace=True)
def _copysign(a: Any, b: Any) -> Any:
    return jnp.where(jnp.less(b, 0), -jnp.abs(a), jnp.abs(a))


@aten("nan_to_num", inplace=True)
def _nan_to_num(x: Any, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    """Infinities with no replacement given become the largest number of float32, the usual format."""
    largest = float(np.finfo(np.float32).max)
    x = jnp.where(jnp.isnan(x), 0.0 if nan is None else nan, x)
    x = jnp.where(x == jnp.inf, largest if posinf is None else posinf, x)
    return jnp.where(x == -jnp.inf, -largest if neginf is None else neginf, x)
