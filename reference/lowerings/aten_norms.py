"""Layer, group, batch and RMS normalisation with their gradients.

The gradients are functions of the mean and reciprocal deviation that the kernel is given, as recorded.
"""

from collections.abc import Sequence
from typing import Any

from oracle.reference.lazy import jnp, lax
from oracle.reference.lowerings.aten import aten


def _moments(x: Any, axes: Sequence[int]) -> tuple[Any, Any]:
    """Mean and biased variance along `axes`, which are kept."""
    mean = jnp.mean(x, axis=tuple(axes), keepdims=True)
    return mean, jnp.mean((x - mean) * (x - mean), axis=tuple(axes), keepdims=True)


def _scaled(x: Any, weight: Any, bias: Any) -> Any:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _through(grad: Any, normal: Any, rstd: Any, axes: Sequence[int]) -> Any:
    """The gradient through x -> (x - mean) rstd: what is left without its mean and its part along `normal`."""
    axes = tuple(axes)
    mean = jnp.mean(grad, axis=axes, keepdims=True)
    along = jnp.mean(grad * normal, axis=axes, keepdims=True)
    return rstd * (grad - mean - normal * along)


def _selected(parts: Sequence[Any], mask: Sequence[bool]) -> tuple:
    return tuple(p if wanted else None for p, wanted in zip(parts, mask, strict=True))


@aten("native_layer_norm")
def _layer_norm(x: Any, normalized_shape: Sequence[int], weight: Any, bias: Any, eps: float) -> tuple:
    mean, var = _moments(x, range(x.ndim - len(normalized_shape), x.ndim))
    rstd = lax.rsqrt(var + eps)
    return _scaled((x - mean) * rstd, weight, bias), mean, rstd


@aten("native_layer_norm_backward")
def _layer_norm_backward(
    grad: Any,
    x: Any,
    normalized_shape: Sequence[int],
    mean: Any,
    rstd: Any,
    weight: Any,
    bias: Any,
    mask: Sequence[bool],
) -> tuple:
    outer = tuple(range(x.ndim - len(normalized_shape)))
    normal = (x - mean) * rstd
    inner = range(len(outer), x.ndim)
    of_input = _through(grad if weight is None else grad * weight, normal, rstd, inner)
    return _selected((of_input, jnp.sum(grad * normal, axis=outer), jnp.sum(grad, axis=outer)), mask)


@aten("_fused_rms_norm")
def _rms_norm(x: Any, normalized_shape: Sequence[int], weight: Any, eps: float | None) -> tuple:
    """x / sqrt(mean(x^2) + eps); without eps, the machine epsilon of float32."""
    axes = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    rstd = lax.rsqrt(jnp.mean(x * x, axis=axes, keepdims=True) + (2.0**-23 if eps is None else eps))
    return _scaled(x * rstd, weight, None), rstd


@aten("_fused_rms_norm_backward")
def _rms_norm_backward(
    grad: Any, x: Any, normalized_shape: Sequence[int], rstd: Any, weight: Any, mask: Sequence[bool]
) -> tuple:
    outer = tuple(range(x.ndim - len(normalized_shape)))
    inner = tuple(range(len(outer), x.ndim))
    normal, scaled = x * rstd, grad if weight is None else grad * weight
    along = jnp.mean(scaled * normal, axis=inner, keepdims=True)
    return _selected((rstd * (scaled - normal * along), jnp.sum(grad * normal, axis=outer)), mask)


def _per_channel(v: Any, rank: int) -> Any:
    return None if v is None else jnp.reshape(v, (1, -1, *(1,) * (rank - 2)))


@aten("native_group_norm")
def _group_norm(x: Any, weight: Any, bias: Any, n: int, c: int, size: int, group: int, eps: float) -> tuple:
    mean, var = _moments(jnp.reshape(x, (n, group, -1)), (2,))
    rstd = lax.rsqrt(var + eps)
    normal = jnp.reshape((jnp.reshape(x, (n, group, -1)) - mean) * rstd, x.shape)
    y = _scaled(normal, _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))
    return y, jnp.reshape(mean, (n, group)), jnp.reshape(rstd, (n, group))


@aten("native_group_norm_backward")
def _group_norm_backward(
    grad: Any, x: Any, mean: Any, rstd: Any, weight: Any, n: int, c: int, size: int, group: int, mask: Sequence[bool]
) -> tuple:
    grouped = (n, group, -1)
    rstd = jnp.reshape(rstd, (n, group, 1))
    normal = (jnp.reshape(x, grouped) - jnp.reshape(mean, (n, group, 1))) * rstd
    scaled = grad if weight is None else grad * _per_channel(weight, grad.ndim)
    of_input = jnp.reshape(_through(jnp.reshape(scaled, grouped), normal, rstd, (2,)), x.shape)
    channels = (0, *range(2, x.ndim))
    of_weight = jnp.sum(grad * jnp.reshape(normal, x.shape), axis=channels)
    return _selected((of_input, of_weight, jnp.sum(grad, axis=channels)), mask)


