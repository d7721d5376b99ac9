"""What the command line is given: trace files, factories of models (`module:factory`), files of inputs."""

import importlib
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from oracle.errors import OracleError

_EXTRAS = ("torch", "tensorflow", "keras")
_BACKENDS = ("tensorflow", "jax", "torch")
_HOW = "say module:factory, importable from here"

Given = tuple[str, Path | None]


@dataclass(frozen=True)
class Made:
    """What a factory made: a model, its inputs (None without), and options of `oracle.record`."""

    model: Any
    inputs: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def traced(self) -> "Made":
        """A model that comes with options (a loss, an optimizer, steps) as the recording that they ask for."""
        if not self.options:
            return self
        from oracle.recordings.recording import record  # noqa: PLC0415

        return Made(record(self.model, self.inputs, **{"full": True, **self.options}))


def sides(a: Given, b: Given) -> tuple[Made, Made]:
    """Both sides of a comparison, each with its inputs; a model without any takes those of the other."""
    made_a, made_b = (_made_side(text, inputs) for text, inputs in (a, b))
    full_a, full_b = _or_others(a[0], made_a, made_b), _or_others(b[0], made_b, made_a)
    return full_a.traced(), full_b.traced()


def _or_others(text: str, own: Made, other: Made) -> Made:
    if own.inputs is not None or _is_file(text):
        return own
    return replace(own, inputs=_needed(text, other.inputs))


def side(text: str, inputs: Path | None) -> Made:
    """A trace and nothing, or a model and its inputs."""
    return Made(loaded(Path(text))) if _is_file(text) else made_with_inputs(text, inputs).traced()


def _made_side(text: str, inputs: Path | None) -> Made:
    if _is_file(text):
        return Made(loaded(Path(text)))
    made = made_by(text)
    return made if inputs is None else replace(made, inputs=arrays(inputs))


def refuse_inputs(text: str, inputs: Path | None, option: str) -> None:
    """Raises `OracleError` for inputs of a recorded run."""
    if inputs is not None and _is_file(text):
        raise OracleError(f"{text} is a recorded run with inputs of its own", f"leave out {option}")


def _is_file(text: str) -> bool:
    return ":" not in text or Path(text).exists()


def loaded(path: Path) -> Any:
    """The trace in a file."""
    from oracle.recordings.tracefile import load_trace  # noqa: PLC0415

    if not path.exists():
        raise OracleError(
            f"there is no trace file {str(path)!r}",
            "record one (oracle record module:factory -o run.trace), or name a model as module:factory",
        )
    return load_trace(path)


def made_with_inputs(spec: str, inputs: Path | None) -> Made:
    """What a factory makes, with inputs from a file if there is one."""
    made = _made_side(spec, inputs)
    return replace(made, inputs=_needed(spec, made.inputs))


def _needed(spec: str, inputs: Any) -> Any:
    if inputs is None:
        raise OracleError(f"{spec} has no inputs", "pass --input x.npz, or let the factory return (model, inputs)")
    return inputs


def made_by(spec: str) -> Made:
    """What `module:factory` makes: a model, (model, inputs), or a mapping with "model", "inputs" and options.

    def step():
        net = Net()
        return {"model": net, "inputs": x, "loss": loss, "target": y, "optimizer": SGD(net.parameters(), 0.1)}
    """
    module, _, name = spec.partition(":")
    if not module or not name:
        raise OracleError(f"cannot load {spec!r}", _HOW)
    sys.path.insert(0, "")
    try:
        factory = _or_told(spec, lambda: getattr(importlib.import_module(module), name))
        if not callable(factory):
            raise OracleError(f"{spec} is a {type(factory).__name__}, not a function", _HOW)
        made = _or_told(spec, factory)
    finally:
        sys.path.remove("")
    if isinstance(made, Mapping) and "model" in made:
        rest = {str(k): v for k, v in made.items() if k not in ("model", "inputs")}
        return Made(made["model"], made.get("inputs"), rest)
    if isinstance(made, tuple) and len(made) != 2:
        raise OracleError(f"{spec} returns a tuple of {len(made)}", "let it return (model, inputs), or the model alone")
    return Made(*made) if isinstance(made, tuple) else Made(made)


def _or_told(spec: str, make: Callable[[], Any]) -> Any:
    """What `make` returns. What it raises is the user's: one line with the place, and what to do."""
    try:
        return make()
    except OracleError:
        raise
    except (Exception, SystemExit) as error:
        from oracle.recordings.refusing import users_line  # noqa: PLC0415 - imports NumPy

        words = str(error) if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"
        raise OracleError(f"cannot load {spec!r}: {words}{users_line(error)}", _remedy(error)) from error


def _remedy(error: BaseException) -> str:
    """What to do about an error of a factory: an extra to install, a backend to choose, or the program to mend."""
    missing = (getattr(error, "name", None) or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if missing in _EXTRAS:
        return f"{missing} is not installed here: pip install 'numerical-oracle[{missing}]'"
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if "backend" in str(error) and backend not in _BACKENDS:
        return f"KERAS_BACKEND is {backend!r}: set it to {', '.join(_BACKENDS[:-1])} or {_BACKENDS[-1]}"
    if isinstance(error, ImportError | AttributeError):
        return _HOW
    return "mend the factory, or see where it fails with ORACLE_DEBUG=1"


def arrays(path: Path) -> Any:
    """The array in a file, or a tuple of those in it, in their order."""
    import numpy as np  # noqa: PLC0415

    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        parts = tuple(found[name] for name in found.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise OracleError(
            f"cannot read the inputs {str(path)!r}: {getattr(error, 'strerror', None) or error}",
            "write them with numpy.savez or numpy.save",
        ) from None
    if not parts:
        raise OracleError(f"{str(path)!r} holds no array", "write the inputs with numpy.savez")
    return parts if len(parts) > 1 else parts[0]
