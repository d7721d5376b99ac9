"""The registry, rows and refusals."""

import subprocess
import sys

import numpy as np
import pytest

from oracle.adapters import Refusal, Request, adapter_named, adapters
from oracle.adapters.base import Adapter
from oracle.adapters.program import Snippet
from oracle.reference.operation import get_operation, operations

FRAMEWORKS = ("torch", "tensorflow", "keras")


def test_importing_the_adapters_imports_no_framework() -> None:
    code = (
        "import sys; from oracle.adapters import adapters; import oracle.adapters.worker; names = list(adapters());"
        f"print(names, [m for m in {(*FRAMEWORKS, 'jax')!r} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("[]")
    assert "keras-torch" in out


def test_every_row_is_of_a_known_operation_and_compiles() -> None:
    for name, adapter in adapters().items():
        assert set(adapter.rows) <= set(operations()), name
        for row in adapter.rows.values():
            snippet = Snippet.parse(row)
            compile(snippet.setup, name, "exec")
            compile(snippet.call, name, "exec")


def test_a_row_is_condition_setup_and_call() -> None:
    snippet = Snippet.parse("# where eps > 0\nlayer = Layer(eps)\n\nout = layer(x)")
    assert (snippet.condition, snippet.setup, snippet.call) == ("eps > 0", "layer = Layer(eps)", "out = layer(x)")
    assert snippet.covers({"eps": 1}) is True
    assert snippet.covers({"eps": 0}) is False
    assert snippet.uses("x")
    assert not snippet.uses("layers")


def test_a_row_assigns_every_output() -> None:
    for adapter in adapters().values():
        for name, row in adapter.rows.items():
            for output in get_operation(name).outputs:
                assert Snippet.parse(row).uses(output), (adapter.name, name, output)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("no_such_operation", "float32", "eager"), "no operation for no_such_operation"),
        (("exp", "float128", "eager"), "no format float128"),
        (("exp", "float32", "warp"), "no mode warp"),
        (("matmul", "float64", "autocast-bfloat16"), "takes float32 arrays"),
    ],
)
def test_what_cannot_be_asked_is_said_before(asked: tuple[str, str, str], words: str) -> None:
    reason = adapter_named("torch").supports(*asked)
    assert reason is not None
    assert words in reason


def test_a_policy_needs_a_layer() -> None:
    keras = adapter_named("keras-jax")
    assert "would change nothing" in (keras.supports("exp", "float32", "mixed_bfloat16") or "")
    assert keras.supports("linear", "float32", "mixed_bfloat16") is None


def test_a_condition_refuses_the_other_convention() -> None:
    op = get_operation("sgd_momentum")
    arrays = {a.name: np.ones(3, np.float32) for a in op.args}
    request = Request(operation=op.name, arrays=arrays, attrs=op.config("lr_inside").attrs)
    assert "only where not lr_in_velocity" in (adapter_named("torch").refusal(request) or "")


def test_an_unknown_adapter_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"expected one of .*torch"):
        adapter_named("caffe")


def test_numpy_refuses_gradients() -> None:
    x = np.ones(3, np.float32)
    request = Request(operation="exp", arrays={"x": x}, direction="vjp", cotangents=(x,))
    with pytest.raises(Refusal, match="numpy does not differentiate"):
        adapter_named("numpy").run(request)


def test_an_operation_without_gradient_refuses_it() -> None:
    x = np.ones(3, np.float32)
    request = Request(operation="sgd", arrays={"parameter": x, "gradient": x}, direction="vjp", cotangents=(x,))
    assert adapter_named("torch").refusal(request) == "sgd has no gradient"


def test_versions_are_those_installed() -> None:
    for adapter in adapters().values():
        assert isinstance(adapter, Adapter)
        assert (adapter.version() != "absent") == adapter.available()
