"""Reductions of `x` over the attribute `axis` (an integer); the reduced axis is dropped."""

import functools
from typing import Any

from oracle.reference.lazy import jax, jnp, lax, np
from oracle.reference.operation import Config, operation
from oracle.reference.operations.kinks import Masks, tied

reduction = functools.partial(operation, args=["x"], family="reduction")


def _configs(**attrs: Any) -> list[Config]:
    """Rows, columns, one long row (whose sum no kernel forms in order), each with the further attributes."""
    return [
        Config("rows", {"x": (33, 65)}, {"axis": -1, **attrs}),
        Config("columns", {"x": (129, 17)}, {"axis": 0, **attrs}),
        Config("long", {"x": (3, 10007)}, {"axis": -1, **attrs}, quick=False),
    ]


def average(x: "jax.Array", axis: int | tuple[int, ...]) -> "jax.Array":
    """Mean over `axis`, which is kept with length one."""
    total = jnp.sum(x, axis, keepdims=True)
    return total / (x.size // total.size)


def centred_square_sum(x: "jax.Array", axis: int) -> "jax.Array":
    """Sum of the squared deviations from the mean over `axis`, which is dropped."""
    deviation = x - average(x, axis)
    return jnp.sum(deviation * deviation, axis)


@reduction("sum", formula="Σ x_i", source="Higham 2002, ch. 4", configs=_configs(), at_scale=True)
def total(x: "jax.Array", *, axis: int) -> "jax.Array":
    """Sum over `axis`."""
    return jnp.sum(x, axis)


@reduction("mean", formula="Σ x_i / n", source="Higham 2002, 1.9", configs=_configs(), at_scale=True)
def mean(x: "jax.Array", *, axis: int) -> "jax.Array":
    """Arithmetic mean over `axis`."""
    return jnp.sum(x, axis) / x.shape[axis]


@reduction(
    "var",
    formula="Σ (x_i - mean)² / (n - ddof)",
    source="Higham 2002, 1.9",
    configs=[*_configs(ddof=0), Config("unbiased", {"x": (33, 65)}, {"axis": -1, "ddof": 1})],
)
def var(x: "jax.Array", *, axis: int, ddof: int) -> "jax.Array":
    """Variance over `axis` by the two-pass formula; `ddof` 1 divides by n - 1."""
    return centred_square_sum(x, axis) / (x.shape[axis] - ddof)


def _constant(x: "np.ndarray", *, axis: int, **_: int) -> Masks:
    return (np.broadcast_to(x.max(axis, keepdims=True) == x.min(axis, keepdims=True), x.shape),)


@reduction(
    "std",
    formula="√(Σ (x_i - mean)² / (n - ddof))",
    source="Higham 2002, 1.9",
    kinks=_constant,
    configs=[*_configs(ddof=0), Config("unbiased", {"x": (33, 65)}, {"axis": -1, "ddof": 1})],
)
def std(x: "jax.Array", *, axis: int, ddof: int) -> "jax.Array":
    """Standard deviation over `axis`; `ddof` 1 divides by n - 1."""
    return jnp.sqrt(centred_square_sum(x, axis) / (x.shape[axis] - ddof))


@reduction(
    "prod",
    formula="Π x_i",
    source="Higham 2002, 3.1",
    configs=[
        Config("rows", {"x": (33, 9)}, {"axis": -1}),
        Config("columns", {"x": (13, 17)}, {"axis": 0}),
        Config("long", {"x": (3, 257)}, {"axis": -1}, quick=False),
    ],
)
def prod(x: "jax.Array", *, axis: int) -> "jax.Array":
    """Product over `axis`."""
    return jnp.prod(x, axis)


def _tied_largest(x: "np.ndarray", *, axis: int) -> Masks:
    return (tied(x, x.max(axis, keepdims=True), axis),)


def _tied_smallest(x: "np.ndarray", *, axis: int) -> Masks:
    return (tied(x, x.min(axis, keepdims=True), axis),)


@reduction("max", formula="max x_i", source="IEEE 754-2019 9.6", kinks=_tied_largest, configs=_configs())
def maximum(x: "jax.Array", *, axis: int) -> "jax.Array":
    """Largest element over `axis`; ties share the gradient equally by convention."""
    return jnp.max(x, axis)


@reduction("min", formula="min x_i", source="IEEE 754-2019 9.6", kinks=_tied_smallest, configs=_configs())
def minimum(x: "jax.Array", *, axis: int) -> "jax.Array":
    """Smallest element over `axis`; ties share the gradient equally by convention."""
    return jnp.min(x, axis)


def _zero(x: "np.ndarray", *, axis: int) -> Masks:
    return (np.broadcast_to(~x.any(axis, keepdims=True), x.shape),)


@reduction("norm", formula="√(Σ x_i²)", source="Higham 2002, 6.2", kinks=_zero, configs=_configs())
def norm(x: "jax.Array", *, axis: int) -> "jax.Array":
    """Euclidean norm over `axis`."""
    return jnp.sqrt(jnp.sum(x * x, axis))


@reduction(
    "cumsum",
    formula="y_k = Σ_{i <= k} x_i",
    source="NumPy reference, numpy.cumsum",
    at_scale=True,
    configs=[
        Config("rows", {"x": (33, 65)}, {"axis": -1}),
        Config("columns", {"x": (129, 17)}, {"axis": 0}),
        Config("long", {"x": (3, 1031)}, {"axis": -1}, quick=False),
    ],
)
def cumsum(x: "jax.Array", *, axis: int) -> "jax.Array":
    """Running sum along `axis`, which is kept."""
    return lax.cumsum(x, axis % x.ndim)


@reduction(
    "logsumexp",
    formula="ln Σ e^(x_i)",
    source="Blanchard, Higham & Higham 2021, doi:10.1093/imanum/draa038",
    configs=_configs(),
)
def logsumexp(x: "jax.Array", *, axis: int) -> "jax.Array":
    """Logarithm of the sum of exponentials over `axis`, shifted by the largest finite element."""
    shift = lax.stop_gradient(jnp.max(x, axis, keepdims=True))
    shift = jnp.where(jnp.abs(shift) == jnp.inf, 0, shift)
    return jnp.log(jnp.sum(jnp.exp(x - shift), axis)) + jnp.squeeze(shift, axis)
