"""The script of a recorded operation runs, and gives the recorded result bit for bit."""

import contextlib
import dataclasses
import functools
import io

import numpy as np
import pytest

import oracle
from oracle.adapters.replay import script
from oracle.explanations.replaying import report
from oracle.recordings.tracefile import load_trace


def replay(trace, path, least=0.9):
    """Run the script of every operation: the recorded bits. Every sixth tells its distance from the truth too."""
    oracle.save_trace(trace, path)
    oracle.load_trace = functools.cache(load_trace)  # the scripts of one trace read it once
    ran = 0
    for node in trace.nodes:
        text = script(trace, node, str(path))
        if "cannot be run alone" in text:
            continue
        call, telling = text.rsplit("print(", 1)
        scope = {}
        exec(compile(call, node.op, "exec"), scope)
        recorded = [trace.values[o].array for o in node.outputs if o is not None]
        for made, value in zip(scope["made"], recorded, strict=True):
            assert made.dtype == value.dtype, text
            assert made.tobytes() == np.ascontiguousarray(value).tobytes(), text
        if ran % 6 == 0:
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(f"print({telling}", scope)
            assert all("bit for bit as recorded" in line for line in said.getvalue().strip().splitlines()), text
        ran += 1
    assert ran >= least * len(trace.nodes)


def test_torch(tmp_path):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 16),
        nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 10),
    )  # fmt: skip
    trace = oracle.record(
        net, torch.randn(2, 3, 8, 8), loss=nn.CrossEntropyLoss(), target=torch.tensor([1, 7]),
        optimizer=torch.optim.AdamW(net.parameters()), full=True,
    )  # fmt: skip
    replay(trace, tmp_path / "run.trace")


def test_torch_bfloat16(tmp_path):
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Softmax(-1)).bfloat16()
    replay(oracle.record(net, torch.randn(4, 8).bfloat16(), full=True), tmp_path / "run.trace")


def test_a_tampered_result_is_not_as_recorded(tmp_path):
    torch = pytest.importorskip("torch")
    trace = oracle.record(torch.nn.Linear(4, 4), torch.randn(2, 4), full=True)
    node = next(n for n in trace.nodes if "addmm" in n.op)
    (out,) = node.outputs
    honest = trace.values[out].array
    tampered = dataclasses.replace(trace.values[out], array=(honest * np.float32(1 + 2.0**-12)).astype(np.float32))
    said = report(dataclasses.replace(trace, values={**trace.values, out: tampered}), node.index, [honest])
    assert "8 of 8 elements are not as recorded" in said
    assert "ulp from the truth" in said
    worse = report(trace, node.index, [tampered.array])
    assert float(worse.split("at most ")[1].split(" ulp")[0]) > 1000


def test_a_draw_cannot_be_run_alone():
    torch = pytest.importorskip("torch")
    trace = oracle.record(
        lambda x: torch.nn.functional.dropout(x, 0.5), torch.randn(4, 8), framework="torch", full=True
    )
    texts = [script(trace, n) for n in trace.nodes]
    assert any("draws random numbers" in text for text in texts)


def test_tensorflow(tmp_path):
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(rng.standard_normal((3, 3, 2, 4)).astype(np.float32) / 4)
            self.dense = tf.Variable(rng.standard_normal((4 * 16, 5)).astype(np.float32) / 8)
            self.table = tf.Variable(rng.standard_normal((7, 5)).astype(np.float32))

        def __call__(self, x):
            y = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(x, self.kernel, 1, "SAME")), 2, 2, "SAME")
            y = tf.reshape(tf.transpose(y, [0, 3, 1, 2]), [2, -1]) @ self.dense
            return tf.concat([y, tf.gather(self.table, [1, 3]), tf.math.cumsum(y, axis=1)], 1)

    model = Model()
    x = tf.constant(rng.standard_normal((2, 8, 8, 2)).astype(np.float32))

    def train(model, x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.softmax(model(x)) ** 2)
        variables = model.trainable_variables
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(0.1 * tf.convert_to_tensor(gradient))
        return loss

    replay(oracle.record(model, x, train_step=train, full=True), tmp_path / "run.trace")


def test_jax(tmp_path):
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    rng = np.random.default_rng(0)
    w = {"conv": rng.standard_normal((4, 2, 3, 3)).astype(np.float32) / 4, "out": np.ones((64, 5), np.float32) / 8}

    def loss(w, x):
        y = jax.lax.conv_general_dilated(x, w["conv"], (1, 1), "SAME")
        y = jax.lax.reduce_window(jax.nn.gelu(y), -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        z = y.reshape(2, -1) @ w["out"]
        return (jax.nn.log_softmax(z)[jnp.arange(2), jnp.array([1, 3])] ** 2).mean()

    x = jnp.asarray(rng.standard_normal((2, 2, 8, 8)).astype(np.float32))
    trace = oracle.record(jax.value_and_grad(loss), (w, x), framework="jax", full=True)
    replay(trace, tmp_path / "run.trace")
