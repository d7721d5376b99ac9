"""Bad input to `record` and `compare`: one line that names the value, what was expected and what to do."""

import copy
import dataclasses
import warnings
import zipfile

import numpy as np
import pytest

import oracle
from oracle.comparisons.comparison import Meaning
from oracle.errors import OracleError

torch = pytest.importorskip("torch")
nn = torch.nn


def _dense(outputs=4):
    torch.manual_seed(0)
    return nn.Linear(8, outputs)


X = torch.linspace(-1, 1, 24).reshape(3, 8)


class _Returns(nn.Module):
    """A dense layer whose result `shape` wraps."""

    def __init__(self, shape):
        super().__init__()
        self.dense, self.shape = _dense(), shape

    def forward(self, x):
        return self.shape(self.dense(x))


@dataclasses.dataclass
class _Output:
    logits: object
    hidden: object


STEP = {"train_step": True, "loss": nn.MSELoss(), "target": torch.zeros(3, 4)}
REFUSED = {
    "no model": (lambda: (5, 6, X), {}, "5 is no model; pass a torch module"),
    "no inputs for B": (lambda: (_dense(), _dense()), {"inputs_a": X}, "no inputs to run B on; pass inputs="),
    "shape": (lambda: (_dense(), _dense(), X[:, :7]), {}, r"inputs of shape \(3, 7\) float32: .*cannot be multiplied"),
    "format": (lambda: (_dense().bfloat16(), _dense(), X), {}, r"inputs are float32.*bfloat16.*x\.to\(torch\.bfloat16"),
    "numpy's format": (lambda: (_dense(), _dense(), np.ones((3, 8))), {}, r"inputs are float64.*x\.to\(torch\.float32"),
    "numbers": (lambda: (_dense(), _dense(), [[1.0] * 8]), {}, "a list of Python numbers; pass an array"),
    "arguments": (lambda: (_dense(), _dense(), {"y": X}), {}, "unexpected keyword argument 'y'"),
    "sizes": (lambda: (_dense(), _dense(5), X), {}, r"\(3, 4\) float32\) has a counterpart in B \(\(3, 5\)"),
    "batches": (lambda: (_dense(), _dense()), {"inputs_a": X, "inputs_b": X[:2]}, "the inputs differ too"),
    "nothing returned": (lambda: (_Returns(lambda y: None), _dense(), X), {}, "A returned no array"),
    "whole numbers": (lambda: (_dense(), _Returns(lambda y: y.argmax(-1)), X), {}, "B returns whole numbers alone"),
    "empty": (lambda: (_dense(), _dense(), X[:0]), {}, r"hold no numbers \(shapes \(0, 4\)\)"),
    "NaN": (lambda: (_dense(), _dense(), X * np.nan), {}, "is NaN on both sides; input holds NaN"),
    "option": (lambda: (_dense(), _dense(), X), {"losss": 1}, "unknown option 'losss' for a torch model; it takes"),
    "loss": (lambda: (_dense(), _dense(), X), {**STEP, "loss": "mse"}, "loss is 'mse'; pass a function"),
    "class": (lambda: (_dense(), _dense(), X), {**STEP, "optimizer": torch.optim.SGD}, "the class SGD, not an opt"),
    "one optimizer": (
        lambda: (_dense(), _dense(), X),
        {**STEP, "optimizer": torch.optim.SGD(_dense().parameters(), 0.1)},
        "steps none of the model's parameters; make one for each model",
    ),
    "step": (lambda: (_dense(), _dense(), X), {"train_step": lambda model: None}, "takes 1 positional argument but 2"),
    "loss of one": (lambda: (_dense(), _dense(), X), {**STEP, "loss": lambda y: y.sum()}, "takes 1 positional arg"),
    "inputs of a run": (
        lambda: (oracle.record(_dense(), X), _dense()),
        {"inputs_a": X, "inputs_b": X},
        "A is a recorded run with inputs of its own; leave out inputs_a",
    ),
    "complex": (lambda: (_Returns(torch.fft.fft), _dense(), X), {}, "A returns complex numbers.*view_as_real"),
    "builtin": (lambda: (torch.exp, _dense(), (X, X, X)), {"framework": "torch"}, r"exp does not run on .*argument"),
    "key": (lambda: (_Returns(lambda y: {"y": y}["z"]), _dense(), X), {}, "KeyError: 'z'; run it once"),
    "quantized": (
        lambda: (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8).dequantize(), _dense(), X),
        {},
        "qint8 cannot be recorded.*record the model before it is quantized",
    ),
    "no trace": (lambda: ("models:net", _dense(), X), {}, "a model is passed as the object, not by its name"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_refused_in_one_line(what):
    models, options, message = REFUSED[what]
    with pytest.raises(OracleError, match=message) as refused:
        oracle.compare(*models(), **options)
    assert "\n" not in str(refused.value)


def test_shared_weights_are_not_trained_twice():
    net = _dense()
    step = {**STEP, "optimizer": torch.optim.SGD(net.parameters(), 0.1)}
    with pytest.raises(OracleError, match="share their weights"):
        oracle.compare(net, net, X, **step)
    other = copy.deepcopy(net)
    both = (step["optimizer"], torch.optim.SGD(other.parameters(), 0.1))
    assert oracle.compare(net, other, X, **{**step, "optimizer": both}).verdict is Meaning.SAME


def test_statistics_alone_name_the_side():
    trace = oracle.record(_dense(), X, full=False)
    with pytest.raises(OracleError, match="B was recorded as statistics only"):
        oracle.compare(oracle.record(_dense(), X), trace)


def test_every_damaged_byte_is_one_line(tmp_path):
    path = oracle.save_trace(oracle.record(_dense(), X), tmp_path / "good.trace")
    whole, generator, refused = path.read_bytes(), np.random.default_rng(0), 0
    for place in generator.integers(0, len(whole), 150):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << generator.integers(8)
        path.write_bytes(damaged)
        try:
            oracle.load_trace(path)
        except OracleError as error:
            refused += 1
            assert "damaged" in str(error) or "cannot read" in str(error)  # noqa: PT017
    assert refused > 50
    assert zipfile.is_zipfile(path)


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        (lambda y: {"logits": y, "p": y.softmax(-1)}, ["output.logits", "output.p"]),
        (lambda y: _Output(y, (y, 2 * y)), ["output.logits", "output.hidden.0", "output.hidden.1"]),
        (lambda y: [y, (y, None)], ["output.0", "output.1.0"]),
    ],
)
def test_outputs_in_any_nest_are_compared(shape, names):
    found = oracle.compare(_Returns(shape), _Returns(shape), X)
    assert [t.name_a for t in found.targets] == names
    assert found.verdict is Meaning.SAME


