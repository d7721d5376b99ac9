"""PyTorch: eager, torch.compile, and the mixed modes of torch.autocast."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from oracle.adapters.base import Adapter, Engine, Request
from oracle.adapters.rows.torch import ROWS
from oracle.reference.formats import FORMATS

AUTOCAST = "torch.autocast('DEVICE', dtype=torch.{})({{}})"
# NumPy cannot hold torch's narrow formats itself: the bits cross as integers.
CARRIERS = {"bfloat16": "int16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}


class TorchEngine(Engine):
    """How PyTorch takes arrays, compiles and differentiates."""

    framework = "torch"
    distributions = ("torch",)
    imports = "import torch\nimport torch.nn.functional as F"
    wrappers = {  # noqa: RUF012 - read only
        "eager": "",
        "compile": "torch.compile({})",
        "autocast-bfloat16": AUTOCAST.format("bfloat16"),
        "autocast-float16": AUTOCAST.format("float16"),
    }
    wraps_gradient = False

    def array(self, value: np.ndarray, device: str) -> Any:
        import torch  # noqa: PLC0415

        value = np.array(value, order="C")
        carrier = CARRIERS.get(value.dtype.name)
        if carrier is None:
            tensor = torch.tensor(value)
        else:
            tensor = torch.tensor(value.view(carrier)).view(getattr(torch, value.dtype.name))
        return tensor.to(kind(device))

    def numpy(self, value: Any) -> np.ndarray:
        import torch  # noqa: PLC0415

        value = value.detach().cpu().contiguous()
        name = str(value.dtype).removeprefix("torch.")
        if name not in CARRIERS:
            return value.numpy()
        return value.view(getattr(torch, CARRIERS[name])).numpy().view(FORMATS[name].dtype)

    def gradient(self, wrt: Sequence[str], chosen: str) -> str:
        return (
            f"wrt = [{', '.join(f'{name}.requires_grad_()' for name in wrt)}]\n"
            "outputs = forward(ARGUMENTS)\n"
            f"return torch.autograd.grad({chosen}, wrt, cotangents, allow_unused=True)"
        )

    @contextlib.contextmanager
    def context(self, request: Request) -> Iterator[None]:
        import torch  # noqa: PLC0415

        if kind(request.device) == "cpu":
            yield
            return
        flags: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
        before = [f.allow_tf32 for f in flags]
        for f in flags:
            f.allow_tf32 = request.device.endswith("-tf32")
        try:
            yield
        finally:
            for f, value in zip(flags, before, strict=True):
                f.allow_tf32 = value

    def wait(self, values: Sequence[Any]) -> None:
        import torch  # noqa: PLC0415

        if any(v.is_cuda for v in values):
            torch.cuda.synchronize()

    def literal(self, values: str, dtype: str, device: str) -> str:
        where = "" if kind(device) == "cpu" else f', device="{kind(device)}"'
        return f"torch.tensor({values}, dtype=torch.{dtype}{where})"

    def item(self, name: str) -> str:
        return f"{name}.item()"

    def settings(self, request: Request) -> str:
        if kind(request.device) == "cpu":
            return ""
        on = request.device.endswith("-tf32")
        return f"torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = {on}"

    def devices(self) -> tuple[str, ...]:
        import torch  # noqa: PLC0415

        return ("cpu", "cuda", "cuda-tf32") if torch.cuda.is_available() else ("cpu",)

    def manifest(self) -> dict[str, Any]:
        import torch  # noqa: PLC0415

        cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        return {
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "mkldnn": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled,
            "mkl": torch.backends.mkl.is_available(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "tf32_cudnn_default": torch.backends.cudnn.allow_tf32,
            "cuda": cuda,
        }


def kind(device: str) -> str:
    """The device without its TF32 suffix."""
    return device.partition("-")[0]


ADAPTERS = (Adapter("torch", TorchEngine(), ROWS, mixed=("autocast-bfloat16", "autocast-float16")),)
