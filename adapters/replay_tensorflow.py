"""One recorded TensorFlow operation as a script in `tf.raw_ops`, on the inputs that were recorded."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from oracle.adapters.record_tensorflow_ops import is_write
from oracle.adapters.replay import Unrepeatable, values_line
from oracle.trace import Node, Trace, Tree, is_reference, references

IMPORTS = "import tensorflow as tf\nfrom oracle.adapters.replay_tensorflow import array"


def call(trace: Trace, node: Node) -> str:
    """Lines that run `node` and name its outputs `made`. Raises `Unrepeatable` for a draw, or what has no raw op."""
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow.python.framework import op_def_registry  # noqa: PLC0415

    if "draws" in node.attrs:
        raise Unrepeatable("it draws random numbers")
    operation, definition = getattr(tf.raw_ops, node.op, None), op_def_registry.get(node.op)
    if operation is None or definition is None:
        raise Unrepeatable("TensorFlow has no public name for it")
    accepted = list(inspect.signature(operation).parameters)
    kinds = {a.name: a.type for a in definition.attr}
    public = _public_names([a.name for a in definition.input_arg], [n for n in accepted if n not in (*kinds, "name")])
    given = [f"{public[a.name]}={text}" for a, text in _inputs(node, definition)]
    named = {k: v for k, v in node.attrs.items() if k in accepted and k not in public.values()}
    given += [f"{k}={_attribute(v, kinds.get(k, ''))}" for k, v in named.items()]
    variables = [f"h{i}" for i in _handles(node, definition)]
    lines = [values_line(node, "tf.constant")]
    lines += [f"{h} = tf.Variable({h.replace('h', 'v', 1)})" for h in variables]
    lines.append(f"out = tf.raw_ops.{node.op}({', '.join(given)})")
    made = ", ".join(f"{h}.read_value()" for h in variables)
    lines.append(
        f"made = [array(t) for t in {f'[{made}]' if is_write(node.op) else 'results(out)'} if not isinstance(t, str)]"
    )
    return "\n".join(lines)


def _public_names(defined: list[str], accepted: list[str]) -> dict[str, str]:
    """What `tf.raw_ops` calls each input: some have another name than in the operation's definition."""
    others = iter(n for n in accepted if n not in defined)
    return {n: n if n in accepted else next(others) for n in defined}


def _inputs(node: Node, definition: Any) -> Iterator[tuple[Any, str]]:
    """The operation's arguments as text: arrays by name, literals as constants of their type, variables as handles."""
    trees = iter(node.inputs)
    for argument in definition.input_arg:
        count = node.attrs.get(argument.number_attr) if argument.number_attr else None
        if argument.type_list_attr:
            count = len(node.attrs.get(argument.type_list_attr) or ())
        parts = [_input(next(trees), argument, node) for _ in range(1 if count is None else int(count))]
        yield argument, parts[0] if count is None else f"[{', '.join(parts)}]"


def _input(tree: Tree, argument: Any, node: Node) -> str:
    if is_reference(tree):
        return f"h{tree['value']}.handle" if _is_handle(argument) else f"v{tree['value']}"
    return f"tf.constant({_plain(tree)}, {_type(argument, node)})"


def _is_handle(argument: Any) -> bool:
    from tensorflow.core.framework import types_pb2  # noqa: PLC0415

    return argument.type == types_pb2.DT_RESOURCE


def _handles(node: Node, definition: Any) -> list[int]:
    """The values that stand for variables, in order."""
    pairs = zip(definition.input_arg, node.inputs, strict=False)
    return [i for argument, tree in pairs if _is_handle(argument) for i in references(tree)]


def _type(argument: Any, node: Node) -> str:
    import tensorflow as tf  # noqa: PLC0415

    name = node.attrs.get(argument.type_attr) if argument.type_attr else tf.dtypes.as_dtype(argument.type).name
    return f"tf.{name or 'int32'}"


def _attribute(tree: Tree, kind: str) -> str:
    if kind.startswith("list("):
        return f"[{', '.join(_attribute(part, kind[5:-1]) for part in tree)}]"
    return f"tf.{tree}" if kind == "type" else _plain(tree)


def _plain(tree: Tree) -> str:
    if isinstance(tree, list):
        return f"[{', '.join(map(_plain, tree))}]"
    if isinstance(tree, float) and not np.isfinite(tree):
        return f'float("{tree}")'
    return repr(tree)


def array(made: Any) -> np.ndarray:
    """The numbers of a tensor in the format that it has."""
    return np.asarray(made.numpy())
