"""A function and a layer that branch on their data: which decisions does rounding turn?

The sum of the numbers is 1/2; rounded step by step it is not, and the branch that is taken may be the other one.
"""

import numpy as np
from study import Study, keras_policy

import oracle
from oracle.trace import Trace

X = np.array([2.0**27, 1.0, -(2.0**27), -0.5], np.float32)


def record_torch(dtype: str) -> Trace:
    """A Python `if`: the branch that ran is the program; the decision is a node beside it."""
    import torch

    def branch(x):
        return 2 * x if x.sum() > 0 else x / 3

    x = torch.from_numpy(X).to(getattr(torch, dtype)).requires_grad_()
    return oracle.record(branch, x, loss=lambda y: (y * y).mean(), full=True)


def record_where(dtype: str) -> Trace:
    """torch.where: both branches run and the decision is part of the program."""
    import torch

    def branch(x):
        return torch.where(x.sum() > 0, 2 * x, x / 3)

    x = torch.from_numpy(X).to(getattr(torch, dtype)).requires_grad_()
    return oracle.record(branch, x, loss=lambda y: (y * y).mean(), full=True)


def record_tensorflow(dtype: str) -> Trace:
    """tf.cond, which outside a graph is a Python `if`."""
    import tensorflow as tf

    def branch(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: 2 * x, lambda: x / 3)

    def step(model, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = model(x)
            loss = tf.reduce_mean(output * output)
        tape.gradient(loss, [x])
        return output

    return oracle.record(branch, tf.cast(X, dtype), train_step=step, full=True)


def record_keras(dtype: str) -> Trace:
    """A layer with a weight that branches with keras.ops.cond."""
    import keras
    from keras import ops

    class Branch(keras.layers.Layer):
        def build(self, shape) -> None:
            self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")

        def call(self, x):
            return ops.cond(ops.sum(x) > 0, lambda: 2 * self.factor * x, lambda: self.factor * x / 3)

    with keras_policy(dtype):
        model = keras.Sequential([keras.Input((len(X),)), Branch(name="branch")])
        return oracle.record(model, X[None], loss="mse", target=np.zeros((1, len(X)), np.float32), full=True)


RECORDERS = {"torch": record_torch, "torch-where": record_where, "tensorflow": record_tensorflow, "keras": record_keras}
STUDY = Study(RECORDERS, ("outputs", "loss", "gradients"))
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
