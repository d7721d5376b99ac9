"""What a recording is: values, the nodes that made them, and the run they belong to.

Plain frozen data and NumPy, shared by the adapters that record, the core that explains and the reports.

A *value* is one version of one array: writing in place, and writing through a view, makes new versions, so a
value never changes. A *node* is one operation that really executed. Its `inputs` and `attrs` are trees of
JSON literals (null, booleans, integers, floats, strings, lists, objects) in which an object of the form
`{"value": 7}` stands for value 7. The lowering of the operation is called with them, arrays in the places of
values (`Node.arguments`), as `lowering(trace.framework, node.op)(*inputs, **attrs)`, and returns the node's
`outputs` in order.

In-place operations are recorded by their meaning: the outputs of a node are the arrays it returned that are
not themselves written arguments, then the new version of each array that it wrote, in argument order.
A random draw is a leaf (role "random"): a node that draws names it in `attrs`, never among its outputs.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

OUR_FOLDERS = (os.path.dirname(__file__) + os.sep, str(Path(__file__).parents[1] / "adapters") + os.sep)
"""Where no line of a user's program lies: the installed package, and the adapters' folder of a checkout."""

COMMAND_LINE = os.path.join(os.path.dirname(__file__), "commands")
"""How the paths of our command line begin: what called it is no line of the user's either."""

Tree = Any
"""A JSON literal, or a list or object of trees; `{"value": id}` stands for an array."""


@dataclass(frozen=True)
class Stats:
    """A value in a few numbers. `quantiles` is the layout-free part: it knows nothing of axes or their order.

    Moments are over the finite elements. `examined` says how many of the `size` elements were looked at:
    fewer than all where a recording bounds its work.
    """

    size: int
    examined: int
    minimum: float
    maximum: float
    mean: float
    rms: float
    nonfinite: int
    zero_fraction: float
    quantiles: tuple[float, ...] = ()


@dataclass(frozen=True)
class Value:
    """One version of one array. A statistics-only recording has no `array` (leaves may keep theirs).

    `role` is "input", "parameter", "buffer", "state" (of an optimizer), "random", "constant" or "intermediate".
    """

    id: int
    shape: tuple[int, ...]
    dtype: str
    role: str = "intermediate"
    name: str = ""
    array: np.ndarray | None = None
    stats: Stats | None = None

    @property
    def is_leaf(self) -> bool:
        """Whether no node made this value."""
        return self.role != "intermediate"


@dataclass(frozen=True)
class Node:
    """One executed operation.

    `phase` is "forward", "backward" or "optimizer", `scope` the layer path ("encoder.0.lstm"), `layer` that layer's
    class, `source` the user's line ("train.py:12"), `time_step` the step of a recurrent layer, `forward_index` the
    forward node that a backward node differentiates.
    """

    index: int
    op: str
    inputs: tuple[Tree, ...]
    outputs: tuple[int | None, ...]
    attrs: Mapping[str, Tree] = field(default_factory=dict)
    scope: str = ""
    layer: str = ""
    phase: str = "forward"
    step: int = 0
    time_step: int | None = None
    source: str = ""
    forward_index: int | None = None

    @property
    def reads(self) -> tuple[int, ...]:
        """Ids of the values that this node reads, in order, repeated where it reads one twice."""
        return tuple(references([*self.inputs, *self.attrs.values()]))

    def arguments(self, values: Mapping[int, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The inputs and attributes with `values[id]` in the places of values: what the operation was called with.

        An attribute may itself be called "value": at the top of `attrs` that is a name, not a reference.
        """
        return substitute(list(self.inputs), values), {k: substitute(v, values) for k, v in self.attrs.items()}


@dataclass(frozen=True)
class Layer:
    """A layer's class, its settings as the user would write them (`eps`, `momentum`, ...), and its mode."""

    kind: str
    settings: Mapping[str, Tree] = field(default_factory=dict)
    training: bool | None = None


@dataclass(frozen=True)
class StepResult:
    """What one step of the run left behind, as value ids: parameters and buffers as they are *after* it.

    `unreached` names parameters and inputs whose gradient was asked for and does not exist: the loss does not depend on
    them in any way that was differentiated.
    """

    outputs: Mapping[str, int] = field(default_factory=dict)
    loss: int | None = None
    gradients: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    buffers: Mapping[str, int] = field(default_factory=dict)
    unreached: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observation:
    """Which execution was measured, and whether watching changed it.

    `unchanged` is the bitwise comparison with an unobserved run; None where there was none, and `evidence`
    says why.
    """

    execution: str
    unchanged: bool | None = None
    evidence: str = ""


@dataclass(frozen=True)
class Trace:
    """A recorded run: every operation that executed, over one or more steps.

    `framework` is "torch", "tensorflow" or "jax". `inputs`, `parameters`, `buffers` map names to the leaf
    values from which the run started. `compiled` maps outputs of a compiled form of the model, where the
    user gave one, to the values it returned: the nodes are of the eager form.
    """

    framework: str
    version: str
    manifest: Mapping[str, str]
    nodes: tuple[Node, ...]
    values: Mapping[int, Value]
    inputs: Mapping[str, int]
    parameters: Mapping[str, int] = field(default_factory=dict)
    buffers: Mapping[str, int] = field(default_factory=dict)
    steps: tuple[StepResult, ...] = (StepResult(),)
    layers: Mapping[str, Layer] = field(default_factory=dict)
    compiled: Mapping[str, int] = field(default_factory=dict)
    observation: Observation = Observation("eager")

    @property
    def outputs(self) -> Mapping[str, int]:
        """Named outputs of the last step."""
        return self.steps[-1].outputs

    @property
    def loss(self) -> int | None:
        """Loss of the last step."""
        return self.steps[-1].loss

    @property
    def gradients(self) -> Mapping[str, int]:
        """Gradient of the last step's loss for each parameter (and input that asked for one), by name."""
        return self.steps[-1].gradients

    @property
    def updated(self) -> Mapping[str, int]:
        """Parameters after the last step, by name."""
        return self.steps[-1].parameters

    @property
    def is_full(self) -> bool:
        """Whether every value has its array."""
        return all(v.array is not None for v in self.values.values())

    def producers(self) -> dict[int, int]:
        """The index of the node that made each intermediate value."""
        return {out: n.index for n in self.nodes for out in n.outputs if out is not None}


def reference(value_id: int) -> dict[str, int]:
    """The tree that stands for the value `value_id`."""
    return {"value": value_id}


def is_reference(tree: Tree) -> bool:
    """Whether `tree` stands for a value."""
    return isinstance(tree, dict) and tree.keys() == {"value"}


def references(tree: Tree) -> Iterator[int]:
    """Ids of the values that `tree` names, in order."""
    if is_reference(tree):
        yield tree["value"]
    elif isinstance(tree, dict):
        for part in tree.values():
            yield from references(part)
    elif isinstance(tree, list | tuple):
        for part in tree:
            yield from references(part)


def substitute(tree: Tree, values: Mapping[int, Any]) -> Any:
    """`tree` with each `{"value": id}` replaced by `values[id]`."""
    if is_reference(tree):
        return values[tree["value"]]
    if isinstance(tree, dict):
        return {key: substitute(part, values) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        return [substitute(part, values) for part in tree]
    return tree
