"""Elementary functions of one real variable, elementwise: argument `x` of any shape."""

import functools
import math

from oracle.reference.constants import exact
from oracle.reference.lazy import jax, lax
from oracle.reference.operation import (
    INF,
    POSITIVE,
    SYMMETRIC_UNIT,
    Arg,
    limits,
    odd_limits,
    operation,
)
from oracle.reference.operations import derivatives
from oracle.reference.operations.derivatives import with_derivative
from oracle.reference.operations.kinks import corners

NAN = math.nan
ZERO_KEPT = ((-0.0, -0.0), (0.0, 0.0))
elementary = functools.partial(operation, family="elementary", elementwise=True)


@elementary("exp", ["x"], formula="e^x", source="DLMF 4.2.19", special=limits(0.0, INF, 1.0, 1.0))
def exp(x: "jax.Array") -> "jax.Array":
    """Exponential of `x`."""
    return lax.exp(x)


@elementary("exp2", ["x"], formula="2^x", source="IEEE 754-2019 9.2", special=limits(0.0, INF, 1.0, 1.0))
def exp2(x: "jax.Array") -> "jax.Array":
    """Two to the power `x`."""
    return lax.exp2(x)


@elementary("expm1", ["x"], formula="e^x - 1", source="IEEE 754-2019 9.2", special=limits(-1.0, INF, -0.0, 0.0))
def expm1(x: "jax.Array") -> "jax.Array":
    """Exponential of `x` less one, accurate near zero."""
    return lax.expm1(x)


@elementary(
    "log",
    [Arg("x", domain=POSITIVE)],
    formula="ln x",
    source="DLMF 4.2.2",
    special=limits(NAN, INF, -INF, -INF),
)
def log(x: "jax.Array") -> "jax.Array":
    """Natural logarithm of `x`."""
    return lax.log(x)


@elementary(
    "log2",
    [Arg("x", domain=POSITIVE)],
    formula="ln x / ln 2",
    source="IEEE 754-2019 9.2",
    special=limits(NAN, INF, -INF, -INF),
)
def log2(x: "jax.Array") -> "jax.Array":
    """Logarithm of `x` to base two."""
    return lax.log(x) / exact("log(2)")


@elementary(
    "log10",
    [Arg("x", domain=POSITIVE)],
    formula="ln x / ln 10",
    source="IEEE 754-2019 9.2",
    special=limits(NAN, INF, -INF, -INF),
)
def log10(x: "jax.Array") -> "jax.Array":
    """Logarithm of `x` to base ten."""
    return lax.log(x) / exact("log(10)")


@elementary(
    "log1p",
    [Arg("x", domain=(-1.0, INF))],
    formula="ln(1 + x)",
    source="IEEE 754-2019 9.2",
    special=limits(NAN, INF, -0.0, 0.0),
)
def log1p(x: "jax.Array") -> "jax.Array":
    """Natural logarithm of one plus `x`, accurate near zero."""
    return lax.log1p(x)


@elementary(
    "sqrt",
    [Arg("x", domain=POSITIVE)],
    formula="√x",
    source="IEEE 754-2019 5.4.1",
    special=limits(NAN, INF, -0.0, 0.0),
)
def sqrt(x: "jax.Array") -> "jax.Array":
    """Square root of `x`."""
    return lax.sqrt(x)


@elementary(
    "rsqrt",
    [Arg("x", domain=POSITIVE)],
    formula="1/√x",
    source="IEEE 754-2019 9.2",
    special=limits(NAN, 0.0, -INF, INF),
)
def rsqrt(x: "jax.Array") -> "jax.Array":
    """Reciprocal square root of `x`."""
    return lax.rsqrt(x)


@elementary("reciprocal", ["x"], formula="1/x", source="IEEE 754-2019 5.4.1", special=limits(-0.0, 0.0, -INF, INF))
def reciprocal(x: "jax.Array") -> "jax.Array":
    """Reciprocal of `x`."""
    return 1 / x


@elementary("square", ["x"], formula="x^2", source="IEEE 754-2019 5.4.1", special=limits(INF, INF, 0.0, 0.0))
def square(x: "jax.Array") -> "jax.Array":
    """Square of `x`."""
    return x * x


