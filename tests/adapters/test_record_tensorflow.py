"""Recording TensorFlow: what is noted, that nothing is changed, and that lowering the nodes gives the values."""

import numpy as np
import pytest
from adapters.budgeted import overspent

from oracle.adapters.record_tensorflow import record_tensorflow
from oracle.explanations.explaining import explain

tf = pytest.importorskip("tensorflow")
backprop = pytest.importorskip("tensorflow.python.eager.backprop")
op_callbacks = pytest.importorskip("tensorflow.python.framework.op_callbacks")


class Dense(tf.Module):
    """A layer of the user's own."""

    def __init__(self, rows, columns, seed):
        super().__init__()
        self.scale = 2.0
        self.w = tf.Variable(np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32))
        self.b = tf.Variable(np.zeros(columns, np.float32))

    def __call__(self, x):
        return tf.matmul(x, self.w) + self.b


class Network(tf.Module):
    """Two layers inside a tf.function, and a counter that each call writes."""

    def __init__(self):
        super().__init__()
        self.layers = [Dense(5, 7, 0), Dense(7, 3, 1)]
        self.calls = tf.Variable(0, trainable=False)

    @tf.function
    def __call__(self, x):
        self.calls.assign_add(1)
        return self.layers[1](tf.nn.relu(self.layers[0](x)))


X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
Y = np.array([0, 1, 2, 1])


def loss(target, output):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(target, output))


def descend(pairs):
    for gradient, variable in pairs:
        variable.assign_sub(0.1 * gradient)


def train(steps=1):
    network = Network()
    trace = record_tensorflow(network, X, loss=loss, target=Y, optimizer=descend, steps=steps, full=True)
    return network, trace


def ops(trace, phase):
    return [n.op for n in trace.nodes if n.phase == phase]


def test_a_training_step_has_every_operation_in_its_phase():
    _, trace = train()
    assert ops(trace, "forward") == [
        "AssignAddVariableOp", "MatMul", "AddV2", "Relu", "MatMul", "AddV2", "Shape",
        "SparseSoftmaxCrossEntropyWithLogits", "Mean",
    ]  # fmt: skip
    assert {"ReluGrad", "MatMul", "Sum"} <= set(ops(trace, "backward"))
    assert ops(trace, "optimizer") == ["Mul", "AssignSubVariableOp"] * 4


def test_nodes_know_their_layer_line_and_forward_operation():
    _, trace = train()
    (relu,) = [n for n in trace.nodes if n.op == "Relu"]
    (relu_grad,) = [n for n in trace.nodes if n.op == "ReluGrad"]
    assert relu_grad.forward_index == relu.index
    assert relu.source.startswith(("test_record_tensorflow.py:", "tests/adapters/test_record_tensorflow.py:"))
    products = [n for n in trace.nodes if n.op == "MatMul"]
    assert [n.scope for n in products] == ["layers.0", "layers.1", "layers.1", "layers.1", "layers.0"]
    assert trace.layers["layers.0"].settings["scale"] == 2.0
    assert {n.scope for n in trace.nodes if n.op == "AssignSubVariableOp"} == {"layers.0", "layers.1"}


def test_values_are_what_an_unobserved_run_computes():
    network, trace = train(steps=2)
    plain = Network()
    for _ in range(2):
        with tf.GradientTape() as tape:
            value = loss(Y, plain(X))
        variables = tape.watched_variables()
        gradients = tape.gradient(value, variables)
        descend(zip(gradients, variables, strict=True))
    np.testing.assert_array_equal(trace.values[trace.loss].array, value)
    for name, layer in (("layers.0", plain.layers[0]), ("layers.1", plain.layers[1])):
        np.testing.assert_array_equal(trace.values[trace.updated[f"{name}.w"]].array, layer.w)
    np.testing.assert_array_equal(network.layers[0].w, plain.layers[0].w)
    assert int(network.calls) == 2


def test_a_variable_has_one_value_after_another():
    _, trace = train(steps=2)
    first, second = (step.parameters["layers.0.w"] for step in trace.steps)
    assert len({trace.parameters["layers.0.w"], first, second}) == 3
    assert trace.values[trace.parameters["layers.0.w"]].role == "parameter"
    assert trace.values[trace.buffers["calls"]].array == 0
    assert [int(trace.values[s.buffers["calls"]].array) for s in trace.steps] == [1, 2]


def test_nothing_of_the_users_is_left_changed():
    before = (backprop.GradientTape.gradient, backprop.GradientTape.__enter__, Dense.__call__, Network.__call__)
    tf.random.set_seed(3)
    expected = tf.random.uniform([4])
    tf.random.set_seed(3)
    train()
    after = (backprop.GradientTape.gradient, backprop.GradientTape.__enter__, Dense.__call__, Network.__call__)
    assert after == before
    assert not tf.config.functions_run_eagerly()
    assert not op_callbacks.should_invoke_op_callbacks()
    np.testing.assert_array_equal(tf.random.uniform([4]), expected)
    with tf.GradientTape() as tape:
        x = tf.constant(2.0)
        tape.watch(x)
        y = x * x
    assert float(tape.gradient(y, x)) == 4.0


