"""Products by their sums over indices."""

import itertools

import numpy as np
from mpmath import mpf

from oracle.reference.operation import textbook

Array = np.ndarray


@textbook("matmul")
def matmul(a: Array, b: Array) -> Array:
    """c_ij = Σ_k a_ik b_kj."""
    rows, columns = len(a), b.shape[1]
    return np.array(
        [[sum(a[i, k] * b[k, j] for k in range(len(b))) for j in range(columns)] for i in range(rows)], object
    )


@textbook("batched_matmul")
def batched_matmul(a: Array, b: Array) -> Array:
    """One matrix product for each index of the first axis."""
    return np.array([matmul(x, y) for x, y in zip(a, b, strict=True)], object)


@textbook("linear")
def linear(x: Array, weight: Array, bias: Array) -> Array:
    """y_o = Σ_i weight_oi x_i + bias_o for each row x of the last axis."""
    out = np.empty((*x.shape[:-1], len(bias)), object)
    for index in np.ndindex(out.shape):
        row, o = x[index[:-1]], index[-1]
        out[index] = sum(w * v for w, v in zip(weight[o], row, strict=True)) + bias[o]
    return out


@textbook("dot")
def dot(a: Array, b: Array) -> Array:
    """Σ a_i b_i."""
    return np.array(sum(x * y for x, y in zip(a, b, strict=True)), object)


@textbook("outer")
def outer(a: Array, b: Array) -> Array:
    """c_ij = a_i b_j."""
    return np.array([[x * y for y in b] for x in a], object)


@textbook("einsum")
def einsum(a: Array, b: Array, equation: str) -> Array:
    """Sum of the products over every assignment of the letters, gathered by the letters of the result."""
    (of_a, of_b), result = equation.split("->", maxsplit=1)[0].split(","), equation.split("->")[1]
    sizes = dict(zip(of_a + of_b, a.shape + b.shape, strict=True))
    out = np.full([sizes[letter] for letter in result], mpf(0), object)
    for values in itertools.product(*(range(n) for n in sizes.values())):
        at = dict(zip(sizes, values, strict=True))
        place = tuple(at[letter] for letter in result)
        out[place] += a[tuple(at[x] for x in of_a)] * b[tuple(at[x] for x in of_b)]
    return out
