"""Special functions of one real variable, elementwise: argument `x` of any shape."""

import functools
import math

from oracle.reference.lazy import jax, lax
from oracle.reference.operation import INF, SYMMETRIC_UNIT, Arg, limits, odd_limits, operation
from oracle.reference.operations import derivatives

NAN = math.nan
special_function = functools.partial(operation, family="special", elementwise=True)


@special_function("erf", ["x"], formula="2/√π ∫₀ˣ e^(-t²) dt", source="DLMF 7.2.1", special=odd_limits(1.0))
def erf(x: "jax.Array") -> "jax.Array":
    """Error function of `x`."""
    return derivatives.erf(x)


@special_function("erfc", ["x"], formula="1 - erf x", source="DLMF 7.2.2", special=limits(2.0, 0.0, 1.0, 1.0))
def erfc(x: "jax.Array") -> "jax.Array":
    """Complementary error function of `x`, accurate in the right tail."""
    return derivatives.erfc(x)


@special_function(
    "erfinv",
    [Arg("x", domain=SYMMETRIC_UNIT)],
    formula="y with erf y = x",
    source="DLMF 7.17.1",
    special=limits(NAN, NAN, -0.0, 0.0),
)
def erfinv(x: "jax.Array") -> "jax.Array":
    """Inverse error function of `x`."""
    return derivatives.erf_inv(x)


@special_function(
    "lgamma",
    [Arg("x", scale=3.0)],
    formula="ln |Γ(x)|",
    source="DLMF 5.2.1",
    special=limits(INF, INF, INF, INF),
)
def lgamma(x: "jax.Array") -> "jax.Array":
    """Logarithm of the absolute value of the gamma function of `x`."""
    return lax.lgamma(x)


@special_function(
    "digamma",
    [Arg("x", scale=3.0)],
    formula="Γ'(x)/Γ(x)",
    source="DLMF 5.2.2",
    special=limits(NAN, INF, INF, -INF),
)
def digamma(x: "jax.Array") -> "jax.Array":
    """Logarithmic derivative of the gamma function of `x`."""
    return lax.digamma(x)