def test_outputs_are_paired_by_name_before_order():
    found = oracle.compare(_Returns(lambda y: {"a": y, "b": y.relu()}), _Returns(lambda y: {"b": y.relu(), "a": y}), X)
    assert [(t.name_a, t.name_b) for t in found.targets] == [("output.a", "output.a"), ("output.b", "output.b")]
    assert found.verdict is Meaning.SAME


def test_what_is_not_compared_is_said():
    found = oracle.compare(_Returns(lambda y: (y[:, :2], y, y.argmax(-1))), _Returns(lambda y: (y, y.argmin(-1))), X)
    assert [(t.name_a, t.name_b) for t in found.targets] == [("output.1", "output.0")]
    assert any("outputs of A without a counterpart, not compared: output.0" in n for n in found.notes)


def test_runs_of_other_lengths_are_compared_as_far_as_they_go():
    found = oracle.compare(_dense(), _dense(), X, **STEP, steps=(2, 3))
    assert "A ran 2 steps and B 3: the first 2 are compared" in found.notes


def test_whole_numbers_beside_real_ones_are_counted():
    found = oracle.compare(
        _Returns(lambda y: {"y": y, "k": y.argmax(-1)}), _Returns(lambda y: {"y": y, "k": y.argmin(-1)}), X
    )
    assert "output.k holds whole numbers, no part of the identity: 3 of 3 differ" in found.notes


def test_infinite_inputs_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = X.clone()
        x[0, 0] = float("inf")
        assert oracle.compare(_dense(), _dense(), x).verdict is Meaning.SAME


def test_arrays_of_other_frameworks_are_inputs_too():
    jax = pytest.importorskip("jax")
    found = oracle.compare(_dense(), _dense(), jax.numpy.asarray(X.numpy()))
    assert found.verdict is Meaning.SAME


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((np.ones((3, 8)), np.ones(3)), "takes 1 positional argument but 2 were given"),
        (np.ones((3, 5)), "contracting dimensions"),
    ],
)
def test_a_jax_function_that_does_not_fit_is_one_line(inputs, message):
    jax = pytest.importorskip("jax")

    def dense(x):
        return jax.numpy.dot(x, jax.numpy.ones((8, 4)))

    with pytest.raises(OracleError, match=message):
        oracle.compare(dense, dense, inputs)


def test_the_sides_are_called_what_the_user_calls_them(tmp_path):
    path = str(oracle.save_trace(oracle.record(_dense(), X), tmp_path / "release.trace"))
    found = oracle.compare(path, _dense(), inputs_b=X)
    assert found.name_a == path
    assert found.name_b == f"Linear (torch {torch.__version__})"


def test_files_are_written_into_new_folders_or_refused(tmp_path):
    found = oracle.compare(_dense(), _dense(), X)
    assert found.to_html(tmp_path / "new" / "page.html").exists()
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(OracleError, match=r"cannot write .*choose another place"):
        found.to_json(tmp_path / "file" / "x.json")


def test_what_a_prompt_shows_is_the_answer():
    found = oracle.compare(_dense(), _dense(), X)
    explained = oracle.explain(oracle.record(_dense(), X))
    for answer in (found, explained, oracle.port(_dense(), _dense())):
        assert repr(answer) == str(answer)


@pytest.mark.parametrize("outputs", [1, 40])
def test_weights_that_are_no_numbers_are_told_with_a_script_that_runs(outputs):
    spoilt = _dense(outputs)
    with torch.no_grad():
        spoilt.weight.fill_(float("nan"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (cause,) = oracle.compare(_dense(outputs), spoilt, X).causes
    assert cause.code == "weights-differ"
    assert "np.nan" in cause.reproduction
    exec(cause.reproduction, {})
