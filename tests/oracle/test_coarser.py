"""The same model in another format: rounded weights and inputs are rounding, real differences are still found."""

import copy

import numpy as np
import pytest

import oracle
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
nn = torch.nn


def _net(eps=1e-3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16, eps=eps), nn.GELU(), nn.Linear(16, 4))


X = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("turned", [False, True])
def test_a_cast_of_a_model_means_the_same(dtype, turned):
    sides = [(_net(), X), (_net().to(dtype), X.to(dtype))]
    (a, x), (b, y) = sides[::-1] if turned else sides
    found = oracle.compare(a, b, inputs_a=x, inputs_b=y)
    assert found.verdict is Meaning.SAME
    assert found.semantics["output"] <= 1e-12
    letter = "A" if turned else "B"
    name = str(dtype).removeprefix("torch.")
    assert any(f"of {letter} are the other model's numbers rounded to {name}" in note for note in found.notes)


def test_a_port_to_another_layout_and_format_means_the_same():
    net = _net()
    first, norm, gelu, last = (copy.deepcopy(layer).bfloat16() for layer in net)
    kernel, bias = first.weight.detach().T.contiguous(), first.bias.detach()

    def port(x):
        return last(gelu(norm(x @ kernel + bias)))

    found = oracle.compare(net, port, inputs_a=X, inputs_b=X.bfloat16())
    assert found.verdict is Meaning.SAME


def test_a_training_step_in_another_format_means_the_same():
    a, b = _net(), _net().bfloat16()
    sgd = tuple(torch.optim.SGD(m.parameters(), 0.1) for m in (a, b))
    step = {"train_step": True, "loss": nn.CrossEntropyLoss(), "target": torch.arange(5) % 4, "optimizer": sgd}
    found = oracle.compare(a, b, inputs_a=X, inputs_b=X.bfloat16(), **step)
    assert found.verdict is Meaning.SAME
    assert {t.kind for t in found.targets} == {"outputs", "loss", "gradients", "parameters"}


def test_another_eps_is_found_beside_the_rounding():
    found = oracle.compare(_net(), _net(eps=0.1).bfloat16(), inputs_a=X, inputs_b=X.bfloat16())
    assert found.codes == ("eps",)


def test_weights_that_are_no_rounded_ones_differ():
    other = _net().bfloat16()
    with torch.no_grad():
        other[0].weight *= 1.05
    found = oracle.compare(_net(), other, inputs_a=X, inputs_b=X.bfloat16())
    assert found.codes == ("weights-differ",)


def test_numbers_rounded_before_they_are_stored_in_the_same_format_differ():
    other = _net()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.copy_(parameter.bfloat16().float())
    assert oracle.compare(_net(), other, X).verdict is Meaning.DIFFERENT


def test_the_identity_holds_with_rounded_weights():
    found = oracle.compare(_net(), _net().bfloat16(), inputs_a=X, inputs_b=X.bfloat16())
    (t,) = found.targets
    assert t.difference.norm == pytest.approx(t.rounding_b.norm, rel=1e-3)
    assert np.isfinite(t.rounding_b.worst)
