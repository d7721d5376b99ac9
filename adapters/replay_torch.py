"""One recorded torch operation as a script in torch's own words, on the inputs that were recorded."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from oracle.adapters.record_torch_memory import dtype_name
from oracle.adapters.record_torch_mode import HIDDEN_WRITES
from oracle.adapters.replay import Unrepeatable, values_line
from oracle.trace import Node, Trace, Tree, is_reference

IMPORTS = "import torch\nfrom oracle.adapters.replay_torch import array, tensor"
_OURS = ("base", "result")  # what the recorder noted beside the call


def call(trace: Trace, node: Node) -> str:
    """Lines that run `node` and name its outputs `made`. Raises `Unrepeatable` for a draw or a recorder's own node."""
    import torch  # noqa: PLC0415

    if "draws" in node.attrs or "mask" in node.attrs:
        raise Unrepeatable("it draws random numbers")
    namespace, name, overload = node.op.split(".") if node.op.count(".") == 2 else ("oracle", node.op, "")
    if namespace == "oracle" or not hasattr(torch.ops, namespace):
        raise Unrepeatable("it says what a write meant for a view: torch ran nothing here")
    arguments = getattr(getattr(getattr(torch.ops, namespace), name), overload)._schema.arguments
    kwargs = {k: v for k, v in node.attrs.items() if k not in _OURS}
    kinds = {a.name: str(a.type) for a in arguments}
    given = [_shown(v, str(a.type)) for v, a in zip(node.inputs, arguments, strict=False)]
    given += [f"{k}={_shown(v, kinds.get(k, ''))}" for k, v in kwargs.items()]
    named = dict(zip((a.name for a in arguments), node.inputs, strict=False)) | kwargs
    written = [i for a in arguments if _writes(a) for i in _ids(named.get(a.name))]
    if node.op in HIDDEN_WRITES and node.inputs[5]:
        written = [i for place in HIDDEN_WRITES[node.op] for i in _ids(node.inputs[place])]
    return "\n".join([
        values_line(node, "tensor"),
        f"out = torch.ops.{namespace}.{name}.{overload}({', '.join(given)})",
        f"made = [array(t) for t in results(out, [{', '.join(f'v{i}' for i in written)}])]",
    ])  # fmt: skip


def _writes(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write


def _ids(tree: Tree) -> Iterator[int]:
    for part in tree if isinstance(tree, list) else [tree]:
        if is_reference(part):
            yield part["value"]


def _shown(tree: Tree, kind: str) -> str:
    """A recorded argument as Python: arrays by name, names of types and layouts as torch's objects."""
    if is_reference(tree):
        return f"v{tree['value']}"
    if isinstance(tree, list):
        return f"[{', '.join(_shown(part, kind) for part in tree)}]"
    if isinstance(tree, dict):
        return f"complex({', '.join(map(repr, tree['complex']))})"
    if isinstance(tree, float) and not np.isfinite(tree):
        return f'float("{tree}")'
    if isinstance(tree, str) and "str" not in kind:
        return tree if tree.startswith("torch.") else f"torch.{tree}"
    return repr(tree)


def tensor(recorded: np.ndarray) -> Any:
    """A tensor of the recorded numbers, laid out in memory as they were."""
    import torch  # noqa: PLC0415

    copy = recorded.copy(order="K")
    if copy.dtype.kind == "V" or copy.dtype.name.startswith(("bfloat", "float8")):
        carrier = {1: np.uint8, 2: np.int16}[copy.itemsize]
        return torch.from_numpy(copy.view(carrier)).view(getattr(torch, recorded.dtype.name))
    return torch.from_numpy(copy)


def array(made: Any) -> np.ndarray:
    """The numbers of a tensor in the format that it has."""
    import torch  # noqa: PLC0415

    made = made.detach().cpu()
    dtype = np.dtype(dtype_name(made.dtype))
    if dtype.kind == "V" or dtype.name.startswith(("bfloat", "float8")):
        carrier = {1: torch.uint8, 2: torch.int16}[dtype.itemsize]
        return made.contiguous().view(carrier).numpy().view(dtype)
    return made.numpy()
