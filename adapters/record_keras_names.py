"""What a Keras model calls its parts: layer paths, variables, settings; and the hooks that follow its calls."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from oracle.adapters.recording_places import calls_watched, replaced
from oracle.trace import Layer, Tree


class Named(NamedTuple):
    """A Keras variable with its role in a trace and its path ("block.dense.kernel")."""

    variable: Any
    role: str
    name: str


def layer_paths(model: Any) -> Iterator[tuple[Any, str]]:
    """The model and every layer in it with its path; the model's own is "". A shared layer has its first path."""
    seen = set()

    def walk(layer: Any, path: str) -> Iterator[tuple[Any, str]]:
        if id(layer) in seen:
            return
        seen.add(id(layer))
        yield layer, path
        for child in layer._flatten_layers(include_self=False, recursive=False):
            yield from walk(child, f"{path}.{child.name}" if path else child.name)

    yield from walk(model, "")


_PUBLIC = ("layers", "optimizers", "losses")


def describe(layer: Any) -> Layer:
    """The class of a layer, an optimizer or a loss, and its configuration as literals."""
    kind = type(layer)
    module = next((f"keras.{m}" for m in _PUBLIC if kind.__module__.startswith(f"keras.src.{m}")), kind.__module__)
    return Layer(f"{module}.{kind.__qualname__}", _settings(layer))


def _settings(layer: Any) -> dict[str, Tree]:
    import keras  # noqa: PLC0415

    if isinstance(layer, keras.Model):  # its configuration is that of its layers again
        return {"name": layer.name}
    try:
        config = layer.get_config()
    except Exception:
        return {"name": str(getattr(layer, "name", ""))}
    return {str(k): _literal(v) for k, v in config.items()}


def _literal(value: Any) -> Tree:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_literal(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _literal(v) for k, v in value.items() if k != "build_config"}
    return str(value)


def model_variables(model: Any) -> list[Named]:
    """The model's parameters, buffers and seeds, each once, with unique names."""
    found: dict[int, Named] = {}
    taken: set[str] = set()
    for layer, path in layer_paths(model):
        groups = (("parameter", layer._trainable_variables), ("buffer", layer._non_trainable_variables))
        seeds = [g.state for g in getattr(layer, "_seed_generators", ())]
        for role, variables in (*groups, ("state", seeds)):
            for variable in variables:
                if id(variable) not in found:
                    name = _unique(f"{path}.{variable.name}" if path else variable.name, taken)
                    frozen = role == "parameter" and not variable.trainable
                    found[id(variable)] = Named(variable, "buffer" if frozen else role, name)
    return list(found.values())


def _unique(name: str, taken: set[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


def optimizer_variables(optimizer: Any, parameters: list[Named]) -> list[Named]:
    """The optimizer's state, named after the parameter that it belongs to ("dense.kernel.momentum")."""
    owners = {p.variable.path.replace("/", "_") + "_": p.name for p in parameters}

    def name(variable: Any) -> str:
        own = variable.path.split("/", 1)[-1]
        owner = max((o for o in owners if own.startswith(o)), key=len, default=None)
        return f"{owners[owner]}.{own.removeprefix(owner)}" if owner else f"optimizer.{own}"

    taken: set[str] = set()
    return [Named(v, "state", _unique(name(v), taken)) for v in optimizer.variables]


def run_variables(model: Any, optimizer: Any, parameters: list[Named]) -> list[Named]:
    """The state of a training run outside of the model: of its optimizer and of its metrics."""
    found = optimizer_variables(optimizer, parameters) if optimizer is not None else []
    taken: set[str] = set()
    for variable in getattr(model, "metrics_variables", ()):
        found.append(Named(variable, "state", _unique(f"metrics.{variable.path.replace('/', '.')}", taken)))
    return found


@contextlib.contextmanager
def layer_calls(inside: Callable[[Any], Any], done: Callable[[Any, Any], None]) -> Iterator[None]:
    """While each call of a Keras layer runs within `inside(layer)` and ends with `done(layer, result)`."""
    import keras  # noqa: PLC0415

    with calls_watched([keras.Layer], inside, done):
        yield


@contextlib.contextmanager
def optimizer_steps(optimizer: Any, inside: Callable[[], Any]) -> Iterator[None]:
    """While each step of `optimizer` runs within `inside()`."""

    def wrap(apply: Callable[..., Any]) -> Callable[..., Any]:
        def observed(*args: Any, **kwargs: Any) -> Any:
            with inside():
                return apply(*args, **kwargs)

        return observed

    with replaced(optimizer, "apply", wrap) if optimizer is not None else contextlib.nullcontext():
        yield
