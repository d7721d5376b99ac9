"""Keras on each of its backends: eager, jit, and the mixed_bfloat16 policy. One backend per process."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.adapters.base import Adapter, Engine, Refusal, Request
from oracle.adapters.jax import JaxEngine
from oracle.adapters.rows.keras import JAX_ROWS, ROWS
from oracle.adapters.tensorflow import TensorFlowEngine
from oracle.adapters.torch import TorchEngine

POLICY = "mixed_bfloat16"


@dataclass(frozen=True)
class KerasEngine(Engine):
    """How Keras takes arrays, compiles and differentiates: through its backend's engine `inner`."""

    inner: Engine
    jit: str
    framework = "keras"
    distributions = ("keras",)

    @property
    def imports(self) -> str:  # type: ignore[override]
        """Keras beside its backend, which must be chosen before Keras is imported."""
        choose = f'import os\nos.environ["KERAS_BACKEND"] = "{self.inner.framework}"'
        return f"{choose}\nimport keras\n{self.inner.imports}"

    @property
    def wrappers(self) -> Mapping[str, str]:  # type: ignore[override]
        modes = {"eager": "", "jit": self.jit, POLICY: ""}
        first = next(iter(self.inner.wrappers)) if "jit" in self.inner.wrappers else "eager"
        return {first: modes[first], **modes}

    @property
    def wraps_gradient(self) -> bool:  # type: ignore[override]
        return self.inner.wraps_gradient

    def load(self) -> dict[str, Any]:
        names = super().load()
        running = names["keras"].config.backend()
        if running != self.inner.framework:
            raise Refusal(
                f"Keras already runs on {running} in this process; run {self.inner.framework} in a Worker of its own"
            )
        return names

    def array(self, value: np.ndarray, device: str) -> Any:
        return self.inner.array(value, device)

    def numpy(self, value: Any) -> np.ndarray:
        return self.inner.numpy(value)

    def gradient(self, wrt: Sequence[str], chosen: str) -> str:
        return self.inner.gradient(wrt, chosen)

    @contextlib.contextmanager
    def context(self, request: Request) -> Iterator[None]:
        import keras  # noqa: PLC0415

        # Whatever Keras makes itself (learning rates, constants) has this type; a user of float64 sets it.
        before = keras.config.floatx()
        keras.config.set_floatx("float64" if request.format == "float64" else before)
        place = keras.device("cpu" if request.device == "cpu" else "gpu")
        try:
            with self.inner.context(request), place:
                yield
        finally:
            keras.config.set_floatx(before)

    def wait(self, values: Sequence[Any]) -> None:
        self.inner.wait(values)

    def literal(self, values: str, dtype: str, device: str) -> str:
        return f'keras.ops.convert_to_tensor({values}, dtype="{dtype}")'

    def item(self, name: str) -> str:
        return self.inner.item(name)

    def settings(self, request: Request) -> str:
        own = 'keras.config.set_floatx("float64")' if request.format == "float64" else ""
        return "\n".join(line for line in (self.inner.settings(request), own) if line)

    def devices(self) -> tuple[str, ...]:
        return self.inner.devices()

    def manifest(self) -> dict[str, Any]:
        import keras  # noqa: PLC0415

        own = {"backend": keras.config.backend(), "floatx": keras.config.floatx(), "epsilon": keras.config.epsilon()}
        return {**own, **self.inner.manifest()}


def _adapter(inner: Engine, jit: str, rows: Mapping[str, str] = ROWS) -> Adapter:
    return Adapter(
        f"keras-{inner.framework}", KerasEngine(inner, jit), rows, mixed=(POLICY,), policies=True,
        environment={"KERAS_BACKEND": inner.framework}, requires=("keras", inner.framework),
    )  # fmt: skip


ADAPTERS = (
    _adapter(TensorFlowEngine(), "tf.function({}, jit_compile=True)"),
    _adapter(JaxEngine(), "jax.jit({})", JAX_ROWS),
    _adapter(TorchEngine(), "torch.compile({})"),
)
