"""One step of an optimizer: `parameter` and `gradient`, then the state; outputs the new parameter and state.

All arrays have one shape. `lr` is the learning rate; `step` counts from 1 and includes the step being made. Scalars
such as 1 - beta are exact: a framework that forms them from rounded attributes makes an error that shows.
"""

import functools
from fractions import Fraction
from typing import Any

from oracle.reference.lazy import jax, jnp
from oracle.reference.operation import POSITIVE, Arg, Config, operation
from oracle.reference.operations.scalars import complement, scalar

Arrays = tuple["jax.Array", ...]
P, G = Arg("parameter"), Arg("gradient")
VELOCITY, FIRST = Arg("velocity"), Arg("first_moment", scale=0.1)
SECOND = Arg("second_moment", domain=POSITIVE, scale=0.1)
optimizer = functools.partial(operation, family="optimizer", differentiable=False, at_scale=True)


def _config(name: str, *state: str, **attrs: Any) -> Config:
    quick = attrs.pop("quick", True)
    return Config(name, dict.fromkeys(("parameter", "gradient", *state), (1031,)), attrs, quick=quick)


def _moving_average(old: "jax.Array", new: "jax.Array", decay: float) -> "jax.Array":
    """decay old + (1 - decay) new."""
    return decay * old + complement(decay) * new


def _bias_correction(beta: float, step: int) -> "jax.Array":
    """1 - beta^step, the sum of the weights that an average started from zero has given so far."""
    return scalar(1 - Fraction(beta) ** step)


@optimizer(
    "sgd",
    [P, G],
    formula="p - lr (g + weight_decay p)",
    source="Robbins & Monro 1951",
    configs=[
        _config("plain", lr=0.1, weight_decay=0.0),
        _config("weight_decay", lr=0.1, weight_decay=0.01, quick=False),
    ],
)
def sgd(parameter: "jax.Array", gradient: "jax.Array", *, lr: float, weight_decay: float) -> "jax.Array":
    """Gradient descent; `weight_decay` adds to the gradient."""
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    return parameter - lr * gradient


@optimizer(
    "sgd_momentum",
    [P, G, VELOCITY],
    formula="v = μ v + g; p - lr v",
    outputs=("parameter", "velocity"),
    source="Polyak 1964; Sutskever et al. 2013",
    configs=[
        _config("lr_outside", "velocity", lr=0.1, momentum=0.9, lr_in_velocity=False),
        _config("lr_inside", "velocity", lr=0.1, momentum=0.9, lr_in_velocity=True),
    ],
)
def sgd_momentum(
    parameter: "jax.Array",
    gradient: "jax.Array",
    velocity: "jax.Array",
    *,
    lr: float,
    momentum: float,
    lr_in_velocity: bool,
) -> Arrays:
    """Gradient descent with `momentum` μ; `lr_in_velocity` (Keras): v = μ v - lr g and p + v."""
    if lr_in_velocity:
        velocity = momentum * velocity - lr * gradient
        return parameter + velocity, velocity
    velocity = momentum * velocity + gradient
    return parameter - lr * velocity, velocity


@optimizer(
    "sgd_nesterov",
    [P, G, VELOCITY],
    formula="v = μ v + g; p - lr (g + μ v)",
    outputs=("parameter", "velocity"),
    source="Sutskever et al. 2013",
    configs=[
        _config("lr_outside", "velocity", lr=0.1, momentum=0.9, lr_in_velocity=False),
        _config("lr_inside", "velocity", lr=0.1, momentum=0.9, lr_in_velocity=True),
    ],
)
def sgd_nesterov(
    parameter: "jax.Array",
    gradient: "jax.Array",
    velocity: "jax.Array",
    *,
    lr: float,
    momentum: float,
    lr_in_velocity: bool,
) -> Arrays:
    """Nesterov's `momentum` μ; `lr_in_velocity` (Keras): v = μ v - lr g and p + μ v - lr g."""
    if lr_in_velocity:
        velocity = momentum * velocity - lr * gradient
        return parameter + momentum * velocity - lr * gradient, velocity
    velocity = momentum * velocity + gradient
    return parameter - lr * (gradient + momentum * velocity), velocity


def _adam_update(m: "jax.Array", v: "jax.Array", lr: float, betas: tuple[float, float], **attrs: Any) -> "jax.Array":
    """What Adam subtracts from the parameter, from the new moments; further attributes eps, step, eps_hat."""
    correction1, correction2 = (_bias_correction(beta, attrs["step"]) for beta in betas)
    if attrs["eps_hat"]:
        return lr * jnp.sqrt(correction2) / correction1 * m / (jnp.sqrt(v) + attrs["eps"])
    return lr * (m / correction1) / (jnp.sqrt(v / correction2) + attrs["eps"])


