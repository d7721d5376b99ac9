"""Question 14: does a custom loss, MSE + alpha * sum of absolute errors, need work-arounds in Keras?"""

from asking import normal, show

import oracle

ALPHA = 0.1
OUTPUT, TARGET = normal(32, 1), normal(32, 1, seed=1)


def losses() -> dict:
    """The loss in each framework, in two lines, and in JAX, which is the definition."""
    import jax.numpy as jnp
    import torch
    from keras import ops

    def in_torch(output, target):
        error = output - target
        return error.square().mean() + ALPHA * error.abs().sum()

    def in_keras(output, target):
        error = output - target
        return ops.mean(ops.square(error)) + ALPHA * ops.sum(ops.absolute(error))

    def in_jax(output, target):
        error = output - target
        return jnp.mean(error**2) + ALPHA * jnp.sum(jnp.abs(error))

    return {"torch": (in_torch, torch.from_numpy), "Keras": (in_keras, _keras_tensor), "definition": (in_jax, None)}


def _keras_tensor(array):
    from keras import ops

    return ops.convert_to_tensor(array)


def measure() -> dict:
    """Value and gradient of each held to the JAX formula, and Keras against torch."""
    ways = losses()
    definition, _ = ways.pop("definition")
    rows = []
    for name, (loss, to) in ways.items():
        judged = oracle.check(loss, reference=definition, inputs=(to(OUTPUT), to(TARGET)), grad=True)
        for array in judged.arrays:
            found = array.judgement
            rows.append({"loss": name, "checked": array.name, "ulp": found.max_ulp, "budget used": found.budget_used,
                         "verdict": str(found.verdict)})  # fmt: skip
    return {"checks": rows}


if __name__ == "__main__":
    show(__doc__, measure)
