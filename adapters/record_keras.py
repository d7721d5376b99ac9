"""Recording a Keras model on whichever backend it runs: through that backend's recorder, with Keras's names."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from oracle.adapters.record_keras_plan import plan_of
from oracle.trace import Trace

_BACKENDS = ("tensorflow", "jax", "torch")


def record_keras(
    model: Any,
    inputs: Any,
    *,
    train_step: bool | Callable[..., Any] | None = None,
    loss: Callable[..., Any] | str | None = None,
    target: Any = None,
    optimizer: Any = None,
    training: bool | None = None,
    steps: int = 1,
    compiled: bool = False,
    verify: bool = False,
    full: bool = False,
) -> Trace:
    """Run `model` once on `inputs` and record every operation that its backend executes.

    Args:
        model: a Keras model or layer.
        inputs: its argument: an array, or a list or mapping of arrays for a model with several inputs.
        train_step: `True` for the train step that `fit` repeats (forward, loss, gradients, optimizer, metrics) of
            a compiled model; or your own `train_step(model, inputs[, target])` (not on JAX).
        loss: `loss(target, output)` or a name known to Keras, for a plain step of a model that is not compiled.
        target: the labels.
        optimizer: a Keras optimizer, or its name, for the plain step; without it the step ends with the gradients.
        training: the flag of the call; a training step has it true.
        steps: how many steps to run.
        compiled: also measure what the compiled call returns, from the state before the last step, with the same
            draws; the variables end as if it had not run. On TensorFlow this traces your code once more.
        verify: afterwards run the steps once more, unobserved, and compare bit by bit (on TensorFlow).
        full: keep every array. Otherwise each value is kept as statistics of a bounded sample.

    What `fit` compiles is recorded in its eager form. Weights, optimizer and metrics end as after a plain step.
    Raises `ValueError` for arguments that do not fit together and for an unknown backend.
    """
    import keras  # noqa: PLC0415

    backend = keras.backend.backend()
    if backend not in _BACKENDS:
        raise ValueError(f"Keras runs on {backend!r}; recorders exist for {', '.join(_BACKENDS)}")
    options = {"loss": loss, "target": target, "optimizer": optimizer, "steps": steps, "compiled": compiled,
               "verify": verify}  # fmt: skip
    plan = plan_of(model, inputs, train_step, training, **options)
    if verify and backend != "tensorflow":
        raise ValueError(f"verify=True compares eager TensorFlow runs; Keras runs on {backend}")
    if compiled and backend == "torch":
        raise ValueError("compiled=True measures tf.function and jax.jit; Keras on torch runs eagerly unless "
                         "jit_compile=True: record the torch module with torch.compile instead")  # fmt: skip
    recorder = importlib.import_module(f"oracle.adapters.record_keras_{backend}")
    trace: Trace = recorder.record(model, plan, full)
    return replace(trace, layers={**plan.described(model), **trace.layers})
