"""Recording a JAX function or training step: its jaxpr, run primitive by primitive."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from oracle.adapters.record_jax_walk import Traced, Walker, plain_scope
from oracle.adapters.record_tensorflow import check
from oracle.adapters.recording import base_manifest
from oracle.adapters.recording_places import settle
from oracle.trace import Layer, Observation, StepResult, Trace

EXECUTION = "JAX {version} primitive by primitive (a jit may fuse them and round differently)"
NOT_COMPARED = "not compared with an unobserved run: JAX compiles each function of its own, which may round differently"


def record_jax(
    model: Callable[..., Any],
    inputs: Any,
    *,
    train_step: bool | Callable[..., Any] | None = None,
    loss: Callable[..., Any] | None = None,
    target: Any = None,
    optimizer: Callable[[Any, Any], Any] | None = None,
    steps: int = 1,
    full: bool = False,
) -> Trace:
    """Trace `model` once for each step, run its jaxpr on `inputs` and record every primitive.

    Args:
        model: a function of arrays; of a jitted one the compiled results are measured too.
        inputs: its argument, a tuple of arguments, or a mapping of keyword arguments; pytrees of arrays.
        train_step: `True` for value, gradient with respect to the first argument (the parameters) and, with
            `optimizer`, the new parameters; or your own `train_step(model, *inputs)`.
        loss: `loss(output, target)`; without it the output is the loss.
        target: the loss function's second argument.
        optimizer: `optimizer(parameters, gradients)`, which returns the new parameters.
        steps: how many training steps to run, each with the parameters that the last one left.
        full: keep every array. Otherwise each value is kept as statistics of a bounded sample.

    Raises `ValueError` for arguments that do not fit together.
    """
    check(train_step, loss, optimizer, steps)
    runner = _Runner(model, inputs, full)
    if callable(train_step):
        results = [runner.forward(lambda *a, **k: train_step(model, *a, **k), i) for i in range(steps)]
    elif train_step or loss is not None or optimizer is not None:
        results = [runner.train(loss, target, optimizer, i) for i in range(steps)]
    else:
        results = [runner.forward(model, 0)]
    return runner.trace(tuple(results))


class _Runner:
    """One recording: the walker and the names of what goes in."""

    def __init__(self, model: Callable[..., Any], inputs: Any, full: bool) -> None:
        self.model = model
        self.walker = Walker(full, plain_scope)
        self.args, self.kwargs = _arguments(inputs)
        self.leaves: dict[str, Traced] = {}
        self.started: dict[str, dict[str, int]] = {"input": {}, "parameter": {}}
        names = _argument_names(model, self.args)
        for position, argument in enumerate(self.args):
            role = "parameter" if position == 0 and len(self.args) > 1 and is_container(argument) else "input"
            self._adopt(argument, names[position], role)
        for name, argument in self.kwargs.items():
            self._adopt(argument, name, "input")
        self.compiled: dict[str, Any] = {}

    def _adopt(self, tree: Any, name: str, role: str) -> None:
        for path, leaf in named_arrays(tree, name).items():
            self.leaves[path] = self.walker.leaf(as_jax(leaf), role, path)
            value = self.leaves[path].value
            if value is not None:
                self.started[role][path] = value

    def walk(self, function: Callable[..., Any], args: tuple, kwargs: dict, leaves: list[Traced]) -> tuple[list, list]:
        """Trace `function` and run it: its outputs, and their paths."""
        import jax  # noqa: PLC0415

        closed, shape = jax.make_jaxpr(function, return_shape=True)(*args, **kwargs)
        outputs = self.walker.run(closed.jaxpr, closed.consts, leaves)
        return outputs, list(named_arrays(shape, "").keys())

    def forward(self, function: Callable[..., Any], index: int) -> StepResult:
        """Run `function` on the inputs."""
        self.walker.step = index
        outputs, paths = self.walk(function, self.args, self.kwargs, list(self.leaves.values()))
        if hasattr(function, "lower"):
            self.compiled = named_arrays(function(*self.args, **self.kwargs), "output")
        self._mark_optimizer(index)
        named = {join("output", p): o.value for p, o in zip(paths, outputs, strict=True) if o.value is not None}
        return StepResult(outputs=named)

    def train(self, loss: Any, target: Any, optimizer: Any, index: int) -> StepResult:
        """Value, gradient with respect to the first argument, and the optimizer's new parameters."""
        import jax  # noqa: PLC0415

        if not self.args:
            raise ValueError("a training step differentiates the first argument; pass inputs as a tuple")
        self.walker.step, self.walker.phase = index, "forward"
        goal = {} if target is None else named_arrays(target, "target")
        if not goal.keys() <= self.leaves.keys():
            self._adopt(target, "target", "input")
        extra = [self.leaves[name] for name in goal]

        def objective(first: Any, *rest: Any) -> tuple[Any, Any]:
            output = self.model(first, *rest[: len(self.args) - 1], **self.kwargs)
            value = output if loss is None else loss(output, *rest[len(self.args) - 1 :])
            return _scalar(value), output

        args = self.args if target is None else (*self.args, target)
        own = [self.leaves[n] for n in self._argument_leaves()] + extra
        results, paths = self.walk(jax.value_and_grad(objective, has_aux=True), args, {}, own)
        sections = {p: r for p, r in zip(paths, results, strict=True)}
        gradients = {p.removeprefix("1").lstrip("."): r for p, r in sections.items() if p.split(".")[0] == "1"}
        outputs = {p.removeprefix("0.1").lstrip("."): r for p, r in sections.items() if p.startswith("0.1")}
        return self._result(sections["0.0"], outputs, gradients, optimizer)

    def _argument_leaves(self) -> list[str]:
        names = _argument_names(self.model, self.args)
        return [p for n, a in zip(names, self.args, strict=True) for p in named_arrays(a, n)]

    def _result(self, loss: Traced, outputs: dict, gradients: dict, optimizer: Any) -> StepResult:
        import jax  # noqa: PLC0415

        first = _argument_names(self.model, self.args)[0]
        paths = list(named_arrays(self.args[0], first))
        gradient = list(gradients.values())
        if optimizer is not None:
            self.walker.phase = "optimizer"
            structure = jax.tree_util.tree_structure(self.args[0])
            grads = jax.tree_util.tree_unflatten(structure, [g.array for g in gradient])
            updated, _ = self.walk(optimizer, (self.args[0], grads), {}, [self.leaves[p] for p in paths] + gradient)
            self.leaves.update(zip(paths, updated, strict=True))
            self.args = (jax.tree_util.tree_unflatten(structure, [u.array for u in updated]), *self.args[1:])
        return StepResult(
            outputs={join("output", p): o.value for p, o in outputs.items() if o.value is not None},
            loss=loss.value,
            gradients={p: g.value for p, g in zip(paths, gradient, strict=True) if g.value is not None},
            parameters={p: v for p in paths if (v := self.leaves[p].value) is not None},
        )

    def _mark_optimizer(self, index: int) -> None:
        """In a step that the user wrote, what follows the last backward primitive updates the parameters."""
        recording = self.walker.recording
        mine = [n for n in recording.nodes if n.step == index]
        last = max((n.index for n in mine if n.phase == "backward"), default=None)
        for node in mine:
            if last is not None and node.index > last:
                recording.amend(node.index, phase="optimizer")

    def trace(self, results: tuple[StepResult, ...]) -> Trace:
        """The finished recording."""
        import jax  # noqa: PLC0415

        recording = self.walker.recording
        settle(recording, {})
        compiled = {n: recording.value(a, "constant", f"compiled.{n}") for n, a in self.compiled.items()}
        return Trace(
            "jax",
            jax.__version__,
            manifest(),
            tuple(recording.nodes),
            recording.values(),
            self.started["input"],
            self.started["parameter"],
            {},
            results,
            {n.scope: Layer("jax.named_scope") for n in recording.nodes if n.scope},
            compiled,
            Observation(EXECUTION.format(version=jax.__version__), evidence=NOT_COMPARED),
        )


