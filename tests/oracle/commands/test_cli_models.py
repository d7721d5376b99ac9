"""The verbs about whole models on the command line: what they are given, what they refuse, how they end."""

import json
import sys

import numpy as np
import pytest

from oracle.commands import cli
from oracle.reports.schema import validate

pytest.importorskip("torch")

MODELS = """
import torch
from torch import nn


def mine(eps=1e-3):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.LayerNorm(32, eps=eps), nn.GELU(), nn.Linear(32, 4))
    return net, torch.randn(16, 8)


def port():
    return mine(eps=1e-5)


def bare():
    return mine()[0]


def fails():
    raise KeyError("no data here")


def three():
    return *mine(), 3


def step(momentum=0.9):
    net, x = mine()
    sgd = torch.optim.SGD(net.parameters(), 0.1, momentum=momentum)
    y = torch.arange(16) % 4
    return {"model": net, "inputs": x, "loss": nn.CrossEntropyLoss(), "target": y, "optimizer": sgd, "steps": 3}


def step_of_port():
    return step(momentum=0.8)


def five():
    return 5, torch.ones(3)


number = 5
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with `models_of_cli.py`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models_of_cli.py").write_text(MODELS, "utf-8")
    yield tmp_path
    sys.modules.pop("models_of_cli", None)


def said(capsys, *arguments: str) -> tuple[int, str, str]:
    code = cli._run([a.replace("m:", "models_of_cli:") for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "m:fails", "m:port"], "KeyError: 'no data here' at models_of_cli.py:21; mend the factory"),
        (["compare", "m:five", "m:port"], "5 is no model"),
        (["compare", "m:three", "m:port"], "returns a tuple of 3; let it return (model, inputs)"),
        (["compare", "m:number", "m:port"], "models_of_cli:number is a int, not a function"),
        (["compare", "m:nothere", "m:port"], "has no attribute 'nothere'; say module:factory"),
        (["compare", "no_module:f", "m:port"], "No module named 'no_module'; say module:factory"),
        (["compare", ":f", "m:port"], "cannot load ':f'; say module:factory"),
        (["compare", "broken_of_cli:f", "m:port"], "SyntaxError"),
        (["compare", "needs_torch_of_cli:f", "m:port"], "tensorflow is not installed here: pip install"),
        (["compare", "m:bare", "m:bare"], "has no inputs; pass --input x.npz"),
        (["compare", "m:mine", "m:port", "--input", "nope.npz"], "cannot read the inputs 'nope.npz': No such file"),
        (["compare", "m:mine", "m:port", "--input", "models_of_cli.py"], "write them with numpy.savez"),
        (["compare", "nope.trace", "m:port"], "there is no trace file 'nope.trace'; record one"),
        (["compare", "m:mine", "m:port", "--json", "models_of_cli.py/x.json"], "cannot write"),
        (
            ["compare", "a.trace", "m:port", "--input-a", "x.npy"],
            "with inputs of its own; leave out --input-a",
        ),
        (["compare", "m:mine"], "Missing argument 'b'. Try `oracle --help`."),
        (["port", "m:mine", "m:number"], "not a function"),
        (["precision", "m:mine", "--format", "fp8"], "unknown precision 'fp8'; use one of"),
        (["equivalents", "Nonsense"], "no equivalent of 'Nonsense' is known"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, folder, arguments, message):
    (folder / "broken_of_cli.py").write_text("import", "utf-8")
    error = "raise ModuleNotFoundError(\"No module named 'tensorflow'\", name='tensorflow')"
    (folder / "needs_torch_of_cli.py").write_text(error, "utf-8")
    code, out, err = said(capsys, *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert out == ""


def test_an_unknown_keras_backend_is_one_line(capsys, folder, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "foo")
    (folder / "keras_of_cli.py").write_text("raise ValueError('Unable to import backend : foo')", "utf-8")
    code, _, err = said(capsys, "compare", "keras_of_cli:f", "m:port")
    assert code == 2
    assert "KERAS_BACKEND is 'foo': set it to tensorflow, jax or torch" in err


def test_a_finding_exits_with_1_and_files_are_written(capsys, folder):
    files = ["--json", "new/o.json", "--html", "new/o.html", "--markdown", "new/o.md"]
    code, out, err = said(capsys, "compare", "m:mine", "m:port", *files)
    assert code == 1
    assert err == ""
    assert "eps: 0.001 in A, 1e-05 in B" in out
    content = json.loads((folder / "new" / "o.json").read_text("utf-8"))
    assert (content["exit_code"], content["codes"]) == (1, ["eps"])
    assert content["name_a"] == "models_of_cli:mine"
    validate(content, "comparison")
    assert (folder / "new" / "o.html").exists()
    assert "### `eps`, 100.0 % of outputs" in (folder / "new" / "o.md").read_text("utf-8")


def test_the_same_meaning_exits_with_0_and_a_model_takes_the_inputs_of_the_other(capsys):
    code, out, _ = said(capsys, "compare", "m:bare", "m:mine")
    assert code == 0
    assert "SAME MEANING" in out


def test_traces_and_models_mix(capsys, folder):
    np.save(folder / "x.npy", np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8))
    assert said(capsys, "record", "m:bare", "--input", "x.npy", "-o", "a.trace")[0] == 0
    assert said(capsys, "compare", "a.trace", "m:bare", "--input", "x.npy")[0] == 0
    assert said(capsys, "compare", "a.trace", "a.trace")[0] == 0


def test_training_steps_are_compared_too(capsys):
    code, out, _ = said(capsys, "compare", "m:step", "m:step_of_port")
    assert code == 1
    assert "momentum 0.9 in A, momentum 0.8 in B" in out
    assert "  drift" in out


def test_a_training_step_is_recorded_and_explained(capsys):
    assert said(capsys, "record", "m:step", "-o", "step.trace")[0] == 0
    code, out, _ = said(capsys, "explain", "step.trace", "--target", "gradients")
    assert code == 0
    assert out.startswith("gradients: error")
