"""The zoo: small configurations of Keras models, recorded for one training step on one backend.

Run as `KERAS_BACKEND=jax python tests/zoo_keras.py [NAME ...]`: prints one JSON line for each model, and with
`ZOO_FULL=1` explains each.
"""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from oracle.explanations.explaining import explain
from oracle.reference.lowerings import lowering
from oracle.trace import Trace

_IMAGE = {
    "MobileNet": {"alpha": 0.25}, "MobileNetV2": {"alpha": 0.35}, "MobileNetV3Small": {}, "MobileNetV3Large": {},
    "EfficientNetB0": {}, "EfficientNetB1": {}, "EfficientNetV2B0": {}, "EfficientNetV2B1": {}, "ResNet50": {},
    "ResNet50V2": {}, "ResNet101": {}, "ResNet101V2": {}, "DenseNet121": {}, "DenseNet169": {}, "ConvNeXtTiny": {},
    "ConvNeXtSmall": {}, "NASNetMobile": {}, "VGG16": {}, "VGG19": {}, "Xception": {"size": 71},
    "InceptionV3": {"size": 75}, "InceptionResNetV2": {"size": 75},
}  # fmt: skip


def image_model(name: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """An architecture of `keras.applications` without its classifier, on two small images."""
    import keras

    size = _IMAGE[name].get("size", 32)
    settings = {k: v for k, v in _IMAGE[name].items() if k != "size"}
    body = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(size, size, 3), pooling="avg", **settings
    )
    model = keras.Model(body.input, keras.layers.Dense(10)(body.output))
    x = np.random.default_rng(0).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
    return model, x, np.array([1, 7])


def _sequence(*layers: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    import keras

    model = keras.Sequential([keras.Input((6, 5)), *layers, keras.layers.Dense(3)])
    return model, np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32), np.array([0, 2])


def lstm() -> Any:
    """An LSTM whose steps are returned, then one whose last state is."""
    from keras import layers

    return _sequence(layers.LSTM(4, return_sequences=True), layers.LSTM(4))


def gru() -> Any:
    """Both GRU conventions."""
    from keras import layers

    return _sequence(layers.GRU(4, return_sequences=True), layers.GRU(4, reset_after=False))


def bidirectional() -> Any:
    """Forward and backward in time, then a plain recurrence."""
    from keras import layers

    return _sequence(layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.SimpleRNN(4))


def masked_embedding() -> Any:
    """Variable lengths: index 0 is padding."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [keras.Input((6,)), layers.Embedding(9, 4, mask_zero=True), layers.LSTM(4), layers.Dense(3)]
    )
    return model, np.array([[1, 4, 8, 2, 0, 0], [3, 3, 0, 0, 0, 0]]), np.array([0, 2])


def transformer() -> Any:
    """A pre-norm transformer block with causal attention, dropout and a GELU feed-forward."""
    import keras
    from keras import layers

    inputs = keras.Input((6, 8))
    h = layers.LayerNormalization()(inputs)
    h = inputs + layers.MultiHeadAttention(2, 4, dropout=0.1)(h, h, use_causal_mask=True)
    f = layers.Dense(8)(layers.Dropout(0.1)(layers.Dense(16, activation="gelu")(layers.LayerNormalization()(h))))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(h + f)))
    return model, np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32), np.array([0, 2])


def attention() -> Any:
    """Luong and Bahdanau attention, group and RMS normalization."""
    import keras
    from keras import layers

    inputs = keras.Input((6, 8))
    h = layers.Concatenate()([layers.Attention()([inputs, inputs]), layers.AdditiveAttention()([inputs, inputs])])
    h = layers.RMSNormalization()(layers.GroupNormalization(4)(h))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(h)))
    return model, np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32), np.array([0, 2])


def activations() -> Any:
    """Every common activation, one after another."""
    from keras import layers

    names = ("relu6", "elu", "selu", "gelu", "silu", "mish", "softplus", "softsign", "tanh", "sigmoid",
             "hard_sigmoid", "hard_silu", "leaky_relu", "exponential", "log_softmax", "celu")  # fmt: skip
    return _sequence(*(layers.Dense(6, activation=name) for name in names), layers.PReLU(), layers.Flatten())


def upsampler() -> Any:
    """Transposed and dilated convolutions, pooling with strides, resizing, cropping, padding."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [keras.Input((8, 8, 2)), layers.ZeroPadding2D(1), layers.Conv2D(4, 3, dilation_rate=2),
         layers.AveragePooling2D(3, 2, padding="same"), layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
         layers.UpSampling2D(2, interpolation="bilinear"), layers.Cropping2D(1), layers.UpSampling2D(2),
         layers.Conv2D(4, 3, groups=2), layers.SpatialDropout2D(0.2), layers.GlobalMaxPooling2D(), layers.Dense(3)]
    )  # fmt: skip
    return model, np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype(np.float32), np.array([0, 2])


SMALL: tuple[Callable[[], Any], ...] = (
    lstm, gru, bidirectional, masked_embedding, transformer, attention, activations, upsampler
)  # fmt: skip


def names() -> list[str]:
    """Every model of the zoo. Keras itself refuses NASNet on torch."""
    import keras

    torch = keras.backend.backend() == "torch"
    return [f.__name__ for f in SMALL] + [n for n in _IMAGE if not (torch and n.startswith("NASNet"))]


def record(name: str, full: bool) -> Trace:
    """One training step (stochastic gradient descent with momentum, cross-entropy) of the model `name`."""
    import keras

    from oracle.adapters.record_keras import record_keras

    keras.utils.set_random_seed(0)
    small = {f.__name__: f for f in SMALL}
    model, x, target = small[name]() if name in small else image_model(name)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    return record_keras(model, x, train_step=True, target=target, full=full)


def measure(name: str, full: bool) -> dict[str, Any]:
    """Coverage of one model, and with `full` its explanation: completeness, remainder, operations accused."""
    started = time.perf_counter()
    trace = record(name, full)
    missing = Counter(n.op for n in trace.nodes if n.outputs and lowering(trace.framework, n.op) is None)
    row = {
        "backend": trace.framework,
        "model": name,
        "nodes": len(trace.nodes),
        "lowered": 1 - sum(missing.values()) / len(trace.nodes),
        "missing": dict(missing),
        "seconds": round(time.perf_counter() - started, 1),
    }
    if full:
        found = explain(trace)
        row["completeness"], row["remainder"] = found.completeness, found.remainder / found.total
        stepped = [n for n in found.nodes if n.time_step is not None]
        row["steps"] = {p: sorted({n.time_step for n in stepped if n.phase == p}) for p in ("forward", "backward")}
        row["accused"] = [f"{n.index} {n.op} {n.budget_used:.2g}" for n in found.nodes if n.budget_used > 1]
    return row


if __name__ == "__main__":
    full = bool(os.environ.get("ZOO_FULL"))
    for chosen in sys.argv[1:] or names():
        print(json.dumps(measure(chosen, full)), flush=True)
