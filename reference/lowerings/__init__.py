"""Lowerings: what each framework operation means, as a JAX function in reference arithmetic.

A module whose name is a dialect, or begins with `<dialect>_`, defines the lowerings of the operations called `<dialect>.*`
("aten", "tf", "jax"). A lowering takes the operation's arguments as the framework passes them (arrays as arrays,
everything else as Python literals) and returns the node's outputs in order: an array, or a tuple of them.
"""

from oracle.reference.lowerings.registry import known, lower, lowering, missing

__all__ = ["known", "lower", "lowering", "missing"]
