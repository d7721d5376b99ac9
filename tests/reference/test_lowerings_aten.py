"""Each lowering of an aten operation is held to torch's own float64, within the rounding budget."""

import dataclasses
from typing import Any

import pytest
from adapters.budgeted import overspent

from oracle.adapters.record_torch import record_torch
from oracle.reference.lowerings import lowerings

torch = pytest.importorskip("torch")
aten_cases = pytest.importorskip("reference.aten_cases")
CASES, DEFECTS, ELSEWHERE = aten_cases.CASES, aten_cases.DEFECTS, aten_cases.ELSEWHERE

KNOWN = frozenset(n for n in lowerings("torch") if n.startswith("aten."))


def _copied(tree: Any) -> Any:
    """Fresh tensors with the same strides: an in-place operation must not reach the table of cases."""
    if isinstance(tree, torch.Tensor):
        fresh = torch.empty_strided(tree.size(), tree.stride(), dtype=tree.dtype)
        return fresh.copy_(tree) if 0 not in tree.stride() else tree.clone()
    if isinstance(tree, dict):
        return {name: _copied(t) for name, t in tree.items()}
    return [_copied(t) for t in tree] if isinstance(tree, list) else tree


def _run(name: str, arguments: Any) -> Any:
    packet, overload = name.split(".")
    operator = getattr(getattr(torch.ops.aten, packet), overload)
    *inputs, last = _copied(list(arguments))
    options = last if isinstance(last, dict) else {}
    return operator(*(inputs if isinstance(last, dict) else [*inputs, last]), **options)


def _recorded(name: str, arguments: Any) -> Any:
    torch.manual_seed(0)
    trace = record_torch(lambda: _run(name, arguments), (), full=True)
    assert any(n.op == f"aten.{name}" for n in trace.nodes), f"{name} is not what ran"
    return trace


def _names() -> list[str]:
    spelled = [s for n in CASES for s in (n, n.replace(".", "_.", 1))]
    return sorted({s for s in spelled if f"aten.{s}" in KNOWN} - set(ELSEWHERE))


def _arguments(name: str) -> Any:
    """The cases of `name`, or those of its out-of-place spelling whose result fits in the first argument."""
    if name in CASES:
        return CASES[name]
    functional = name.replace("_.", ".", 1)
    return [a for a in CASES[functional] if _fits(functional, a)]


def _fits(name: str, arguments: Any) -> bool:
    target, result = arguments[0], _run(name, arguments)
    if isinstance(target, list) or not isinstance(result, torch.Tensor):
        return True
    reshapes = name.startswith(("squeeze", "unsqueeze"))
    return (reshapes or result.shape == target.shape) and result.dtype in (target.dtype, torch.bool)


@pytest.mark.parametrize("name", _names())
def test_lowering(name: str) -> None:
    cases = _arguments(name)
    assert cases, f"{name} has no case"
    for arguments in cases:
        for node, used in overspent(_recorded(name, arguments)):
            assert used <= 1, f"{node.op} uses {used} of its rounding budget on {arguments}"


@pytest.mark.parametrize(("name", "arguments"), DEFECTS.items())
def test_a_defect_of_torch_is_beyond_the_budget(name: str, arguments: Any) -> None:
    assert max(used for _, used in overspent(_recorded(name, arguments))) > 1


def test_every_lowering_is_tested() -> None:
    tested = {f"aten.{n}" for n in _names()} | {f"aten.{n}" for n in ELSEWHERE}
    assert sorted(KNOWN - tested) == []


@pytest.mark.parametrize(
    ("name", "output", "fault"),
    [
        ("native_layer_norm.default", 0, lambda y: y * (1 + 2.0**-44)),
        ("_softmax.default", 0, lambda y: y[..., ::-1]),
        ("convolution_backward.default", 1, lambda y: y * 1.001),
        ("max.dim", 1, lambda y: y + 1),
        ("_fused_adam_.default", 0, lambda y: y + 2.0**-40),
    ],
)
def test_a_wrong_result_is_seen(name: str, output: int, fault: Any) -> None:
    trace = _recorded(name, CASES[name][0])
    node = next(n for n in trace.nodes if n.op == f"aten.{name}")
    wrong = trace.values[node.outputs[output]]
    values = {**trace.values, wrong.id: dataclasses.replace(wrong, array=fault(wrong.array))}
    spent = {n.index: used for n, used in overspent(dataclasses.replace(trace, values=values))}
    assert spent[node.index] > 1
