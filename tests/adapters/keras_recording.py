"""What `test_record_keras` asks in a process of its own, one for each backend: prints one JSON object."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

import json
import os

import numpy as np


def build():
    """A small network with state of every kind: statistics, dropout seeds, a recurrence, a custom layer."""
    import keras
    from keras import layers

    class Scale(keras.layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")

        def call(self, x):
            return x * self.factor

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6, 5)), layers.LSTM(4, return_sequences=True, name="lstm"), Scale(name="scale"),
         layers.BatchNormalization(name="norm"), layers.Dropout(0.5, name="drop"), layers.Flatten(name="flat"),
         layers.Dense(3, name="dense")]
    )  # fmt: skip


X = np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)
Y = np.array([0, 2])


def compiled():
    import keras

    model = build()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], run_eagerly=True)
    return model


def weights(model):
    return [np.asarray(keras_array(v)).tolist() for v in model.variables]


def keras_array(variable):
    import keras

    return keras.ops.convert_to_numpy(variable.value)


def largest_difference(a, b):
    return max(float(np.max(np.abs(np.asarray(x) - np.asarray(y)), initial=0)) for x, y in zip(a, b, strict=True))


def report(trace, model):
    """What the tests look at."""
    from oracle.reference.lowerings import lowering

    nodes = [n for n in trace.nodes if n.outputs]
    return {
        "framework": trace.framework,
        "scopes": sorted({n.scope for n in trace.nodes}),
        "phases": sorted({n.phase for n in trace.nodes}),
        "cell_steps": sorted({n.time_step for n in nodes if n.scope.startswith("lstm") and n.time_step is not None}),
        "layers": {path: layer.kind for path, layer in trace.layers.items()},
        "units": trace.layers["dense"].settings["units"],
        "gradients": sorted(trace.gradients),
        "parameters": sorted(trace.updated),
        "buffers": sorted(trace.buffers),
        "inputs": sorted(trace.inputs),
        "outputs": sorted(trace.outputs),
        "random": sum(v.role == "random" for v in trace.values.values()),
        "missing": sorted({n.op for n in nodes if lowering(trace.framework, n.op) is None}),
        "optimizer_scopes": sorted({n.scope for n in nodes if n.phase == "optimizer"}),
        "execution": trace.observation.execution,
        "state": sorted(v.name for v in trace.values.values() if v.role == "state"),
    }


def main():
    import keras

    from oracle.adapters.record_keras import record_keras
    from oracle.explanations.explaining import explain

    call = keras.Layer.__call__
    model, plain = compiled(), compiled()
    keras.utils.set_random_seed(1)  # Keras's dropout on torch draws from torch's own generator
    trace = record_keras(model, X, train_step=True, target=Y, steps=2, full=True)
    keras.utils.set_random_seed(1)
    for _ in range(2):
        plain.train_on_batch(X, Y)
    found = report(trace, model)
    found["weights_differ"] = largest_difference(weights(model), weights(plain))
    recorded = {n: trace.values[i].array for n, i in trace.updated.items()}
    found["recorded_kernel_differs"] = float(
        np.max(np.abs(recorded["dense.kernel"] - keras_array(model.get_layer("dense").kernel)))
    )
    explanation = explain(trace)
    found["completeness"], found["total"] = explanation.completeness, explanation.total
    found["remainder"], found["loss"] = explanation.remainder, float(trace.values[trace.loss].array)
    found["accused"] = [f"{n.op} {n.budget_used}" for n in explanation.nodes if n.budget_used > 1]

    inference = record_keras(model, X, training=False, full=True)
    found["call_random"] = sum(v.role == "random" for v in inference.values.values())
    output = inference.values[inference.outputs["output"]].array
    found["call_differs"] = float(np.max(np.abs(output - keras.ops.convert_to_numpy(model(X, training=False)))))

    single = build()
    step = record_keras(single, X, loss="mse", target=np.zeros((2, 3), np.float32), full=True,
                        optimizer=keras.optimizers.SGD(0.1))  # fmt: skip
    moved = step.values[step.parameters["dense.kernel"]].array - step.values[step.updated["dense.kernel"]].array
    gradient = step.values[step.gradients["dense.kernel"]].array
    found["step_error"] = float(np.max(np.abs(moved - 0.1 * gradient)))
    if trace.framework != "torch":
        found |= compilation(record_keras, model)
    found["refused"] = refusals(record_keras, single)
    found["call_restored"] = keras.Layer.__call__ is call
    print("REPORT" + json.dumps(found))


def compilation(record_keras, model):
    """How far the compiled call is from the eager one, and whether measuring it moved the weights."""
    import keras

    before = weights(model)
    trace = record_keras(model, X, compiled=True, training=False, full=True)
    eager, compiled = (trace.values[t["output"]].array for t in (trace.outputs, trace.compiled))
    expected = keras.ops.convert_to_numpy(model(X, training=False))
    return {
        "compilation": largest_difference([compiled], [eager]),
        "compiled_differs": largest_difference([compiled], [expected]),
        "compiled_moved": largest_difference(weights(model), before),
    }


def refusals(record_keras, model):
    """The messages for arguments that do not fit together."""
    messages = []
    for arguments in ({"train_step": True}, {"steps": 0}, {"train_step": lambda m, x: None, "loss": "mse"}):
        try:
            record_keras(model, X, **arguments)
        except ValueError as error:
            messages.append(str(error))
    return messages


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
