"""Recording a torch model, function or training step: every operation that really executed."""

import dataclasses
import functools
import inspect
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from oracle.adapters.record_torch_mode import Observer
from oracle.adapters.record_torch_nodes import finish_nodes
from oracle.adapters.record_torch_twin import compare, compiled_run, left_behind, unobserved_run
from oracle.adapters.recording import is_record
from oracle.trace import Observation, StepResult, Trace


def record_torch(
    model: Callable[..., Any],
    inputs: Any,
    *,
    train_step: bool | Callable[..., Any] | None = None,
    loss: Callable[..., Any] | None = None,
    target: Any = None,
    optimizer: Any = None,
    steps: int = 1,
    full: bool = False,
    verify: bool = False,
) -> Trace:
    """Run `model` once on `inputs` and record every operation that executes.

    A model compiled with `torch.compile` is recorded in its eager form; a copy of it also runs compiled, and
    `Trace.compiled` keeps what that returned.

    Args:
        model: a module or a function of tensors.
        inputs: one tensor or array, a sequence of them, or a mapping of keyword arguments.
        train_step: `True` for forward, loss, backward and (with `optimizer`) its step; or your own
            `train_step(model, *inputs)`, which does all of that itself and may return the loss.
        loss: `loss(output, target)`; without it the output, or its `.loss`, is the loss.
        target: the loss function's second argument.
        optimizer: the optimizer to step. Gradients are set to None before each step, with or without one.
        steps: how many training steps to run.
        full: keep every array. Otherwise each value is kept as statistics of a bounded sample.
        verify: first run copies of model and optimizer unobserved, to compare the results bit by bit.

    Your code runs exactly as often as in a plain run; seeds, buffers, modes and flags end as after one.
    Raises `ValueError` for arguments that do not fit together.
    """
    _check(train_step, loss, optimizer, steps, verify)
    runner = Runner(model, inputs, full)
    make_step = functools.partial(_step_function, train_step, loss, target)
    alone = unobserved_run(runner, make_step, optimizer, steps) if verify else None
    if runner.model is not model:
        runner.keep_compiled(compiled_run(runner, model))
    with runner.watching(optimizer):
        step = make_step(optimizer)
        results = tuple(runner.step(i, step) for i in range(steps))
    trace = runner.trace(results)
    if alone is None:
        return trace
    watched = left_behind(runner.model, *runner.returned)
    return dataclasses.replace(trace, observation=compare(trace.observation.execution, alone, watched))


StepFunction = Callable[[Callable[..., Any], tuple, dict], tuple[Any, Any]]


def _check(train_step: Any, loss: Any, optimizer: Any, steps: int, verify: bool) -> None:
    if callable(train_step) and (loss is not None or optimizer is not None):
        raise ValueError("train_step is your own function: it computes the loss and steps the optimizer itself; "
                         "pass either train_step=<function>, or loss= and optimizer=")  # fmt: skip
    if callable(train_step) and verify:
        raise ValueError("verify=True runs copies of model and optimizer, and your train_step holds its own optimizer: "
                         "pass loss= and optimizer= instead")  # fmt: skip
    if steps < 1:
        raise ValueError(f"steps is {steps}; expected 1 or more")


def _step_function(train_step: Any, loss: Any, target: Any, optimizer: Any) -> StepFunction:
    """What one step does: `(model, args, kwargs) -> (output, loss)`."""
    if callable(train_step):

        def own(model: Any, args: tuple, kwargs: dict) -> tuple[Any, Any]:
            result = train_step(model, *args, **kwargs)
            return result, _first_scalar(result)

        return own
    if not (train_step or loss is not None or optimizer is not None):
        return lambda model, args, kwargs: (model(*args, **kwargs), None)

    def standard(model: Any, args: tuple, kwargs: dict) -> tuple[Any, Any]:
        if optimizer is not None:
            optimizer.zero_grad()
        _forget_gradients(model, args, kwargs)
        output = model(*args, **kwargs)
        value = loss(output, *(() if target is None else (_tensor(target),))) if loss else _own_loss(output)
        value.backward()
        if optimizer is not None:
            optimizer.step()
        return output, value

    return standard


