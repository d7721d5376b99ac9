"""Several training steps in one recording: each optimizer is followed through them, and every target can be named."""

import pytest

from oracle.errors import OracleError
from oracle.explanations.explaining import explain
from oracle.recordings.recording import record

torch = pytest.importorskip("torch")
nn = torch.nn

OPTIMIZERS = ("SGD", "Adam", "AdamW", "Adamax", "Adagrad", "Adadelta", "RMSprop", "NAdam", "RAdam", "ASGD", "Rprop")
QUICK = ("AdamW", "RMSprop")


def _trained(name="SGD", dtype=torch.float32, steps=3, **settings):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(8, 12, generator=generator), torch.randint(0, 3, (8,), generator=generator)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 3)).to(dtype)
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.05, **settings)
    loss = nn.CrossEntropyLoss()
    return record(model, x.to(dtype), loss=loss, target=y, optimizer=optimizer, steps=steps, full=True)


@pytest.fixture(scope="module")
def trace():
    return _trained()


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in OPTIMIZERS])
def test_three_steps_of_an_optimizer(name, dtype, foreach):
    recorded = _trained(name, dtype, foreach=foreach)
    for target in ("loss", "parameters"):
        found = explain(recorded, target)
        assert sum(n.contribution for n in found.nodes) == pytest.approx(found.total, rel=1e-6)
        assert found.completeness < 1e-12
        assert not found.accused
        assert not found.missing


@pytest.mark.parametrize("target", ["loss", "outputs", "gradients", "parameters", "0.weight"])
def test_every_target_is_explained_through_all_steps(trace, target):
    found = explain(trace, target)
    assert found.target == target
    assert sum(n.contribution for n in found.nodes) == pytest.approx(found.total, rel=1e-6)
    made = {n.step: sum(abs(m.contribution) for m in found.nodes if m.step == n.step) for n in found.nodes}
    assert set(made) == {0, 1, 2}
    assert all(made.values())  # what an early step's roundings did is still in the last one's result
    assert sum(found.grouped("step").values()) == pytest.approx(found.total, rel=1e-6)


def test_the_optimizers_part_in_the_loss_is_that_of_earlier_steps(trace):
    found = explain(trace, "loss")
    by_phase_and_step = found.grouped(lambda n: (n.phase, n.step))
    assert by_phase_and_step["optimizer", 2] == 0
    assert by_phase_and_step["optimizer", 0] != 0
    assert {"forward", "backward", "optimizer"} <= found.grouped("phase").keys()


def test_an_unknown_target_lists_those_there_are(trace):
    with pytest.raises(OracleError, match=r"no target '9.weight'; it has .*gradients.*0.weight"):
        explain(trace, "9.weight")
