"""Where in the user's program an operation runs: layer, source line, phase, and the forward operation behind it."""

import os
import sys
from collections import Counter
from types import FrameType
from typing import Any, NamedTuple

from oracle.adapters.recording import short_path
from oracle.trace import COMMAND_LINE, OUR_FOLDERS, Layer

_NOT_THE_USERS = (*OUR_FOLDERS, os.path.dirname(os.__file__) + os.sep + "contextlib")


class Place(NamedTuple):
    """`sequence` is autograd's number: of the node that runs (backward), or of the next one to be made (forward).

    `call` counts the calls of the layer within a step; it is negative outside of all layers. `time_step` is the call of
    the recurrent cell that the layer is, or is part of.
    """

    scope: str
    call: int
    time_step: int | None
    phase: str
    source: str
    sequence: int


class Places:
    """Follows the modules that are entered and left, and finds the user's line."""

    def __init__(self) -> None:
        import torch  # noqa: PLC0415

        self.torch = torch
        self.skipped: tuple[str, ...] = (*_NOT_THE_USERS, os.path.dirname(torch.__file__))
        self.autograd = os.path.join(os.path.dirname(torch.__file__), "autograd", "__init__.py")
        self.kinds: dict[Any, str] = {}
        self.short: dict[str, str] = {}
        self.names: dict[Any, str] = {}
        self.stack: list[tuple[str, int, int | None]] = []
        self.layers: dict[str, Layer] = {}
        self.calls: Counter[str] = Counter()
        self.optimizing = False

    def name_modules(self, root: Any, prefix: str = "") -> None:
        """Give `root` and all modules in it their paths."""
        for path, module in root.named_modules():
            if module not in self.names:
                name = ".".join(part for part in (prefix, path) if part)
                self.names[module] = name
                self.layers[name] = Layer(_class_name(module), _settings(module), module.training)

    def name_optimizer(self, optimizer: Any) -> None:
        """Note the settings of an optimizer, of its first group of parameters."""
        settings = {k: v for k, v in optimizer.param_groups[0].items() if k != "params" and _literal(v) is not None}
        kind = f"torch.optim.{type(optimizer).__name__}"
        self.layers["optimizer"] = Layer(kind, {k: _literal(v) for k, v in settings.items()})

    def enter(self, module: Any, counts: bool = True) -> None:
        """A module's `forward` begins; a call that `counts` has a number of its own."""
        name = self.names[module]
        call, outer = self.calls[name], self.stack[-1][2] if self.stack else None
        self.stack.append((name, call, call if self.layers[name].kind.endswith("Cell") else outer))
        self.calls[name] += counts

    def leave(self) -> None:
        """A module's `forward` ended, or was left by an exception."""
        self.stack.pop()

    def here(self) -> Place:
        """The place of the operation that is being dispatched."""
        running = self.torch._C._current_autograd_node()
        scope, call, time_step = self.stack[-1] if self.stack else ("", -1, None)
        if running is not None:
            return Place(scope, call, None, "backward", "", running._sequence_nr())
        sequence = self.torch._C._autograd._get_sequence_nr()
        source, in_backward = self._line()
        phase = "optimizer" if self.optimizing else "backward" if in_backward else "forward"
        return Place(scope, call, time_step, phase, source, sequence)

    def _line(self) -> tuple[str, bool]:
        """The innermost line of code that is neither torch's nor ours, and whether `backward` was passed on the way."""
        frame: FrameType | None = sys._getframe(2)
        in_backward = False
        while frame is not None:
            code = frame.f_code
            kind = self.kinds.get(code) or self._kind(code)
            if kind == "user":
                return f"{self._short(code.co_filename)}:{frame.f_lineno}", in_backward
            in_backward = in_backward or kind == "autograd"
            frame = None if code.co_filename.startswith(COMMAND_LINE) else frame.f_back
        return "", in_backward

    def _short(self, path: str) -> str:
        if path not in self.short:
            self.short[path] = short_path(path)
        return self.short[path]

    def _kind(self, code: Any) -> str:
        path = code.co_filename
        kind = "autograd" if path == self.autograd else "library" if path.startswith(self.skipped) else "user"
        self.kinds[code] = kind
        return kind


def _class_name(module: Any) -> str:
    kind = type(module)
    if kind.__module__.startswith("torch.nn.modules"):
        return f"torch.nn.{kind.__qualname__}"
    return f"{kind.__module__}.{kind.__qualname__}"


def _settings(module: Any) -> dict[str, Any]:
    """The literals that a module keeps among its attributes: what its constructor was told."""
    kept = {k: _literal(v) for k, v in vars(module).items() if not k.startswith("_") and k != "training"}
    return {k: v for k, v in kept.items() if v is not None or vars(module)[k] is None}


def _literal(value: Any) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list) and all(isinstance(v, bool | int | float | str) for v in value):
        return list(value)
    return None
