"""A copy of a user's model, with its inputs, in a lower precision of its own framework."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from oracle.errors import OracleError


def in_format(
    framework: str, model: Any, inputs: Any, format: str, options: Mapping[str, Any]
) -> tuple[Any, Any, dict[str, Any]]:
    """The model, the inputs and the recorder's options in `format` ("bfloat16", "float16").

    Raises `OracleError` for what cannot be copied: a training step of the user's own, an optimizer, a TensorFlow
    module with its variables.
    """
    if callable(options.get("train_step")) or options.get("optimizer") is not None:
        raise OracleError("not run: the training step holds the model itself", "plan with loss= and labels= alone")
    if framework not in _COPIES:
        raise OracleError(f"not run: a {framework} model cannot be copied to {format}")
    copied, cast = _COPIES[framework](model, format)
    changed = {k: _cast(v, cast) if k == "target" else v for k, v in options.items()}
    return copied, _cast(inputs, cast), changed


def _cast(tree: Any, cast: Callable[[Any], Any]) -> Any:
    if isinstance(tree, Mapping):
        return {k: _cast(v, cast) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_cast(v, cast) for v in tree)
    return cast(tree)


def _torch(model: Any, format: str) -> tuple[Any, Callable]:
    import torch  # noqa: PLC0415

    dtype = getattr(torch, format)

    def cast(x: Any) -> Any:
        x = torch.from_numpy(x) if isinstance(x, np.ndarray) else x
        return x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x

    return (copy.deepcopy(model).to(dtype) if isinstance(model, torch.nn.Module) else model), cast


def _keras(model: Any, format: str) -> tuple[Any, Callable]:
    import keras  # noqa: PLC0415

    def clone(layer: Any) -> Any:
        config = layer.get_config()  # an operation of a functional model (x + y) has no dtype of its own
        return layer.__class__.from_config({**config, "dtype": format} if "dtype" in config else config)

    copied = keras.models.clone_model(model, clone_function=clone)
    copied.set_weights([np.asarray(w) for w in model.get_weights()])
    return copied, _jax_cast(format) if keras.backend.backend() == "jax" else lambda x: x


def _jax(function: Any, format: str) -> tuple[Any, Callable]:
    return function, _jax_cast(format)


def _jax_cast(format: str) -> Callable:
    import jax.numpy as jnp  # noqa: PLC0415

    def cast(x: Any) -> Any:
        array = jnp.asarray(x)
        return array.astype(format) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return cast


_COPIES: dict[str, Callable[[Any, str], tuple[Any, Callable]]] = {"torch": _torch, "keras": _keras, "jax": _jax}
