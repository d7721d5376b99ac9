"""Recording a TensorFlow function, module or training step: every raw operation that really executed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from oracle.adapters.record_tensorflow_observer import Observer, array_of
from oracle.adapters.record_tensorflow_twin import NOT_COMPARED, Twin
from oracle.adapters.recording import base_manifest, named_leaves
from oracle.adapters.recording_places import calls_watched, settle
from oracle.trace import Layer, Observation, StepResult, Trace

StepFunction = Callable[[Callable[..., Any], tuple, dict], tuple[Any, Any]]


def record_tensorflow(
    model: Callable[..., Any],
    inputs: Any,
    *,
    train_step: bool | Callable[..., Any] | None = None,
    loss: Callable[..., Any] | None = None,
    target: Any = None,
    optimizer: Any = None,
    steps: int = 1,
    verify: bool = False,
    full: bool = False,
) -> Trace:
    """Run `model` once on `inputs` and record every raw operation that executes.

    Args:
        model: a function of tensors, a `tf.function` or a `tf.Module`. Functions run eagerly while they are
            recorded; of a `tf.function` that neither draws nor writes, the compiled results are measured too.
        inputs: one tensor or array, a sequence of them, or a mapping of keyword arguments.
        train_step: `True` for forward, loss, gradients (of the inputs, where there are no variables) and (with
            `optimizer`) its step; or your own `train_step(model, *inputs)`, which does all of that itself and may
            return the loss.
        loss: `loss(target, output)`, Keras's order; without it the output is the loss.
        target: the loss function's first argument.
        optimizer: an object with `apply_gradients(pairs)`, or a function of that list.
        steps: how many training steps to run.
        verify: afterwards run the steps once more, unobserved, from the same variables, and compare bit by bit.
        full: keep every array. Otherwise each value is kept as statistics of a bounded sample.

    Without `verify` your code runs exactly as often as in a plain run; seeds, variables and flags end as after one.
    Raises `ValueError` for arguments that do not fit together.
    """
    check(train_step, loss, optimizer, steps)
    runner = Runner(model, inputs, full)
    step = _step_function(train_step, loss, target, optimizer)
    runner.describe(optimizer=optimizer, loss=loss)
    return runner.trace(runner.run_steps(step, steps, verify), runner.compiled_results(train_step))


def check(train_step: Any, loss: Any, optimizer: Any, steps: int) -> None:
    """Refuse arguments that contradict each other."""
    if callable(train_step) and (loss is not None or optimizer is not None):
        raise ValueError("train_step is your own function: it computes the loss and steps the optimizer itself; "
                         "pass either train_step=<function>, or loss= and optimizer=")  # fmt: skip
    if steps < 1:
        raise ValueError(f"steps is {steps}; expected 1 or more")


def _step_function(train_step: Any, loss: Any, target: Any, optimizer: Any) -> StepFunction:
    """What one step does: `(model, args, kwargs) -> (output, loss)`."""
    import tensorflow as tf  # noqa: PLC0415

    if callable(train_step):
        return lambda model, args, kwargs: (train_step(model, *args, **kwargs), None)
    if not (train_step or loss is not None or optimizer is not None):
        return lambda model, args, kwargs: (model(*args, **kwargs), None)

    def standard(model: Any, args: tuple, kwargs: dict) -> tuple[Any, Any]:
        given = [x for x in tf.nest.flatten((args, kwargs)) if tf.is_tensor(x) and x.dtype.is_floating]
        # A tape of its own: where the model has variables, no gradient of the inputs is to be computed.
        with tf.GradientTape(watch_accessed_variables=False) as of_inputs, tf.GradientTape() as tape:
            of_inputs.watch(given)
            output = model(*args, **kwargs)
            value = loss(target, output) if loss else output
        if not hasattr(value, "shape") or value.shape.rank != 0:
            raise ValueError("the model's output is no scalar; pass loss=<function of target and output>")
        variables = tape.watched_variables()
        if not variables and optimizer is None:
            of_inputs.gradient(value, given)
            return output, value
        pairs = list(zip(tape.gradient(value, variables), variables, strict=True))
        if optimizer is not None:
            getattr(optimizer, "apply_gradients", optimizer)(pairs)
        return output, value

    return standard


class Runner:
    """One recording: the observer, the model and the names of what goes in."""

    def __init__(self, model: Callable[..., Any], inputs: Any, full: bool) -> None:
        self.model = model
        self.observer = Observer(full)
        self.args, self.kwargs = arguments(inputs)
        self.named: dict[str, dict[str, Any]] = {"parameter": {}, "buffer": {}}
        self.output: Any = None
        self.observation = Observation(_execution(), evidence=NOT_COMPARED)
        self.inputs: dict[str, int] = {}
        self.adopt_inputs(self.kwargs or (self.args[0] if len(self.args) == 1 else self.args), "input")
        self._name_modules()

    def adopt_inputs(self, tree: Any, name: str) -> None:
        """Name tensors that the run is given: "input", or by their places in a container."""
        prefix = "" if isinstance(tree, Mapping | list | tuple) and name == "input" else name
        for path, tensor in named_leaves(tree, prefix).items():
            if hasattr(tensor, "_id"):
                self.inputs[path] = self.observer.read(tensor, "input", path)

    def _name_modules(self) -> None:
        import tensorflow as tf  # noqa: PLC0415

        if isinstance(self.model, tf.Module):
            places = self.observer.places
            for path, module in [((), self.model), *_flatten(self.model, tf.Module)]:
                kind = type(module)
                layer = Layer(f"{kind.__module__}.{kind.__qualname__}", _settings(module))
                places.name(module, _dotted(path), layer)
            for path, variable in _flatten(self.model, tf.Variable):
                self.adopt(variable, "parameter" if variable.trainable else "buffer", _dotted(path))

    def adopt(self, variable: Any, role: str, name: str) -> None:
        """Name a variable of the model."""
        self.observer.name_variable(variable, role, name)
        self.named[role].setdefault(name, variable)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Observe operations and calls of modules; leave no hook behind."""
        import tensorflow as tf  # noqa: PLC0415

        modules = [self.model, *self.model.submodules] if isinstance(self.model, tf.Module) else []
        names = self.observer.places.names
        inside = lambda m: self.observer.places.inside(m) if id(m) in names else nullcontext()  # noqa: E731
        with calls_watched({type(m) for m in modules}, inside), self.observer.watching():
            self.started = self._current()
            yield

    def run_steps(self, function: StepFunction, steps: int, verify: bool) -> tuple[StepResult, ...]:
        """Run the steps under observation and, with `verify`, once more without."""
        twin = Twin() if verify else None
        with self.watching():
            results = tuple(self.step(i, function) for i in range(steps))

        def again() -> Any:
            return [function(self.model, self.args, self.kwargs)[0] for _ in range(steps)][-1]

        if twin is not None:
            self.observation = twin.observe(self.observer, self.observation.execution, self.output, again)
        return results

    def step(self, index: int, function: StepFunction) -> StepResult:
        """Run one step under observation and name what it left behind."""
        observer = self.observer
        observer.places.step, observer.differentiated = index, None
        observer.places.phases[0] = "forward"
        self.output, loss = function(self.model, self.args, self.kwargs)
        outputs = named_leaves(self.output, "output")
        if observer.differentiated and loss is None:
            loss = observer.differentiated[0]
        parameters, buffers = self._current()
        gradients = self._gradients()
        return StepResult(
            outputs={n: observer.read(t) for n, t in outputs.items() if hasattr(t, "_id")},
            loss=observer.read(loss) if hasattr(loss, "_id") else None,
            gradients={name: i for name, i in gradients.items() if i is not None},
            parameters=parameters,
            buffers=buffers,
            unreached=tuple(name for name, i in gradients.items() if i is None),
        )

    def _current(self) -> tuple[dict[str, int], dict[str, int]]:
        """The values that the model's parameters and buffers hold now."""
        read = self.observer.read_variable
        held = [{n: read(v.handle) for n, v in self.named[role].items()} for role in ("parameter", "buffer")]
        return tuple({n: i for n, i in h.items() if i is not None} for h in held)  # type: ignore[return-value]

    def _gradients(self) -> dict[str, int | None]:
        """The gradients that the tape returned last, by the names of their sources; None where it returned none."""
        import tensorflow as tf  # noqa: PLC0415

        if not self.observer.differentiated:
            return {}
        _, sources, results = self.observer.differentiated
        found: dict[str, int | None] = {}
        for source, gradient in zip(tf.nest.flatten(sources), _flat_gradients(results, sources), strict=True):
            name = self._name_of(source)
            if name and gradient is None:
                found[name] = None
            elif name:
                with self.observer.places.phase("backward"):
                    found[name] = self.observer.read(tf.convert_to_tensor(gradient))
        return found

    def _name_of(self, source: Any) -> str:
        if hasattr(source, "handle"):
            return self.observer.named.get(source.handle._id, ("", ""))[1]
        value = self.observer.held.get(getattr(source, "_id", -1))
        return self.observer.recording.drafts[value].name if value is not None else ""

    def compiled_results(self, train_step: Any) -> dict[str, np.ndarray] | None:
        """What the compiled form of a `tf.function` returns; None where running it again would change state."""
        from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function  # noqa: PLC0415

        pure = not (self.observer.has_drawn or self.observer.has_written or train_step)
        if not (isinstance(self.model, Function) and pure):
            return None
        results = named_leaves(self.model(*self.args, **self.kwargs), "output")
        return {name: array_of(t) for name, t in results.items() if hasattr(t, "_id")}

    def describe(self, **parts: Any) -> None:
        """Note what Keras's optimizers and losses say of themselves."""
        from oracle.adapters.record_keras_names import describe  # noqa: PLC0415

        for path, part in parts.items():
            if hasattr(part, "get_config"):
                self.observer.places.layers[path] = describe(part)

    def trace(self, results: tuple[StepResult, ...], compiled: Mapping[str, np.ndarray] | None = None) -> Trace:
        """The finished recording."""
        import tensorflow as tf  # noqa: PLC0415

        recording = self.observer.recording
        settle(recording, self.observer.places.layers)
        after = {n: recording.value(a, "constant", f"compiled.{n}") for n, a in (compiled or {}).items()}
        return Trace(
            "tensorflow",
            tf.__version__,
            manifest(tf),
            tuple(recording.nodes),
            recording.values(),
            self.inputs,
            *self.started,
            results,
            self.observer.places.layers,
            after,
            self.observation,
        )


