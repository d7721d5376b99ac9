"""What could change a framework's numbers: version, threads, flags, libraries, and its arithmetic as measured."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from oracle.adapters.base import Adapter, Refusal, Request
from oracle.reference.formats import format_named

# No multiple of a vector's width: the vector loop and its scalar tail are both seen.
LENGTH = 67


def manifest(adapter: Adapter) -> dict[str, Any]:
    """Version, devices, loaded BLAS and OpenMP libraries, the framework's own flags, and `arithmetic` by mode.

    Imports the framework. Errors: `Refusal` where it does not import.
    """
    adapter.engine.load()
    wrappers = adapter.engine.wrappers
    # torch.compile takes a minute for an expression, and calls the same instructions.
    modes = [m for m in adapter.modes if m not in adapter.mixed and "torch.compile" not in wrappers[m]]
    return {
        "version": adapter.version(),
        "devices": list(adapter.devices()),
        "libraries": libraries(),
        **adapter.engine.manifest(),
        "arithmetic": {mode: arithmetic(adapter, mode) for mode in modes},
    }


def libraries() -> list[dict[str, Any]]:
    """The BLAS and OpenMP libraries that this process has loaded, with their threads."""
    from threadpoolctl import threadpool_info  # noqa: PLC0415 - only workers ask

    wanted = ("user_api", "internal_api", "version", "architecture", "num_threads")
    return [{key: pool[key] for key in wanted if pool.get(key) is not None} for pool in threadpool_info()]


def arithmetic(adapter: Adapter, mode: str) -> dict[str, str]:
    """Whether `mode` flushes subnormal results and operands to zero, and fuses a*b + c: yes, no, some or a refusal."""
    found = {}
    for name in ("float32", "float64"):
        fmt, ask = format_named(name), Probe(adapter, mode, name)
        # (1 + s)² = 1 + 2s + s², whose last term only a fused multiply-add keeps.
        s = 2.0 ** -(fmt.precision // 2 + 1)
        found[f"flushes {name} results"] = ask("a * b", 0.0, a=fmt.tiny, b=0.5)
        found[f"flushes {name} operands"] = ask("a * b", 0.0, a=fmt.tiny / 2, b=8.0)
        found[f"fuses {name} multiply-add"] = ask("a * b + c", s * s, a=1 + s, b=1 + s, c=-(1 + 2 * s))
    return found


@dataclass(frozen=True)
class Probe:
    """Asks what a framework's own arithmetic gives for an expression of equal elements."""

    adapter: Adapter
    mode: str
    format: str

    def __call__(self, expression: str, sought: float, **operands: float) -> str:
        """ "yes" where every element of `expression` is `sought`, "no" where none is, else "some"; or a refusal."""
        dtype = format_named(self.format).dtype
        arrays = {name: np.full(LENGTH, value, dtype) for name, value in operands.items()}
        request = Request(operation="multiply", arrays=arrays, format=self.format, mode=self.mode)
        try:
            (result,) = replace(self.adapter, rows={"multiply": f"out = {expression}"}).run(request).outputs
        except Refusal as refusal:
            return f"refused: {refusal}"
        hits = int(np.sum(result == sought))
        return {0: "no", LENGTH: "yes"}.get(hits, "some")
