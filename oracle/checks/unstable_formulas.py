"""Formulas that lose bits, each beside the function that it spells: `1 + erf` cancels, `exp` overflows.

A formula is a suspect where it is the checked definition's own function, seen by its values; that a result keeps the
formula's budget, and not the definition's, proves nothing less than that such a formula explains every error.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from oracle.reference.evaluate import evaluate
from oracle.reference.lazy import jax, jnp
from oracle.reference.program import Program, trace
from oracle.reference.truth import Truth

_ALIKE = 1e-9


@dataclass(frozen=True)
class Formula:
    """How it is written, what is wrong with it, and the function in JAX."""

    text: str
    fault: str
    function: Callable


def _half_pi_minus(x: "jax.Array") -> "jax.Array":
    from oracle.reference.constants import exact  # noqa: PLC0415 - imports JAX

    return jnp.sin(exact("pi") * 0.5 - x)


def _root_two() -> "jax.Array":
    from oracle.reference.constants import exact  # noqa: PLC0415 - imports JAX

    return exact("sqrt(2)")


FORMULAS = (
    Formula("x/2 (1 + erf(x / sqrt(2)))", "1 + erf cancels for negative x",
            lambda x: 0.5 * x * (1 + jax.lax.erf(x / _root_two()))),
    Formula("log(x + sqrt(x^2 + 1))", "the sum cancels for negative x", lambda x: jnp.log(x + jnp.sqrt(x * x + 1))),
    Formula("log(1 + exp(x))", "exp overflows, 1 + exp loses small terms", lambda x: jnp.log(1 + jnp.exp(x))),
    Formula("log(1 + x)", "1 + x loses the bits of a small x", lambda x: jnp.log(1 + x)),
    Formula("exp(x) - 1", "the difference cancels for small x", lambda x: jnp.exp(x) - 1),
    Formula("sin(pi/2 - x)", "the difference rounds the phase", _half_pi_minus),
    Formula("log((1 + x) / (1 - x)) / 2", "1 + x loses the bits of a small x",
            lambda x: 0.5 * jnp.log((1 + x) / (1 - x))),
    Formula("(exp(2 x) - 1) / (exp(2 x) + 1)", "the difference cancels for small x, exp overflows",
            lambda x: (jnp.exp(2 * x) - 1) / (jnp.exp(2 * x) + 1)),
    Formula("(exp(x) - exp(-x)) / 2", "the difference cancels for small x",
            lambda x: 0.5 * (jnp.exp(x) - jnp.exp(-x))),
    Formula("exp(x) / (1 + exp(x))", "exp overflows", lambda x: jnp.exp(x) / (1 + jnp.exp(x))),
    Formula("log(1 / (1 + exp(-x)))", "1 + exp loses small terms", lambda x: jnp.log(1 / (1 + jnp.exp(-x)))),
    Formula("erfinv of 2 ((x + 1) / 2) - 1", "x + 1 loses the distance of x from one",
            lambda x: jax.lax.erf_inv(2 * ((x + 1) * 0.5) - 1)),
    Formula("log(sum exp(x))", "exp overflows", lambda x: jnp.log(jnp.sum(jnp.exp(x)))),
    Formula("exp(x) / sum exp(x)", "exp overflows", lambda x: jnp.exp(x) / jnp.exp(x).sum(-1, keepdims=True)),
    Formula("log(softmax(x))", "softmax underflows",
            lambda x: jnp.log(jnp.exp(x) / jnp.exp(x).sum(-1, keepdims=True))),
    Formula("mean(x^2) - mean(x)^2", "the difference cancels", lambda x: (x * x).mean() - x.mean() ** 2),
    Formula("sqrt(sum x^2)", "the squares overflow", lambda x: jnp.sqrt((x * x).sum())),
)  # fmt: skip


def formulas_like(program: Program, operands: list[np.ndarray]) -> Iterator[tuple[Formula, Program]]:
    """The formulas, as programs, that are the same function as `program`, seen at `operands`."""
    if len(program.inputs) != 1 or len(program.outputs) != 1:
        return
    (truth,) = evaluate(program, operands)
    for formula in FORMULAS:
        try:
            other = trace(formula.function, *operands)
            if other.variables[other.outputs[0]].shape == truth.shape:
                (told,) = evaluate(other, operands)
                if _alike(_values(truth), _values(told)):
                    yield formula, other
        except (TypeError, ValueError, NotImplementedError):
            continue


def _values(truth: Truth) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.ldexp(truth.hi + truth.lo, truth.exponent)


def _alike(x: np.ndarray, y: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(x - y) <= _ALIKE * np.abs(x)))
