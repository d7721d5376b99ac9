"""Unobserved copies of a run: did watching change anything, and what does the compiled form return?"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from oracle.trace import Observation


def left_behind(model: Any, output: Any, loss: Any) -> dict[str, Any]:
    """Every tensor in which a run can show: outputs, loss, parameters with their gradients, buffers."""
    from oracle.adapters.record_torch import named_tensors  # noqa: PLC0415 - it imports this module

    left = {name: t for name, t in named_tensors({"output": output, "loss": loss})}
    for kind in ("named_parameters", "named_buffers"):
        left |= {f"{kind} {name}": t for name, t in getattr(model, kind, dict)() or ()}
    left |= {f"gradient {n}": p.grad for n, p in left.items() if p.is_leaf and p.grad is not None}
    return {name: t.detach().clone() for name, t in left.items()}


def unobserved_run(runner: Any, make_step: Callable[[Any], Any], optimizer: Any, steps: int) -> dict[str, Any]:
    """What copies of model and optimizer leave behind when nobody watches. The random state is put back."""
    model, optimizer, args, kwargs = copy.deepcopy((runner.model, optimizer, runner.args, runner.kwargs))
    step = make_step(optimizer)
    with runner.torch.random.fork_rng():
        for _ in range(steps):
            output, loss = step(model, args, kwargs)
    return left_behind(model, output, loss)


def compare(execution: str, alone: Mapping[str, Any], watched: Mapping[str, Any]) -> Observation:
    """Whether both runs left the same bits behind; the evidence names the first difference."""
    for name, tensor in alone.items():
        if name not in watched or not _same_bits(tensor, watched[name]):
            return Observation(execution, False, f"{name} differs from the unobserved run")
    return Observation(execution, True, f"{len(alone)} tensors equal those of an unobserved run bit by bit")


def _same_bits(a: Any, b: Any) -> bool:
    import torch  # noqa: PLC0415

    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return torch.equal(*(t.cpu().contiguous().reshape(-1).view(torch.uint8) for t in (a, b)))


def compiled_run(runner: Any, given: Any) -> Any:
    """What the compiled form that the user gave returns for the inputs: a copy of a module, a function itself."""
    torch = runner.torch
    twin = (
        given if runner.model is not getattr(given, "_orig_mod", None) else torch.compile(copy.deepcopy(runner.model))
    )
    args, kwargs = copy.deepcopy((runner.args, runner.kwargs))
    with torch.random.fork_rng():
        return twin(*args, **kwargs)
