"""JAX: jit, and eager (one compiled program per primitive). float64 runs with x64 enabled for that run alone."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from oracle.adapters.base import Adapter, Engine, Request
from oracle.adapters.rows.jax import ROWS


class JaxEngine(Engine):
    """How JAX takes arrays, compiles and differentiates."""

    framework = "jax"
    distributions = ("jax",)
    imports = "import jax\nimport jax.numpy as jnp\nfrom jax import lax"
    wrappers = {"jit": "jax.jit({})", "eager": ""}  # noqa: RUF012 - read only
    wraps_gradient = True

    def array(self, value: np.ndarray, device: str) -> Any:
        import jax.numpy as jnp  # noqa: PLC0415

        return jnp.array(value)

    def numpy(self, value: Any) -> np.ndarray:
        return np.asarray(value)

    def gradient(self, wrt: Sequence[str], chosen: str) -> str:
        names = ", ".join(wrt)
        return (
            f"def function({names}):\n"
            "    outputs = forward(ARGUMENTS)\n"
            f"    return list({chosen})\n"
            f"outputs, pullback = jax.vjp(function, {names})\n"
            "return pullback([c.astype(o.dtype) for c, o in zip(cotangents, outputs)])"
        )

    @contextlib.contextmanager
    def context(self, request: Request) -> Iterator[None]:
        import jax  # noqa: PLC0415

        tf32 = "tensorfloat32" if request.device.endswith("-tf32") else "highest"
        with contextlib.ExitStack() as stack:
            stack.enter_context(jax.enable_x64(request.format == "float64"))
            if request.device != "cpu":
                stack.enter_context(jax.default_matmul_precision(tf32))
            stack.enter_context(jax.default_device(jax.devices(request.device.partition("-")[0])[0]))
            yield

    def wait(self, values: Sequence[Any]) -> None:
        import jax  # noqa: PLC0415

        jax.block_until_ready(list(values))

    def literal(self, values: str, dtype: str, device: str) -> str:
        return f"jnp.array({values}, dtype=jnp.{dtype})"

    def item(self, name: str) -> str:
        return f"float({name})"

    def settings(self, request: Request) -> str:
        lines = ['jax.config.update("jax_enable_x64", True)'] if request.format == "float64" else []
        if request.device != "cpu":
            precision = "tensorfloat32" if request.device.endswith("-tf32") else "highest"
            lines.append(f'jax.config.update("jax_default_matmul_precision", "{precision}")')
        return "\n".join(lines)

    def devices(self) -> tuple[str, ...]:
        import jax  # noqa: PLC0415

        on_gpu = any(d.platform == "gpu" for d in jax.devices())
        return ("cpu", "cuda", "cuda-tf32") if on_gpu else ("cpu",)

    def manifest(self) -> dict[str, Any]:
        import jax  # noqa: PLC0415

        return {
            "xla_flags": str(jax.config.values.get("xla_flags", "")),
            "default_matmul_precision": jax.config.values["jax_default_matmul_precision"],
            "x64_default": jax.config.values["jax_enable_x64"],
            "backend": jax.default_backend(),
            "hardware": [str(d) for d in jax.devices()],
        }


ADAPTERS = (Adapter("jax", JaxEngine(), ROWS),)
