"""Operations that select by integers."""

import functools

from oracle.reference.lazy import jax, jnp
from oracle.reference.operation import Arg, Config, operation

indexing = functools.partial(operation, family="indexing")


@indexing(
    "embedding",
    [Arg("weight"), Arg("indices", kind="index", high=29)],
    formula="y_i = weight[indices_i]",
    source="Bengio et al. 2003",
    configs=[
        Config("tokens", {"weight": (29, 17), "indices": (3, 11)}, highs={"indices": 29}),
        Config("vocabulary", {"weight": (1031, 64), "indices": (4, 33)}, highs={"indices": 1031}, quick=False),
    ],
)
def embedding(weight: "jax.Array", indices: "jax.Array") -> "jax.Array":
    """Rows of `weight` (vocabulary, feature) at `indices` (any shape); the gradient adds repeated rows."""
    return jnp.take(weight, indices, axis=0, mode="clip")
