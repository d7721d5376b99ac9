"""What an adapter is: a request, a response, and the rows of source text that turn one into the other.

An adapter joins an `Engine` (how a framework takes arrays, compiles and differentiates) with *rows*: for each
operation the few lines that a user would write in the framework's own API. The lines are compiled once, executed for
the audit and printed in the reproduction, so what is printed is what ran.
"""

import abc
import functools
import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oracle.adapters.program import Program, Snippet
from oracle.reference.operation import get_operation

ALL_FORMATS = ("float64", "float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")


class Refusal(Exception):
    """The framework does not do what was asked; the text says why, in the framework's words where it has any."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One operation to run.

    `arrays` maps argument names to NumPy arrays (ml_dtypes for the narrow formats), already rounded to `format`;
    an optional argument that is absent is simply left out. `attrs` are the attributes that differ from the
    definition's defaults. In direction "vjp" there is one cotangent for each output, or None for an output that
    takes no part; the gradients asked for are those of the operation's differentiable arguments.
    """

    operation: str
    arrays: Mapping[str, np.ndarray]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    format: str = "float32"
    mode: str = "eager"
    device: str = "cpu"
    direction: str = "forward"
    cotangents: tuple[np.ndarray | None, ...] = ()

    @property
    def wrt(self) -> tuple[str, ...]:
        """Names of the arguments whose gradient direction "vjp" returns: differentiable and present."""
        op = get_operation(self.operation)
        names = [op.args[i].name for i in op.differentiable_args]
        return tuple(name for name in names if name in self.arrays)


@dataclass(frozen=True)
class Response:
    """What the framework said: NumPy arrays with their true dtypes, their names, and how long it took.

    In direction "vjp" the names are those of the arguments that the gradients belong to, and `refused` says why an
    argument has none: no gradient is never a gradient of zero. `seconds` is the framework's own time without
    conversions; it includes compilation where `compiled` is true.
    """

    outputs: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    seconds: float
    compiled: bool
    refused: Mapping[str, str] = field(default_factory=dict)


class Engine(abc.ABC):
    """How one framework takes arrays, compiles and differentiates. The framework is imported by `imports` alone.

    `imports` and the texts that the methods return are Python source, executed here and printed in reproductions.
    `wrappers` maps each mode to the text around a function, such as "jax.jit({})"; "" leaves it as it is.
    """

    framework: str
    distributions: tuple[str, ...]
    imports: str
    wrappers: Mapping[str, str]
    wraps_gradient: bool

    @abc.abstractmethod
    def array(self, value: np.ndarray, device: str) -> Any:
        """`value` as the framework's array on `device`, bit for bit."""

    @abc.abstractmethod
    def numpy(self, value: Any) -> np.ndarray:
        """The framework's array as NumPy, bit for bit, with its true dtype; waits until it is computed."""

    @abc.abstractmethod
    def gradient(self, wrt: Sequence[str], chosen: str) -> str:
        """Body of `gradient(ARGUMENTS, cotangents)`: the gradients for the names `wrt`.

        `chosen` is the source of the outputs that have a cotangent, in terms of the tuple `outputs` of `forward`.
        """

    @abc.abstractmethod
    def context(self, request: Request) -> AbstractContextManager[Any]:
        """Device, precision and TF32 settings around one run; whatever it changes it restores."""

    @abc.abstractmethod
    def literal(self, values: str, dtype: str, device: str) -> str:
        """Source of an array holding `values` (the text of a list or of a NumPy array)."""

    @abc.abstractmethod
    def item(self, name: str) -> str:
        """Source of the Python float in the zero-dimensional array called `name`."""

    @abc.abstractmethod
    def settings(self, request: Request) -> str:
        """The lines that make a script run as `context` does; "" where nothing differs from the defaults."""

    @abc.abstractmethod
    def devices(self) -> tuple[str, ...]:
        """The devices present; imports the framework."""

    @abc.abstractmethod
    def manifest(self) -> dict[str, Any]:
        """Threads, libraries and numerical flags as the framework reports them; imports the framework."""

    def load(self) -> dict[str, Any]:
        """The names that `imports` brings; `Refusal` where the framework does not import."""
        names: dict[str, Any] = {}
        try:
            exec(self.imports, names)
        except ImportError as error:
            raise Refusal(f"{self.framework} does not import here: {error}") from error
        return names

    def wait(self, values: Sequence[Any]) -> None:  # noqa: B027 - most frameworks have nothing to wait for
        """Block until `values` are computed."""


