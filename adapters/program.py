"""The Python source that a request executes: a row of an adapter, wrapped for a mode and a direction.

The same text is compiled here and printed by `oracle.adapters.reproduce`.
"""

import ast
import functools
import linecache
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oracle.reference.operation import get_operation

if TYPE_CHECKING:
    from oracle.adapters.base import Engine, Request


@dataclass(frozen=True)
class Snippet:
    """A row's lines: `setup` (the layer that a user builds once, from shapes alone) and `call`.

    In a row's text a blank line parts the two; without one all of it is the call. The call is what a mode
    compiles and what is differentiated. A first line "# where ..." is the condition on the attributes and arrays under
    which the framework's operation is this one (it has one convention, one kind of padding).
    """

    setup: str
    call: str
    condition: str = "True"

    @classmethod
    @functools.cache
    def parse(cls, text: str) -> "Snippet":
        """The parts of a row's source text."""
        text, condition = textwrap.dedent(text).strip("\n"), "True"
        if text.startswith("# where "):
            first, _, text = text.partition("\n")
            condition = first.removeprefix("# where ")
        setup, blank, call = text.partition("\n\n")
        return cls(setup if blank else "", call.strip("\n") if blank else setup, condition)

    def covers(self, values: Mapping[str, Any]) -> bool:
        """Whether the condition holds for the attributes `values`."""
        return bool(eval(self.condition, {}, dict(values)))

    @property
    def text(self) -> str:
        """All lines, the setup first."""
        return f"{self.setup}\n{self.call}" if self.setup else self.call

    def uses(self, name: str) -> bool:
        """Whether the lines mention `name`."""
        return name in _names(self.text)


@functools.cache
def _names(text: str) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))


@dataclass(frozen=True)
class Program:
    """The source for one request: `forward(<arrays>)`, and `gradient(<arrays>, cotangents)` in direction "vjp".

    `values` are the attributes and absent arguments (None) that the lines name.
    """

    engine: "Engine"
    snippet: Snippet
    request: "Request"
    values: Mapping[str, Any]

    @property
    def backward(self) -> bool:
        """Whether the gradient is asked for."""
        return self.request.direction == "vjp"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the arrays, in the order in which the functions take them."""
        return tuple(self.request.arrays)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names that the call assigns."""
        return get_operation(self.request.operation).outputs

    @property
    def wrapper(self) -> str:
        """The text around the function that the mode compiles, "" where it compiles nothing."""
        return self.engine.wrappers[self.request.mode].replace("DEVICE", self.request.device.partition("-")[0])

    @property
    def key(self) -> tuple[Any, ...]:
        """What the compiled function depends on; shapes too, since a compiler specialises on them."""
        request = self.request
        shapes = tuple((name, a.shape, a.dtype.name) for name, a in request.arrays.items())
        chosen = tuple(c is not None for c in request.cotangents)
        where = (request.operation, request.mode, request.device, request.direction, request.format)
        return (id(self.engine), self.snippet, *where, repr(sorted(self.values.items())), shapes, chosen)

    def functions(self) -> str:
        """Source of `forward` and, in direction "vjp", of `gradient`."""
        body = f"{self.snippet.call}\nreturn {tuple_of(self.outputs)}"
        lines = [f"def forward({', '.join(self.arguments)}):", _indent(body)]
        if self.wrapper and not (self.backward and self.engine.wraps_gradient):
            lines.append(f"\nforward = {self.wrapper.format('forward')}")
        if self.backward:
            lines += ["", self._gradient()]
        return "\n".join(lines)

    def _gradient(self) -> str:
        given = [c is not None for c in self.request.cotangents]
        some = ", ".join(f"outputs[{i}]" for i, is_given in enumerate(given) if is_given)
        chosen = "outputs" if all(given) else f"[{some}]"
        arguments = ", ".join(self.arguments)
        body = self.engine.gradient(self.request.wrt, chosen).replace("ARGUMENTS", arguments)
        lines = [f"def gradient({arguments}, cotangents):", _indent(body)]
        if self.wrapper and self.engine.wraps_gradient:
            lines.append(f"\ngradient = {self.wrapper.format('gradient')}")
        return "\n".join(lines)

    def build(self, names: dict[str, Any]) -> Callable[..., Sequence[Any]]:
        """The compiled function; `names` must hold the framework, the values and example arrays for the setup."""
        exec(compile(self.snippet.setup, f"<{self.request.operation}: setup>", "exec"), names)
        exec(_code(self.functions(), self.request.operation), names)
        return names["gradient" if self.backward else "forward"]


def tuple_of(names: Iterable[str]) -> str:
    """Source of the tuple of `names`: "a," or "a, b"."""
    names = list(names)
    return ", ".join(names) + ("," if len(names) == 1 else "")


def _code(source: str, operation: str) -> Any:
    """Compiled `source`, known to `linecache`: compilers such as TensorFlow's AutoGraph read it back."""
    name = f"<{operation}: {hash(source):x}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    return compile(source, name, "exec")


def _indent(text: str) -> str:
    return textwrap.indent(text, "    ")
