"""Losses, element by element and example by example."""

from collections.abc import Callable, Iterable

import numpy as np
from mpmath import mp, mpf

from oracle.reference.operation import textbook
from oracle.reference.textbook.reductions import softmax_of

Array = np.ndarray


def _of_pairs(formula: Callable[..., mpf]) -> Callable:
    """A loss from its formula for one prediction and target: all values, their mean or their sum."""

    def define(prediction: Array, target: Array, reduction: str, **attrs: float) -> Array:
        losses = [formula(p, t, **attrs) for p, t in zip(prediction.ravel(), target.ravel(), strict=True)]
        if reduction == "none":
            return np.array(losses, object).reshape(prediction.shape)
        return np.array(sum(losses) / mpf(len(losses)) if reduction == "mean" else sum(losses), object)

    return define


textbook("mse")(_of_pairs(lambda p, t: (p - t) ** 2))
textbook("l1")(_of_pairs(lambda p, t: mp.fabs(p - t)))
textbook("log_cosh")(_of_pairs(lambda p, t: mp.ln(mp.cosh(p - t))))


def _cross_entropy(p: mpf, t: mpf) -> mpf:
    return -t * mp.ln(p) - (1 - t) * mp.ln(1 - p)


textbook("bce")(_of_pairs(_cross_entropy))
textbook("bce_with_logits")(_of_pairs(lambda x, t: _cross_entropy(1 / (1 + mp.exp(-x)), t)))


@textbook("huber")
@_of_pairs
def huber(p: mpf, t: mpf, delta: float) -> mpf:
    """e²/2 near zero, continued by its tangent at delta."""
    size, d = mp.fabs(p - t), mpf(delta)
    return size**2 / 2 if size <= d else d**2 / 2 + d * (size - d)


@textbook("mse_plus_abs")
def mse_plus_abs(prediction: Array, target: Array, alpha: float) -> Array:
    """Mean of the squared errors plus alpha times the sum of their absolute values."""
    errors = [p - t for p, t in zip(prediction.ravel(), target.ravel(), strict=True)]
    return np.array(sum(e**2 for e in errors) / mpf(len(errors)) + mpf(alpha) * sum(mp.fabs(e) for e in errors), object)


def _against_distribution(logits: Array, target: Iterable[mpf]) -> mpf:
    """-Σ_c t_c ln softmax(x)_c of one example."""
    return -sum(t * mp.ln(p) for t, p in zip(target, softmax_of(list(logits)), strict=True))


@textbook("cross_entropy_indices")
def cross_entropy_indices(logits: Array, target: Array, ignore_index: int, label_smoothing: float) -> Array:
    """Cross-entropy against the smoothed indicator of each label, over the examples that are not ignored."""
    classes, s = logits.shape[1], mpf(label_smoothing)
    losses = []
    for row, label in zip(logits, target, strict=True):
        if label != ignore_index:
            smoothed = [s / classes + (1 - s) * (1 if c == label else 0) for c in range(classes)]
            losses.append(_against_distribution(row, smoothed))
    return np.array(sum(losses) / mpf(len(losses)), object)


@textbook("cross_entropy_weighted")
def cross_entropy_weighted(logits: Array, target: Array, weight: Array) -> Array:
    """Σ_i w_(y_i) loss_i / Σ_i w_(y_i)."""
    losses = [-mp.ln(softmax_of(list(row))[label]) * weight[label] for row, label in zip(logits, target, strict=True)]
    return np.array(sum(losses) / sum(weight[label] for label in target), object)


@textbook("cross_entropy_logits")
def cross_entropy_logits(logits: Array, target: Array) -> Array:
    """Mean cross-entropy of softmax against the target distribution."""
    losses = [_against_distribution(row, t) for row, t in zip(logits, target, strict=True)]
    return np.array(sum(losses) / mpf(len(losses)), object)


@textbook("cross_entropy_probabilities")
def cross_entropy_probabilities(probability: Array, target: Array, normalize: bool) -> Array:
    """Mean of -Σ_c t_c ln p_c, p divided by its sum if asked."""
    total = mpf(0)
    for row, t in zip(probability, target, strict=True):
        scale = sum(row) if normalize else mpf(1)
        total -= sum(t_c * mp.ln(p_c / scale) for t_c, p_c in zip(t, row, strict=True))
    return np.array(total / mpf(len(probability)), object)


@textbook("kl_div")
def kl_div(probability: Array, target: Array) -> Array:
    """Mean of Σ_c t_c ln(t_c / p_c), where 0 ln 0 = 0."""
    pairs = zip(probability.ravel(), target.ravel(), strict=True)
    return np.array(sum(t * mp.ln(t / p) for p, t in pairs if t > 0) / mpf(len(probability)), object)
