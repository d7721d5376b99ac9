"""Twenty and more `transformers` architectures: all record, all is lowered, nothing correct is accused."""

import os

import pytest
from adapters.budgeted import overspent
from zoo_transformers import CONFIGS, build

from oracle.adapters.record_torch import record_torch
from oracle.reference.lowerings import lowering
from oracle.trace import Trace

pytest.importorskip("torch")
pytest.importorskip("transformers")

QUICK = ("bert", "llama", "vit")
DEFECTS = {"aten.gelu.default", "aten.gelu_backward.default"}
"""torch's gelu cancels in the lower tail, which one audio model reaches."""


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")


def _lowered_share(trace: Trace) -> float:
    ops = [n.op for n in trace.nodes if any(out is not None for out in n.outputs)]
    return sum(lowering("torch", op) is not None for op in ops) / len(ops)


def _check(name: str) -> None:
    model, inputs = build(name)
    trace = record_torch(model, inputs, train_step=True, full=True)
    assert _lowered_share(trace) >= 0.97
    accused = {node.op for node, used in overspent(trace) if used > 1}
    assert accused <= DEFECTS
    assert {n.phase for n in trace.nodes} == {"forward", "backward"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CONFIGS])
def test_an_architecture_is_recorded_and_within_its_budgets(name: str) -> None:
    _check(name)
