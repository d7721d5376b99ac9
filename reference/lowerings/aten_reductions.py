"""Sums, means, moments, norms, extremes, cumulative operations and sorting."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle.reference.lazy import jnp, lax
from oracle.reference.lowerings.aten import aten, axes_of, cast, is_real, product, real


@aten("sum", "sum.dim_IntList")
def _sum(x: Any, dim: Any = None, keepdim: bool = False, dtype: str | None = None) -> Any:
    x = x if dtype is None else cast(x, dtype)
    return jnp.sum(x, axis=axes_of(dim, jnp.ndim(x)), keepdims=keepdim)


@aten("nansum")
def _nansum(x: Any, dim: Any = None, keepdim: bool = False, dtype: str | None = None) -> Any:
    return _sum(jnp.where(jnp.isnan(x), 0.0, x), dim, keepdim, dtype)


@aten("mean", "mean.dim")
def _mean(x: Any, dim: Any = None, keepdim: bool = False, dtype: str | None = None) -> Any:
    return jnp.mean(real(x), axis=axes_of(dim, jnp.ndim(x)), keepdims=keepdim)


@aten("prod", "prod.dim_int")
def _prod(x: Any, dim: Any = None, keepdim: bool = False, dtype: str | None = None) -> Any:
    x = x if dtype is None else cast(x, dtype)
    return jnp.prod(x, axis=axes_of(dim, jnp.ndim(x)), keepdims=keepdim)


@aten("var_mean.correction")
def _var_mean(x: Any, dim: Any = None, correction: Any = None, keepdim: bool = False) -> tuple:
    """Variance sum((x - mean)^2) / (n - correction), where the correction is 1 unless given."""
    axes = axes_of(dim, jnp.ndim(x))
    mean = jnp.mean(x, axis=axes, keepdims=True)
    n = product([x.shape[a] for a in axes])
    squares = jnp.sum((x - mean) * (x - mean), axis=axes, keepdims=keepdim)
    return squares / max(n - (1 if correction is None else correction), 0), mean if keepdim else jnp.squeeze(mean, axes)


@aten("var.correction")
def _var(x: Any, dim: Any = None, correction: Any = None, keepdim: bool = False) -> Any:
    return _var_mean(x, dim, correction, keepdim)[0]


@aten("std_mean.correction")
def _std_mean(x: Any, dim: Any = None, correction: Any = None, keepdim: bool = False) -> tuple:
    var, mean = _var_mean(x, dim, correction, keepdim)
    return jnp.sqrt(var), mean


@aten("std.correction")
def _std(x: Any, dim: Any = None, correction: Any = None, keepdim: bool = False) -> Any:
    return jnp.sqrt(_var(x, dim, correction, keepdim))


@aten("amax", "max")
def _amax(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return jnp.max(x, axis=axes_of(dim, jnp.ndim(x)), keepdims=keepdim)


@aten("amin", "min")
def _amin(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return jnp.min(x, axis=axes_of(dim, jnp.ndim(x)), keepdims=keepdim)


@aten("aminmax")
def _aminmax(x: Any, dim: Any = None, keepdim: bool = False) -> tuple:
    return _amin(x, dim, keepdim), _amax(x, dim, keepdim)


@aten("max.dim")
def _max_dim(x: Any, dim: int, keepdim: bool = False) -> tuple:
    return jnp.max(x, axis=dim, keepdims=keepdim), jnp.argmax(x, axis=dim, keepdims=keepdim)


@aten("min.dim")
def _min_dim(x: Any, dim: int, keepdim: bool = False) -> tuple:
    return jnp.min(x, axis=dim, keepdims=keepdim), jnp.argmin(x, axis=dim, keepdims=keepdim)


@aten("argmax")
def _argmax(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    return jnp.argmax(x, axis=dim, keepdims=keepdim)


@aten("argmin")
def _argmin(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    return jnp.argmin(x, axis=dim, keepdims=keepdim)


@aten("any", "any.dim", "any.dims")
def _any(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return jnp.any(x != 0, axis=axes_of(dim, jnp.ndim(x)), keepdims=keepdim)


@aten("all", "all.dim", "all.dims")
def _all(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return jnp.all(x != 0, axis=axes_of(dim, jnp.ndim(x)), keepdims=keepdim)


@aten("count_nonzero", "count_nonzero.dim_IntList")
def _count_nonzero(x: Any, dim: Any = None) -> Any:
    return jnp.sum((x != 0).astype(jnp.int64), axis=axes_of(dim, jnp.ndim(x)))


@aten("cumsum", inplace=True)
def _cumsum(x: Any, dim: int, dtype: str | None = None) -> Any:
    x = cast(x, dtype) if dtype else x.astype(jnp.int64) if x.dtype == bool else x
    return jnp.cumsum(x, axis=dim) if jnp.ndim(x) else x


@aten("cumprod")
def _cumprod(x: Any, dim: int, dtype: str | None = None) -> Any:
    return jnp.cumprod(cast(x, dtype) if dtype else x, axis=dim)


@aten("logcumsumexp")
def _logcumsumexp(x: Any, dim: int) -> Any:
    top = jnp.max(x, axis=dim, keepdims=True)
    return top + jnp.log(jnp.cumsum(jnp.exp(x - top), axis=dim))


@aten("logsumexp")
def _logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    axes = axes_of(dim, jnp.ndim(x))
    top = jnp.max(x, axis=axes, keepdims=True)
    result = top + jnp.log(jnp.sum(jnp.exp(x - top), axis=axes, keepdims=True))
    return result if keepdim else jnp.squeeze(result, axes)


@aten("cummax")
def _cummax(x: Any, dim: int) -> tuple:
    """Running maxima and where they are; of equal ones the last."""
    axis = dim % x.ndim
    values = lax.cummax(x, axis)
    place = lax.broadcasted_iota(jnp.int64, x.shape, axis)
    return values, lax.cummax(jnp.where(x == values, place, 0), axis)


@aten("sort")
def _sort_in_any_order(x: Any, dim: int = -1, descending: bool = False) -> tuple:
    """Equal elements may come in any order: of integers, where they are common, the recorded one is taken."""
    values, order = _sort(x, dim, descending)
    return values, order if is_real(x) else None


@aten("sort.stable")
def _sort(x: Any, dim: int = -1, descending: bool = False, stable: bool | None = None) -> tuple:
    if not jnp.ndim(x):
        return x, jnp.zeros((), jnp.int64)
    order = jnp.argsort(x, axis=dim, stable=True, descending=descending)
    return jnp.take_along_axis(x, order, axis=dim), order


@aten("topk")
def _topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple:
    values, order = _sort(x, dim, largest)
    return lax.slice_in_dim(values, 0, k, axis=dim % x.ndim), lax.slice_in_dim(order, 0, k, axis=dim % x.ndim)


@aten("kthvalue")
def _kthvalue(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> tuple:
    picked = [lax.index_in_dim(a, k - 1, dim % x.ndim, keepdims=keepdim) for a in _sort(x, dim)]
    return picked[0], picked[1]


@aten("median.dim")
def _median_dim(x: Any, dim: int, keepdim: bool = False) -> tuple:
    """The lower of the two middle elements, as torch has it."""
    return _kthvalue(x, (x.shape[dim] + 1) // 2, dim, keepdim)


@aten("median")
def _median(x: Any) -> Any:
    return _median_dim(jnp.reshape(x, (-1,)), 0)[0]


@aten("linalg_vector_norm")
def _vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, dtype: str | None = None) -> Any:
    """(sum |x|^p)^(1/p), with the limits for p = 0 and plus or minus infinity."""
    axes = axes_of(dim, jnp.ndim(x))
    size = jnp.abs(x)
    if ord in (np.inf, -np.inf):
        return (jnp.max if ord > 0 else jnp.min)(size, axis=axes, keepdims=keepdim)
    if ord == 0:
        return jnp.sum((x != 0).astype(jnp.float64), axis=axes, keepdims=keepdim)
    if ord == 1:
        return jnp.sum(size, axis=axes, keepdims=keepdim)
    if ord == 2:
        return jnp.sqrt(jnp.sum(x * x, axis=axes, keepdims=keepdim))
    return jnp.power(jnp.sum(jnp.power(size, ord), axis=axes, keepdims=keepdim), 1 / jnp.asarray(float(ord)))


@aten("norm.Scalar", "norm.ScalarOpt_dim", "norm.ScalarOpt_dim_dtype", "norm.ScalarOpt_dtype")
def _norm(x: Any, p: Any = 2, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: str | None = None) -> Any:
    return _vector_norm(x, 2 if p is None else p, dim, keepdim)