def _train(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any, Any]:
    """Output, batch mean, reciprocal deviation and biased variance of each channel."""
    axes = (0, *range(2, x.ndim))
    mean, var = _moments(x, axes)
    rstd = lax.rsqrt(var + eps)
    y = _scaled((x - mean) * rstd, _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))
    return y, jnp.ravel(mean), jnp.ravel(rstd), jnp.ravel(var)


def _infer(x: Any, weight: Any, bias: Any, mean: Any, var: Any, eps: float) -> Any:
    normal = (x - _per_channel(mean, x.ndim)) * _per_channel(lax.rsqrt(var + eps), x.ndim)
    return _scaled(normal, _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))


def _running(old: Any, new: Any, momentum: float) -> Any:
    """(1 - momentum) old + momentum new: torch's momentum is the weight of the new."""
    return old + momentum * (new - old)


@aten("native_batch_norm", "_native_batch_norm_legit")
def _batch_norm(
    x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, momentum: float, eps: float
) -> tuple:
    """In training also the new running mean and (unbiased) variance, in inference no saved statistics."""
    if not training:
        return _infer(x, weight, bias, running_mean, running_var, eps), None, None
    y, mean, rstd, var = _train(x, weight, bias, eps)
    if running_mean is None:
        return y, mean, rstd
    n = x.size // x.shape[1]
    unbiased = var * n / max(n - 1, 1)
    return y, mean, rstd, _running(running_mean, mean, momentum), _running(running_var, unbiased, momentum)


@aten("_native_batch_norm_legit.no_stats")
def _batch_norm_no_stats(x: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float) -> tuple:
    return _train(x, weight, bias, eps)[:3]


@aten("_native_batch_norm_legit_no_training")
def _batch_norm_inference(
    x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, momentum: float, eps: float
) -> tuple:
    return _infer(x, weight, bias, running_mean, running_var, eps), None, None


@aten("_batch_norm_with_update")
def _batch_norm_with_update(
    x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, momentum: float, eps: float
) -> tuple:
    y, mean, rstd, *running = _batch_norm(x, weight, bias, running_mean, running_var, True, momentum, eps)
    return (y, mean, rstd, None, *running)


@aten("native_batch_norm_backward")
def _batch_norm_backward(
    grad: Any, x: Any, weight: Any, running_mean: Any, running_var: Any, save_mean: Any, save_invstd: Any,
    train: bool, eps: float, mask: Sequence[bool],
) -> tuple:  # fmt: skip
    axes = (0, *range(2, x.ndim))
    mean, rstd = (save_mean, save_invstd) if train else (running_mean, lax.rsqrt(running_var + eps))
    mean, rstd = _per_channel(mean, x.ndim), _per_channel(rstd, x.ndim)
    normal = (x - mean) * rstd
    scaled = grad if weight is None else grad * _per_channel(weight, x.ndim)
    of_input = _through(scaled, normal, rstd, axes) if train else scaled * rstd
    return _selected((of_input, jnp.sum(grad * normal, axis=axes), jnp.sum(grad, axis=axes)), mask)


@aten("batch_norm_backward")
def _batch_norm_backward_reserved(
    grad: Any, x: Any, weight: Any, running_mean: Any, running_var: Any, save_mean: Any, save_invstd: Any,
    train: bool, eps: float, mask: Sequence[bool], reserve: Any,
) -> tuple:  # fmt: skip
    return _batch_norm_backward(grad, x, weight, running_mean, running_var, save_mean, save_invstd, train, eps, mask)


@aten("_weight_norm_interface")
def _weight_norm(v: Any, g: Any, dim: int = 0) -> tuple:
    axes = tuple(a for a in range(v.ndim) if a != dim % v.ndim)
    norms = jnp.sqrt(jnp.sum(v * v, axis=axes, keepdims=True))
    return v * (g / norms), norms


@aten("_weight_norm_interface_backward")
def _weight_norm_backward(grad: Any, v: Any, g: Any, norms: Any, dim: int) -> tuple:
    axes = tuple(a for a in range(v.ndim) if a != dim % v.ndim)
    along = jnp.sum(grad * v, axis=axes, keepdims=True) / norms
    return g * (grad / norms - v * along / (norms * norms)), along
