"""A few lines that show the two different numbers of a cause, in the frameworks' own operations.

The smallest part of either program is taken: from values on which both sides still agree to the first value that the
edit brought into line. Small arrays are written out as they were recorded; larger ones are drawn anew, the same for
both sides, with the recorded mean and spread.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from oracle.alignments.alignment import CLOSE, Side, best_layout, difference, norm
from oracle.comparisons.trying import State
from oracle.networks.lowered import LoweredNode
from oracle.trace import Tree, is_reference

_LITERAL = 40
_MOST_NODES = 24
_IMPORTS = {
    "torch": "import torch",
    "tensorflow": "import inspect\nimport tensorflow as tf",
    "jax": "import jax\nimport jax.numpy as jnp",
}
_ARRAYS = {"torch": "torch.from_numpy(np.array({}))", "tensorflow": "tf.constant({})", "jax": "jnp.asarray({})"}
_DTYPES = {"torch": "torch.{}", "tensorflow": "tf.{}", "jax": "np.dtype('{}')"}
_NAMES = ("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "bool", "uint8")
Part = tuple[list[LoweredNode], list[int]]


def reproduction(before: State, after: State) -> str:
    """The script, or nothing where a side cannot be written in its framework's operations."""
    for i, j in _gained(before, after):
        a = _part(before.a, i, before.alignment.a_to_b)
        b = _part(before.b, j, before.alignment.b_to_a)
        if a is not None and b is not None:
            return _script(before, (i, a), (j, b))
    return ""


def _gained(before: State, after: State) -> list[tuple[int, int]]:
    """Values that the edit brought into line, in order of execution; the targets at the end."""
    found = [
        (i, j)
        for i, matches in after.alignment.a_to_b.items()
        for j in matches[:1]
        if not before.alignment.a_to_b.get(i) and i in before.a.producers and j in before.b.producers
    ]
    order = {o: n.node.index for n in before.a.network.nodes for o in n.results}
    pairs = [(p.a, p.b) for p in before.stage.pairs]
    return sorted(found, key=lambda pair: order[pair[0]])[:4] + pairs


def _part(side: Side, value: int, matched: Mapping[int, tuple[int, ...]]) -> Part | None:
    """The nodes that make `value` from values that both sides have, and those values; None if they are many."""
    nodes: dict[int, LoweredNode] = {}
    inputs: dict[int, None] = {}
    wanted = [value]
    while wanted:
        i = wanted.pop()
        producer = side.producers.get(i)
        if producer is None or (i != value and matched.get(i)):
            inputs[i] = None
        elif producer.node.index not in nodes:
            nodes[producer.node.index] = producer
            wanted.extend(producer.node.reads)
    written = all(_is_written(side, n) for n in nodes.values())
    if len(nodes) > _MOST_NODES or not written:
        return None
    return [nodes[k] for k in sorted(nodes)], sorted(inputs)


def _is_written(side: Side, node: LoweredNode) -> bool:
    return not node.node.op.startswith("oracle.") and side.network.trace.framework in _IMPORTS


def _script(state: State, a: tuple[int, Part], b: tuple[int, Part]) -> str:
    frameworks = [side.network.trace.framework for side in (state.a, state.b)]
    lines = ["import numpy as np", *dict.fromkeys(_IMPORTS[f] for f in frameworks), ""]
    names_a = _named(state.a, a[1][1])
    names_b: dict[int, str] = {}
    lines += [f"{name} = {_data(state.a, i, k)}" for k, (name, i) in enumerate(sorted(_first(names_a).items()))]
    for j in b[1][1]:
        name, line = _shared(state, j, names_a, len(names_a) + len(names_b))
        again = (n for k, n in names_b.items() if np.array_equal(state.b.run.values[k], state.b.run.values[j]))
        if line and (known := next(again, "")):
            name, line = known, ""
        names_b[j] = name
        lines += [line] if line else []
    lines += ["", "# A", *_program(state.a, a, names_a, "a"), "", "# B", *_program(state.b, b, names_b, "b"), ""]
    lines += ["a, b = (np.sort(np.asarray(v, np.float64), axis=None) for v in (a, b))"]
    lines += ['print("A", a[:4], "B", b[:4], "largest difference", abs(a - b).max())']
    return "\n".join(lines)


def _named(side: Side, values: list[int]) -> dict[int, str]:
    """A name for each value, the same one for the same numbers."""
    names: dict[int, str] = {}
    for i in values:
        x = side.run.values[i]
        alike = (n for k, n in names.items() if np.array_equal(side.run.values[k], x))
        names[i] = next(alike, f"x{len(set(names.values()))}")
    return names