@elementary(
    "abs", ["x"], formula="|x|", source="IEEE 754-2019 5.5.1", kinks=corners(0), special=limits(INF, INF, 0.0, 0.0)
)
def absolute(x: "jax.Array") -> "jax.Array":
    """Absolute value of `x`; its derivative at zero is 0 by convention."""
    return derivatives.absolute(x)


@elementary("sin", ["x"], formula="sin x", source="DLMF 4.14.1", special=limits(NAN, NAN, -0.0, 0.0))
def sin(x: "jax.Array") -> "jax.Array":
    """Sine of `x` in radians."""
    return lax.sin(x)


@elementary("cos", ["x"], formula="cos x", source="DLMF 4.14.2", special=limits(NAN, NAN, 1.0, 1.0))
def cos(x: "jax.Array") -> "jax.Array":
    """Cosine of `x` in radians."""
    return lax.cos(x)


@elementary("tan", ["x"], formula="sin x / cos x", source="DLMF 4.14.4", special=limits(NAN, NAN, -0.0, 0.0))
def tan(x: "jax.Array") -> "jax.Array":
    """Tangent of `x` in radians."""
    return lax.tan(x)


@elementary(
    "asin",
    [Arg("x", domain=SYMMETRIC_UNIT)],
    formula="arcsin x",
    source="DLMF 4.23.1",
    special=limits(NAN, NAN, -0.0, 0.0),
)
def asin(x: "jax.Array") -> "jax.Array":
    """Inverse sine; the derivative 1/√((1-x)(1+x)) does not cancel near one."""
    return with_derivative(lax.asin, lambda x, y: lax.rsqrt((1 - x) * (1 + x)))(x)


@elementary(
    "acos",
    [Arg("x", domain=SYMMETRIC_UNIT)],
    formula="arccos x",
    source="DLMF 4.23.2",
    special=limits(NAN, NAN),
)
def acos(x: "jax.Array") -> "jax.Array":
    """Inverse cosine; the derivative -1/√((1-x)(1+x)) does not cancel near one."""
    return with_derivative(lax.acos, lambda x, y: -lax.rsqrt((1 - x) * (1 + x)))(x)


@elementary("atan", ["x"], formula="arctan x", source="DLMF 4.23.3", special=ZERO_KEPT)
def atan(x: "jax.Array") -> "jax.Array":
    """Inverse tangent of `x`."""
    return lax.atan(x)


@elementary("sinh", ["x"], formula="(e^x - e^-x)/2", source="DLMF 4.28.1", special=odd_limits(INF))
def sinh(x: "jax.Array") -> "jax.Array":
    """Hyperbolic sine of `x`."""
    return lax.sinh(x)


@elementary("cosh", ["x"], formula="(e^x + e^-x)/2", source="DLMF 4.28.2", special=limits(INF, INF, 1.0, 1.0))
def cosh(x: "jax.Array") -> "jax.Array":
    """Hyperbolic cosine of `x`."""
    return lax.cosh(x)


@elementary("tanh", ["x"], formula="sinh x / cosh x", source="DLMF 4.28.4", special=odd_limits(1.0))
def tanh(x: "jax.Array") -> "jax.Array":
    """Hyperbolic tangent of `x`."""
    return lax.tanh(x)


@elementary("asinh", ["x"], formula="ln(x + √(x^2 + 1))", source="DLMF 4.37.16", special=odd_limits(INF))
def asinh(x: "jax.Array") -> "jax.Array":
    """Inverse hyperbolic sine of `x`."""
    return lax.asinh(x)


@elementary(
    "acosh",
    [Arg("x", domain=(1.0, INF))],
    formula="ln(x + √(x^2 - 1))",
    source="DLMF 4.37.19",
    special=limits(NAN, INF, NAN, NAN),
)
def acosh(x: "jax.Array") -> "jax.Array":
    """Inverse hyperbolic cosine; the derivative 1/√((x-1)(x+1)) does not cancel near one."""
    return with_derivative(lax.acosh, lambda x, y: lax.rsqrt((x - 1) * (x + 1)))(x)


@elementary(
    "atanh",
    [Arg("x", domain=SYMMETRIC_UNIT)],
    formula="ln((1 + x)/(1 - x))/2",
    source="DLMF 4.37.24",
    special=limits(NAN, NAN, -0.0, 0.0),
)
def atanh(x: "jax.Array") -> "jax.Array":
    """Inverse hyperbolic tangent of `x`."""
    return lax.atanh(x)