ADAM: dict[str, Any] = {
    "lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "weight_decay": 0.0,
    "step": 10,
    "eps_hat": False,
}
MOMENTS = ("first_moment", "second_moment")


@optimizer(
    "adam",
    [P, G, FIRST, SECOND],
    outputs=("parameter", *MOMENTS),
    formula="m = β1 m + (1-β1) g; v = β2 v + (1-β2) g²; p - lr m/(1-β1^t) / (√(v/(1-β2^t)) + eps)",
    source="Kingma & Ba 2015, arXiv:1412.6980, algorithm 1",
    configs=[
        _config("tenth_step", *MOMENTS, **ADAM),
        _config("eps_hat", *MOMENTS, **{**ADAM, "eps": 1e-7, "eps_hat": True}),
        _config("weight_decay", *MOMENTS, **{**ADAM, "weight_decay": 0.01}, quick=False),
    ],
)
def adam(
    parameter: "jax.Array",
    gradient: "jax.Array",
    first_moment: "jax.Array",
    second_moment: "jax.Array",
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
    eps_hat: bool,
) -> Arrays:
    """Adam; `weight_decay` adds to the gradient.

    `eps_hat` (Keras): lr √(1-β2^t)/(1-β1^t) m/(√v + eps), the form at the end of the paper's section 2.
    Outputs parameter, first_moment, second_moment.
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    m = _moving_average(first_moment, gradient, beta1)
    v = _moving_average(second_moment, gradient * gradient, beta2)
    update = _adam_update(m, v, lr, (beta1, beta2), eps=eps, step=step, eps_hat=eps_hat)
    return parameter - update, m, v


@optimizer(
    "adamw",
    [P, G, FIRST, SECOND],
    outputs=("parameter", *MOMENTS),
    formula="p (1 - lr weight_decay) less the update of adam",
    source="Loshchilov & Hutter 2019, arXiv:1711.05101",
    configs=[
        _config("tenth_step", *MOMENTS, **{**ADAM, "weight_decay": 0.01}),
        _config("eps_hat", *MOMENTS, **{**ADAM, "weight_decay": 0.004, "eps": 1e-7, "eps_hat": True}),
    ],
)
def adamw(
    parameter: "jax.Array",
    gradient: "jax.Array",
    first_moment: "jax.Array",
    second_moment: "jax.Array",
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
    eps_hat: bool,
) -> Arrays:
    """Adam with decoupled `weight_decay`; the rest as in `adam`."""
    m = _moving_average(first_moment, gradient, beta1)
    v = _moving_average(second_moment, gradient * gradient, beta2)
    decayed = parameter * scalar(1 - Fraction(lr) * Fraction(weight_decay))
    update = _adam_update(m, v, lr, (beta1, beta2), eps=eps, step=step, eps_hat=eps_hat)
    return decayed - update, m, v


@optimizer(
    "rmsprop",
    [P, G, SECOND],
    formula="v = ρ v + (1-ρ) g²; p - lr g/(√v + eps)",
    outputs=("parameter", "second_moment"),
    source="Tieleman & Hinton 2012, lecture 6.5",
    configs=[
        _config("eps_outside", "second_moment", lr=0.01, decay=0.99, eps=1e-8, eps_inside=False),
        _config("eps_inside", "second_moment", lr=0.001, decay=0.9, eps=1e-7, eps_inside=True),
    ],
)
def rmsprop(
    parameter: "jax.Array",
    gradient: "jax.Array",
    second_moment: "jax.Array",
    *,
    lr: float,
    decay: float,
    eps: float,
    eps_inside: bool,
) -> Arrays:
    """RMSprop with `decay` ρ. `eps_inside` (Keras): p - lr g/√(v + eps)."""
    v = _moving_average(second_moment, gradient * gradient, decay)
    denominator = jnp.sqrt(v + eps) if eps_inside else jnp.sqrt(v) + eps
    return parameter - lr * gradient / denominator, v


@optimizer(
    "adagrad",
    [P, G, SECOND],
    formula="v = v + g²; p - lr g/(√v + eps)",
    outputs=("parameter", "second_moment"),
    source="Duchi et al. 2011",
    configs=[
        _config("eps_outside", "second_moment", lr=0.01, eps=1e-10, eps_inside=False),
        _config("eps_inside", "second_moment", lr=0.001, eps=1e-7, eps_inside=True),
    ],
)
def adagrad(
    parameter: "jax.Array",
    gradient: "jax.Array",
    second_moment: "jax.Array",
    *,
    lr: float,
    eps: float,
    eps_inside: bool,
) -> Arrays:
    """Adagrad, `second_moment` being the sum of squares. `eps_inside` (Keras): p - lr g/√(v + eps)."""
    v = second_moment + gradient * gradient
    denominator = jnp.sqrt(v + eps) if eps_inside else jnp.sqrt(v) + eps
    return parameter - lr * gradient / denominator, v
