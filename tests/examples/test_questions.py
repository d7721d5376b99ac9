"""The founding questions: what each page answers, where another machine must find it too."""

from pathlib import Path

import pytest

from oracle.comparisons.comparison import Meaning

FOLDER = Path(__file__).parents[2]
NAMES = sorted(p.stem for p in (FOLDER / "examples" / "questions").glob("q*.py"))

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")


def _codes(comparison):
    return [c.code for c in comparison.causes]


def test_every_question_has_its_page():
    assert [int(name[1:3]) for name in NAMES] == list(range(1, 16))
    for kind in ("sources/questions", "questions"):
        assert sorted(p.stem for p in (FOLDER / "docs" / kind).glob("*.md")) == NAMES


def test_01_a_graph_computes_the_same_product():
    import q01_static_graph as question  # noqa: PLC0415

    found = question.measure(compiled=False)
    assert found["eager equals graph"]
    assert {row["verdict"] for row in found["ways"]} == {"WITHIN_BUDGET"}
    assert all(row["ulp at scale"] < 256 for row in found["ways"])


def test_01_the_order_of_a_sum_is_found():
    import numpy as np  # noqa: PLC0415
    import q01_static_graph as question  # noqa: PLC0415

    def chain(x, w):
        total = np.zeros((len(x), w.shape[1]), np.float32)
        for k in range(x.shape[1]):
            total += x[:, k : k + 1] * w[k : k + 1]
        return total

    def two_chains(x, w):
        return chain(x[:, ::2], w[::2]) + chain(x[:, 1::2], w[1::2])

    def blocks(x, w):
        return chain(x[:, :32], w[:32]) + chain(x[:, 32:], w[32:])

    orders = [question.order(f, np.array, terms=64) for f in (chain, two_chains, blocks)]
    assert orders == ["in order", "in 2 interleaved chains", "in order, in blocks of 32"]


@pytest.mark.slow
def test_01_compilers_and_keras_compute_the_same_product():
    import q01_static_graph as question  # noqa: PLC0415

    found = question.measure()
    (compiled,) = (row for row in found["ways"] if row["product"] == "torch.compile")
    assert compiled["same bits as torch eager"] == "100%"
    assert [row["same"] for row in found["keras"]] == ["yes"] * 3


@pytest.mark.parametrize("name", ["GELU, ported", "CNN, NHWC to NCHW, eps given", "LeakyReLU, defaults"])
def test_02_meaning_outweighs_rounding(name):
    import q02_semantics_or_rounding as question  # noqa: PLC0415

    (row,) = question.measure((name,))["pairs"]
    assert (row["verdict"] == "SAME MEANING") == row["correct"]
    assert (row["semantics"] > 100 * row["rounding torch"]) != row["correct"]


@pytest.mark.slow
def test_02_every_pair_is_judged_right():
    import q02_semantics_or_rounding as question  # noqa: PLC0415

    rows = question.measure()["pairs"]
    assert [r["correct"] for r in rows] == [r["verdict"] == "SAME MEANING" for r in rows]
    wrong = {r["pair"]: r["cause"] for r in rows if not r["correct"]}
    assert wrong == {
        "layer norm, defaults": "eps",
        "LeakyReLU, defaults": "activation-slope",
        "GELU against its tanh form": "gelu-form",
        "batch norm, defaults": "eps",
        "'same' with stride 2 as padding=1": "padding",
    }


def test_03_gradients_of_a_port_differ_by_rounding_alone():
    import q03_autodiff as question  # noqa: PLC0415

    (row,) = question.measure(("relu, ported",))["pairs"]
    assert row["semantics"] == 0
    assert row["torch, inherited"] > row["torch, made backward"] > 0


def test_04_libraries_are_alike():
    import q04_libraries as question  # noqa: PLC0415

    rows = question.measure((16, 64))["libraries"]
    assert {row["verdict"] for row in rows} == {"WITHIN_BUDGET"}
    assert all(row["n = 64"] < 8 for row in rows)


def test_05_compiled_and_eager_are_both_within_budget():
    import q05_fused_and_simd as question  # noqa: PLC0415

    found = question.measure(values=50, compiled=False)
    assert {row["function"] for row in found["tails"]} == set(question.FUNCTIONS)
    assert all(row["ulp apart"] <= 8 for row in found["tails"])
    assert {row["verdict, compiled"] for row in found["compiled"]} <= {"WITHIN_BUDGET", "CORRECT"}


