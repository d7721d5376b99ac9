"""`oracle.check`: a user's own function against its definition, whatever the framework."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import oracle
from oracle.checks.checking import check
from oracle.checks.foreign import leaves, to_numpy
from oracle.errors import OracleError
from oracle.types import Verdict

LEGAL = (Verdict.CORRECT, Verdict.WITHIN_BUDGET)


def normal(*shape: int, seed: int = 0, dtype="float32") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def affine(x, weight):
    return x @ weight.T


def test_the_verb_is_the_function_however_often_it_is_named():
    assert oracle.check is check
    assert oracle.check is check


def test_numpy_right_and_wrong():
    x = normal(300)
    assert check(np.tanh, reference=jnp.tanh, inputs=x).verdict in LEGAL
    wrong = check(lambda v: np.tanh(v) * np.float32(1.001), reference=jnp.tanh, inputs=x)
    assert wrong.verdict is Verdict.BEYOND_BUDGET
    assert wrong.max_ulp > 1000
    assert wrong.budget_used > 100
    with pytest.raises(AssertionError, match=r"(?s)BEYOND_BUDGET: 300 of 300 .*\n  worst of out: at \[\d+\] x="):
        wrong.raise_if_beyond()


def test_a_right_result_passes_through():
    result = check(np.sqrt, reference=jnp.sqrt, inputs=np.abs(normal(50)))
    assert result.verdict is Verdict.CORRECT
    assert result.raise_if_beyond() is result
    assert result.max_ulp <= 0.5


def test_a_check_is_no_bool():
    result = check(np.sqrt, reference=jnp.sqrt, inputs=np.float32([2.0]))
    with pytest.raises(TypeError, match=r"result\.verdict"):
        assert result
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(result)


def test_the_text_names_everything_that_is_needed():
    text = str(check(np.exp, reference=jnp.exp, inputs={"logits": normal(40)}))
    assert text == repr(check(np.exp, reference=jnp.exp, inputs={"logits": normal(40)}))
    for part in (
        "out (float32): ",
        " ulp",
        "of the budget",
        "40 elements",
        "worst of out: at [",
        "logits=",
        "true value",
    ):
        assert part in text


def test_several_results_in_nested_containers():
    def fn(x):
        return {"b": np.exp(x), "a": (x.sum(-1), x.max(-1))}

    def reference(x):
        return {"a": (x.sum(-1), x.max(-1)), "b": jnp.exp(x)}

    result = check(fn, reference=reference, inputs=normal(4, 33))
    assert [a.name for a in result.arrays] == ["out[0]", "out[1]", "out[2]"]
    assert result.verdict in LEGAL
    swapped = check(lambda x: (x.max(-1), x.sum(-1), np.exp(x)), reference=reference, inputs=normal(4, 33))
    assert swapped.verdict is Verdict.BEYOND_BUDGET


def test_integers_are_taken_as_they_are():
    def pick(table, index):
        return table[index]

    assert check(pick, reference=pick, inputs=[normal(7, 3), np.array([6, 0, 2])]).verdict is Verdict.CORRECT


def test_only_elementwise_results_are_labelled_with_their_inputs():
    x = normal(6, 6)
    assert check(np.exp, reference=jnp.exp, inputs=x).worst["inputs"].keys() == {"x"}
    matmul = check(np.matmul, reference=jnp.matmul, inputs=[x, x])
    assert matmul.worst["inputs"] == {}
    assert check(lambda v: np.cumsum(v, 0), reference=lambda v: jnp.cumsum(v, 0), inputs=x).worst["inputs"] == {}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", ml_dtypes.bfloat16])
def test_the_format_is_that_of_the_result(dtype):
    x = normal(30, dtype=dtype)
    result = check(lambda v: np.tanh(v.astype(np.float64)).astype(dtype), reference=jnp.tanh, inputs=x)
    assert result.arrays[0].format == np.dtype(dtype).name
    assert result.verdict in LEGAL


def test_a_format_can_be_named_for_results_stored_in_a_wider_type():
    x = normal(30)

    def in_bfloat16(v):
        return np.tanh(v).astype(ml_dtypes.bfloat16).astype(np.float32)

    assert check(in_bfloat16, reference=jnp.tanh, inputs=x).verdict is Verdict.BEYOND_BUDGET
    assert check(in_bfloat16, reference=jnp.tanh, inputs=x, format="bfloat16").verdict in LEGAL
    with pytest.raises(OracleError, match="no number of bfloat16"):
        check(np.tanh, reference=jnp.tanh, inputs=x, format="bfloat16")


def test_a_numpy_gradient_is_given_as_a_function():
    x = normal(100)

    def slope(v, cotangent, factor=1.0):
        return (cotangent * np.exp(v) * np.float32(factor)).astype(np.float32)

    right = check(np.exp, reference=jnp.exp, inputs=x, grad=slope)
    assert [a.name for a in right.arrays] == ["out", "gradient of x"]
    assert right.verdict in LEGAL
    wrong = check(np.exp, reference=jnp.exp, inputs=x, grad=lambda v, c: slope(v, c, 1.001))
    assert (wrong.verdict, wrong.gravest.name) == (Verdict.BEYOND_BUDGET, "gradient of x")
    assert wrong.gravest.judgement.curve["x"]


def test_flushed_subnormals_are_named_and_not_accused():
    x = np.float32([1e-40, 0.5, -3e-39])
    result = check(lambda v: np.where(np.abs(v) < 1e-37, np.float32(0), v), reference=lambda v: v * 1.0, inputs=x)
    assert result.verdict in LEGAL
    assert "FLUSHED: 2 of 3" in result.reason


def test_jax_forward_and_gradient():
    inputs = {"x": jnp.asarray(normal(5, 9)), "weight": jnp.asarray(normal(4, 9, seed=1))}
    result = check(affine, reference=affine, inputs=inputs, grad=True)
    assert [a.name for a in result.arrays] == ["out", "gradient of x", "gradient of weight"]
    assert result.verdict in LEGAL
    wrong = jax.custom_vjp(affine)
    wrong.defvjp(lambda x, w: (x @ w.T, (x, w)), lambda kept, g: (g @ kept[1], 1.001 * g.T @ kept[0]))
    found = check(wrong, reference=affine, inputs=inputs, grad=True)
    assert (found.verdict, found.gravest.name) == (Verdict.BEYOND_BUDGET, "gradient of weight")


def test_torch_forward_and_gradient_leave_the_inputs_alone():
    torch = pytest.importorskip("torch")
    x, weight = torch.tensor(normal(5, 9)), torch.tensor(normal(4, 9, seed=1), requires_grad=True)
    for dtype in (torch.float32, torch.bfloat16):
        given = [x.to(dtype), weight.to(dtype)]
        result = check(torch.nn.functional.linear, reference=affine, inputs=given, grad=True)
        assert result.verdict in LEGAL
        assert len(result.arrays) == 3
    assert weight.grad is None
    assert not x.requires_grad
    layer = torch.nn.GELU(approximate="tanh")
    exact_gelu = lambda v: v / 2 * jax.scipy.special.erfc(-v / jnp.sqrt(2.0))  # noqa: E731
    assert check(layer, reference=exact_gelu, inputs=x).verdict is Verdict.BEYOND_BUDGET


@pytest.mark.slow
def test_tensorflow_forward_and_gradient():
    code = (
        "import numpy as np, tensorflow as tf, oracle\n"
        "x = tf.constant(np.random.default_rng(0).standard_normal((5, 9)), tf.float32)\n"
        "w = tf.Variable(np.random.default_rng(1).standard_normal((4, 9)), dtype=tf.float32)\n"
        "right = oracle.check(lambda x, w: tf.matmul(x, w, transpose_b=True), reference=lambda x, w: x @ w.T,"
        " inputs=[x, w], grad=True)\n"
        "wrong = oracle.check(lambda x, w: tf.matmul(x, w, transpose_b=True) * 1.001,"
        " reference=lambda x, w: x @ w.T, inputs=[x, w], grad=True)\n"
        "print([a.name for a in right.arrays], right.verdict, wrong.verdict)"
    )
    pytest.importorskip("tensorflow")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['out', 'gradient of x0', 'gradient of x1'] WITHIN_BUDGET BEYOND_BUDGET"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fn": lambda x: x[1:]}, r"out has shape \[4\], the reference \[5\]"),
        ({"fn": lambda x: (x, x)}, "the reference returns 1 arrays, the function 2"),
        ({"fn": lambda x: x > 0}, "unknown number format 'bool'"),
        ({"inputs": []}, "give at least one array"),
        ({"inputs": np.array(["a"])}, "input x: unknown number format"),
        ({"format": "float31"}, "unknown number format 'float31'"),
        ({"reference": jnp.linalg.svd}, "the reference cannot be evaluated"),
        ({"reference": lambda x, y: x}, "the reference cannot be evaluated.*missing 1 required"),
        ({"grad": True}, r"for NumPy give a function grad"),
        ({"grad": lambda x, c: (x, x)}, "2 gradients for 1 floating-point inputs"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(arguments, message):
    given = {"fn": np.exp, "reference": jnp.exp, "inputs": normal(5), **arguments}
    with pytest.raises(OracleError, match=message) as raised:
        check(given.pop("fn"), **given)
    assert "\n" not in str(raised.value)


def test_an_error_in_the_users_function_is_the_users():
    with pytest.raises(ZeroDivisionError):
        check(lambda x: 1 // 0, reference=jnp.exp, inputs=normal(3))


def test_leaves_follow_jax():
    tree = {"z": [1, (2, None)], "a": 3}
    assert leaves(tree) == jax.tree_util.tree_leaves(tree)


def test_torch_arrays_keep_their_format():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2, torch.float8_e4m3fn):
        x = torch.tensor([1.5, -0.25, 0.0]).to(dtype)
        array = to_numpy(x)
        assert array.dtype.name == str(dtype).removeprefix("torch.")
        assert array.astype(float).tolist() == [1.5, -0.25, 0.0]


def test_importing_the_verb_loads_no_framework():
    code = "import sys, oracle; oracle.check; print([m for m in ('torch', 'tensorflow', 'keras') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
