"""The observer: sees every raw operation that executes eagerly, and notes it."""

import contextlib
import gc
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from oracle.adapters.record_tensorflow_ops import attributes, is_draw, is_write
from oracle.adapters.recording import Lines, Recording, references_to
from oracle.adapters.recording_places import Places, replaced
from oracle.reference.lowerings import lowering
from oracle.trace import Tree, reference

_SILENT = frozenset(("VarHandleOp", "DestroyResourceOp", "VarIsInitializedOp", "NoOp", "Assert"))


class _Call(NamedTuple):
    """A node with the numbers of the tensors that it read and made."""

    node: int
    inputs: list[int]
    outputs: list[int]


class Observer:
    """Collects the nodes of a run. Tensors are known by their unique number, variables by that of their handle."""

    def __init__(self, full: bool) -> None:
        self.recording = Recording(full)
        self.places = Places(Lines("tensorflow", "keras"))
        self.held: dict[int, int] = {}
        self.calls: dict[tuple[str, int | None], list[_Call]] = {}
        self.variables: dict[int, int] = {}
        self.untouched: dict[int, Any] = {}
        self.named: dict[int, tuple[str, str]] = {}
        self.differentiated: tuple[Any, Any, Any] | None = None
        self.has_drawn = False
        self.has_written = False

    def read(self, tensor: Any, role: str = "constant", name: str = "") -> int:
        """The id of the value that `tensor` holds; one that no node made becomes a leaf."""
        value = self.held.get(tensor._id)
        if value is None:
            value = self.held[tensor._id] = self.recording.value(array_of(tensor), role, name)
        return value

    def read_variable(self, handle: Any) -> int | None:
        """The id of the value that a variable holds now; None for a resource that is no known variable."""
        key = handle._id
        if key not in self.variables and key in self.untouched:
            role, name = self.named[key]
            self.variables[key] = self.recording.value(array_of(self.untouched.pop(key)), role, name)
        return self.variables.get(key)

    def name_variable(self, variable: Any, role: str, name: str) -> None:
        """Say what a variable is, before it is first read; the first name counts."""
        self.named.setdefault(variable.handle._id, (role, name))

    def snapshot_variables(self) -> None:
        """Hold the value of every living variable, so that a first write is seen with what it overwrote."""
        for variable in living_variables():
            if variable.handle._id not in self.variables:
                self.untouched[variable.handle._id] = variable.read_value()
                role = "parameter" if variable.trainable else "state"
                self.name_variable(variable, role, variable.name.removesuffix(":0"))

    def __call__(
        self, op: Any, inputs: Sequence[Any], attrs: Any, outputs: Sequence[Any], *_: Any, **where: Any
    ) -> None:
        """TensorFlow's callback after each operation. Inside a graph that is being traced nothing executes yet."""
        op = op.decode() if isinstance(op, bytes) else op
        if where.get("graph") is not None or op in _SILENT or self._is_move(op, inputs, outputs):
            return
        trees = self._inputs(op, inputs)
        if trees is not None and (is_write(op) or any(is_numeric(t) for t in outputs)):
            self._note(op, trees, inputs, attributes(op, attrs), outputs)

    def _is_move(self, op: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> bool:
        """Reading and plainly assigning a variable moves a value: no arithmetic, so no node."""
        if op == "ReadVariableOp":
            value = self.read_variable(inputs[0])
            if value is None:
                value = self.variables[inputs[0]._id] = self.read(outputs[0], "state")
            self.held[outputs[0]._id] = value
        elif op == "AssignVariableOp":
            self.has_written = self.has_written or self.read_variable(inputs[0]) is not None
            self.variables[inputs[0]._id] = self.read(inputs[1])
        return op in ("ReadVariableOp", "AssignVariableOp")

    def _inputs(self, op: str, inputs: Sequence[Any]) -> list[Tree] | None:
        """The inputs as trees: variables by their values, shapes and axes as literals; None if one is opaque."""
        known = lowering("tensorflow", op)
        static = known.static_positions(len(inputs)) if known else frozenset()
        trees: list[Tree] = []
        for position, tensor in enumerate(inputs):
            if tensor.dtype.name == "resource":
                value = self.read_variable(tensor)
                if value is None:
                    return None
                trees.append(reference(value))
            elif not is_numeric(tensor):
                return None
            elif position in static:
                trees.append(array_of(tensor).tolist())
            else:
                trees.append(reference(self.read(tensor)))
        return trees

    def _note(
        self, op: str, trees: list, inputs: Sequence[Any], attrs: dict[str, Tree], outputs: Sequence[Any]
    ) -> None:
        place = self.places.here()
        made: list[int | None] = []
        if is_draw(op):
            self.has_drawn = True
            attrs = {**attrs, "draws": references_to(self.read(t, "random") for t in outputs)}
        elif is_write(op):
            made = list(self._written(inputs))
        else:
            made = [self._made(t) if is_numeric(t) else None for t in outputs]
        index = self.recording.node(op, trees, made, attrs=attrs, **place)
        call = _Call(index, [t._id for t in inputs], [t._id for t in outputs])
        for key in {None, *call.inputs, *call.outputs}:
            self.calls.setdefault((op, key), []).append(call)

    def _made(self, tensor: Any) -> int:
        value = self.held[tensor._id] = self.recording.value(array_of(tensor))
        return value

    def _written(self, inputs: Sequence[Any]) -> list[int]:
        """New values of the variables among the inputs, in order."""
        self.has_written = True
        made = []
        for handle in inputs:
            if handle.dtype.name == "resource":
                made.append(self.recording.value(array_of(_read_handle(handle))))
                self.variables[handle._id] = made[-1]
        return made

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Observe operations, gradients and functions; afterwards everything is as it was."""
        import tensorflow as tf  # noqa: PLC0415
        from tensorflow.python.eager import backprop  # noqa: PLC0415
        from tensorflow.python.framework import op_callbacks  # noqa: PLC0415

        eagerly = tf.config.functions_run_eagerly()
        self.snapshot_variables()
        with contextlib.ExitStack() as stack:
            stack.callback(tf.config.run_functions_eagerly, eagerly)
            tf.config.run_functions_eagerly(True)
            stack.enter_context(replaced(backprop.GradientTape, "gradient", self._around_gradient))
            stack.enter_context(replaced(backprop.GradientTape, "__enter__", self._around_enter))
            stack.enter_context(_gradient_function_wrapped(self._around_derivative))
            op_callbacks.add_op_callback(self)
            stack.callback(op_callbacks.remove_op_callback, self)
            yield

    def _around_gradient(self, gradient: Any) -> Any:
        def observed(tape: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            with self.places.phase("backward"):
                results = gradient(tape, target, sources, *args, **kwargs)
            self.differentiated = (target, sources, results)
            self.places.phases[0] = "optimizer"
            return results

        return observed

    def _around_enter(self, enter: Any) -> Any:
        """A tape that opens begins a forward pass."""

        def observed(tape: Any) -> Any:
            self.places.phases[0] = "forward"
            return enter(tape)

        return observed

    def _around_derivative(self, derivative: Any) -> Any:
        """The tape calls `derivative(op, attrs, count, inputs, outputs, ...)` for each forward operation."""

        def observed(op: Any, attrs: Any, count: Any, inputs: Any, outputs: Any, *rest: Any) -> Any:
            with self.places.differentiating(self._forward_node(op, inputs, outputs)):
                return derivative(op, attrs, count, inputs, outputs, *rest)

        return observed

    def _forward_node(self, op: Any, inputs: Any, outputs: Any) -> int | None:
        """The last call of `op` with these tensors; the tape drops (None) those that its derivative does not use."""
        name = op.decode() if isinstance(op, bytes) else op
        given = [[getattr(t, "_id", None) for t in tensors or ()] for tensors in (inputs, outputs)]
        known = next((key for key in (*given[1], *given[0]) if key is not None), None)
        for call in reversed(self.calls.get((name, known), ())):
            pairs = [
                p for g, s in zip(given, (call.inputs, call.outputs), strict=True) for p in zip(g, s, strict=False)
            ]
            if all(g is None or g == s for g, s in pairs):
                return call.node
        return None


@contextlib.contextmanager
def _gradient_function_wrapped(wrap: Any) -> Iterator[None]:
    from tensorflow.python import pywrap_tfe  # noqa: PLC0415
    from tensorflow.python.eager import backprop  # noqa: PLC0415

    original = backprop._gradient_function
    pywrap_tfe.TFE_Py_RegisterGradientFunction(wrap(original))
    try:
        yield
    finally:
        pywrap_tfe.TFE_Py_RegisterGradientFunction(original)


def is_numeric(tensor: Any) -> bool:
    """Whether the tensor holds numbers or booleans (not strings, resources or variants)."""
    return tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool


def array_of(tensor: Any) -> np.ndarray:
    """The tensor's numbers, without a copy where TensorFlow shares its memory: they never change."""
    return np.asarray(tensor._numpy())


def _read_handle(handle: Any) -> Any:
    from tensorflow.python.eager import record  # noqa: PLC0415
    from tensorflow.python.ops import gen_resource_variable_ops as ops  # noqa: PLC0415

    data = handle._handle_data.shape_and_type[0]
    with record.stop_recording():
        return ops.read_variable_op(handle, data.dtype)


def living_variables() -> list[Any]:
    """Every initialized TensorFlow variable of this process."""
    from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable  # noqa: PLC0415

    kinds = {BaseResourceVariable}
    waiting = [BaseResourceVariable]
    while waiting:  # asking every type of the process whether it is a subclass takes seconds
        fresh = [kind for kind in waiting.pop().__subclasses__() if kind not in kinds]
        kinds.update(fresh)
        waiting += fresh
    found = [o for o in gc.get_objects() if type(o) in kinds]
    return [v for v in found if hasattr(v.handle, "_id") and v.is_initialized()]
