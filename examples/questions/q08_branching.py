"""Question 8: does branching on data need tf.cond, and does it change the numbers?"""

import branches
import numpy as np
from asking import as_numpy, normal, show


def measure() -> dict:
    """The same branch in five forms: whose bits are equal; and the decisions that rounding turns."""
    return {"bits": bits(), "division": division(), "decisions": decisions()}


def bits() -> list[dict]:
    """Eager, graph and compiled forms of one branch, on a hundred inputs."""
    import jax
    import tensorflow as tf
    import torch

    def python_if(x):
        return 2 * x if x.sum() > 0 else x / 3

    def keras_style(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: 2 * x, lambda: x / 3)

    ways = {
        "torch, if": (python_if, torch.from_numpy),
        "torch, where": (lambda x: torch.where(x.sum() > 0, 2 * x, x / 3), torch.from_numpy),
        "TensorFlow, if": (lambda x: 2 * x if tf.reduce_sum(x) > 0 else x / 3, tf.constant),
        "TensorFlow, tf.cond": (keras_style, tf.constant),
        "tf.function with tf.cond": (tf.function(keras_style), tf.constant),
        "JAX, jit with lax.cond": (
            jax.jit(lambda x: jax.lax.cond(x.sum() > 0, lambda x: 2 * x, lambda x: x / 3, x)), jax.numpy.asarray
        ),
    }  # fmt: skip
    inputs = [normal(8, seed=s) for s in range(100)]
    answers = {name: np.array([as_numpy(f(to(x))) for x in inputs]) for name, (f, to) in ways.items()}
    first = answers["torch, if"]
    return [
        {"form": name, "elements that differ from torch, if": int((a != first).sum()),
         "largest, ulp": float(np.max(np.abs(a - first) / np.spacing(np.abs(first))))}
        for name, a in answers.items()
    ]  # fmt: skip


def division() -> list[dict]:
    """x / 3 without a branch: which forms divide, and which multiply by a rounded third?"""
    import jax
    import tensorflow as tf
    import torch

    ways = {
        "torch": (lambda x: x / 3, torch.from_numpy),
        "TensorFlow eager": (lambda x: x / 3, tf.constant),
        "tf.function": (tf.function(lambda x: x / 3), tf.constant),
        "JAX, jit": (jax.jit(lambda x: x / 3), jax.numpy.asarray),
    }
    x = normal(4096)
    results = {name: as_numpy(f(to(x))) for name, (f, to) in ways.items()}
    return [
        {"x / 3 in": name, "elements other than x / 3": int((y != x / np.float32(3)).sum()),
         "elements other than x * (1/3)": int((y != x * np.float32(1 / 3)).sum())}
        for name, y in results.items()
    ]  # fmt: skip


def decisions() -> list[dict]:
    """The inputs of the case study, whose sum is 1/2: every form takes the wrong branch."""
    rows = []
    for framework in branches.STUDY.recorders:
        found = branches.run(framework, "float32", "outputs")
        rows.append({"form": framework, "decisions turned": sum(n.flips for n in found.nodes),
                     "error": found.total / found.magnitude,
                     "of it the jump": sum(n.jump for n in found.nodes) / found.total})  # fmt: skip
    return rows


if __name__ == "__main__":
    show(__doc__, measure)