def test_watching_is_compared_with_an_unobserved_run_on_request():
    network = Network()
    step = {"loss": loss, "target": Y, "optimizer": descend, "steps": 2}
    watched = record_tensorflow(network, X, verify=True, full=True, **step)
    assert watched.observation.unchanged is True
    np.testing.assert_array_equal(network.layers[0].w, watched.values[watched.updated["layers.0.w"]].array)
    assert int(network.calls) == 2
    assert record_tensorflow(network, X).observation.unchanged is None


def test_a_run_that_is_not_the_same_twice_is_told_apart():
    calls = []

    def impure(x):
        calls.append(1)
        return x * len(calls)

    observation = record_tensorflow(impure, X, verify=True).observation
    assert observation.unchanged is False
    assert observation.evidence == "output differs from the unobserved run"
    assert record_tensorflow(lambda x: x + tf.random.normal([5]), X, verify=True).observation.unchanged is None


def test_hooks_go_even_when_the_users_code_fails():
    def fails(x):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        record_tensorflow(fails, X)
    assert not tf.config.functions_run_eagerly()


def test_a_random_draw_is_a_leaf_and_is_drawn_once():
    drawn = []

    def noisy(x):
        drawn.append(tf.random.normal(x.shape))
        return x + drawn[-1]

    trace = record_tensorflow(noisy, X, full=True)
    (leaf,) = [v for v in trace.values.values() if v.role == "random"]
    assert len(drawn) == 1
    np.testing.assert_array_equal(leaf.array, drawn[0])
    assert [n.op for n in trace.nodes if not n.outputs] == ["RandomStandardNormal"]


def test_a_sparse_gradient_is_recorded_whole():
    table = tf.Variable(np.ones((6, 2), np.float32), name="table")

    def step(_, indices):
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(tf.gather(table, indices) ** 2)
        tape.gradient(value, table)
        return value

    trace = record_tensorflow(lambda i: None, np.array([1, 1, 4]), train_step=step, full=True)
    gradient = trace.values[trace.gradients["table"]].array
    np.testing.assert_array_equal(gradient[:, 0], [0, 4, 0, 0, 2, 0])


def test_a_function_without_variables_is_differentiated_by_its_inputs():
    x = tf.constant([[1.0, -2.0], [0.5, 3.0]])
    trace = record_tensorflow(lambda x: tf.reduce_sum(x**3), x, train_step=True, full=True)
    (gradient,) = trace.steps[0].gradients.values()
    np.testing.assert_allclose(trace.values[gradient].array, 3 * x.numpy() ** 2, rtol=1e-6)


def test_branching_on_data_records_the_branch_that_was_taken():
    @tf.function
    def branches(x):
        return tf.exp(x) if tf.reduce_sum(x) > 0 else tf.sin(x)

    assert "Exp" in [n.op for n in record_tensorflow(branches, np.float32([1.0])).nodes]
    assert "Sin" in [n.op for n in record_tensorflow(branches, np.float32([-1.0])).nodes]


def test_the_compiled_form_of_a_pure_function_is_measured():
    function = tf.function(lambda x: tf.nn.softmax(tf.matmul(x, x, transpose_b=True)))
    trace = record_tensorflow(function, X, full=True)
    compiled = trace.values[trace.compiled["output"]].array
    np.testing.assert_array_equal(compiled, function(X))
    assert record_tensorflow(Network(), X).compiled == {}


def test_the_explanation_is_complete_and_accuses_nobody():
    _, trace = train()
    explanation = explain(trace)
    assert explanation.completeness == 0
    assert abs(explanation.remainder) <= 1e-6 * abs(explanation.total)
    assert all(use <= 1 for _, use in overspent(trace))


def test_a_wrong_kernel_is_caught():
    @tf.custom_gradient
    def forged(x):
        return tf.identity(x), lambda dy: dy

    trace = record_tensorflow(lambda x: forged(tf.exp(x)) * 2, X, full=True)
    (product,) = [n for n in trace.nodes if n.op == "Mul"]
    values = dict(trace.values)
    wrong = values[product.outputs[0]]
    values[wrong.id] = type(wrong)(**{**vars(wrong), "array": wrong.array * np.float32(1 + 2**-12)})
    spent = {n.op: use for n, use in overspent(type(trace)(**{**vars(trace), "values": values}))}
    assert spent["Mul"] > 100
    assert spent["Exp"] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"train_step": lambda m, x: m(x), "optimizer": descend}, "train_step is your own function"),
        ({"train_step": True}, "no scalar; pass loss="),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        record_tensorflow(Network(), X, **arguments)


def test_statistics_alone_keep_small_arrays_only():
    large = np.zeros((300, 300), np.float32)
    trace = record_tensorflow(tf.exp, large)
    (value,) = [trace.values[i] for i in trace.outputs.values()]
    assert value.array is None
    assert value.stats.maximum == 1.0
    assert not trace.is_full
