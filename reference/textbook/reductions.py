"""Reductions of an object array over one axis, and softmax."""

import functools
from collections.abc import Callable

import numpy as np
from mpmath import mp, mpf

from oracle.reference.operation import textbook

Array = np.ndarray


def over_axis(formula: Callable) -> Callable:
    """`formula` of one list of numbers (and attributes), applied along the attribute `axis` of an array."""

    @functools.wraps(formula)
    def define(x: Array, axis: int, **attrs: object) -> Array:
        return np.apply_along_axis(lambda line: np.array(formula(list(line), **attrs), object), axis, x)

    return define


def mean_of(line: list[mpf]) -> mpf:
    """Arithmetic mean."""
    return sum(line) / mpf(len(line))


def variance_of(line: list[mpf], ddof: int = 0) -> mpf:
    """Mean squared deviation from the mean, with n - ddof in place of n."""
    mean = mean_of(line)
    return sum((v - mean) ** 2 for v in line) / mpf(len(line) - ddof)


textbook("sum")(over_axis(sum))
textbook("mean")(over_axis(mean_of))
textbook("var")(over_axis(variance_of))
textbook("max")(over_axis(max))
textbook("min")(over_axis(min))
textbook("prod")(over_axis(lambda line: functools.reduce(lambda a, b: a * b, line)))
textbook("cumsum")(over_axis(lambda line: [sum(line[: k + 1]) for k in range(len(line))]))


@textbook("std")
@over_axis
def std(line: list[mpf], ddof: int) -> mpf:
    """Square root of the variance."""
    return mp.sqrt(variance_of(line, ddof))


@textbook("norm")
@over_axis
def norm(line: list[mpf]) -> mpf:
    """√(Σ x²)."""
    return mp.sqrt(sum(v**2 for v in line))


@textbook("logsumexp")
@over_axis
def logsumexp(line: list[mpf]) -> mpf:
    """ln Σ e^x."""
    return mp.ln(sum(mp.exp(v) for v in line))


def softmax_of(line: list[mpf]) -> list[mpf]:
    """e^x / Σ e^x."""
    total = sum(mp.exp(v) for v in line)
    return [mp.exp(v) / total for v in line]


textbook("softmax")(over_axis(softmax_of))


@textbook("log_softmax")
@over_axis
def log_softmax(line: list[mpf]) -> list[mpf]:
    """ln of softmax."""
    return [mp.ln(p) for p in softmax_of(line)]
