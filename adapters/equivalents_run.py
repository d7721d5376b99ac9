"""Running an equivalence: the same weights and inputs through Keras, torch and JAX, in one number format."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from oracle.adapters.equivalents import Row, draw, names
from oracle.adapters.weights_keras import read_keras

_STEPS = 4
_SIZE = 6


class Runner:
    """The Keras side of a row built once in `dtype` ("float32" or "float64"), with random weights."""

    def __init__(self, row: Row, dtype: str) -> None:
        self.row, self.dtype, self.known = row, dtype, names()
        self.inputs = {n: x.astype(dtype) if x.dtype.kind == "f" else x for n, x in draw(row).items()}
        self.keras = None if row.kind == "optimizer" else self._built()

    def _built(self) -> Any:
        keras = self.known["keras"]
        with self._in_dtype():
            layer = eval(self.row.keras, self.known)
            if isinstance(layer, keras.Layer):
                self._call(layer, self.row.call_keras, self._tensors())
                _shake(layer)
        return layer

    @contextmanager
    def _in_dtype(self) -> Iterator[None]:
        """Keras's own settings for this number format, and afterwards what they were."""
        config = self.known["keras"].config
        before = config.dtype_policy(), config.floatx()
        config.set_dtype_policy(self.dtype)
        config.set_floatx(self.dtype)
        try:
            yield
        finally:
            config.set_dtype_policy(before[0])
            config.set_floatx(before[1])

    def _tensors(self) -> dict[str, Any]:
        return {n: self.known["ops"].convert_to_tensor(x) for n, x in self.inputs.items()}

    def _call(self, f: Any, text: str, tensors: Mapping[str, Any]) -> Any:
        return eval(text, {**self.known, **tensors, "f": f})

    def of_keras(self, text: str = "") -> np.ndarray:
        """What Keras returns; `text` is another optimizer than the row's."""
        if self.row.kind == "optimizer":
            return self._keras_steps(text or self.row.keras)
        result = self._call(self.keras, self.row.call_keras, self._tensors())
        return _plain(_first(result))

    def of_torch(self, text: str, port: Any) -> np.ndarray:
        """What the torch side written as `text` returns, with the weights that `port(keras, torch)` brings over."""
        if self.row.kind == "optimizer":
            return self._torch_steps(text)
        torch = self.known["torch"]
        module = eval(text, self.known)
        if isinstance(module, torch.nn.Module):
            module = module.to(getattr(torch, self.dtype)).eval()
            if list(module.parameters()) or list(module.buffers()):
                port(self.keras, module)
        tensors = {n: torch.from_numpy(np.ascontiguousarray(self._moved(x))) for n, x in self.inputs.items()}
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch says of a trap
            result = _first(self._call(module, self.row.call_torch, tensors))
        return self._moved_back(result.numpy())

    def of_jax(self) -> np.ndarray:
        """What the JAX expression gives, in this format."""
        jax = self.known["jax"]
        units = read_keras(self.keras).units if isinstance(self.keras, self.known["keras"].Layer) else ()
        weights = [{r: np.asarray(x, self.dtype) for r, x in u.values.items()} for u in units]
        with jax.enable_x64(self.dtype == "float64"):
            tensors = {n: jax.numpy.asarray(x) for n, x in self.inputs.items()}
            given = {**self.known, **tensors, "w": weights[0] if len(weights) == 1 else weights}
            return np.asarray(eval(self.row.jax, given))

    def _moved(self, x: np.ndarray) -> np.ndarray:
        return x.transpose(self.row.axes) if self.row.axes and x.ndim == len(self.row.axes) else x

    def _moved_back(self, y: np.ndarray) -> np.ndarray:
        return y.transpose(np.argsort(self.row.axes)) if self.row.axes and y.ndim == len(self.row.axes) else y

    def _gradients(self) -> tuple[np.ndarray, np.ndarray]:
        """A start and gradients, small enough that eps is seen; float32 numbers in any format."""
        generator = np.random.default_rng(3)
        start, gradients = (generator.normal(size=s).astype(np.float32) for s in (_SIZE, (_STEPS, _SIZE)))
        return start.astype(self.dtype), gradients.astype(self.dtype) / 1024

    def _keras_steps(self, text: str) -> np.ndarray:
        """A parameter after a few steps on given gradients."""
        keras = self.known["keras"]
        start, gradients = self._gradients()
        with self._in_dtype():
            p = keras.Variable(start, dtype=self.dtype)
            optimizer = eval(text, self.known)
            for g in gradients:
                optimizer.apply([keras.ops.convert_to_tensor(g)], [p])
        return _plain(p.value)

    def _torch_steps(self, text: str) -> np.ndarray:
        torch = self.known["torch"]
        start, gradients = self._gradients()
        p = torch.nn.Parameter(torch.from_numpy(start.copy()))
        optimizer = eval(text, {**self.known, "p": p})
        for g in gradients:
            p.grad = torch.from_numpy(g.copy())
            optimizer.step()
        return p.detach().numpy()


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple | list) else result


def _plain(tensor: Any) -> np.ndarray:
    value = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def _shake(layer: Any) -> None:
    """Random weights: fresh ones and zeros would hide a mistake. They are float32 numbers in any format."""
    generator = np.random.default_rng(11)
    for w in layer.weights:
        if "float" in str(w.dtype):
            x = generator.normal(size=w.shape).astype(np.float32) * np.float32(0.5)
            w.assign(np.abs(x) + np.float32(0.5) if "variance" in w.name else x)