def _first(names: Mapping[int, str]) -> dict[str, int]:
    """The first value of each name."""
    return {name: i for i, name in reversed(list(names.items()))}


def _data(side: Side, value: int, seed: int) -> str:
    """The array as source: written out, or drawn like it."""
    x = side.network.actual[value]
    stored = side.network.trace.values[value].dtype
    dtype = stored if stored in _NAMES and stored != "bfloat16" else "float32"
    if x.size <= _LITERAL:
        numbers = re.sub(r"\b(nan|inf)\b", r"np.\1", repr(np.asarray(x).tolist()))
        return f'np.array({numbers}, "{dtype}")'
    if x.dtype.kind != "f":
        low, high = int(x.min()), int(x.max()) + 1
        return f'np.random.default_rng({seed}).integers({low}, {high}, {x.shape}).astype("{dtype}")'
    finite = x[np.isfinite(x)]
    if not finite.size:
        return f'np.full({x.shape}, np.nan, "{dtype}")'
    drawn = f"np.random.default_rng({seed}).normal({finite.mean():.3g}, {finite.std() or 1.0:.3g}, {x.shape})"
    drawn = f"abs({drawn})" if finite.min() >= 0 else drawn
    return f'{drawn}.astype("{dtype}")'


def _shared(state: State, value: int, names_a: Mapping[int, str], seed: int) -> tuple[str, str]:
    """The name of B's array and the line that makes it: from A's where both hold the same numbers."""
    y = state.b.run.values[value]
    for i in state.alignment.b_to_a.get(value, ()):
        layout = best_layout(y, state.a.run.values[i]) if i in names_a else None
        if layout is not None and _equal(layout[1], y):
            x = state.a.run.values[i]
            if x.shape == y.shape and _equal(x, y):
                return names_a[i], ""
            moved = f"np.squeeze({names_a[i]}).transpose({layout[0]})" if layout[0] else names_a[i]
            return f"x{seed}", f"x{seed} = {moved}.reshape({y.shape})"
    return f"x{seed}", f"x{seed} = {_data(state.b, value, seed)}"


def _equal(x: np.ndarray, y: np.ndarray) -> bool:
    """Equal to what matching takes for equal."""
    return bool(norm(difference(x, y)) <= CLOSE * norm(np.nan_to_num(x)))


def _program(side: Side, part: tuple[int, Part], names: Mapping[int, str], result: str) -> list[str]:
    value, (nodes, _) = part
    framework = side.network.trace.framework
    known = {i: _ARRAYS[framework].format(name) for i, name in names.items()}
    lines = []
    for node in nodes:
        outputs = [f"v{o}" if o is not None else "_" for o in node.node.outputs]
        left = outputs[0] if len(outputs) == 1 else ", ".join(outputs)
        lines.append(f"{left} = {_call(framework, node, known)}")
        known.update({o: f"v{o}" for o in node.node.outputs if o is not None})
    return [*lines, f"{result} = {known[value]}"]


def _call(framework: str, node: LoweredNode, known: Mapping[int, str]) -> str:
    inputs = [_text(framework, tree, known) for tree in node.node.inputs]
    attrs = {k: _text(framework, v, known) for k, v in node.node.attrs.items()}
    if framework == "tensorflow":
        op = f"tf.raw_ops.{node.node.op}"
        kept = [f"{k}={v}" for k, v in attrs.items() if k == "DstT" or not k.startswith("T")]
        return f"{op}(**dict(zip(inspect.signature({op}).parameters, [{', '.join(inputs)}])), {', '.join(kept)})"
    settings = [f"{k}={v}" for k, v in attrs.items() if k != "result"]
    if framework == "torch":
        return f"torch.ops.{node.node.op}({', '.join([*inputs, *settings])})"
    return f"jax.lax.{node.node.op}_p.bind({', '.join([*inputs, *settings])})"


def _text(framework: str, tree: Tree, known: Mapping[int, str]) -> str:
    if is_reference(tree):
        return known[tree["value"]]
    if isinstance(tree, str) and tree in _NAMES:
        return _DTYPES[framework].format(tree)
    if isinstance(tree, list | tuple):
        return _bracketed(framework, (_text(framework, t, known) for t in tree))
    return repr(tree)


def _bracketed(framework: str, parts: Iterable[Any]) -> str:
    inside = ", ".join(parts)
    return f"({inside},)" if framework == "jax" and inside else "()" if framework == "jax" else f"[{inside}]"
