"""Question 1: does a static or a dynamic graph change matrix products?"""

import hashlib
import os
import subprocess
import sys

from asking import as_numpy, normal, show

import oracle

INPUTS = {"x": normal(64, 256), "w": normal(256, 32, seed=1)}


def candidates(compiled: bool = True) -> dict:
    """The product in each framework, eager and compiled."""
    import jax
    import tensorflow as tf
    import torch

    graph = tf.function(lambda x, w: x @ w)
    xla = tf.function(lambda x, w: x @ w, jit_compile=True)
    found = {
        "torch eager": (torch.matmul, torch.from_numpy),
        "TensorFlow eager": (lambda x, w: x @ w, tf.constant),
        "tf.function": (graph, tf.constant),
        "tf.function, XLA": (xla, tf.constant),
        "jax.jit": (jax.jit(lambda x, w: x @ w), jax.numpy.asarray),
    }
    if compiled:
        found["torch.compile"] = (torch.compile(torch.matmul), torch.from_numpy)
    return found


def measure(compiled: bool = True) -> dict:
    """For each way to multiply: the error of product and gradients, the order of its sums, and whose bits it shares.

    Without `compiled`, what takes long is left out: torch.compile, and Keras in a process for each backend.
    """
    import jax.numpy as jnp

    ways = candidates(compiled)
    products = {name: as_numpy(f(*map(to, INPUTS.values()))) for name, (f, to) in ways.items()}
    rows = []
    for name, (multiply, to) in ways.items():
        given = {n: to(a) for n, a in INPUTS.items()}
        judged = oracle.check(multiply, reference=jnp.matmul, inputs=given, grad=True)
        product, *gradients = (a.judgement for a in judged.arrays)
        rows.append({
            "product": name,
            "same bits as torch eager": _same(products[name], products["torch eager"]),
            "ulp at scale": product.max_ulp_at_scale,
            "gradients, ulp at scale": max(g.max_ulp_at_scale for g in gradients),
            "share of the budget": judged.budget_used,
            "verdict": str(judged.verdict),
            "sums 256 terms": order(multiply, to),
        })  # fmt: skip
    eager_is_graph = bool((products["TensorFlow eager"] == products["tf.function"]).all())
    return {"ways": rows, "eager equals graph": eager_is_graph, "keras": keras_bits() if compiled else []}


def order(multiply, to, terms: int = 256) -> str:
    """Who sums in which order: 2^30 and -2^30 swallow the ones that are added between them.

    With 2^30 in the first place and -2^30 in place j, the ones that survive are those added after the two have met.
    """
    import numpy as np

    x = np.ones((64, terms), np.float32)
    x[:, 0] = 2.0**30
    left = []
    for j in range(1, terms):
        x[:, 1:] = 1
        x[:, j] = -(2.0**30)
        left.append(int(as_numpy(multiply(to(x), to(np.ones((terms, 32), np.float32))))[0, 0]))
    met = [terms - n for n in left]  # of how many terms the sum consists in which the two meet
    stride = met.index(2) + 1 if 2 in met else 1
    chain = met[stride - 1 :: stride]
    whole = next((k for k, n in enumerate(chain) if n != k + 2), len(chain)) + 1
    chains = "in order" if stride == 1 else f"in {stride} interleaved chains"
    return chains if whole * stride >= terms - stride else f"{chains}, in blocks of {whole * stride}"


def keras_bits() -> list[dict]:
    """The product of `keras.ops.matmul` on each backend, in processes of their own, against the backend's own."""
    ways = candidates(compiled=False)
    rows = []
    for backend, name in (("torch", "torch eager"), ("tensorflow", "TensorFlow eager"), ("jax", "jax.jit")):
        multiply, to = ways[name]
        own = hashlib.sha256(as_numpy(multiply(*map(to, INPUTS.values()))).tobytes()).hexdigest()
        done = subprocess.run(
            [sys.executable, __file__, "--keras"], capture_output=True, text=True, check=True, timeout=300,
            env={**os.environ, "KERAS_BACKEND": backend},
        )  # fmt: skip
        rows.append({"product": f"keras.ops.matmul on {backend}", "the bits of": name,
                     "same": "yes" if done.stdout.split()[-1] == own else "no"})  # fmt: skip
    return rows


def print_keras_bits() -> None:
    """For a process of its own: the hash of Keras's product."""
    import keras

    product = keras.ops.convert_to_numpy(keras.ops.matmul(*INPUTS.values()))
    print(hashlib.sha256(product.tobytes()).hexdigest())


def _same(a, b) -> str:
    return f"{(a == b).mean():.0%}"


if __name__ == "__main__":
    print_keras_bits() if sys.argv[1:] == ["--keras"] else show(__doc__, measure)
