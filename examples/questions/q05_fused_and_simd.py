"""Question 5: do fused and vectorised operations change the result?"""

import numpy as np
from asking import as_numpy, normal, show

import oracle

LANES = 17  # one more than a vector of 16 holds: the last element goes another way
FUNCTIONS = ("exp", "tanh", "sigmoid", "sqrt")


def measure(values: int = 400, compiled: bool = True) -> dict:
    """Vector path against scalar tail, and a chain of operations eager against compiled."""
    return {"tails": tails(values), "compiled": fusion(compiled)}


def tails(values: int) -> list[dict]:
    """The same number in every place of an array: in how many cases does the last place answer otherwise?"""
    import jax
    import tensorflow as tf
    import torch

    rows = []
    for name in FUNCTIONS:
        jitted = jax.jit(getattr(jax.nn if name == "sigmoid" else jax.numpy, name))
        ways = {
            "torch": lambda x, name=name: getattr(torch, name)(torch.from_numpy(x)),
            "TensorFlow": lambda x, name=name: getattr(tf.math, name)(tf.constant(x)),
            "JAX": jitted,
        }
        if name != "sigmoid":
            ways["NumPy"] = getattr(np, name)
        numbers = np.abs(normal(values)) if name == "sqrt" else normal(values)
        for library, function in ways.items():
            answers = np.array([as_numpy(function(np.full(LANES, v)))[[0, -1]] for v in numbers])
            apart = np.abs(answers[:, 0] - answers[:, 1]) / np.spacing(np.abs(answers[:, 0]))
            rows.append({"function": name, "library": library, "last place differs": f"{(apart > 0).mean():.1%}",
                         "ulp apart": float(apart.max())})  # fmt: skip
    return rows


def fusion(compiled: bool) -> list[dict]:
    """tanh(x * y + z): three roundings in eager mode, fewer where the product is fused into the sum."""
    import jax
    import jax.numpy as jnp
    import tensorflow as tf
    import torch

    x, y, z = (normal(4096, seed=s) for s in range(3))

    def chain(lib):
        return lambda x, y, z: lib.tanh(x * y + z)

    pairs = {
        "JAX, jit": (chain(jnp), jax.jit(chain(jnp)), jnp.asarray),
        "TensorFlow, XLA": (chain(tf.math), tf.function(chain(tf.math), jit_compile=True), tf.constant),
    }
    if compiled:
        pairs["torch, torch.compile"] = (chain(torch), torch.compile(chain(torch)), torch.from_numpy)
    rows = []
    for name, (eager, fused, to) in pairs.items():
        given = tuple(map(to, (x, y, z)))
        checks = [oracle.check(f, reference=chain(jnp), inputs=given) for f in (eager, fused)]
        answers = [as_numpy(f(*given)) for f in (eager, fused)]
        rows.append({
            "compiler": name,
            "elements changed": f"{(answers[0] != answers[1]).mean():.0%}",
            "budget used, eager": checks[0].budget_used,
            "budget used, compiled": checks[1].budget_used,
            "verdict, eager": str(checks[0].verdict),
            "verdict, compiled": str(checks[1].verdict),
        })  # fmt: skip
    return rows


if __name__ == "__main__":
    show(__doc__, measure)