def _forget_gradients(model: Any, args: tuple, kwargs: dict) -> None:
    """The gradients of a step are its own, whatever ran before it."""
    given = [t for _, t in named_tensors({"args": args, "kwargs": kwargs})]
    for tensor in (*getattr(model, "parameters", tuple)(), *given):
        if tensor.is_leaf:
            tensor.grad = None


def _own_loss(output: Any) -> Any:
    value = getattr(output, "loss", None)
    value = output if value is None else value
    if getattr(value, "numel", lambda: 0)() != 1:
        raise ValueError("the model's output is no scalar and has no .loss; pass loss=<function of output and target>")
    return value


class Runner:
    """One recording: the observer, the model and the names of what goes in."""

    def __init__(self, model: Callable[..., Any], inputs: Any, full: bool) -> None:
        import torch  # noqa: PLC0415

        self.torch = torch
        self.model = getattr(model, "_orig_mod", getattr(model, "_torchdynamo_orig_callable", model))
        self.compiled: dict[str, int] = {}
        self.returned: tuple[Any, Any] = (None, None)
        self.args, self.kwargs = _arguments(inputs)
        self.observer = Observer(full)
        self.named: dict[str, dict[str, Any]] = {"parameter": {}, "buffer": {}, "input": {}}
        self.started: dict[str, dict[str, int]] = {"parameter": {}, "buffer": {}, "input": {}}
        if isinstance(self.model, torch.nn.Module):
            self.adopt(self.model, "")
        for name, tensor in self._named_inputs():
            self._adopt_tensor("input", name, tensor)

    def adopt(self, module: Any, prefix: str) -> None:
        """Name the modules, parameters and buffers of `module`."""
        self.observer.places.name_modules(module, prefix)
        dot = f"{prefix}." if prefix else ""
        for name, tensor in module.named_parameters():
            self._adopt_tensor("parameter", dot + name, tensor)
        for name, tensor in module.named_buffers():
            self._adopt_tensor("buffer", dot + name, tensor)

    def adopt_optimizer(self, optimizer: Any) -> None:
        """Note an optimizer's settings, and name the state that it brings along from earlier steps."""
        self.observer.places.name_optimizer(optimizer)
        names = {id(p): n for n, p in self.named["parameter"].items()}
        for parameter, state in optimizer.state.items():
            for key, tensor in state.items():
                if isinstance(tensor, self.torch.Tensor):
                    self.observer.versions.leaf(tensor, "state", f"{names.get(id(parameter), 'parameter')}.{key}")

    def _adopt_tensor(self, role: str, name: str, tensor: Any) -> None:
        if name not in self.named[role]:
            self.named[role][name] = tensor
            self.started[role][name] = self.observer.versions.leaf(tensor, role, name)

    def keep_compiled(self, output: Any) -> None:
        """Keep what the compiled form returned."""
        for name, tensor in named_tensors({"output": output}):
            self.compiled[name] = self.observer.versions.leaf(tensor, "constant", f"compiled {name}")

    def _named_inputs(self) -> Iterator[tuple[str, Any]]:
        forward = getattr(self.model, "forward", self.model)
        try:
            bound = inspect.signature(forward).bind(*self.args, **self.kwargs).arguments
        except (TypeError, ValueError):  # a builtin, or a signature that a training step completes
            bound = {**{str(i): x for i, x in enumerate(self.args)}, **self.kwargs}
        yield from named_tensors(dict(bound))

    @contextmanager
    def watching(self, optimizer: Any) -> Iterator[None]:
        """Observe operations, modules and optimizers; leave no hook behind."""
        from torch.nn.modules.module import (  # noqa: PLC0415
            register_module_forward_hook,
            register_module_forward_pre_hook,
        )
        from torch.optim.optimizer import (  # noqa: PLC0415
            register_optimizer_step_post_hook,
            register_optimizer_step_pre_hook,
        )

        if optimizer is not None:
            self.adopt_optimizer(optimizer)
        hooks = [
            register_module_forward_pre_hook(self._entered),
            register_module_forward_hook(lambda *_: self.observer.places.leave(), always_call=True),
            register_optimizer_step_pre_hook(self._optimizing),
            register_optimizer_step_post_hook(lambda *_: setattr(self.observer.places, "optimizing", False)),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _entered(self, module: Any, args: Any) -> None:
        places = self.observer.places
        if module not in places.names:
            with unwatched():
                self.adopt(module, type(module).__name__)
        places.enter(module, counts=not any(getattr(x, "is_meta", False) for x in args))

    def _optimizing(self, optimizer: Any, *_: Any) -> None:
        with unwatched():
            self.adopt_optimizer(optimizer)
        self.observer.places.optimizing = True

    def step(self, index: int, function: StepFunction) -> StepResult:
        """Run one step under observation and name what it left behind."""
        self.observer.step = index
        self.observer.places.calls.clear()
        with self.observer.mode():
            self.returned = output, loss = function(self.model, self.args, self.kwargs)
        read, parameters = self.observer.versions.read, self.named["parameter"]
        sources = {**parameters, **self.named["input"]}
        differentiated = any(r.step == index and r.place.phase == "backward" for r in self.observer.records)
        asked = {n: p for n, p in sources.items() if p.is_leaf and p.requires_grad} if differentiated else {}
        return StepResult(
            outputs={name: read(t) for name, t in named_tensors({"output": output})},
            loss=None if loss is None else read(loss),
            gradients={n: read(p.grad) for n, p in sources.items() if p.is_leaf and p.grad is not None},
            parameters={name: read(p) for name, p in parameters.items()},
            buffers={name: read(b) for name, b in self.named["buffer"].items()},
            unreached=tuple(n for n, p in asked.items() if p.grad is None),
        )

    def trace(self, results: tuple[StepResult, ...]) -> Trace:
        """The finished recording."""
        torch, values = self.torch, self.observer.versions.values()
        return Trace(
            "torch",
            torch.__version__,
            _manifest(torch),
            finish_nodes(self.observer, values),
            values,
            self.started["input"],
            self.started["parameter"],
            self.started["buffer"],
            results,
            self.observer.places.layers,
            self.compiled,
            Observation(
                f"torch {torch.__version__}, eager kernels, {torch.get_num_threads()} threads",
                evidence="not compared with an unobserved run: a recording runs your code once (verify=True compares)",
            ),
        )


def unwatched() -> AbstractContextManager:
    """For our own operations while the user's are observed."""
    from torch.utils._python_dispatch import _disable_current_modes  # noqa: PLC0415

    return _disable_current_modes()


def _arguments(inputs: Any) -> tuple[tuple, dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), {name: _tensor(x) for name, x in inputs.items()}
    if isinstance(inputs, tuple | list):
        return tuple(_tensor(x) for x in inputs), {}
    return (_tensor(inputs),), {}


def _tensor(x: Any) -> Any:
    """NumPy's arrays, and those of JAX and TensorFlow, as tensors; anything else as it is."""
    import torch  # noqa: PLC0415

    if type(x).__module__.partition(".")[0] in ("jax", "jaxlib", "tensorflow") and hasattr(x, "__array__"):
        x = np.array(x)
    return torch.from_numpy(x) if isinstance(x, np.ndarray) else x


def named_tensors(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every tensor in a nest of containers, with its path ("logits", "past.0.1")."""
    import torch  # noqa: PLC0415
    from torch.utils._pytree import tree_flatten_with_path  # noqa: PLC0415

    for path, leaf in tree_flatten_with_path(tree)[0]:
        name = ".".join(str(getattr(k, "key", getattr(k, "idx", getattr(k, "name", k)))) for k in path)
        if isinstance(leaf, torch.Tensor):
            yield name, leaf
        elif is_record(leaf):
            parts = {f.name: getattr(leaf, f.name) for f in dataclasses.fields(leaf)}
            yield from ((f"{name}.{inner}" if name else inner, t) for inner, t in named_tensors(parts))


def _first_scalar(result: Any) -> Any:
    return next((t for _, t in named_tensors(result) if t.numel() == 1), None)


def _manifest(torch: Any) -> dict[str, str]:
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": str(torch.get_num_threads()),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()),
    }
