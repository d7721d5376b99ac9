"""Where a gradient does not exist: corners and ties, at which every framework has its own convention."""

from collections.abc import Callable
from typing import Any

from oracle.reference.lazy import np

Masks = tuple["np.ndarray", ...]


def corners(*points: float) -> Callable[..., Masks]:
    """The corners of a function of one variable."""
    return lambda x, **_: (np.isin(x, points),)


def equal_operands(a: "np.ndarray", b: "np.ndarray", **_: Any) -> Masks:
    """Both operands where they are equal, as in the larger of two."""
    return (a == b,) * 2


def met_target(prediction: "np.ndarray", target: "np.ndarray", **_: Any) -> Masks:
    """The predictions equal to their targets, as in |prediction - target|."""
    return (prediction == target,)


def tied(x: "np.ndarray", extreme: "np.ndarray", axis: int | None = None) -> "np.ndarray":
    """The elements that share the place of `extreme` over `axis`."""
    at = x == extreme
    return at & (at.sum(axis, keepdims=True) > 1)
