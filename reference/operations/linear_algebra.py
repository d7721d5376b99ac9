"""Matrix products. `einsum` takes its subscripts as the attribute `equation`."""

import functools

from oracle.reference.lazy import jax, jnp
from oracle.reference.operation import Config, operation
from oracle.reference.operations.convolutions import bias_first

product = functools.partial(operation, family="linear algebra", at_scale=True, source="Higham 2002, 3.5")


@product(
    "matmul",
    ["a", "b"],
    formula="Σ_k a_ik b_kj",
    configs=[
        Config("rectangular", {"a": (64, 96), "b": (96, 48)}),
        Config("odd", {"a": (17, 33), "b": (33, 7)}),
        Config("deep", {"a": (5, 4099), "b": (4099, 3)}, quick=False),
        Config("large", {"a": (256, 384), "b": (384, 320)}, quick=False),
    ],
)
def matmul(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """Product of the matrices `a` (m, k) and `b` (k, n)."""
    return a @ b


@product(
    "batched_matmul",
    ["a", "b"],
    formula="Σ_k a_bik b_bkj",
    configs=[
        Config("batch", {"a": (7, 16, 33), "b": (7, 33, 9)}),
        Config("large", {"a": (16, 64, 65), "b": (16, 65, 64)}, quick=False),
    ],
)
def batched_matmul(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """Product of the stacks of matrices `a` (batch, m, k) and `b` (batch, k, n)."""
    return a @ b


@product(
    "linear",
    ["x", "weight", "bias"],
    forms=(bias_first("linear"),),
    formula="x weightᵀ + bias",
    configs=[
        Config("batch", {"x": (32, 65), "weight": (33, 65), "bias": (33,)}),
        Config("sequence", {"x": (3, 7, 48), "weight": (17, 48), "bias": (17,)}, quick=False),
        Config("large", {"x": (128, 784), "weight": (128, 784), "bias": (128,)}, quick=False),
    ],
)
def linear(x: "jax.Array", weight: "jax.Array", bias: "jax.Array") -> "jax.Array":
    """Affine map of the last axis of `x` (..., in) by `weight` (out, in) and `bias` (out,)."""
    return x @ weight.T + bias


@product(
    "einsum",
    ["a", "b"],
    formula="the sum over the subscripts absent from the result",
    configs=[
        Config("scores", {"a": (2, 3, 9, 16), "b": (2, 3, 11, 16)}, {"equation": "bhqd,bhkd->bhqk"}),
        Config("bilinear", {"a": (7, 5, 9), "b": (9, 6)}, {"equation": "ijk,kl->lij"}),
        Config("full", {"a": (33, 17), "b": (33, 17)}, {"equation": "ij,ij->"}, quick=False),
    ],
)
def einsum(a: "jax.Array", b: "jax.Array", *, equation: str) -> "jax.Array":
    """Einstein summation of two arrays."""
    return jnp.einsum(equation, a, b)


@product(
    "dot",
    ["a", "b"],
    formula="Σ a_i b_i",
    configs=[
        Config("odd", {"a": (1031,), "b": (1031,)}),
        Config("long", {"a": (100003,), "b": (100003,)}, quick=False),
    ],
)
def dot(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """Inner product of the vectors `a` and `b`."""
    return a @ b


@product("outer", ["a", "b"], formula="a_i b_j", configs=[Config("odd", {"a": (33,), "b": (65,)})])
def outer(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    """Outer product of the vectors `a` and `b`."""
    return a[:, None] * b[None, :]
