"""Recording JAX: what is noted, where it belongs, and that lowering the nodes gives the values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.budgeted import overspent

from oracle.adapters.record_jax import record_jax
from oracle.explanations.explaining import explain

X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
PARAMETERS = {
    "hidden": {"w": np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)},
    "out": {"w": np.random.default_rng(2).normal(size=(7, 3)).astype(np.float32), "b": np.zeros(3, np.float32)},
}


def model(parameters, x):
    with jax.named_scope("hidden"):
        h = jax.nn.relu(x @ parameters["hidden"]["w"])
    with jax.named_scope("out"):
        return h @ parameters["out"]["w"] + parameters["out"]["b"]


def loss(output, target):
    return -jnp.mean(jax.nn.log_softmax(output)[jnp.arange(4), target])


def descend(parameters, gradients):
    return jax.tree.map(lambda p, g: p - 0.1 * g, parameters, gradients)


Y = np.array([0, 1, 2, 1])


def train(steps=1):
    return record_jax(model, (PARAMETERS, X), loss=loss, target=Y, optimizer=descend, steps=steps, full=True)


def test_a_training_step_has_its_phases_and_scopes():
    trace = train()
    products = [(n.scope, n.phase) for n in trace.nodes if n.op == "dot_general"]
    assert products == [("hidden", "forward"), ("out", "forward"), ("out", "backward"), ("out", "backward"),
                        ("hidden", "backward")]  # fmt: skip
    assert [n.op for n in trace.nodes if n.phase == "optimizer"] == ["mul", "sub"] * 3
    forward = {n.index: n for n in trace.nodes if n.phase == "forward"}
    backward = next(n for n in reversed(trace.nodes) if n.op == "dot_general")
    assert forward[backward.forward_index].scope == "hidden"
    assert backward.source.startswith(("test_record_jax.py:", "tests/adapters/test_record_jax.py:"))


def test_values_are_jaxs_own():
    trace = train()
    value, gradient = jax.value_and_grad(lambda p: loss(model(p, X), Y))(PARAMETERS)
    np.testing.assert_allclose(trace.values[trace.loss].array, value, rtol=1e-6)
    found = {n: trace.values[i].array for n, i in trace.gradients.items()}
    np.testing.assert_allclose(found["parameters.out.b"], gradient["out"]["b"], atol=1e-7)
    assert set(found) == {"parameters.hidden.w", "parameters.out.w", "parameters.out.b"}


def test_each_step_starts_from_the_parameters_of_the_last():
    trace = train(steps=2)
    first, second = (step.parameters["parameters.out.w"] for step in trace.steps)
    assert len({trace.parameters["parameters.out.w"], first, second}) == 3
    updates = [n for n in trace.nodes if n.phase == "optimizer" and second in n.outputs]
    assert first in updates[0].reads


def test_a_scan_is_recorded_step_by_step():
    def recur(x):
        return jax.lax.scan(lambda h, t: (jnp.tanh(h + t), h), jnp.zeros(5), x)

    trace = record_jax(recur, X, full=True)
    assert [n.time_step for n in trace.nodes if n.op == "tanh"] == [0, 1, 2, 3]
    state, history = recur(X)
    np.testing.assert_allclose(trace.values[trace.outputs["output.0"]].array, state, rtol=1e-6)
    np.testing.assert_allclose(trace.values[trace.outputs["output.1"]].array, history, rtol=1e-6)


def test_a_reversed_scan_keeps_the_numbers_of_its_steps():
    def recur(x):
        return jax.lax.scan(lambda h, t: (h * t, h), jnp.ones(5), x, reverse=True)

    trace = record_jax(recur, X, full=True)
    assert [n.time_step for n in trace.nodes if n.op == "mul"] == [3, 2, 1, 0]
    np.testing.assert_array_equal(trace.values[trace.outputs["output.1"]].array, recur(X)[1])


def test_control_flow_takes_the_branch_and_the_iterations_that_the_data_asks_for():
    def flow(x):
        x = jax.lax.cond(x.sum() > 0, jnp.exp, jnp.sin, x)
        return jax.lax.while_loop(lambda y: y.max() < 10, lambda y: y * 2, x)

    ops = [n.op for n in record_jax(flow, np.float32([1.0])).nodes]
    assert ("exp" in ops, "sin" in ops, ops.count("mul")) == (True, False, 2)
    ops = [n.op for n in record_jax(flow, np.float32([-1.0, 3e1, -3e1])).nodes]
    assert ("exp" in ops, "sin" in ops) == (False, True)


def test_random_bits_are_leaves():
    def noisy(x, key):
        return x * jax.random.bernoulli(key, 0.5, x.shape)

    trace = record_jax(noisy, (X, jax.random.key(0)), full=True)
    assert any(v.role == "random" for v in trace.values.values())
    expected = noisy(X, jax.random.key(0))
    np.testing.assert_array_equal(trace.values[trace.outputs["output"]].array, expected)
    explain(trace)


def test_a_step_of_the_users_own_knows_what_updates_the_parameters():
    def step(model, parameters, x):
        value, gradients = jax.value_and_grad(lambda p: loss(model(p, x), Y))(parameters)
        return value, descend(parameters, gradients)

    trace = record_jax(model, (PARAMETERS, X), train_step=step)
    assert [n.op for n in trace.nodes if n.phase == "optimizer"] == ["mul", "sub"] * 3


def test_the_compiled_form_of_a_jitted_function_is_measured():
    function = jax.jit(lambda x: jax.nn.softmax(x @ x.T))
    trace = record_jax(function, X, full=True)
    np.testing.assert_array_equal(trace.values[trace.compiled["output"]].array, function(X))
    assert "primitive by primitive" in trace.observation.execution
    assert record_jax(lambda x: x + 1, X).compiled == {}


def test_the_explanation_is_complete_and_accuses_nobody():
    trace = train()
    explanation = explain(trace)
    assert explanation.completeness == 0
    assert abs(explanation.remainder) <= 1e-6 * abs(explanation.total)
    assert all(use <= 1 for _, use in overspent(trace))


ARRAYS = {
    "scatter": lambda x: x.at[1:3, 0].set(x[0, 1]).at[0].add(2.0),
    "slices": lambda x: jax.lax.dynamic_slice(x, (jnp.int32(3), 1), (2, 3)) + jnp.split(x, 2)[1][:, ::-2],
    "update": lambda x: jax.lax.dynamic_update_slice(x, x[:1, :2] * 2, (jnp.int32(3), 4)),
    "gather": lambda x: x[jnp.array([3, -1, 0])] * jnp.take_along_axis(x, jnp.argsort(x)[:, :1], 1)[:3],
    "stack": lambda x: jnp.stack([x, 2 * x], 1)[:, 1] + jnp.unstack(x, axis=1)[0][:, None],
    "order": lambda x: jnp.sort(x, 0) + jax.lax.top_k(x, 5)[0] + jnp.cumsum(x, 1) + jnp.roll(x, 1, 0),
    "pool": lambda x: jax.lax.reduce_window(x, -np.inf, jax.lax.max, (2, 2), (2, 1), "VALID"),
    "conv": lambda x: jax.lax.conv_general_dilated(x[None, None], x[None, None, :2, :2], (1, 2), "SAME"),
    "einsum": lambda x: jnp.einsum("ab,cb->ac", x, x),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_values_and_gradients_of_lowered_primitives_are_within_the_budget(name):
    def both(x):
        y, pull_back = jax.vjp(ARRAYS[name], x)
        return y, pull_back(jnp.ones_like(y))

    trace = record_jax(both, X, full=True)
    spent = dict((n.op, use) for n, use in overspent(trace))
    assert spent
    assert max(spent.values()) <= 1, spent


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"steps": 0}, "steps is 0"), ({"train_step": True}, "no scalar; pass loss="),
     ({"train_step": lambda m, p, x: 0, "loss": loss}, "train_step is your own function")],
)  # fmt: skip
def test_arguments_that_contradict_each_other_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        record_jax(model, (PARAMETERS, X), **arguments)
