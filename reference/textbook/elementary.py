"""Elementary and special functions of one real number."""

from mpmath import mp, mpf

from oracle.reference.operation import textbook

_OWN = "exp expm1 log1p sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc erfinv digamma"
for _name in _OWN.split():
    textbook(_name)(getattr(mp, _name))


@textbook("exp2")
def exp2(x: mpf) -> mpf:
    """2^x."""
    return mp.power(2, x)


@textbook("log")
def log(x: mpf) -> mpf:
    """ln x."""
    return mp.ln(x)


@textbook("log2")
def log2(x: mpf) -> mpf:
    """Logarithm to base 2."""
    return mp.log(x, 2)


@textbook("log10")
def log10(x: mpf) -> mpf:
    """Logarithm to base 10."""
    return mp.log10(x)


@textbook("rsqrt")
def rsqrt(x: mpf) -> mpf:
    """x^(-1/2)."""
    return mp.power(x, mpf(-1) / 2)


@textbook("reciprocal")
def reciprocal(x: mpf) -> mpf:
    """1/x."""
    return mpf(1) / x


@textbook("square")
def square(x: mpf) -> mpf:
    """x²."""
    return mp.power(x, 2)


@textbook("abs")
def absolute(x: mpf) -> mpf:
    """√(x²)."""
    return mp.fabs(x)


@textbook("lgamma")
def lgamma(x: mpf) -> mpf:
    """ln |Γ(x)|."""
    return mp.ln(mp.fabs(mp.gamma(x)))
