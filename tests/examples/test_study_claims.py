"""What the pages of the case studies say, where another machine must find it too."""

import branches
import cnn
import custom_layer
import custom_loss
import dense_sigmoid
import linear_sgd
import lstm_steps
import lstm_variable
import matmul_relu
import matmul_sum
import mlp_adam
import pytest
import transformer_block

torch = pytest.importorskip("torch")


def _share(found, key, value):
    return found.grouped(key)[value] / found.total


def _keras():
    return pytest.importorskip("keras")


@pytest.mark.parametrize("study", [matmul_sum, matmul_relu])
@pytest.mark.parametrize("framework", ["torch", "tensorflow", "jax"])
def test_gradients_of_a_sum_inherit_nothing(study, framework):
    pytest.importorskip(framework)
    assert _share(study.run(framework, "float32", "gradients"), "phase", "backward") == pytest.approx(1, abs=1e-6)


def test_a_cancelling_sum_shows_the_products_and_a_positive_one_the_sum():
    assert "mm" in matmul_sum.run("torch", "bfloat16", "loss").blame(1)[0].op
    assert "sum" in matmul_relu.run("torch", "bfloat16", "loss").blame(1)[0].op
    assert all(n.local_error == 0 for n in matmul_relu.run("torch").nodes if "relu" in n.op)


def test_the_first_layer_of_the_mlp_makes_most_and_no_class_is_turned():
    found = mlp_adam.run("torch", "float32", "outputs")
    assert _share(found, "scope", "0") > 0.5
    assert found.decision.flipped == 0
    assert 0.05 < _share(mlp_adam.run("torch", "float32", "gradients"), "phase", "forward") < 0.95


def test_adam_of_keras_does_not_move_bfloat16_weights():
    if _keras().backend.backend() != "tensorflow":
        pytest.skip("the page is about Keras on TensorFlow")
    found = mlp_adam.run("keras", "bfloat16", "parameters")
    (top,) = found.blame(1)
    assert (top.phase, top.elements, top.magnitude) == ("optimizer", 1, 1.0)
    assert not found.accused
    assert mlp_adam.moved("keras", "bfloat16") == 0
    assert mlp_adam.moved("keras", "float32") > 50_000
    assert mlp_adam.moved("torch", "bfloat16") > 50_000


def test_gradient_descent_forgets():
    found = linear_sgd.run("torch", "float32", "parameters")
    assert found.total < 2e-7 * found.magnitude
    assert _share(linear_sgd.run("torch", "bfloat16", "parameters"), "phase", "optimizer") > 0.5


def test_the_sigmoid_damps_what_it_inherits():
    for dtype in ("float32", "bfloat16"):
        nodes = dense_sigmoid.run("torch", dtype, "outputs").nodes
        assert next(n for n in nodes if n.op == "aten.sigmoid.default").condition < 0.5


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_the_last_step_of_the_lstm_counts_more_than_the_first(framework):
    steps = lstm_steps.run(framework, "bfloat16", "outputs").grouped("time_step")
    assert abs(steps[9]) > 10 * abs(steps[0])
    assert set(steps) == {None, *range(10)}


def test_every_gate_has_its_contribution_at_every_step():
    found = lstm_steps.run("torch", "float32", "gradients")
    cells = found.grouped(lambda n: (lstm_steps.gate(n), n.time_step))
    assert {(g, t) for g in lstm_steps.GATES for t in range(10)} <= set(cells)


def test_padded_steps_contribute_nothing():
    assert lstm_variable.computed(lstm_variable.run("torch", "float32", "outputs"), 7) == 0
    _keras()
    found = lstm_variable.run("keras", "float32", "outputs")
    assert lstm_variable.computed(found, 7) > 0
    assert all(n.contribution == 0 for n in found.nodes if n.time_step is not None and n.time_step >= 7)


def test_terms_of_a_custom_loss_have_their_lines():
    ops = {n.op: n.source for n in custom_loss.run("torch").nodes if n.phase == "forward"}
    assert ops["aten.sum.default"].startswith("custom_loss.py:")


def test_a_custom_layer_is_a_layer():
    _keras()
    assert _share(custom_layer.run("keras", "float32", "gradients"), "scope", "swish") != 0


@pytest.mark.parametrize("framework", branches.STUDY.recorders)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_turned_decision_is_reported(framework, dtype):
    pytest.importorskip(framework.partition("-")[0])
    found = branches.run(framework, dtype, "outputs")
    assert sum(n.flips for n in found.nodes) >= 1
    jump = sum(n.jump for n in found.nodes)
    assert (jump == pytest.approx(found.total, rel=0.01)) == (framework == "torch-where")


def test_batch_norm_makes_the_error_of_its_statistics():
    for framework, scope in (("torch", "1"), ("keras", "norm")):
        assert _share(cnn.run(framework, "bfloat16", "buffers"), "scope", scope) == pytest.approx(1, abs=0.05)


def test_residual_additions_make_the_error_of_a_bfloat16_transformer():
    half = _share(transformer_block.run("torch", "bfloat16", "outputs"), "op", "aten.add.Tensor")
    single = _share(transformer_block.run("torch", "float32", "outputs"), "op", "aten.add.Tensor")
    assert half > 0.6 > single
