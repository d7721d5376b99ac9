"""Where in the user's program an operation runs: layer, time step, phase, source line."""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from oracle.adapters.recording import Lines, Recording
from oracle.trace import Layer, Node


@dataclass
class _Frame:
    """One layer being called. `calls` counts the calls it makes to each layer inside."""

    module: Any
    scope: str
    kind: str
    time_step: int | None
    calls: Counter[str] = field(default_factory=Counter)


class Places:
    """Follows the layers that are entered and left, the phases of a step, and finds the user's line."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.names: dict[int, str] = {}
        self.layers: dict[str, Layer] = {}
        self.stack: list[_Frame] = [_Frame(None, "", "", None)]
        self.phases: list[str] = ["forward"]
        self.differentiated: list[int | None] = []
        self.step = 0

    def name(self, module: Any, scope: str, layer: Layer) -> None:
        """Give a layer its path; the first one counts."""
        if id(module) not in self.names:
            self.names[id(module)] = scope
            self.layers[scope] = layer

    @contextlib.contextmanager
    def inside(self, module: Any) -> Iterator[None]:
        """While `module` is being called. A call that passes through several of its classes counts once."""
        parent = self.stack[-1]
        if parent.module is module:
            yield
            return
        scope = self.names[id(module)]
        kind = self.layers[scope].kind
        time_step = parent.calls[scope] if kind.endswith("Cell") else parent.time_step
        parent.calls[scope] += 1
        self.stack.append(_Frame(module, scope, kind, time_step))
        try:
            yield
        finally:
            self.stack.pop()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """While the run is in the phase `name`."""
        self.phases.append(name)
        try:
            yield
        finally:
            self.phases.pop()

    @contextlib.contextmanager
    def differentiating(self, forward_index: int | None) -> Iterator[None]:
        """While the derivative of the forward node `forward_index` is computed."""
        self.differentiated.append(forward_index)
        try:
            with self.phase("backward"):
                yield
        finally:
            self.differentiated.pop()

    def here(self) -> dict[str, Any]:
        """The place of the operation that has just run, as fields of a node."""
        frame = self.stack[-1]
        backward = self.differentiated[-1] if self.differentiated else None
        place = {"scope": frame.scope, "layer": frame.kind, "phase": self.phases[-1], "step": self.step}
        return {**place, "time_step": frame.time_step, "forward_index": backward, "source": self.lines.here(3)}


@contextlib.contextmanager
def replaced(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    """While `owner.name` is `wrap(original)`; afterwards it is the very object that it was."""
    own = name in vars(owner)
    original = vars(owner)[name] if own else getattr(owner, name)
    setattr(owner, name, wrap(original))
    try:
        yield
    finally:
        if own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)


@contextlib.contextmanager
def calls_watched(
    classes: Iterable[type], inside: Callable[[Any], Any], done: Callable[[Any, Any], None] = lambda *_: None
) -> Iterator[None]:
    """While each call of an instance of one of `classes` runs within `inside(instance)` and ends with
    `done(instance, result)`."""

    def wrap(call: Any) -> Any:
        @functools.wraps(call)
        def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
            with inside(self):
                result = call(self, *args, **kwargs)
            done(self, result)
            return result

        return watched

    definers = {next(b for b in c.__mro__ if "__call__" in vars(b)): None for c in classes if callable(c)}
    with contextlib.ExitStack() as stack:
        for owner in definers:
            stack.enter_context(replaced(owner, "__call__", wrap))
        yield


def owner_of(name: str, layers: Mapping[str, Layer]) -> str:
    """The layer that a variable called `name` belongs to: the longest path in `layers` that begins its name."""
    path = name.rpartition(".")[0]
    while path and path not in layers:
        path = path.rpartition(".")[0]
    return path


def settle(recording: Recording, layers: dict[str, Layer]) -> None:
    """Give backward and optimizer nodes the layer that they work for.

    A backward node belongs where its forward node does, else where what it reads came from; an optimizer node to
    the layer whose parameter (or its state) it reads, if there is one only.
    """
    producers: dict[int, int] = {}
    drafts = enumerate(recording.drafts)
    owners = {i: owner_of(d.name, layers) for i, d in drafts if d.role in ("parameter", "state")}
    for node in list(recording.nodes):
        if node.phase == "backward":
            _settle_backward(recording, node, producers)
        elif node.phase == "optimizer":
            _settle_optimizer(recording, node, owners, layers)
        producers.update((out, node.index) for out in node.outputs if out is not None)


def _settle_backward(recording: Recording, node: Node, producers: dict[int, int]) -> None:
    origin = node.forward_index
    if origin is None:
        read = [producers[v] for v in node.reads if v in producers]
        forward = [i for i in read if recording.nodes[i].phase == "forward"]
        origin = max(forward or read, default=None)
    if origin is not None:
        made = recording.nodes[origin]
        time_step = made.time_step if node.time_step is None else node.time_step
        recording.amend(node.index, scope=made.scope, layer=made.layer, source=made.source, time_step=time_step)


def _settle_optimizer(recording: Recording, node: Node, owners: dict[int, str], layers: dict[str, Layer]) -> None:
    found = {owners[v] for v in node.reads if owners.get(v)}
    if len(found) == 1:
        scope = found.pop()
        owners.update((out, scope) for out in node.outputs if out is not None)
        recording.amend(node.index, scope=scope, layer=layers[scope].kind if scope in layers else "")