def test_06_the_same_lstm_in_another_order_means_the_same():
    import q06_lstm_state as question  # noqa: PLC0415

    found = question.measure()
    assert found["comparison"].verdict is Meaning.SAME
    for explained in found["explained"].values():
        assert abs(explained.remainder) <= 1e-6 * abs(explained.total)
        assert explained.total < 2e-6 * explained.magnitude


def test_07_errors_do_not_snowball():
    import q07_snowball as question  # noqa: PLC0415

    shallow, deep = (question.depth(n) for n in (2, 16))
    assert deep["error of the outputs"] < 8 * shallow["error of the outputs"]
    assert deep["amplified by a layer"] < 1
    first, last = (question.training(n) for n in (1, 10))
    assert last["error of the weights, torch"] < 10 * first["error of the weights, torch"]
    assert last["Keras against torch"] < 1e-6


def test_08_a_branch_is_the_same_in_every_form():
    import q08_branching as question  # noqa: PLC0415

    found = question.measure()
    rows = {row["form"]: row for row in found["bits"]}
    for form in ("torch, where", "TensorFlow, if", "TensorFlow, tf.cond"):
        assert rows[form]["elements that differ from torch, if"] == 0
    assert all(row["largest, ulp"] <= 1 for row in found["bits"])
    assert all(row["decisions turned"] >= 1 for row in found["decisions"])


def test_09_two_causes_are_named():
    import q09_equivalent_mlp as question  # noqa: PLC0415

    found = question.compare(softmax=True, eps=1e-8, features=12, hidden=8)
    assert _codes(found) == ["double-softmax", "optimizer-eps"]
    assert "eps=1e-07" in found.causes[1].fix_b


@pytest.mark.slow
def test_09_two_causes_are_named_in_the_model_of_the_question():
    import q09_equivalent_mlp as question  # noqa: PLC0415

    assert _codes(question.compare(softmax=True, eps=1e-8)) == ["double-softmax", "optimizer-eps"]


def test_10_shapes_that_do_not_fit_are_said_in_one_line():
    import q10_custom_layer_shapes as question  # noqa: PLC0415

    found = question.measure()
    four, three, meant = found["shapes"]
    for framework in ("Keras", "torch"):
        assert "does not run on inputs of shape (2, 3)" in four[framework]
        assert three[framework] == "result (2,)"
        assert meant[framework] == "result (2, 4)"
    assert found["both"].verdict is Meaning.SAME


def test_11_nothing_is_loaded_half():
    import q11_copy_the_weights as question  # noqa: PLC0415

    found = question.measure()
    assert "holds 71 numbers in 4 arrays, given 15" in found["15 numbers"]
    assert found["weights untouched"]
    assert "weights-differ" in _codes(found["before"])
    assert found["port"].numbers == 71
    assert found["after"].verdict is Meaning.SAME


def test_12_the_last_element_along_the_wrong_axis():
    import q12_last_step as question  # noqa: PLC0415

    right, also_right, wrong, refused = question.measure().values()
    assert (right.verdict, also_right.verdict) == (Meaning.SAME, Meaning.SAME)
    assert wrong.verdict is Meaning.DIFFERENT
    assert _codes(wrong) == ["batch-first"]
    assert "(4, 1)" in refused
    assert "(10, 1)" in refused


def test_13_a_product_outside_of_the_tape_is_named():
    import q13_outside_the_tape as question  # noqa: PLC0415

    found = question.measure()
    assert found["inside"].verdict is Meaning.SAME
    assert _codes(found["outside"]) == ["no-gradient"]


def test_14_the_custom_loss_is_its_formula():
    import q14_custom_loss as question  # noqa: PLC0415

    rows = question.measure()["checks"]
    assert len(rows) == 6
    assert {row["verdict"] for row in rows} <= {"CORRECT", "WITHIN_BUDGET"}


def test_15_two_draws_are_told_apart_from_two_meanings():
    import q15_two_draws as question  # noqa: PLC0415

    found = question.measure()
    assert set(_codes(found["each its own draws"])) == {"inputs-differ", "weights-differ"}
    assert set(_codes(found["the same data"])) <= {"weights-differ", "weights-not-loaded"}
    assert found["the same data and weights"].verdict is Meaning.SAME
