"""Question 13: do tape.gradient and .backward() give the same thing?"""

from typing import Any

from asking import normal, show

import oracle
from oracle.trace import Trace

ARRAYS = {"x": normal(4, 3), "w": normal(3, 2, seed=1)}


def record_tensorflow(inside: bool) -> Trace:
    """The product of x and w inside the tape, or before it."""
    import tensorflow as tf

    def step(_: Any, x: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
        y = x @ w
        with tf.GradientTape() as tape:
            tape.watch(w)
            y = x @ w if inside else y
            loss = tf.reduce_sum(y * y)
        tape.gradient(loss, w)  # None, if the product was computed outside
        return loss

    inputs = {n: tf.constant(a) for n, a in ARRAYS.items()}
    return oracle.record(step, inputs, train_step=step, full=True, framework="tensorflow")


def record_torch() -> Trace:
    """autograd records from the leaf on: there is no outside."""
    import torch

    inputs = {n: torch.from_numpy(a).requires_grad_(n == "w") for n, a in ARRAYS.items()}
    return oracle.record(lambda x, w: ((x @ w) ** 2).sum(), inputs, train_step=True, full=True)


def measure() -> dict:
    """torch against TensorFlow with the product inside of the tape, and outside."""
    theirs = record_torch()
    return {
        "inside": oracle.compare(record_tensorflow(inside=True), theirs),
        "outside": oracle.compare(record_tensorflow(inside=False), theirs),
    }


if __name__ == "__main__":
    show(__doc__, measure)
