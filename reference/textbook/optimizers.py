"""One step of an optimizer for one scalar parameter, applied to each."""

import functools
from collections.abc import Callable

import numpy as np
from mpmath import mp, mpf

from oracle.reference.operation import textbook

Array = np.ndarray


def _for_each(step: Callable) -> Callable:
    """A step of arrays from a step of scalars; real attributes become exact mpf."""

    @functools.wraps(step)
    def define(*arrays: Array, **attrs: float | bool) -> Array | tuple[Array, ...]:
        exact = {k: mpf(v) if isinstance(v, float) else v for k, v in attrs.items()}
        results = [step(*values, **exact) for values in zip(*(a.ravel() for a in arrays), strict=True)]
        if not isinstance(results[0], tuple):
            return np.array(results, object).reshape(arrays[0].shape)
        return tuple(np.array(r, object).reshape(arrays[0].shape) for r in zip(*results, strict=True))

    return define


@textbook("sgd")
@_for_each
def sgd(p: mpf, g: mpf, *, lr: mpf, weight_decay: mpf) -> mpf:
    """Against the gradient of the loss plus weight_decay p²/2."""
    return p - lr * (g + weight_decay * p)


@textbook("sgd_momentum")
@_for_each
def sgd_momentum(p: mpf, g: mpf, v: mpf, *, lr: mpf, momentum: mpf, lr_in_velocity: bool) -> tuple[mpf, mpf]:
    """The velocity is a sum of past gradients, or of past steps."""
    v = momentum * v + (-lr * g if lr_in_velocity else g)
    return (p + v if lr_in_velocity else p - lr * v), v


@textbook("sgd_nesterov")
@_for_each
def sgd_nesterov(p: mpf, g: mpf, v: mpf, *, lr: mpf, momentum: mpf, lr_in_velocity: bool) -> tuple[mpf, mpf]:
    """Momentum looking one step ahead: the new velocity counts once more."""
    own = -lr * g if lr_in_velocity else g
    v = momentum * v + own
    ahead = momentum * v + own
    return (p + ahead if lr_in_velocity else p - lr * ahead), v


def _adam_step(m: mpf, v: mpf, attrs: dict) -> mpf:
    t = attrs["step"]
    c1, c2 = 1 - attrs["beta1"] ** t, 1 - attrs["beta2"] ** t
    eps = attrs["eps"] / mp.sqrt(c2) if attrs["eps_hat"] else attrs["eps"]  # eps-hat is eps seen through 1/√c2
    return attrs["lr"] * (m / c1) / (mp.sqrt(v / c2) + eps)


def _moments(g: mpf, m: mpf, v: mpf, attrs: dict) -> tuple[mpf, mpf]:
    b1, b2 = attrs["beta1"], attrs["beta2"]
    return b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2


@textbook("adam")
@_for_each
def adam(p: mpf, g: mpf, m: mpf, v: mpf, *, weight_decay: mpf, **attrs: mpf) -> tuple[mpf, mpf, mpf]:
    """Bias-corrected moments of the gradient, to which weight_decay p is added first."""
    m, v = _moments(g + weight_decay * p, m, v, attrs)
    return p - _adam_step(m, v, attrs), m, v


@textbook("adamw")
@_for_each
def adamw(p: mpf, g: mpf, m: mpf, v: mpf, *, weight_decay: mpf, **attrs: mpf) -> tuple[mpf, mpf, mpf]:
    """Bias-corrected moments of the gradient alone; the parameter shrinks on its own."""
    m, v = _moments(g, m, v, attrs)
    return p - attrs["lr"] * weight_decay * p - _adam_step(m, v, attrs), m, v


def _scaled(g: mpf, v: mpf, eps: mpf, inside: bool) -> mpf:
    return g / mp.sqrt(v + eps) if inside else g / (mp.sqrt(v) + eps)


@textbook("rmsprop")
@_for_each
def rmsprop(p: mpf, g: mpf, v: mpf, *, lr: mpf, decay: mpf, eps: mpf, eps_inside: bool) -> tuple[mpf, mpf]:
    """The gradient over the root of its mean square."""
    v = v * decay + g**2 * (1 - decay)
    return p - lr * _scaled(g, v, eps, eps_inside), v


@textbook("adagrad")
@_for_each
def adagrad(p: mpf, g: mpf, v: mpf, *, lr: mpf, eps: mpf, eps_inside: bool) -> tuple[mpf, mpf]:
    """The gradient over the root of the sum of its squares."""
    v = v + g**2
    return p - lr * _scaled(g, v, eps, eps_inside), v