def _execution() -> str:
    import tensorflow as tf  # noqa: PLC0415

    return f"TensorFlow {tf.__version__} eager"


def arguments(inputs: Any) -> tuple[tuple, dict[str, Any]]:
    """`inputs` as positional and keyword arguments, arrays as tensors of the same type."""
    if isinstance(inputs, Mapping):
        return (), {name: to_tensors(x) for name, x in inputs.items()}
    if isinstance(inputs, tuple | list):
        return tuple(to_tensors(x) for x in inputs), {}
    return (to_tensors(inputs),), {}


def to_tensors(tree: Any) -> Any:
    """NumPy arrays in nested containers as tensors."""
    import tensorflow as tf  # noqa: PLC0415

    return tf.nest.map_structure(lambda x: tf.constant(x) if isinstance(x, np.ndarray) else x, tree)


def _flat_gradients(results: Any, sources: Any) -> list[Any]:
    """As many gradients as sources, sparse ones whole."""
    from tensorflow.python.util import nest  # noqa: PLC0415

    if not isinstance(sources, list | tuple | dict):
        return [results]
    return nest.flatten_up_to(sources, results)


def _flatten(module: Any, kind: type) -> list[tuple[tuple, Any]]:
    """Parts of `module` of the type `kind` with their paths, in the order of attributes."""
    return [(path, part) for path, part in module._flatten(with_path=True, predicate=lambda p: isinstance(p, kind))]


def _dotted(path: tuple) -> str:
    return ".".join(str(part) for part in path)


def _settings(module: Any) -> dict[str, Any]:
    """The literals that a module keeps among its attributes: what its constructor was told."""
    public = {k: v for k, v in vars(module).items() if not k.startswith("_")}
    return {k: v for k, v in public.items() if isinstance(v, bool | int | float | str)}


def manifest(tf: Any) -> dict[str, str]:
    """What the recording ran on."""
    return {
        **base_manifest(),
        "tensorflow": tf.__version__,
        "intra_op_threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
        "devices": ",".join(d.name for d in tf.config.list_logical_devices()),
    }
