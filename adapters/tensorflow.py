"""TensorFlow: eager, tf.function, and tf.function compiled by XLA."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from oracle.adapters.base import Adapter, Engine, Request
from oracle.adapters.rows.tensorflow import ROWS


class TensorFlowEngine(Engine):
    """How TensorFlow takes arrays, compiles and differentiates."""

    framework = "tensorflow"
    distributions = ("tensorflow", "tensorflow-cpu")
    imports = "import tensorflow as tf"
    wrappers = {  # noqa: RUF012 - read only
        "eager": "",
        "function": "tf.function({})",
        "jit_compile": "tf.function({}, jit_compile=True)",
    }
    wraps_gradient = True

    def array(self, value: np.ndarray, device: str) -> Any:
        import tensorflow as tf  # noqa: PLC0415

        return tf.constant(value)

    def numpy(self, value: Any) -> np.ndarray:
        import tensorflow as tf  # noqa: PLC0415

        return tf.convert_to_tensor(value).numpy()

    def gradient(self, wrt: Sequence[str], chosen: str) -> str:
        names = ", ".join(wrt)
        return (
            "with tf.GradientTape() as tape:\n"
            f"    tape.watch([{names}])\n"
            "    outputs = forward(ARGUMENTS)\n"
            f"    outputs = {chosen}\n"
            "cotangents = [tf.cast(c, o.dtype) for c, o in zip(cotangents, outputs)]\n"
            f"return tape.gradient(outputs, [{names}], output_gradients=cotangents)"
        )

    @contextlib.contextmanager
    def context(self, request: Request) -> Iterator[None]:
        import tensorflow as tf  # noqa: PLC0415

        tensor_float = tf.config.experimental
        before = tensor_float.tensor_float_32_execution_enabled()
        tensor_float.enable_tensor_float_32_execution(request.device.endswith("-tf32"))
        try:
            with tf.device("/CPU:0" if request.device == "cpu" else "/GPU:0"):
                yield
        finally:
            tensor_float.enable_tensor_float_32_execution(before)

    def literal(self, values: str, dtype: str, device: str) -> str:
        return f"tf.constant({values}, dtype=tf.{'bool' if dtype == 'bool' else dtype})"

    def item(self, name: str) -> str:
        return f"float({name})"

    def settings(self, request: Request) -> str:
        if request.device == "cpu":
            return ""
        return f"tf.config.experimental.enable_tensor_float_32_execution({request.device.endswith('-tf32')})"

    def devices(self) -> tuple[str, ...]:
        import tensorflow as tf  # noqa: PLC0415

        return ("cpu", "cuda", "cuda-tf32") if tf.config.list_physical_devices("GPU") else ("cpu",)

    def manifest(self) -> dict[str, Any]:
        import tensorflow as tf  # noqa: PLC0415

        return {
            "threads": tf.config.threading.get_intra_op_parallelism_threads() or "all cores",
            "interop_threads": tf.config.threading.get_inter_op_parallelism_threads() or "all cores",
            "tf32_default": tf.config.experimental.tensor_float_32_execution_enabled(),
            "build": {k: str(v) for k, v in tf.sysconfig.get_build_info().items()},
            "hardware": [d.name for d in tf.config.list_physical_devices()],
        }


ADAPTERS = (Adapter("tensorflow", TensorFlowEngine(), ROWS),)
