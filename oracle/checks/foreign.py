"""A user's arrays and functions, whichever framework they belong to; one is touched only if it is already imported."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

PullBack = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def framework_of(x: Any) -> str:
    """`torch`, `tensorflow`, `jax` or `numpy`: whose array `x` is."""
    kinds = (("torch", "Tensor"), ("tensorflow", "Tensor"), ("tensorflow", "Variable"), ("jax", "Array"))
    for module, kind in kinds:
        if module in sys.modules and isinstance(x, getattr(sys.modules[module], kind)):
            return module
    return "numpy"


def to_numpy(x: Any) -> np.ndarray:
    """`x` as a NumPy array of the same number format, its values untouched."""
    if framework_of(x) != "torch":
        return np.asarray(x)
    x = x.detach().cpu().contiguous()
    name = str(x.dtype).removeprefix("torch.")
    if not hasattr(ml_dtypes, name):
        return x.numpy()
    bits = sys.modules["torch"].uint8 if x.element_size() == 1 else sys.modules["torch"].int16
    return x.view(bits).numpy().view(getattr(ml_dtypes, name))


def leaves(result: Any) -> list[Any]:
    """The arrays in nested tuples, lists and dictionaries, in the order in which JAX flattens them."""
    if result is None:
        return []
    if isinstance(result, Mapping):
        return [leaf for key in sorted(result) for leaf in leaves(result[key])]
    if isinstance(result, list | tuple):
        return [leaf for item in result for leaf in leaves(item)]
    return [result]


def call(fn: Callable, inputs: Sequence[Any], positions: Sequence[int]) -> tuple[list[np.ndarray], PullBack | None]:
    """The results of `fn(*inputs)` and how to pull cotangents back to the inputs at `positions`.

    `fn` runs once. The pull-back is None without positions, and for NumPy functions, which nobody differentiates.
    """
    owners = {framework_of(x) for x in inputs} - {"numpy"}
    differentiated = {"torch": _call_torch, "tensorflow": _call_tensorflow, "jax": _call_jax}
    if positions and len(owners) == 1:
        results, pull_back = differentiated[owners.pop()](fn, list(inputs), positions)
    else:
        results, pull_back = leaves(fn(*inputs)), None
    return [to_numpy(r) for r in results], pull_back


def _call_torch(fn: Callable, inputs: list[Any], positions: Sequence[int]) -> tuple[list[Any], PullBack]:
    torch = sys.modules["torch"]
    for p in positions:
        inputs[p] = inputs[p].detach().clone().requires_grad_()
    with torch.enable_grad():
        results = leaves(fn(*inputs))

    def pull_back(cotangents: Sequence[np.ndarray]) -> list[np.ndarray]:
        given = [torch.tensor(c.astype(np.float64)).to(r) for c, r in zip(cotangents, results, strict=True)]
        wanted = [inputs[p] for p in positions]
        gradients = torch.autograd.grad(results, wanted, given, allow_unused=True, materialize_grads=True)
        return [to_numpy(g) for g in gradients]

    return results, pull_back


def _call_tensorflow(fn: Callable, inputs: list[Any], positions: Sequence[int]) -> tuple[list[Any], PullBack]:
    tf = sys.modules["tensorflow"]
    wanted = [tf.convert_to_tensor(inputs[p]) for p in positions]
    for p, x in zip(positions, wanted, strict=True):
        inputs[p] = x
    with tf.GradientTape() as tape:
        tape.watch(wanted)
        results = leaves(fn(*inputs))

    def pull_back(cotangents: Sequence[np.ndarray]) -> list[np.ndarray]:
        given = [tf.constant(c) for c in cotangents]
        gradients = tape.gradient(results, wanted, given, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [to_numpy(tf.convert_to_tensor(g)) for g in gradients]

    return results, pull_back


def _call_jax(fn: Callable, inputs: list[Any], positions: Sequence[int]) -> tuple[list[Any], PullBack]:
    jax = sys.modules["jax"]

    def of_selected(*selected: Any) -> list[Any]:
        for p, x in zip(positions, selected, strict=True):
            inputs[p] = x
        return leaves(fn(*inputs))

    results, transpose = jax.vjp(of_selected, *[inputs[p] for p in positions])

    def pull_back(cotangents: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(g) for g in transpose([jax.numpy.asarray(c) for c in cotangents])]

    return results, pull_back
