"""Losses as formulas: the sum over all elements of the losses that the frameworks ship, of u = link(v) and targets t.

A recorded loss is one of them if its gradient at v, for several v, is a constant multiple of the formula's.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.reference.lazy import jax, jnp
from oracle.reference.plain import plain
from oracle.reference.program import trace

Array = Any
Function = Callable[..., Array]


def _softmax(v: Array) -> Array:
    e = jnp.exp(v - jnp.max(v, -1, keepdims=True))
    return e / jnp.sum(e, -1, keepdims=True)


def _sigmoid(v: Array) -> Array:
    return 1 / (1 + jnp.exp(-v))


def _log_softmax(v: Array) -> Array:
    shifted = v - jnp.max(v, -1, keepdims=True)
    return shifted - jnp.log(jnp.sum(jnp.exp(shifted), -1, keepdims=True))


# What a loss applies to its argument first.
LINKS: dict[str, Function] = {
    "": lambda v: v,
    "softmax": _softmax,
    "sigmoid": _sigmoid,
    "log_softmax": _log_softmax,
    "softmax of softmax": lambda v: _softmax(_softmax(v)),
    "sigmoid of sigmoid": lambda v: _sigmoid(_sigmoid(v)),
    "softplus": lambda v: jnp.maximum(v, 0) + jnp.log1p(jnp.exp(-jnp.abs(v))),
    "tanh": jnp.tanh,
}


def _plus(u: Array, e: Array) -> Array:
    return u + e


def _clip(u: Array, e: Array) -> Array:
    return jnp.minimum(jnp.maximum(u, e), 1 - e)


def _binary(u: Array, t: Array) -> Array:
    return -jnp.sum(t * jnp.log(u) + (1 - t) * jnp.log(1 - u))


def _clamped(u: Array, t: Array, n: Array) -> Array:
    return -jnp.sum(t * jnp.maximum(jnp.log(u), -n) + (1 - t) * jnp.maximum(jnp.log(1 - u), -n))


def _huber(u: Array, t: Array, delta: Array) -> Array:
    d = jnp.abs(u - t)
    return jnp.sum(jnp.where(d <= delta, d * d / 2, delta * (d - delta / 2)))


def _focal(u: Array, t: Array, gamma: Array) -> Array:
    hit = jnp.sum(t * u, -1)
    return jnp.sum(-((1 - hit) ** gamma) * jnp.log(hit))


def _cosine(u: Array, t: Array) -> Array:
    norms = jnp.sqrt(jnp.sum(u * u, -1) * jnp.sum(t * t, -1))
    return -jnp.sum(jnp.sum(u * t, -1) / norms)


def _dice(u: Array, t: Array, smooth: Array) -> Array:
    return -(2 * jnp.sum(u * t) + smooth) / (jnp.sum(u) + jnp.sum(t) + smooth)


def _overlap(u: Array, t: Array, smooth: Array) -> Array:
    both = jnp.sum(u * t)
    return -(both + smooth) / (jnp.sum(u) + jnp.sum(t) - both + smooth)


def _binary_focal(u: Array, t: Array, gamma: Array) -> Array:
    hit = t * u + (1 - t) * (1 - u)
    return -jnp.sum((1 - hit) ** gamma * (t * jnp.log(u) + (1 - t) * jnp.log(1 - u)))


def _balanced_focal(u: Array, t: Array, alpha: Array) -> Array:
    hit = t * u + (1 - t) * (1 - u)
    entropy = t * jnp.log(u) + (1 - t) * jnp.log(1 - u)
    return -jnp.sum((alpha * t + (1 - alpha) * (1 - t)) * (1 - hit) ** 2 * entropy)


def _logarithmic(u: Array, t: Array) -> Array:
    return jnp.sum((jnp.log1p(u) - jnp.log1p(t)) ** 2)


def _quantile(u: Array, t: Array, q: Array) -> Array:
    return jnp.sum(jnp.maximum(q * (t - u), (q - 1) * (t - u)))


def _relu(x: Array) -> Array:
    return jnp.maximum(x, 0)


def _shares(u: Array) -> Array:
    return u / jnp.sum(u, -1, keepdims=True)


def _renormalised_loss(u: Array, t: Array) -> Array:
    return -jnp.sum(t * jnp.log(_shares(u)))


@dataclass(frozen=True)
class Family:
    """A family of losses: `function(u, t, *numbers)`; its number's name and usual values, and the links worth trying.

    `guard` says how a small number is kept from the logarithm: "" (not at all), "added" or "clipped"; `like` the
    family without it.
    """

    name: str
    function: Function
    number: str = ""
    usual: tuple[float, ...] = ()
    links: tuple[str, ...] = ("", "sigmoid", "tanh")
    guard: str = ""
    like: str = ""


_EPS = (1e-7, 1e-8, 1e-6, 1e-12, 1e-3, 1e-5, 1e-10)
_CLASSES = ("", "softmax", "softmax of softmax", "sigmoid")
_TWO = ("", "sigmoid", "sigmoid of sigmoid")
FAMILIES: tuple[Family, ...] = (
    Family("cross entropy", lambda u, t: -jnp.sum(t * jnp.log(u)), links=_CLASSES),
    Family("negative log likelihood", lambda u, t: -jnp.sum(t * u), links=("", "softmax", "log_softmax")),
    Family("binary cross entropy", _binary, links=_TWO),
    Family("squared error", lambda u, t: jnp.sum((u - t) ** 2), links=("", "sigmoid", "softmax", "tanh")),
    Family("absolute error", lambda u, t: jnp.sum(jnp.abs(u - t))),
    Family("Huber", _huber, "delta", (1.0, 0.5)),
    Family("smooth L1", lambda u, t, b: _huber(u, t, b) / b, "beta", (1.0, 0.5)),
    Family("log-cosh", lambda u, t: jnp.sum(jnp.log(jnp.cosh(u - t)))),
    Family("root of squared error", lambda u, t: jnp.sqrt(jnp.sum((u - t) ** 2))),
    Family("Euclidean distance", lambda u, t: jnp.sum(jnp.sqrt(jnp.sum((u - t) ** 2, -1)))),
    Family("squared logarithmic error", _logarithmic, links=("", "softplus")),
    Family("absolute percentage error", lambda u, t: jnp.sum(jnp.abs((t - u) / t))),
    Family("quantile", _quantile, "quantile", (0.5, 0.9, 0.1)),
    Family("hinge", lambda u, t, m: jnp.sum(_relu(m - u * t)), "margin", (1.0,), ("", "tanh")),
    Family("squared hinge", lambda u, t, m: jnp.sum(_relu(m - u * t) ** 2), "margin", (1.0,), ("", "tanh")),
    Family("logistic", lambda u, t: jnp.sum(jnp.log1p(jnp.exp(-u * t))), links=("",)),
    Family("exponential", lambda u, t: jnp.sum(jnp.exp(-u * t)), links=("",)),
    Family("Poisson", lambda u, t: jnp.sum(u - t * jnp.log(u)), links=("", "softplus", "sigmoid", "softmax")),
    Family("Poisson of logarithms", lambda u, t: jnp.sum(jnp.exp(u) - t * u), links=("", "softplus")),
    Family("KL divergence from the targets", lambda u, t: jnp.sum(u * (jnp.log(u) - jnp.log(t))), links=_CLASSES),
    Family("log-space KL divergence", lambda u, t: -jnp.sum(jnp.exp(t) * u), links=("", "log_softmax")),
    Family("cosine", _cosine, links=("", "softmax", "sigmoid")),
    Family("focal", _focal, "gamma", (2.0, 1.0), ("softmax", "")),
    Family("dice", _dice, "smooth", (1.0, 1e-5, 1e-6), ("", "sigmoid", "softmax")),
    Family("intersection over union", _overlap, "smooth", (1.0, 1e-5, 1e-6), ("", "sigmoid", "softmax")),
    Family("binary focal", _binary_focal, "gamma", (2.0, 1.0), ("sigmoid", "")),
    Family("balanced binary focal", _balanced_focal, "alpha", (0.25, 0.75), ("sigmoid", "")),
    Family("renormalised cross entropy", _renormalised_loss, links=("", "sigmoid")),
    *(
        Family(f"{like} ({guard})", functools.partial(lambda f, g, u, t, e: f(g(u, e), t), function, keep), "eps",
               _EPS, links, guard, like)
        for like, function, links in (
            ("cross entropy", lambda u, t: -jnp.sum(t * jnp.log(u)), ("", "softmax", "sigmoid")),
            ("binary cross entropy", _binary, ("", "sigmoid")),
            ("KL divergence from the targets", lambda u, t: jnp.sum(u * (jnp.log(u) - jnp.log(t))), ("", "softmax")),
            ("renormalised cross entropy", _renormalised_loss, ("", "sigmoid")),
        )
        for guard, keep in (("clipped", _clip), ("added", _plus))
    ),
    Family("binary cross entropy (added)", lambda u, t, e: -jnp.sum(t * jnp.log(u + e) + (1 - t) * jnp.log(1 - u + e)),
           "eps", _EPS, ("", "sigmoid"), "added", "binary cross entropy"),
    Family("binary cross entropy (logarithms clamped)", _clamped, "eps", (100.0,), ("", "sigmoid"), "clamped",
           "binary cross entropy"),
    Family("renormalised cross entropy (clipped then)", lambda u, t, e: -jnp.sum(t * jnp.log(_clip(_shares(u), e))),
           "eps", _EPS, ("", "sigmoid"), "clipped", "renormalised cross entropy"),
    Family("Poisson (added)", lambda u, t, e: jnp.sum(u - t * jnp.log(u + e)), "eps", _EPS, ("", "softplus"), "added",
           "Poisson"),
)  # fmt: skip


@dataclass(frozen=True)
class Formula:
    """One loss: family, link and number; as a function of argument and targets, with its gradient."""

    family: Family
    link: str = ""
    number: float | None = None

    def __call__(self, v: np.ndarray, t: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient with respect to `v`, in float64."""
        extra = () if self.number is None else (np.float64(self.number),)
        with np.errstate(all="ignore"):
            value, gradient = _program(self.family, self.link, v.shape)(v, t, *extra)
        return float(value), np.asarray(gradient)


@functools.lru_cache(maxsize=512)
def _program(family: Family, link: str, shape: tuple[int, ...]) -> Callable[..., list[np.ndarray]]:
    def loss(v: Array, t: Array, *numbers: Array) -> Array:
        return family.function(LINKS[link](v), t, *numbers)

    array, number = np.zeros(shape), (np.float64(0),) if family.number else ()
    return plain(trace(jax.value_and_grad(loss), array, array, *number))


def formulas(known: Sequence[float]) -> Iterator[Formula]:
    """Every formula with the numbers `known` to the loss, then the usual ones; the plain first."""
    for family in FAMILIES:
        numbers: Sequence[float | None] = [None]
        if family.number:
            fitting = [x for x in known if x > 0 and (family.number != "eps" or x <= 0.5)]
            numbers = list(dict.fromkeys([*fitting, *family.usual]))
        for link, number in itertools.product(family.links, numbers):
            yield Formula(family, link, number)
