"""relu(x @ w), summed: what does a non-linearity add to the errors of a product, and what does it take away?"""

from matmul_sum import ARRAYS
from study import Study

import oracle
from oracle.trace import Trace


def record_torch(dtype: str) -> Trace:
    """sum(relu(x @ w)) and its gradients in torch."""
    import torch

    inputs = {n: torch.from_numpy(a).to(getattr(torch, dtype)).requires_grad_() for n, a in ARRAYS.items()}
    return oracle.record(lambda x, w: torch.relu(x @ w).sum(), inputs, train_step=True, full=True)


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
    return oracle.record(lambda x, w: tf.reduce_sum(tf.nn.relu(x @ w)), inputs, train_step=step, full=True)


def record_jax(dtype: str) -> Trace:
    """The same in JAX, differentiated with respect to both."""
    import jax
    import jax.numpy as jnp

    def model(arrays):
        return jax.nn.relu(arrays["x"] @ arrays["w"]).sum()

    return oracle.record(model, ({n: jnp.asarray(a, dtype) for n, a in ARRAYS.items()},), train_step=True, full=True)


STUDY = Study({"torch": record_torch, "tensorflow": record_tensorflow, "jax": record_jax})
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
