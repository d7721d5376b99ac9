"""A reproduction runs as it is in a fresh process and prints the number that the audit saw."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from oracle.adapters import Refusal, Request, adapter_named
from oracle.adapters.reproduce import reproduction, same
from oracle.adapters.worker import Worker
from oracle.reference.formats import format_named

RNG = np.random.default_rng(7)


def normal(*shape: int, fmt: str = "float32") -> np.ndarray:
    return format_named(fmt).round(RNG.standard_normal(shape))


def printed(script: str) -> str:
    """What the script prints in a fresh process: decimal and hexadecimal."""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.fixture(scope="module")
def torch() -> Iterator[Worker]:
    with Worker("torch") as worker:
        yield worker


def check(worker: Worker, request: Request, index: tuple[int, ...], output: str = "") -> str:
    """The script, after seeing that it prints what the worker returned."""
    response = worker.run(request).response
    assert response
    seen = float(response.outputs[response.names.index(output or response.names[0])][index])
    script = worker.reproduction(request, index, output)
    assert printed(script) == f"{seen} {seen.hex()}"
    return script


def test_one_element_of_an_elementwise_operation(torch: Worker) -> None:
    script = check(torch, Request(operation="exp", arrays={"x": normal(4099)}), (17,))
    assert "import torch\n" in script
    assert "functional" not in script
    assert len(script.splitlines()) <= 10


def test_a_defect_of_the_vector_path_keeps_a_vector(torch: Worker) -> None:
    x = np.full(4099, 3e38, np.float32)
    script = check(torch, Request(operation="gelu_erf", arrays={"x": x}), (5,))
    assert "] * 4099" in script
    assert "vector kernel" in script


def test_a_gradient_with_attributes_and_several_results(torch: Worker) -> None:
    x, weight, bias = normal(9, 17), normal(17), normal(17)
    request = Request(
        operation="layer_norm", arrays={"x": x, "weight": weight, "bias": bias}, attrs={"eps": 1e-5},
        direction="vjp", cotangents=(normal(9, 17),),
    )  # fmt: skip
    script = check(torch, request, (3, 5), "x")
    assert "eps = 1e-05" in script
    check(torch, request, (5,), "weight")


def test_a_batch_is_cut_to_the_row_that_matters(torch: Worker) -> None:
    script = check(torch, Request(operation="softmax", arrays={"x": normal(33, 7)}, attrs={"axis": -1}), (20, 3))
    assert "unpack" not in script
    assert "out[0, 3]" in script


def test_layers_and_large_arrays(torch: Worker) -> None:
    shapes = {"x": (5, 3, 7), "h0": (3, 10), "c0": (3, 10), "weight_ih": (40, 7), "weight_hh": (40, 10)}
    arrays = {name: normal(*shape) for name, shape in shapes.items()} | {"bias_ih": normal(40), "bias_hh": normal(40)}
    script = check(torch, Request(operation="lstm", arrays=arrays), (4, 1, 2), "sequence")
    assert "torch.nn.LSTM" in script


def test_bfloat16_and_a_mixed_mode(torch: Worker) -> None:
    check(torch, Request(operation="silu", arrays={"x": normal(9, fmt="bfloat16")}, format="bfloat16"), (4,))
    matrices = {"a": normal(5, 8), "b": normal(8, 3)}
    script = check(torch, Request(operation="matmul", arrays=matrices, mode="autocast-bfloat16"), (2, 1))
    assert "torch.autocast('cpu', dtype=torch.bfloat16)" in script


@pytest.mark.parametrize(
    ("name", "mode", "fmt", "words"),
    [
        ("jax", "jit", "float64", "jax.jit(gradient)"),
        ("tensorflow", "function", "float32", "tf.function(gradient)"),
        ("keras-torch", "eager", "float64", 'os.environ["KERAS_BACKEND"] = "torch"'),
    ],
)
def test_other_frameworks(name: str, mode: str, fmt: str, words: str) -> None:
    if not adapter_named(name).available():
        pytest.skip(f"{name} is not installed")
    arrays = {"x": normal(4, 6, fmt=fmt), "weight": normal(3, 6, fmt=fmt), "bias": normal(3, fmt=fmt)}
    cotangents = (normal(4, 3, fmt=fmt),)
    with Worker(name) as worker:
        request = Request(
            operation="linear", arrays=arrays, format=fmt, mode=mode, direction="vjp", cotangents=cotangents
        )
        assert words in check(worker, request, (1, 2), "weight")


def test_special_values_are_written_exactly() -> None:
    x = np.array([np.inf, -np.inf, np.nan, -0.0, 1e-45, 3.4e38], np.float32)
    numpy = adapter_named("numpy")
    for place, value in enumerate(x):
        script = reproduction(numpy, Request(operation="abs", arrays={"x": x}), (place,))
        assert printed(script) == f"{abs(float(value))} {abs(float(value)).hex()}"


def test_a_script_that_shows_another_number_would_be_noticed() -> None:
    """The reduction to one element is refused where the element alone gives another number."""
    summed = replace(adapter_named("numpy"), rows={"exp": "out = np.exp(x) + x.sum()"})
    x = normal(5)
    script = reproduction(summed, Request(operation="exp", arrays={"x": x}), (2,))
    assert "neighbours" in script
    expected = (np.exp(x) + x.sum())[2]
    assert printed(script) == f"{float(expected)} {float(expected).hex()}"


def test_what_the_framework_does_not_survive_has_a_script_too() -> None:
    rows = {"exp": "import os\nout = os._exit(3)", "log": "out = np.log(x, out='no array')"}
    with Worker(replace(adapter_named("numpy"), rows=rows)) as worker:
        for name, words in (("exp", ""), ("log", "TypeError")):
            script = worker.reproduction(Request(operation=name, arrays={"x": normal(3)}), (1,))
            run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
            assert run.returncode != 0
            assert words in run.stderr
        with pytest.raises(Refusal, match="no operation for sin"):
            worker.reproduction(Request(operation="sin", arrays={"x": normal(3)}), (1,))


def test_same_means_the_same_bits() -> None:
    assert same(np.float32([0.0, np.nan]), np.float32([0.0, np.nan]))
    assert not same(np.float32([0.0]), np.float32([-0.0]))
    assert not same(np.float32([1.0]), np.float32([[1.0]]))
    assert not same(np.float32([1.0]), np.float64([1.0]))
