"""What a recording refuses before it runs, and how a failure inside the user's model is told: one line, what to do."""

import inspect
import os
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from oracle.errors import OracleError
from oracle.trace import OUR_FOLDERS

_SHOWN = 6
# An error of fewer words than this is told with its type.
_SENTENCE = 3


def refuse_model(model: Any, inputs: Any) -> None:
    """Raises `OracleError` for what is no model, and for lists of numbers in the place of arrays."""
    if not callable(model):
        raise OracleError(f"{_shown(model)} is no model", "pass a torch module, a Keras model, or a function of arrays")
    for part in [inputs, *inputs] if isinstance(inputs, list | tuple) else [inputs]:
        if isinstance(part, list) and _numbers(part):
            raise OracleError(
                f"the inputs hold {_shown(part)}, a list of Python numbers",
                "pass an array: numpy.asarray(..., dtype='float32') or a tensor",
            )


def refuse_options(model: Any, options: Mapping[str, Any], recorder: Callable[..., Any]) -> None:
    """Raises `OracleError` for options that the recorder does not know, or that do not fit the model."""
    framework = recorder.__name__.removeprefix("record_")
    known = [p for p in inspect.signature(recorder).parameters if p not in ("model", "inputs", "train_step", "full")]
    for name in options:
        if name not in known:
            raise OracleError(
                f"unknown option {name!r} for a {framework} model",
                f"it takes train_step, {', '.join(known)}",
            )
    _refuse_parts(options.get("loss"), options.get("optimizer"), names=framework == "keras")
    groups = getattr(options.get("optimizer"), "param_groups", [])
    own, stepped = _identities(model), {id(p) for group in groups for p in group["params"]}
    if own and stepped and not own & stepped:
        raise OracleError(
            "the optimizer steps none of the model's parameters",
            "make one for each model; for a comparison optimizer=(that of A, that of B)",
        )


def refuse_shared_weights(a: Any, b: Any, options: Mapping[str, Any]) -> None:
    """Raises `OracleError` where a training step of A would change the weights with which B starts."""
    trained = options.get("optimizer") is not None or callable(options.get("train_step"))
    fitted = options.get("train_step") and getattr(a, "optimizer", None) is not None
    if (trained or fitted) and _identities(a) & _identities(b):
        raise OracleError(
            "A and B share their weights, and a training step of A changes them before B runs",
            "pass a copy as B: copy.deepcopy(model) or keras.models.clone_model and set_weights",
        )


def _identities(model: Any) -> set[int]:
    return {id(p) for p in _parameters(model)}


def _refuse_parts(loss: Any, optimizer: Any, names: bool) -> None:
    if inspect.isclass(optimizer):
        made = "torch.optim.SGD(model.parameters(), lr=0.1)" if "torch" in optimizer.__module__ else "SGD(0.1)"
        raise OracleError(f"optimizer is the class {optimizer.__name__}, not an optimizer", f"make one: {made}")
    if inspect.isclass(loss):
        raise OracleError(f"loss is the class {loss.__name__}, not a loss", f"make one: {loss.__name__}()")
    if not (loss is None or callable(loss) or (names and isinstance(loss, str))):
        raise OracleError(f"loss is {_shown(loss)}", "pass a function of output and target")


def _numbers(tree: Any) -> bool:
    """Whether a list holds Python numbers, at any depth, and nothing else."""
    leaves = list(leaves_of(tree))
    return bool(leaves) and all(isinstance(x, int | float) for x in leaves)


def is_users(functions: Iterable[Any], error: Exception) -> bool:
    """Whether an error was raised by the user's own code or by the framework, and not by ours.

    A call of one of the user's `functions` (the model, a train step, a loss) whose arguments do not fit, that of a
    builtin, and the filtered tracebacks of JAX and Keras end in the line of ours that made the call.
    """
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if not frame.filename.startswith(OUR_FOLDERS) or _is_filtered(error):
        return True
    own = [inspect.unwrap(getattr(f, "forward", f)) for f in functions if callable(f)]
    misfit = isinstance(error, TypeError) and any(
        str(error).startswith(f"{getattr(f, name, None)}()") for f in own for name in ("__qualname__", "__name__")
    )
    return misfit or any(inspect.isbuiltin(f) for f in own)


def _is_filtered(error: Exception) -> bool:
    """Whether JAX or Keras took its own frames out of the error's traceback."""
    noted = any("JAX" in note for note in getattr(error, "__notes__", ()))
    return noted or type(error).__module__.startswith("jax") or str(error).startswith("Exception encountered when")


def told(model: Any, inputs: Any, error: Exception) -> str:
    """What went wrong while a model ran, in one line: the framework's own words, the inputs, the user's line."""
    plain = re.sub(r"\x1b\[[0-9;]*m|\{\{.*?\}\}|\[Op:\w+\]( name:)?", "", str(error))
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    words = next((line for line in lines if not line.startswith("Exception encountered")), "")
    if len(words.split()) < _SENTENCE or isinstance(error, KeyError):
        words = f"{type(error).__name__}: {words}"
    advice = _other_format(model, inputs) or "run it once without the oracle"
    name = getattr(model, "__name__", type(model).__name__)
    return f"{name} does not run on inputs {_described(inputs)}{users_line(error)}: {words.rstrip('.')}; {advice}"


def users_line(error: BaseException) -> str:
    """The innermost line of the user's own program on the way to an error: " at models.py:12", or "" without one."""
    foreign = (*OUR_FOLDERS, "<frozen", *{sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib")})
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(foreign)]
    return f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""


def _described(inputs: Any) -> str:
    """Shapes and formats: "of shape (3, 8) float32, (3,) int64"."""
    found = [f"{tuple(np.shape(x))} {_format(x)}".strip() if hasattr(x, "shape") else _shown(x)
             for x in leaves_of(inputs)]  # fmt: skip
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    of_shape = "of shape " if all(hasattr(x, "shape") for x in leaves_of(inputs)) else ""
    return of_shape + ", ".join(found[:_SHOWN]) + more


def _other_format(model: Any, inputs: Any) -> str:
    """What to do where the inputs' number format is not that of the model's parameters; "" where it is."""
    own = {_format(p) for p in _parameters(model)} & _REAL
    given = {_format(x) for x in leaves_of(inputs)} & _REAL
    if not own or not given or given <= own:
        return ""
    wanted = sorted(own)[0]
    how = f"x.to(torch.{wanted})" if _is_torch(model) else f'x.astype("{wanted}")'
    return (
        f"the inputs are {', '.join(sorted(given - own))} and the model's parameters {', '.join(sorted(own))}: "
        f"pass the inputs in the model's format, {how}"
    )


_REAL = {"float16", "bfloat16", "float32", "float64"}


def _is_torch(model: Any) -> bool:
    return any(c.__module__.startswith("torch.") for c in type(model).__mro__)


def _parameters(model: Any) -> Iterable[Any]:
    found = getattr(model, "parameters" if _is_torch(model) else "variables", ())
    found = found() if callable(found) else found
    return found if isinstance(found, Iterable) else ()


def _format(array: Any) -> str:
    dtype = getattr(array, "dtype", "")
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]} ... ({type(value).__name__})"


def leaves_of(tree: Any) -> Iterable[Any]:
    """The leaves of nested mappings, lists, tuples and dataclasses."""
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    elif is_dataclass(tree) and not isinstance(tree, type) and not hasattr(tree, "dtype"):
        tree = [getattr(tree, f.name) for f in fields(tree)]
    if isinstance(tree, list | tuple):
        for part in tree:
            yield from leaves_of(part)
    else:
        yield tree
