"""What a node computes from the values on which both sides still agree, as a short expression."""

from oracle.alignments.alignment import Divergence, Side
from oracle.networks.lowered import LoweredNode
from oracle.trace import Tree, is_reference

_DEEPEST = 6
_LONGEST = 160
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "truediv": "/", "realdiv": "/", "addv2": "+"}


def formula(side: Side, node: LoweredNode, at: Divergence) -> str:
    """The expression that makes the node's result, `x`, `y`, ... being what its divergent region reads."""
    inside = {o: n for n in at.region for o in n.outputs}
    names: dict[int, str] = {}
    text = _expression(side, node, (inside, names), _DEEPEST)
    if len(text) > _LONGEST:
        text = _expression(side, node, ({}, {}), 1)
    return text


def _expression(side: Side, node: LoweredNode, known: tuple[dict, dict], depth: int) -> str:
    operation = short_name(node.node.op)
    parts = [_part(side, tree, known, depth) for tree in node.node.inputs]
    sign = _INFIX.get(operation)
    if sign is not None and len(parts) >= 2:
        return f"({parts[0]} {sign} {parts[1]})"
    parts += [f"{k}={_part(side, v, known, depth)}" for k, v in node.node.attrs.items() if v is not None and k != "T"]
    return f"{operation}({', '.join(p for p in parts if p)})"


def _part(side: Side, tree: Tree, known: tuple[dict, dict], depth: int) -> str:
    inside, names = known
    if is_reference(tree):
        value = tree["value"]
        if value in inside and depth > 1:
            return _expression(side, inside[value], known, depth - 1)
        return names.setdefault(value, _name(side, value, len(names)))
    if isinstance(tree, list | tuple):
        return "[" + ", ".join(_part(side, t, known, depth) for t in tree) + "]"
    if isinstance(tree, float):
        return f"{tree:.8g}"
    return "" if tree is None else str(tree)


def _name(side: Side, value: int, seen: int) -> str:
    stored = side.network.trace.values[value]
    if stored.role in ("parameter", "buffer", "input") and stored.name:
        return stored.name
    array = side.run.values[value]
    if stored.role == "constant" and array.size == 1:
        return f"{float(array.reshape(())):.8g}"
    return "xyzuvw"[seen] if seen < len("xyzuvw") else f"x{seen}"


def short_name(operation: str) -> str:
    """`aten.gelu.default` as `gelu`; `RealDiv` as `realdiv`."""
    parts = operation.removeprefix("aten.").split(".")
    return (parts[0] or operation).strip("_").lower()
