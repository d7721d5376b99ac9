"""Losses over classes, the last axis: means over the examples (batch,).

`logits` and `probability` (batch, class); `target` either integers (batch,) or probabilities (batch, class).
Targets carry no gradient.
"""

import functools

from oracle.reference.lazy import jax, jnp
from oracle.reference.operation import POSITIVE, Arg, Config, operation
from oracle.reference.operations.scalars import complement
from oracle.reference.operations.softmax import log_probabilities

loss = functools.partial(operation, family="loss", source="Good 1952; Szegedy et al. 2016, arXiv:1512.00567")
LOGITS = Arg("logits", scale=3.0)
LABELS = Arg("target", kind="index", high=17)
SOFT = Arg("target", kind="probability", differentiable=False)
PROBABILITY = Arg("probability", kind="probability")
PLAIN = {"ignore_index": -100, "label_smoothing": 0.0}
INDEX_SHAPES = {"logits": (33, 17), "target": (33,)}


def _picked(log_p: "jax.Array", labels: "jax.Array") -> "jax.Array":
    """The entry of each row at its label."""
    return jnp.take_along_axis(log_p, labels[:, None], axis=-1, mode="promise_in_bounds")[:, 0]


@loss(
    "cross_entropy_indices",
    [LOGITS, LABELS],
    formula="-Σ_valid ((1 - s) ln p_y + s/C Σ_c ln p_c) / #valid",
    configs=[
        Config("plain", INDEX_SHAPES, PLAIN, highs={"target": 17}),
        Config("label_smoothing", INDEX_SHAPES, {**PLAIN, "label_smoothing": 0.1}, highs={"target": 17}),
        Config("ignore_index", INDEX_SHAPES, {**PLAIN, "ignore_index": 3}, highs={"target": 17}),
        Config("vocabulary", {"logits": (5, 4099), "target": (5,)}, PLAIN, highs={"target": 4099}, quick=False),
    ],
)
def cross_entropy_indices(
    logits: "jax.Array", target: "jax.Array", *, ignore_index: int, label_smoothing: float
) -> "jax.Array":
    """Cross-entropy of softmax(`logits`) at integer labels; examples labelled `ignore_index` do not count.

    `label_smoothing` s moves that share of the target to the uniform distribution over all C classes.
    """
    log_p = log_probabilities(logits, -1)
    valid = target != ignore_index
    losses = -_picked(log_p, jnp.where(valid, target, 0))
    if label_smoothing:
        losses = complement(label_smoothing) * losses - label_smoothing * (jnp.sum(log_p, -1) / logits.shape[-1])
    return jnp.sum(jnp.where(valid, losses, 0)) / jnp.sum(valid, dtype=losses.dtype)


@loss(
    "cross_entropy_weighted",
    [LOGITS, LABELS, Arg("weight", domain=POSITIVE, differentiable=False)],
    formula="-Σ w_y ln p_y / Σ w_y",
    configs=[
        Config("class_weights", {**INDEX_SHAPES, "weight": (17,)}, highs={"target": 17}),
    ],
)
def cross_entropy_weighted(logits: "jax.Array", target: "jax.Array", weight: "jax.Array") -> "jax.Array":
    """Cross-entropy at integer labels weighted by `weight` (class,); the mean divides by the weights' sum."""
    chosen = jnp.take(weight, target, mode="clip")
    return -jnp.sum(chosen * _picked(log_probabilities(logits, -1), target)) / jnp.sum(chosen)


@loss(
    "cross_entropy_logits",
    [LOGITS, SOFT],
    formula="-Σ_i Σ_c t_ic ln softmax(x_i)_c / n",
    configs=[
        Config("soft_targets", {"logits": (33, 17), "target": (33, 17)}),
    ],
)
def cross_entropy_logits(logits: "jax.Array", target: "jax.Array") -> "jax.Array":
    """Categorical cross-entropy of softmax(`logits`) against target probabilities."""
    return -jnp.sum(target * log_probabilities(logits, -1)) / logits.shape[0]


@loss(
    "cross_entropy_probabilities",
    [PROBABILITY, SOFT],
    formula="-Σ_i Σ_c t_ic ln p_ic / n",
    configs=[
        Config("plain", {"probability": (33, 17), "target": (33, 17)}, {"normalize": False}),
        Config("normalized", {"probability": (33, 17), "target": (33, 17)}, {"normalize": True}),
    ],
)
def cross_entropy_probabilities(probability: "jax.Array", target: "jax.Array", *, normalize: bool) -> "jax.Array":
    """Categorical cross-entropy of probabilities, unclipped; `normalize` first divides rows by their sums."""
    if normalize:
        probability = probability / jnp.sum(probability, -1, keepdims=True)
    return -jnp.sum(target * jnp.log(probability)) / probability.shape[0]


@loss(
    "kl_div",
    [PROBABILITY, SOFT],
    formula="Σ_i Σ_c t_ic ln(t_ic / p_ic) / n",
    at_scale=True,
    configs=[
        Config("batch_mean", {"probability": (33, 17), "target": (33, 17)}),
    ],
)
def kl_div(probability: "jax.Array", target: "jax.Array") -> "jax.Array":
    """Kullback-Leibler divergence of `probability` from `target`, summed over classes, mean over examples."""
    positive = target > 0
    ratio = jnp.log(jnp.where(positive, target, 1)) - jnp.log(probability)
    return jnp.sum(jnp.where(positive, target * ratio, 0)) / target.shape[0]
