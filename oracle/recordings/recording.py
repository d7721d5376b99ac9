"""`oracle.record`: every operation that really executed, whatever the framework of the model."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from oracle.errors import OracleError
from oracle.recordings.refusing import is_users, leaves_of, refuse_model, refuse_options, told
from oracle.trace import Trace

FRAMEWORKS = ("keras", "torch", "tensorflow", "jax")
# Above this many parameters a recording keeps statistics only, unless asked for everything.
LARGE = 5_000_000


def record(
    model_or_fn: Callable[..., Any],
    inputs: Any,
    *,
    train_step: bool | Callable[..., Any] | None = None,
    framework: str | None = None,
    full: bool | None = None,
    **options: Any,
) -> Trace:
    """Run a model once and record every operation: forward, and in a training step backward and optimizer.

    Args:
        model_or_fn: a torch module, a Keras model on any backend, a `tf.Module` or `tf.function`, or a function of
            torch, TensorFlow or JAX arrays (or of Keras's operations).
        inputs: one array, a tuple or list of them, or a mapping of keyword arguments.
        train_step: `True` for a training step, or your own `train_step(model, *inputs)`.
        framework: "torch", "keras", "tensorflow" or "jax", where the model does not tell.
        full: keep every array (an explanation needs them); by default unless the model is large.
        options: `loss`, `target`, `optimizer`, `steps` as the framework's recorder takes them.

    Raises `OracleError` where the framework cannot be told or an option does not fit.
    """
    refuse_model(model_or_fn, inputs)
    name = framework or framework_of(model_or_fn, inputs)
    if name not in FRAMEWORKS:
        raise OracleError(f"unknown framework {name!r}", f"use one of {', '.join(FRAMEWORKS)}")
    if name == "keras" and not isinstance(model_or_fn, importlib.import_module("keras").Layer):
        name = importlib.import_module("keras").backend.backend()  # a function of Keras's is one of its backend's
    recorder = getattr(importlib.import_module(f"oracle.adapters.record_{name}"), f"record_{name}")
    refuse_options(model_or_fn, options, recorder)
    keep = _size(model_or_fn) <= LARGE if full is None else full
    try:
        return recorder(model_or_fn, inputs, train_step=train_step, full=keep, **options)
    except OracleError:
        raise
    except Exception as error:
        if is_users([model_or_fn, train_step, options.get("loss"), options.get("optimizer")], error):
            raise OracleError(told(model_or_fn, inputs, error)) from error
        if isinstance(error, ValueError):  # arguments that do not fit together
            raise OracleError(" ".join(str(error).split())) from error
        raise


def framework_of(model: Any, inputs: Any) -> str:
    """The framework of a model: by its class, its arguments, or the modules its code names."""
    for tell in (_by_class(model), _by_arrays(inputs), _by_code(model)):
        if tell:
            return tell
    raise OracleError(
        f"cannot tell the framework of {getattr(model, '__name__', type(model).__name__)!r}",
        'say it: oracle.record(..., framework="torch"), "keras", "tensorflow" or "jax"',
    )


def _by_class(model: Any) -> str | None:
    keras, torch, tensorflow = (sys.modules.get(n) for n in ("keras", "torch", "tensorflow"))
    if keras is not None and isinstance(model, keras.Layer):
        return "keras"
    if torch is not None and isinstance(model, torch.nn.Module):
        return "torch"
    if tensorflow is not None and (isinstance(model, tensorflow.Module) or hasattr(model, "get_concrete_function")):
        return "tensorflow"
    module = type(model).__module__.partition(".")[0]
    if module == "keras":  # a loss, a metric
        return "keras"
    return "jax" if module in ("jaxlib", "flax", "equinox") else None


def _by_arrays(inputs: Any) -> str | None:
    for array in leaves_of(inputs):
        package = type(array).__module__.partition(".")[0]
        if package in ("torch", "tensorflow"):
            return package
        if package in ("jax", "jaxlib"):
            return "jax"
    return None


def _by_code(model: Any) -> str | None:
    """The framework whose modules the function's code names, itself or in the functions it calls by name."""
    function = getattr(model, "__wrapped__", model)
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    scope = dict(getattr(function, "__globals__", {}))
    cells = zip(code.co_freevars, function.__closure__ or (), strict=False)
    scope.update({name: cell.cell_contents for name, cell in cells})
    for name in code.co_names + code.co_freevars:
        package = getattr(scope.get(name), "__name__", "").partition(".")[0]
        if package in FRAMEWORKS:
            return package
        owner = str(getattr(scope.get(name), "__module__", "")).partition(".")[0]
        if owner in FRAMEWORKS:
            return owner
        inner = _by_class(scope.get(name))
        if inner:
            return inner
    return None


def _size(model: Any) -> int:
    """Number of parameters, as far as the model tells."""
    if hasattr(model, "count_params") and getattr(model, "built", False):
        return int(model.count_params())
    parameters = getattr(model, "parameters", None)
    if callable(parameters):
        return sum(int(np.prod(p.shape)) for p in parameters())
    return 0
