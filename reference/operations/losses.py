"""Losses of a prediction against a target of the same shape.

The attribute `reduction` is "none", "mean" or "sum" over all elements. Targets carry no gradient.
"""

import functools
from typing import Any

from oracle.reference.constants import exact
from oracle.reference.lazy import jax, jnp
from oracle.reference.operation import UNIT, Arg, Config, operation
from oracle.reference.operations import derivatives
from oracle.reference.operations.activations import stable_softplus
from oracle.reference.operations.kinks import met_target

SHAPE = (33, 17)
loss = functools.partial(operation, family="loss")
PREDICTION = Arg("prediction")
TARGET = Arg("target", differentiable=False)
UNIT_TARGET = Arg("target", domain=UNIT, differentiable=False)


def _configs(*reductions: str, first: str = "prediction", **attrs: Any) -> list[Config]:
    shapes = {first: SHAPE, "target": SHAPE}
    return [Config(r, shapes, {"reduction": r, **attrs}, quick=r == reductions[0]) for r in reductions]


def reduced(losses: "jax.Array", reduction: str) -> "jax.Array":
    """`losses` as they are, their mean or their sum; `ValueError` for another word."""
    match reduction:
        case "none":
            return losses
        case "mean":
            return jnp.sum(losses) / losses.size
        case "sum":
            return jnp.sum(losses)
    raise ValueError(f"unknown reduction {reduction!r}; expected none, mean or sum")


@loss(
    "mse",
    [PREDICTION, TARGET],
    formula="(prediction - target)²",
    source="Legendre 1805",
    at_scale=True,
    configs=_configs("mean", "sum", "none"),
)
def mse(prediction: "jax.Array", target: "jax.Array", *, reduction: str) -> "jax.Array":
    """Squared error."""
    error = prediction - target
    return reduced(error * error, reduction)


@loss(
    "l1",
    [PREDICTION, TARGET],
    formula="|prediction - target|",
    source="Laplace 1793",
    kinks=met_target,
    at_scale=True,
    configs=_configs("mean", "sum"),
)
def l1(prediction: "jax.Array", target: "jax.Array", *, reduction: str) -> "jax.Array":
    """Absolute error; its derivative at zero is 0 by convention."""
    return reduced(derivatives.absolute(prediction - target), reduction)


@loss(
    "huber",
    [PREDICTION, TARGET],
    formula="e²/2 if |e| <= delta else delta (|e| - delta/2)",
    source="Huber 1964, doi:10.1214/aoms/1177703732",
    configs=_configs("mean", "sum", delta=1.0),
)
def huber(prediction: "jax.Array", target: "jax.Array", *, reduction: str, delta: float) -> "jax.Array":
    """Huber loss: quadratic for errors up to `delta`, linear beyond."""
    error = prediction - target
    size = jnp.abs(error)
    losses = jnp.where(size <= delta, 0.5 * error * error, delta * (size - 0.5 * delta))
    return reduced(losses, reduction)


@loss(
    "log_cosh",
    [PREDICTION, TARGET],
    formula="ln cosh(prediction - target)",
    source="Keras reference, keras.losses.LogCosh",
    configs=_configs("mean"),
)
def log_cosh(prediction: "jax.Array", target: "jax.Array", *, reduction: str) -> "jax.Array":
    """Logarithm of the hyperbolic cosine of the error e: ln(1 + 2 sinh²(e/2)) where |e| < 1."""
    error = prediction - target
    size = jnp.abs(error)
    near = jnp.where(size < 1, size, 0)
    half = jnp.sinh(0.5 * near)
    far = size + jnp.log1p(jnp.exp(-2 * size)) - exact("log(2)")
    return reduced(jnp.where(size < 1, jnp.log1p(2 * half * half), far), reduction)


def _bce_by_complement(probability: "jax.Array", target: "jax.Array", *, reduction: str) -> "jax.Array":
    """The formula as it is written, with ln of the rounded 1 - p."""
    losses = target * jnp.log(probability) + (1 - target) * jnp.log(1 - probability)
    return reduced(-losses, reduction)


@loss(
    "bce",
    [Arg("probability", domain=UNIT), UNIT_TARGET],
    formula="-(t ln p + (1 - t) ln(1 - p))",
    source="Good 1952",
    forms=(_bce_by_complement,),
    configs=_configs("mean", "none", first="probability"),
)
def bce(probability: "jax.Array", target: "jax.Array", *, reduction: str) -> "jax.Array":
    """Binary cross-entropy of `probability` strictly between 0 and 1, without clipping."""
    losses = target * jnp.log(probability) + (1 - target) * jnp.log1p(-probability)
    return reduced(-losses, reduction)


def _bce_by_difference(logits: "jax.Array", target: "jax.Array", *, reduction: str) -> "jax.Array":
    """max(x, 0) - x t + ln(1 + e^-|x|), as TensorFlow documents it: it cancels where t is nearly one."""
    larger = jnp.maximum(logits, 0)
    return reduced(larger - logits * target + jnp.log1p(jnp.exp(-jnp.abs(logits))), reduction)


@loss(
    "bce_with_logits",
    [Arg("logits", scale=3.0), UNIT_TARGET],
    formula="ln(1 + e^x) - t x",
    source="Good 1952",
    forms=(_bce_by_difference,),
    configs=_configs("mean", "none", first="logits"),
)
def bce_with_logits(logits: "jax.Array", target: "jax.Array", *, reduction: str) -> "jax.Array":
    """Binary cross-entropy of σ(`logits`) as t softplus(-x) + (1 - t) softplus(x): no cancellation."""
    losses = target * stable_softplus(-logits) + (1 - target) * stable_softplus(logits)
    return reduced(losses, reduction)


@loss(
    "mse_plus_abs",
    [PREDICTION, TARGET],
    formula="Σ e²/n + alpha Σ |e|",
    kinks=met_target,
    at_scale=True,
    source="a user's own loss: squared error plus an unreduced absolute penalty",
    configs=[
        Config("small_alpha", {"prediction": SHAPE, "target": SHAPE}, {"alpha": 0.01}),
    ],
)
def mse_plus_abs(prediction: "jax.Array", target: "jax.Array", *, alpha: float) -> "jax.Array":
    """Mean squared error plus `alpha` times the sum of the absolute errors."""
    error = prediction - target
    return jnp.sum(error * error) / error.size + alpha * jnp.sum(derivatives.absolute(error))
