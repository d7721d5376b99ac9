"""Question 4: do linear-algebra libraries have different precision?"""

from asking import as_numpy, normal, show
from threadpoolctl import threadpool_limits

import oracle

SIZES = (16, 64, 256, 512)


def libraries() -> dict:
    """The matrix product of each library, as a function of NumPy arrays."""
    import jax.numpy as jnp
    import numpy as np
    import tensorflow as tf
    import torch

    return {
        "NumPy": np.matmul,
        "torch": lambda x, w: torch.matmul(torch.from_numpy(x), torch.from_numpy(w)).numpy(),
        "TensorFlow": lambda x, w: tf.matmul(x, w).numpy(),
        "JAX": lambda x, w: np.asarray(jnp.matmul(x, w)),
    }


def measure(sizes: tuple[int, ...] = SIZES) -> dict:
    """Largest error at scale of an n by n product, by library and size; and whether threads change its bits."""
    import jax.numpy as jnp

    rows = []
    for name, multiply in libraries().items():
        row: dict = {"library": name}
        for n in sizes:
            judged = oracle.check(multiply, reference=jnp.matmul, inputs=(normal(n, n), normal(n, n, seed=1)))
            (product,) = (a.judgement for a in judged.arrays)
            row[f"n = {n}"] = product.max_ulp_at_scale
        row["budget used"] = judged.budget_used
        row["verdict"] = str(judged.verdict)
        rows.append(row)
    return {"libraries": rows, "threads": [threads(max(sizes))]}


def threads(n: int) -> dict:
    """How many elements of the product of NumPy and torch change with two threads in place of one."""
    import numpy as np
    import torch

    x, w = normal(n, n), normal(n, n, seed=1)
    before, found = torch.get_num_threads(), {"size": n}
    multiply = libraries()
    with threadpool_limits(1):
        one = np.matmul(x, w)
    with threadpool_limits(2):
        found["NumPy, elements changed"] = int((one != np.matmul(x, w)).sum())
    try:
        products = [torch.set_num_threads(count) or as_numpy(multiply["torch"](x, w)) for count in (1, 2)]
    finally:
        torch.set_num_threads(before)
    return {**found, "torch, elements changed": int((products[0] != products[1]).sum())}


if __name__ == "__main__":
    show(__doc__, measure)
