"""Recording Keras on its three backends: the same names and numbers, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras")
HERE = Path(__file__).parent
BACKENDS = ("tensorflow", "jax", "torch")
PARAMETERS = [
    "dense.bias", "dense.kernel", "lstm.lstm_cell.bias", "lstm.lstm_cell.kernel", "lstm.lstm_cell.recurrent_kernel",
    "norm.beta", "norm.gamma", "scale.factor",
]  # fmt: skip


@pytest.fixture(scope="module", params=BACKENDS)
def report(request):
    environment = {**os.environ, "KERAS_BACKEND": request.param, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(HERE / "keras_recording.py")],
        env=environment, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [text for text in done.stdout.splitlines() if text.startswith("REPORT")]
    return {"backend": request.param, **json.loads(line.removeprefix("REPORT"))}


def test_the_trace_belongs_to_the_backend(report):
    assert report["framework"] == report["backend"]


def test_layers_and_parameters_are_called_as_keras_calls_them(report):
    assert {"lstm", "scale", "norm", "drop", "dense"} <= set(report["scopes"])
    assert report["layers"]["lstm.lstm_cell"] == "keras.layers.LSTMCell"
    assert report["layers"]["scale"].endswith("Scale")
    assert report["units"] == 3
    assert report["parameters"] == report["gradients"] == PARAMETERS
    assert report["buffers"] == ["norm.moving_mean", "norm.moving_variance"]
    assert (report["inputs"], report["outputs"]) == (["input", "target"], ["output"])


def test_all_phases_are_seen_and_the_optimizer_works_on_layers(report):
    assert report["phases"] == ["backward", "forward", "optimizer"]
    if report["backend"] != "torch":  # whose optimizers work on the variables of all layers in one operation
        assert {"dense", "lstm.lstm_cell", "norm", "scale"} <= set(report["optimizer_scopes"])
    assert "dense.kernel.momentum" in report["state"]


def test_the_steps_of_the_recurrence_are_numbered(report):
    assert report["cell_steps"] == [0, 1, 2, 3, 4, 5]


def test_a_draw_is_recorded_and_inference_has_none(report):
    assert report["random"] > 0
    assert report["call_random"] == 0


def test_recording_changes_nothing_in_the_weights(report):
    # On JAX an eager step, too, is compiled piece by piece, so it is not bit-equal to its own primitives.
    assert report["weights_differ"] <= (1e-5 if report["backend"] == "jax" else 0)
    assert report["recorded_kernel_differs"] == 0
    assert report["call_restored"]


def test_the_call_is_what_an_unobserved_one_returns(report):
    assert report["call_differs"] <= (1e-6 if report["backend"] == "jax" else 0)


def test_a_plain_step_moves_the_weights_by_the_gradient(report):
    assert report["step_error"] < 1e-6


def test_the_compiled_call_is_measured_and_leaves_no_trace(report):
    if report["backend"] == "torch":
        pytest.skip("Keras on torch runs eagerly")
    assert report["compilation"] < 1e-6
    assert report["compiled_differs"] < 1e-6
    assert report["compiled_moved"] == 0


def test_every_operation_has_a_lowering(report):
    assert report["missing"] == []


def test_the_explanation_is_complete_and_accuses_nobody(report):
    assert report["completeness"] == 0
    assert abs(report["remainder"]) <= 1e-6 * abs(report["total"])
    assert report["accused"] == []


def test_arguments_that_do_not_fit_together_are_refused(report):
    assert [m.split(":")[0][:30] for m in report["refused"]] == [
        "train_step=True records the st", "steps is 0; expected 1 or more", "train_step is your own functio",
    ]  # fmt: skip
