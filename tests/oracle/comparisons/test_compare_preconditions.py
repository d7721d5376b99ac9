"""What must be equal before a comparison means anything: inputs, weights, and that both sides have gradients."""

import numpy as np
import pytest

import oracle
from oracle.comparisons.comparison import Meaning
from oracle.errors import OracleError

torch = pytest.importorskip("torch")
nn = torch.nn


def _x(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _linear():
    torch.manual_seed(1)
    return nn.Linear(3, 2)


def test_other_inputs_are_named():
    found = oracle.compare(_linear(), _linear(), inputs_a=_x(8, 3), inputs_b=_x(8, 3, seed=1))
    assert [c.code for c in found.causes] == ["inputs-differ"]
    assert found.causes[0].share == pytest.approx(1)
    assert found.causes[0].residual < 1e-6 * found.causes[0].before


def test_other_inputs_and_other_weights_are_both_named():
    torch.manual_seed(2)
    found = oracle.compare(_linear(), nn.Linear(3, 2), inputs_a=_x(8, 3), inputs_b=_x(8, 3, seed=1))
    assert {c.code for c in found.causes} == {"inputs-differ", "weights-differ"}


def test_the_same_inputs_in_another_layout_are_the_same():
    torch.manual_seed(3)
    conv = nn.Conv2d(3, 4, 3)

    def channels_last(x):
        return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    x = _x(2, 3, 8, 8)
    found = oracle.compare(conv, channels_last, inputs_a=x, inputs_b=x.permute(0, 2, 3, 1).contiguous())
    assert found.verdict is Meaning.SAME


class _Scaled(nn.Module):
    """A factor that the loss depends on, or that is cut off from it."""

    def __init__(self, detached):
        super().__init__()
        self.linear, self.factor, self.detached = _linear(), nn.Parameter(torch.tensor(1.5)), detached

    def forward(self, x):
        return self.linear(x) * (self.factor.detach() if self.detached else self.factor)


def test_a_gradient_that_one_side_lacks_is_named():
    found = oracle.compare(_Scaled(False), _Scaled(True), _x(8, 3), loss=nn.MSELoss(), target=_x(8, 2, seed=1))
    assert found.verdict is Meaning.DIFFERENT
    (cause,) = found.causes
    assert (cause.code, cause.fix_a) == ("no-gradient", "")
    assert "factor" in cause.detail
    assert cause.residual < 1e-6 * cause.before


def test_a_gradient_that_neither_side_has_is_no_difference():
    found = oracle.compare(_Scaled(True), _Scaled(True), _x(8, 3), loss=nn.MSELoss(), target=_x(8, 2, seed=1))
    assert found.verdict is Meaning.SAME


def test_a_product_outside_of_the_tape_is_named():
    tf = pytest.importorskip("tensorflow")
    arrays = {"x": _x(4, 3).numpy(), "w": _x(3, 2, seed=1).numpy()}

    def outside(model, x, w):
        y = x @ w
        with tf.GradientTape() as tape:
            tape.watch(w)
            loss = tf.reduce_sum(y * y)
        assert tape.gradient(loss, w) is None
        return loss

    def backward(model, x, w):
        loss = ((x @ w) ** 2).sum()
        loss.backward()
        return loss

    a = oracle.record(lambda: None, {n: tf.constant(v) for n, v in arrays.items()}, train_step=outside, full=True,
                      framework="tensorflow")  # fmt: skip
    tensors = {n: torch.from_numpy(v).requires_grad_(n == "w") for n, v in arrays.items()}
    b = oracle.record(lambda: None, tensors, train_step=backward, full=True, framework="torch")
    assert a.steps[-1].unreached == ("w",)
    found = oracle.compare(a, b)
    assert [c.code for c in found.causes] == ["no-gradient"]
    assert "GradientTape" in found.causes[0].fix_a


def test_unreached_survives_a_file(tmp_path):
    trace = oracle.record(_Scaled(True), _x(8, 3), loss=nn.MSELoss(), target=_x(8, 2, seed=1), full=True)
    oracle.save_trace(trace, tmp_path / "a.trace")
    assert oracle.load_trace(tmp_path / "a.trace").steps[-1].unreached == ("factor",)


def test_a_model_that_does_not_run_is_an_error_in_one_line():
    with pytest.raises(OracleError, match=r"Linear does not run on inputs of shape \(2, 5\).*2x5 and 3x2") as caught:
        oracle.record(_linear(), np.zeros((2, 5), np.float32))
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_arguments_that_do_not_fit_together_are_an_error_in_one_line():
    with pytest.raises(OracleError, match="steps is 0"):
        oracle.record(_linear(), _x(2, 3), steps=0)


def test_what_called_the_command_line_is_no_line_of_the_user(tmp_path, monkeypatch):
    from oracle.commands.models import record  # noqa: PLC0415 - used here only

    (tmp_path / "own_models.py").write_text(
        "import torch\n\n"
        "class Own(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return torch.tanh(x)\n\n"
        "def make():\n"
        "    return torch.nn.Sequential(Own(), torch.nn.ReLU()), torch.ones(2)\n"
    )
    monkeypatch.chdir(tmp_path)
    record("own_models:make", output=tmp_path / "a.trace")
    sources = {n.op: n.source for n in oracle.load_trace(tmp_path / "a.trace").nodes}
    assert sources == {"aten.tanh.default": "own_models.py:5", "aten.relu.default": ""}