def _arguments(inputs: Any) -> tuple[tuple, dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs, {}) if isinstance(inputs, tuple) else ((inputs,), {})


def _argument_names(model: Any, args: tuple) -> list[str]:
    """The parameters' names in the function's signature; "input" for those without."""
    try:
        names = list(inspect.signature(model).bind(*args).arguments)
    except (TypeError, ValueError):
        names = []
    return names if len(names) == len(args) else [f"input.{i}" if len(args) > 1 else "input" for i in range(len(args))]


def as_jax(array: Any) -> Any:
    """The array as JAX will see it: without x64, 64-bit types become 32-bit ones."""
    import jax  # noqa: PLC0415

    return jax.numpy.asarray(array)


def is_container(tree: Any) -> bool:
    """Whether `tree` is a pytree of several arrays rather than one array."""
    import jax  # noqa: PLC0415

    return not jax.tree_util.all_leaves([tree])


def named_arrays(tree: Any, name: str) -> dict[str, Any]:
    """The leaves of a pytree by their dotted paths."""
    import jax  # noqa: PLC0415

    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {join(name, jax.tree_util.keystr(path, simple=True, separator=".")): leaf for path, leaf in leaves}


def join(*parts: str) -> str:
    """A dotted path, without empty parts."""
    return ".".join(p for p in parts if p)


def _scalar(value: Any) -> Any:
    if getattr(value, "shape", None) != ():
        raise ValueError("the function's output is no scalar; pass loss=<function of output and target>")
    return value


def manifest() -> dict[str, str]:
    """What the recording ran on."""
    import jax  # noqa: PLC0415

    return {
        **base_manifest(),
        "jax": jax.__version__,
        "devices": ",".join(str(d) for d in jax.devices()),
        "x64": str(jax.config.values["jax_enable_x64"]),
        "default_matmul_precision": str(jax.config.values["jax_default_matmul_precision"]),
    }
