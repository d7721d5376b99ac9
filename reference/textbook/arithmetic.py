"""Arithmetic of two real numbers."""

import operator

from mpmath import mp, mpf

from oracle.reference.operation import textbook

textbook("add")(operator.add)
textbook("subtract")(operator.sub)
textbook("multiply")(operator.mul)
textbook("divide")(operator.truediv)
textbook("maximum")(max)
textbook("minimum")(min)
textbook("pow")(mp.power)
textbook("atan2")(mp.atan2)


@textbook("logaddexp")
def logaddexp(a: mpf, b: mpf) -> mpf:
    """ln(e^a + e^b)."""
    return mp.ln(mp.exp(a) + mp.exp(b))
