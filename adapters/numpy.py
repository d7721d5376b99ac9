"""NumPy: plain ufuncs; the narrow formats through ml_dtypes. It has no gradients."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from oracle.adapters.base import Adapter, Engine, Refusal, Request
from oracle.adapters.rows.numpy import ROWS


class NumpyEngine(Engine):
    """How NumPy takes arrays."""

    framework = "numpy"
    distributions = ("numpy",)
    imports = "import ml_dtypes\nimport numpy as np"
    wrappers = {"eager": ""}  # noqa: RUF012 - read only
    wraps_gradient = False

    def array(self, value: np.ndarray, device: str) -> Any:
        return np.array(value)

    def numpy(self, value: Any) -> np.ndarray:
        return np.asarray(value)

    def gradient(self, wrt: Sequence[str], chosen: str) -> str:
        raise Refusal("numpy does not differentiate")

    @contextlib.contextmanager
    def context(self, request: Request) -> Iterator[None]:
        with np.errstate(all="ignore"):
            yield

    def literal(self, values: str, dtype: str, device: str) -> str:
        module = "np" if hasattr(np, dtype) else "ml_dtypes"
        return f"np.array({values}, dtype={module}.{dtype})"

    def item(self, name: str) -> str:
        return f"float({name})"

    def settings(self, request: Request) -> str:
        return ""

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def manifest(self) -> dict[str, Any]:
        config = np.show_config(mode="dicts")
        simd = config.get("SIMD Extensions", {})
        return {"blas": config["Build Dependencies"]["blas"]["name"], "simd": simd.get("found", [])}


ADAPTERS = (Adapter("numpy", NumpyEngine(), ROWS),)
