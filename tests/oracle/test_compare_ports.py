"""Correct ports mean the same, forward and with gradients: no cause and no accusation, whatever layout and grain."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from zoo_compare import compare_port
from zoo_ports import PORTS

from oracle.comparison import Meaning

pytest.importorskip("torch")
pytest.importorskip("keras")

_QUICK = ("mlp", "resnet_block", "unet", "lstm", "encoder_block", "gpt", "folded_batch_norm")
# torch blends the unbiased variance into the running one, Keras the biased: no port makes these equal.
_BATCH_NORM = ("resnet_block", "mobilenet_block")
_NAMES = [pytest.param(n, marks=[] if n in _QUICK else pytest.mark.slow) for n in PORTS]


def test_there_are_enough_architectures():
    assert len(PORTS) >= 15


@pytest.mark.parametrize("name", _NAMES)
def test_port_means_the_same(name):
    found = compare_port(PORTS[name]())
    assert found.verdict is Meaning.SAME, str(found)
    assert found.causes == ()
    assert found.accused == ()


@pytest.mark.parametrize("name", _NAMES)
def test_port_trains_the_same(name):
    port = PORTS[name]()
    if not port.train:
        pytest.skip("a port for inference alone")
    found = compare_port(port, train=True)
    assert {t.kind for t in found.targets} >= {"outputs", "loss", "gradients"}
    assert [c.code for c in found.causes] == (["variance-ddof"] if name in _BATCH_NORM else []), str(found)
    assert found.accused == ()
    different = {t.name_a.rpartition(".")[2] for t in found.targets if not t.same}
    assert different == ({"running_var"} if name in _BATCH_NORM else set())


def test_a_port_with_one_wrong_setting_is_different():
    """The judge of ports can fail: the same architecture with Keras's own eps."""
    keras = pytest.importorskip("keras")
    port = PORTS["resnet_block"]()
    wrong = keras.models.clone_model(
        port.keras,
        clone_function=lambda layer: type(layer).from_config(
            layer.get_config() | ({"epsilon": 1e-2} if type(layer).__name__ == "BatchNormalization" else {})
        ),
    )
    wrong.set_weights(port.keras.get_weights())
    port.keras = wrong
    found = compare_port(port)
    assert found.verdict is Meaning.DIFFERENT
    assert {c.code for c in found.causes} == {"eps"}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_ports_mean_the_same_on_other_backends(backend):
    script = Path(__file__).parents[1] / "zoo_compare.py"
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(script.parent)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True, cwd="/"
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == 2 * len(PORTS)
    for line in lines:
        if line["name"] == "folded_batch_norm" and line["train"]:
            continue
        expected = ["variance-ddof"] if line["train"] and line["name"] in _BATCH_NORM else []
        assert line.get("causes") == expected, line
        assert line["verdict"] == (str(Meaning.DIFFERENT) if expected else str(Meaning.SAME)), line