@dataclass(frozen=True)
class Adapter:
    """One framework as the audit sees it. `rows` maps an operation to its source text.

    `dtypes` maps a mode to the value of the name `dtype` in rows that use it (a Keras dtype policy); modes that appear
    there are mixed policies, which only such rows can follow.
    """

    name: str
    engine: Engine
    rows: Mapping[str, str]
    formats: tuple[str, ...] = ALL_FORMATS
    mixed: tuple[str, ...] = ()
    policies: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()

    @property
    def framework(self) -> str:
        """Name of the framework that the rows are written in."""
        return self.engine.framework

    @property
    def modes(self) -> tuple[str, ...]:
        """How a row can be executed; the first is the default."""
        return tuple(self.engine.wrappers)

    def available(self) -> bool:
        """Whether the framework is installed (it is not imported)."""
        return all(importlib.util.find_spec(module) for module in self.requires or (self.framework,))

    def version(self) -> str:
        """Version of the installed distribution."""
        return installed_version(self.engine.distributions)

    def devices(self) -> tuple[str, ...]:
        """The devices present; imports the framework (ask a `Worker` to keep it out of this process)."""
        return self.engine.devices()

    def supports(self, op: str, fmt: str, mode: str, device: str = "cpu") -> str | None:
        """Why this adapter cannot be asked, or None. What only the framework knows is found by asking it."""
        if op not in self.rows:
            return f"{self.name} has no operation for {op}"
        if mode not in self.modes:
            return f"{self.name} has no mode {mode}; it has {', '.join(self.modes)}"
        if fmt not in self.formats:
            return f"{self.name} has no format {fmt}; it has {', '.join(self.formats)}"
        if mode in self.mixed and fmt != "float32":
            return f"mode {mode} takes float32 arrays, not {fmt}"
        if mode in self.mixed and self.policies and not Snippet.parse(self.rows[op]).uses("dtype"):
            return f"{op} in {self.name} takes no dtype policy: mode {mode} would change nothing"
        return None

    def run(self, request: Request) -> Response:
        """Execute the row of `request` in this process.

        Errors: `Refusal` with the reason, in the framework's own words where it refused.
        """
        reason = self.refusal(request)
        if reason:
            raise Refusal(reason)
        names = self.engine.load()
        try:
            with self.engine.context(request):
                return self._execute(request, names)
        except Refusal:
            raise
        except MemoryError as error:
            raise Refusal(f"out of memory: {error}") from error
        except Exception as error:
            raise Refusal(f"{type(error).__name__}: {first_lines(str(error))}") from error

    def refusal(self, request: Request) -> str | None:
        """Why this very request cannot be asked, or None: `supports`, and what the row says about its attributes."""
        reason = self.supports(request.operation, request.format, request.mode, request.device)
        if reason:
            return reason
        if request.direction == "vjp" and not request.wrt:
            return f"{request.operation} has no gradient"
        condition = Snippet.parse(self.rows[request.operation])
        if not condition.covers(self._values(request)):
            return f"{self.name} does {request.operation} only where {condition.condition}"
        return None

    def program(self, request: Request) -> Program:
        """The source that `request` executes."""
        snippet = Snippet.parse(self.rows[request.operation])
        return Program(self.engine, snippet, request, self._values(request))

    def _values(self, request: Request) -> dict[str, Any]:
        op = get_operation(request.operation)
        values = {**defaults(op.define), **request.attrs}
        values.update({a.name: None for a in op.args if a.name not in request.arrays})
        if self.policies:
            values["dtype"] = request.mode if request.mode in self.mixed else request.format
        return values

    def _execute(self, request: Request, names: dict[str, Any]) -> Response:
        engine, program = self.engine, self.program(request)
        arrays = {name: engine.array(value, request.device) for name, value in request.arrays.items()}
        compiled = program.key not in _COMPILED
        if compiled:
            _COMPILED[program.key] = program.build({**names, **program.values, **arrays})
        cotangents = [engine.array(c, request.device) for c in request.cotangents if c is not None]
        start = time.perf_counter()
        results = _COMPILED[program.key](*arrays.values(), *([cotangents] if program.backward else []))
        engine.wait([r for r in results if r is not None])
        seconds = time.perf_counter() - start
        labels = request.wrt if program.backward else program.outputs
        found = {label: engine.numpy(r) for label, r in zip(labels, results, strict=True) if r is not None}
        refused = {label: f"{self.name} gives no gradient for {label}" for label in labels if label not in found}
        return Response(tuple(found.values()), tuple(found), seconds, compiled, refused)


_COMPILED: dict[Any, Callable[..., Any]] = {}


@functools.cache
def defaults(define: Callable[..., Any]) -> dict[str, Any]:
    """Default values of the attributes (and optional arrays) of a definition."""
    import inspect  # noqa: PLC0415 - slow, and only the first run of an operation needs it

    parameters = inspect.signature(define).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def first_lines(text: str, limit: int = 300) -> str:
    """The beginning of a framework's message on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def installed_version(distributions: Sequence[str]) -> str:
    """Version of the first of `distributions` that is installed; "absent" if none is."""
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "absent"
