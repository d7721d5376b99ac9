"""One recorded operation run by its own framework in float64: the stand-in for a meaning that nobody wrote down.

Only operations of the framework itself that draw nothing and write nothing are run, on copies of the values; a user's
own operator is a user's code and is not run again. Names from a recording are looked up, never evaluated.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from oracle.reference.lowerings.jax_primitives import decode

_REAL = ("float16", "bfloat16", "float32", "float64")
# Bit patterns seen as another format: in float64 they are other patterns.
_BITS = ("aten.view.dtype", "Bitcast", "bitcast_convert_type")


def run(framework: str, op: str, inputs: list[Any], attrs: dict[str, Any]) -> list[np.ndarray] | None:
    """The results of `op` in order, real ones in float64; None where it is not to be run, or does not run in float64.

    `inputs` and `attrs` are those of the recorded node with arrays in the places of values.
    """
    if "draws" in attrs or "mask" in attrs or op in _BITS:
        return None
    try:
        results = _RUNNERS[framework](op, inputs, attrs)
    except Exception:  # whatever a kernel says that has no float64: there is no reference then
        return None
    return None if results is None else [np.asarray(r) for r in results]


def _torch(op: str, inputs: list[Any], attrs: dict[str, Any]) -> list[Any] | None:
    import torch  # noqa: PLC0415

    namespace, name, overload = op.split(".")
    function = getattr(getattr(torch.ops.aten, name), overload)
    # What an operation in place makes is what its functional form returns.
    runs = getattr(torch.ops.aten, name.removesuffix("_"), function) if name.endswith("_") else function
    in_place = function._schema.is_mutable and runs is function
    if namespace != "aten" or in_place or torch.Tag.nondeterministic_seeded in function.tags:
        return None
    arguments = function._schema.arguments
    kinds = {a.name: str(a.type) for a in arguments}
    given = [_as_torch(x, str(a.type)) for x, a in zip(inputs, arguments, strict=False)]
    named = {k: _as_torch(x, kinds[k]) for k, x in attrs.items() if k in kinds}
    with torch.no_grad():
        return [t.numpy() for t in _flat(runs(*given, **named)) if isinstance(t, torch.Tensor)]


def _as_torch(tree: Any, kind: str) -> Any:
    import torch  # noqa: PLC0415

    if isinstance(tree, np.ndarray):
        return torch.from_numpy(np.array(tree))
    if isinstance(tree, list):
        return [_as_torch(part, kind) for part in tree]
    if isinstance(tree, str) and "str" not in kind:
        dtype = torch.float64 if tree in _REAL else getattr(torch, tree.removeprefix("torch."))
        if not isinstance(dtype, torch.dtype | torch.memory_format):
            raise ValueError(f"unknown argument {tree!r}")
        return dtype
    return tree


def _tensorflow(op: str, inputs: list[Any], attrs: dict[str, Any]) -> list[Any] | None:
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow.python.framework import op_def_registry  # noqa: PLC0415

    operation, definition = getattr(tf.raw_ops, op, None), op_def_registry.get(op)
    if operation is None or definition is None or definition.is_stateful:
        return None
    accepted = list(inspect.signature(operation).parameters)
    kinds = {a.name: a.type for a in definition.attr}
    named = {k: _as_tensorflow(v, kinds[k]) for k, v in attrs.items() if k in accepted and k in kinds}
    public = [n for n in accepted if n not in (*kinds, "name")]
    given = dict(zip(public, _grouped(inputs, attrs, definition), strict=True))
    return [t.numpy() for t in _flat(operation(**given, **named)) if hasattr(t, "numpy")]


def _grouped(inputs: list[Any], attrs: dict[str, Any], definition: Any) -> Iterator[Any]:
    """The inputs of each argument: one, or as many as its attribute says."""
    trees = iter(inputs)
    for argument in definition.input_arg:
        count = attrs[argument.number_attr] if argument.number_attr else None
        parts = [next(trees) for _ in range(1 if count is None else int(count))]
        yield parts[0] if count is None else parts


def _as_tensorflow(tree: Any, kind: str) -> Any:
    import tensorflow as tf  # noqa: PLC0415

    if kind.startswith("list("):
        return [_as_tensorflow(part, kind[5:-1]) for part in tree]
    return (tf.float64 if tree in _REAL else tf.dtypes.as_dtype(tree)) if kind == "type" else tree


def _jax(op: str, inputs: list[Any], attrs: dict[str, Any]) -> list[Any] | None:
    import jax  # noqa: PLC0415
    from jax.extend.core import primitives  # noqa: PLC0415

    primitive = next((p for n, p in vars(primitives).items() if n.endswith("_p") and p.name == op), None)
    if primitive is None or op.startswith("random"):
        return None
    with jax.enable_x64(True):
        operands = [jax.numpy.asarray(x) for x in inputs]
        return _flat(primitive.bind(*operands, **primitive.get_bind_params(decode(attrs))))


def _flat(results: Any) -> list[Any]:
    if isinstance(results, list | tuple):
        return [x for part in results for x in _flat(part)]
    return [] if results is None else [results]


_RUNNERS: dict[str, Callable[[str, list[Any], dict[str, Any]], list[Any] | None]] = {
    "torch": _torch,
    "tensorflow": _tensorflow,
    "jax": _jax,
}
