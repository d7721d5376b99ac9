"""Correct ports mean the same, forward and with gradients: no cause and no accusation, whatever layout and grain."""

# ruff: noqa: PLC0415 - frameworks are imported where they are used
import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from zoo_compare import compare_port, images, randomize, sequences
from zoo_ports import PORTS

from oracle.comparisons.comparing import compare
from oracle.comparisons.comparison import Meaning

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


def _jax(name, module, kernel=lambda k: k):
    """The module's meaning as a function of JAX, with its weights; `kernel` is done to a transposed kernel."""
    import jax
    from jax import numpy as jnp

    w = {k: jnp.array(v.detach().numpy()) for k, v in module.state_dict().items()}
    layout = ("NHWC", "OIHW", "NHWC")

    def conv(x):
        y = jax.lax.conv_general_dilated(x, w["0.weight"], (2, 2), ((1, 1), (1, 1)), dimension_numbers=layout)
        return jax.nn.gelu(y + w["0.bias"], approximate=False).mean((1, 2)) @ w["4.weight"].T + w["4.bias"]

    def transposed(x):
        return jax.lax.conv_transpose(x, kernel(w["weight"].transpose(2, 3, 0, 1)), (2, 2), "VALID") + w["bias"]

    def mlp(x):
        y = x @ w["0.weight"].T + w["0.bias"]
        y = (y - y.mean(-1, keepdims=True)) / jnp.sqrt(y.var(-1, keepdims=True) + 1e-5)
        return jax.nn.softmax((y * w["1.weight"] + w["1.bias"]) @ w["2.weight"].T + w["2.bias"])

    return {"conv": conv, "transposed": transposed, "mlp": mlp}[name]


def _torch(name):
    from torch import nn

    made = {
        "conv": lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        ),
        "transposed": lambda: nn.ConvTranspose2d(3, 4, 3, 2),
        "mlp": lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 3), nn.Softmax(-1)),
    }
    return randomize(made[name]())


@pytest.mark.parametrize("name", ["conv", "transposed", "mlp"])
def test_port_to_a_jax_function_means_the_same(name):
    module = _torch(name)
    x_torch, x_jax = sequences() if name == "mlp" else images()
    function = _jax(name, module, kernel=lambda k: k[::-1, ::-1])
    found = compare(module, function, inputs_a=x_torch, inputs_b=x_jax, framework=("torch", "jax"))
    assert found.verdict is Meaning.SAME, str(found)


def test_a_transposed_kernel_that_jax_does_not_flip_is_named():
    module = _torch("transposed")
    x_torch, x_jax = images()
    found = compare(module, _jax("transposed", module), inputs_a=x_torch, inputs_b=x_jax, framework=("torch", "jax"))
    assert [c.code for c in found.causes] == ["kernel-flip"]
    assert found.causes[0].residual == 0


def test_a_frozen_weight_is_named():
    import torch

    module, target = _torch("mlp"), torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(0))
    frozen = copy.deepcopy(module)
    frozen[0].weight.requires_grad_(False)
    found = compare(module, frozen, sequences()[0], train_step=True, loss=torch.nn.functional.mse_loss, target=target)
    assert found.verdict is Meaning.DIFFERENT
    assert [c.code for c in found.causes] == ["weights-shared"]
    assert found.causes[0].residual <= 1e-6 * found.causes[0].before


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_ports_mean_the_same_on_other_backends(backend):
    script = Path(__file__).parents[2] / "zoo_compare.py"
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
