"""A matrix product and the sum of its elements: who rounds, on the way forward and on the way back?"""

from study import Study, normal

import oracle
from oracle.trace import Trace

ARRAYS = {"x": normal(64, 256), "w": normal(256, 32, seed=1)}


def record_torch(dtype: str) -> Trace:
    """sum(x @ w) and its gradients in torch."""
    import torch

    inputs = {n: torch.from_numpy(a).to(getattr(torch, dtype)).requires_grad_() for n, a in ARRAYS.items()}
    return oracle.record(lambda x, w: (x @ w).sum(), inputs, train_step=True, full=True)


def record_tensorflow(dtype: str) -> Trace:
    """The same in TensorFlow."""
    import tensorflow as tf

    def step(model, x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            loss = model(x, w)
        tape.gradient(loss, [x, w])
        return loss

    inputs = {n: tf.cast(a, dtype) for n, a in ARRAYS.items()}
    return oracle.record(lambda x, w: tf.reduce_sum(x @ w), inputs, train_step=step, full=True)


def record_jax(dtype: str) -> Trace:
    """The same in JAX, differentiated with respect to both."""
    import jax.numpy as jnp

    inputs = {n: jnp.asarray(a, dtype) for n, a in ARRAYS.items()}
    return oracle.record(lambda arrays: (arrays["x"] @ arrays["w"]).sum(), (inputs,), train_step=True, full=True)


STUDY = Study({"torch": record_torch, "tensorflow": record_tensorflow, "jax": record_jax})
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
