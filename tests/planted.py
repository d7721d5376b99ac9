"""One kernel of a torch run replaced by a faulty one: what the recorder sees is the operation with a wrong result."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

FAULTS: dict[str, Callable[[Any], Any]] = {
    "bfloat16": lambda y: y.bfloat16().to(y.dtype),
    "1 + 2^-12": lambda y: y * (1 + 2.0**-12),
}
_COMPUTE = ("addmm", "mm", "bmm", "convolution", "convolution_backward", "tanh", "tanh_backward", "leaky_relu",
            "leaky_relu_backward", "native_layer_norm", "native_layer_norm_backward", "gelu", "gelu_backward", "add",
            "sigmoid", "sigmoid_backward", "mul", "sum", "softplus", "softplus_backward")  # fmt: skip


class Planting(TorchDispatchMode):
    """Entered before a recording it lies below it: the `place`-th computing operation errs, in one pass of the step.

    The first call of a backward operation tells the passes apart. `planted` is the operation that was hit, and
    `candidates` how many there were.
    """

    def __init__(self, phase: str = "forward", place: int = -1, fault: str = "1 + 2^-12") -> None:
        super().__init__()
        self.phase, self.place, self.fault = phase, place, FAULTS[fault]
        self.backward = False
        self.candidates = 0
        self.planted = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.split("::")[1]
        # The step's backward pass begins with the gradient of its loss, an array of ones.
        self.backward = self.backward or name == "ones_like"
        if name not in _COMPUTE or self.backward != (self.phase == "backward"):
            return result
        self.candidates += 1
        if self.candidates - 1 != self.place:
            return result
        self.planted = str(func)
        first = next(t for t in _flat(result) if t is not None and t.is_floating_point())
        first.copy_(self.fault(first.clone()))
        return result


def _flat(result: Any) -> Iterator[Any]:
    yield from result if isinstance(result, tuple | list) else [result]


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        return x + torch.sigmoid(self.inner(x))


def deep_model(width: int = 12) -> nn.Module:
    """Twenty layers of many kinds, none of which shrinks or swells what passes through it by much."""
    torch.manual_seed(0)
    kinds: list[Callable[[], nn.Module]] = [
        lambda: nn.Linear(width, width),
        lambda: nn.LeakyReLU(0.8),
        lambda: nn.Conv1d(3, 3, 3, padding=1),
        nn.Tanh,
        lambda: _Residual(width),
        lambda: nn.LayerNorm(width),
        nn.GELU,
        lambda: nn.Linear(width, width),
        nn.Softplus,
        lambda: nn.Conv1d(3, 3, 1),
    ]
    model = nn.Sequential(*[kinds[i % len(kinds)]() for i in range(20)])
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, 1.5)
    return model
