"""Exact arithmetic of attributes, which an implementation does once, outside the arrays' format."""

from fractions import Fraction

from oracle.reference.constants import exact
from oracle.reference.lazy import jax


def scalar(value: Fraction) -> "jax.Array":
    """The rational number `value`, for each arithmetic to round for itself."""
    return exact(f"{value.numerator}/{value.denominator}")


def complement(share: float) -> "jax.Array":
    """1 - `share`, exactly."""
    return scalar(1 - Fraction(share))
