"""Losses and their gradients. `reduction` is torch's number: 0 none, 1 mean, 2 sum."""

from typing import Any

from oracle.reference.lazy import jnp, lax
from oracle.reference.lowerings.aten import aten, per_element, reduced


@aten("nll_loss_forward", "nll_loss2d_forward")
def _nll_loss(x: Any, target: Any, weight: Any, reduction: int, ignore_index: int) -> tuple:
    """-w_t x_t at the target classes, and the total weight that the mean divides by."""
    w, valid, classes = _nll_weights(x, target, weight, ignore_index)
    picked = jnp.take_along_axis(x, classes, axis=_class_axis(x))
    losses = -w * jnp.squeeze(picked, _class_axis(x))
    if reduction == 0:
        return jnp.where(valid, losses, 0.0), None
    total = jnp.sum(w)
    return jnp.sum(losses) / (total if reduction == 1 else 1), total


def _class_axis(x: Any) -> int:
    return 1 if x.ndim > 1 else 0


def _nll_weights(x: Any, target: Any, weight: Any, ignore_index: int) -> tuple[Any, Any, Any]:
    """Weight of each element (zero where ignored), which are valid, and their classes on an axis of their own."""
    valid = target != ignore_index
    classes = jnp.where(valid, target, 0)
    w = jnp.ones(target.shape) if weight is None else jnp.take(weight, classes, mode="clip")
    return jnp.where(valid, w, 0.0), valid, jnp.expand_dims(classes, _class_axis(x))


@aten("nll_loss_backward", "nll_loss2d_backward")
def _nll_loss_backward(
    grad: Any, x: Any, target: Any, weight: Any, reduction: int, ignore_index: int, total_weight: Any
) -> Any:
    w, _, classes = _nll_weights(x, target, weight, ignore_index)
    each = -w * (grad / total_weight if reduction == 1 else grad)
    axis = _class_axis(x)
    number = jnp.reshape(jnp.arange(x.shape[axis]), [-1 if i == axis else 1 for i in range(x.ndim)])
    return jnp.where(number == classes, jnp.expand_dims(each, axis), 0.0)


@aten("mse_loss")
def _mse_loss(x: Any, target: Any, reduction: int = 1) -> Any:
    return reduced((x - target) * (x - target), reduction)


@aten("mse_loss_backward")
def _mse_loss_backward(grad: Any, x: Any, target: Any, reduction: int) -> Any:
    return 2 * (x - target) * per_element(grad, reduction, x.size)


@aten("smooth_l1_loss")
def _smooth_l1_loss(x: Any, target: Any, reduction: int = 1, beta: float = 1.0) -> Any:
    d = jnp.abs(x - target)
    return reduced(d if beta == 0 else jnp.where(d < beta, 0.5 * d * d / beta, d - 0.5 * jnp.asarray(beta)), reduction)


@aten("smooth_l1_loss_backward")
def _smooth_l1_loss_backward(grad: Any, x: Any, target: Any, reduction: int, beta: float) -> Any:
    d = x - target
    slope = jnp.sign(d) if beta == 0 else jnp.where(jnp.abs(d) < beta, d / beta, jnp.sign(d))
    return slope * per_element(grad, reduction, x.size)


@aten("huber_loss")
def _huber_loss(x: Any, target: Any, reduction: int = 1, delta: float = 1.0) -> Any:
    d = jnp.abs(x - target)
    return reduced(jnp.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * jnp.asarray(delta))), reduction)


@aten("huber_loss_backward")
def _huber_loss_backward(grad: Any, x: Any, target: Any, reduction: int, delta: float) -> Any:
    d = x - target
    return jnp.minimum(jnp.maximum(d, -delta), delta) * per_element(grad, reduction, x.size)


def _log_floored(x: Any) -> Any:
    """max(log x, -100), as torch defines binary cross-entropy at probability zero."""
    positive = x > 0
    return jnp.where(positive, jnp.maximum(jnp.log(jnp.where(positive, x, 1.0)), -100.0), -100.0)


@aten("binary_cross_entropy")
def _bce(x: Any, target: Any, weight: Any = None, reduction: int = 1) -> Any:
    losses = -(target * _log_floored(x) + (1 - target) * _log_floored(1 - x))
    return reduced(losses if weight is None else losses * weight, reduction)


@aten("binary_cross_entropy_backward")
def _bce_backward(grad: Any, x: Any, target: Any, weight: Any = None, reduction: int = 1) -> Any:
    """(x - t) / max((1 - x) x, 1e-12): torch's guard of the division."""
    each = (x - target) / jnp.maximum((1 - x) * x, 1e-12) * per_element(grad, reduction, x.size)
    return each if weight is None else each * weight


@aten("binary_cross_entropy_with_logits")
def _bce_with_logits(x: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: int = 1) -> Any:
    log_weight = 1 if pos_weight is None else (pos_weight - 1) * target + 1
    minus_log_sigmoid = jnp.maximum(-x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))
    losses = (1 - target) * x + log_weight * minus_log_sigmoid
    return reduced(losses if weight is None else losses * weight, reduction)


@aten("soft_margin_loss")
def _soft_margin_loss(x: Any, target: Any, reduction: int = 1) -> Any:
    z = -target * x
    return reduced(jnp.maximum(z, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(z))), reduction)


@aten("soft_margin_loss_backward")
def _soft_margin_loss_backward(grad: Any, x: Any, target: Any, reduction: int) -> Any:
    return -target * lax.logistic(-target * x) * per_element(grad, reduction, x.size)


@aten("multi_margin_loss")
def _multi_margin_loss(x: Any, target: Any, p: Any = 1, margin: Any = 1, weight: Any = None, reduction: int = 1) -> Any:
    """Mean over the other classes of max(0, margin - x_t + x_i)^p, weighted by the target's class."""
    x, target = jnp.atleast_2d(x), jnp.atleast_1d(target)
    at_target = jnp.take_along_axis(x, target[:, None], axis=1)
    violation = jnp.maximum(margin - at_target + x, 0.0)
    terms = violation if p == 1 else violation * violation
    terms = terms if weight is None else terms * jnp.take(weight, target)[:, None]
    others = jnp.arange(x.shape[1])[None, :] != target[:, None]
    return reduced(jnp.sum(jnp.where(others, terms, 0.0), axis=1) / x.shape[1], reduction)
