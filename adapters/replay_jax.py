"""One recorded JAX primitive as a script that binds it again, on the inputs that were recorded."""

import functools
from typing import Any

import numpy as np

from oracle.adapters.replay import Unrepeatable, values_line
from oracle.trace import Node, Trace, Tree, is_reference

IMPORTS = (
    "import jax\nimport jax.numpy as jnp\nfrom jax import lax\nfrom jax.extend.core import primitives\n"
    "from oracle.adapters.replay_jax import array"
)
# Primitives whose parameters hold programs: their public forms make them.
_PUBLIC = {"scatter-add": "scatter_add", "scatter_add": "scatter_add", "scatter-mul": "scatter_mul",
           "scatter_mul": "scatter_mul", "scatter-min": "scatter_min", "scatter_min": "scatter_min",
           "scatter-max": "scatter_max", "scatter_max": "scatter_max", "scatter": "scatter"}  # fmt: skip
_SCATTER_PARAMETERS = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")


def call(trace: Trace, node: Node) -> str:
    """Lines that run `node` and name its outputs `made`. Raises `Unrepeatable` for draws and the recorder's moves."""
    if "draws" in node.attrs:
        raise Unrepeatable("it draws random numbers")
    operands = ", ".join(f"v{tree['value']}" for tree in node.inputs if is_reference(tree))
    if node.op in _PUBLIC:
        named = ", ".join(f"{k}={_shown(node.attrs[k])}" for k in _SCATTER_PARAMETERS if k in node.attrs)
        bound = f"lax.{_PUBLIC[node.op]}({operands}, {named})"
    elif node.op in _names():
        name = _names()[node.op]
        params = ", ".join(f"{k!r}: {_shown(v)}" for k, v in node.attrs.items())
        passed = ", ".join(part for part in (operands, f"**primitives.{name}.get_bind_params({{{params}}})") if part)
        bound = f"primitives.{name}.bind({passed})"
    else:
        raise Unrepeatable("it is a move of the recorder's, not a primitive")
    wide = any(np.dtype(trace.values[i].dtype).itemsize == 8 for i in (*node.reads, *node.outputs) if i is not None)
    values = values_line(node, "jnp.asarray")
    if not wide:
        return f"{values}\nmade = [array(x) for x in results({bound})]"
    return f"with jax.enable_x64(True):\n    {values}\n    made = [array(x) for x in results({bound})]"


@functools.cache
def _names() -> dict[str, str]:
    """The attribute of `jax.extend.core.primitives` that is each primitive."""
    from jax.extend.core import primitives  # noqa: PLC0415

    return {p.name: n for n, p in vars(primitives).items() if n.endswith("_p")}


def _shown(tree: Tree) -> str:
    """A recorded parameter as Python: lists as tuples, types, enumerations and records as JAX's objects."""
    if isinstance(tree, list):
        return f"({''.join(f'{_shown(part)}, ' for part in tree)})"
    if isinstance(tree, float) and not np.isfinite(tree):
        return f'float("{tree}")'
    if not isinstance(tree, dict):
        return repr(tree)
    if tree.keys() == {"dtype"}:
        return f"jnp.dtype({tree['dtype']!r})"
    if tree.keys() == {"primitive"}:
        return f"primitives.{_names()[tree['primitive']]}"
    if tree.keys() == {"enum"}:
        return f"lax.{tree['enum']}"
    if tree.keys() == {"type", "fields"}:
        return f"lax.{tree['type']}({', '.join(f'{k}={_shown(v)}' for k, v in tree['fields'].items())})"
    return f"{{{', '.join(f'{k!r}: {_shown(v)}' for k, v in tree.items())}}}"


def array(made: Any) -> np.ndarray:
    """The numbers of an array in the format that it has."""
    return np.asarray(made)
