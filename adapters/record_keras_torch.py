"""Recording a Keras model on torch: the torch recorder with Keras's names for layers and variables."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from oracle.adapters import record_keras_names as names
from oracle.adapters.record_keras_plan import Plan
from oracle.adapters.record_keras_steps import number_slices, number_steps
from oracle.adapters.record_torch import Runner, unwatched
from oracle.adapters.recording import named_leaves
from oracle.adapters.recording_places import replaced
from oracle.trace import Trace


def record(model: Any, plan: Plan, full: bool) -> Trace:
    """Run `plan` on `model` and record every aten operation that executes."""
    runner = _TorchRunner(model, plan, full)
    with runner.watching(None):
        results = tuple(runner.step(i, runner.run) for i in range(plan.steps))
    trace = runner.trace(results)
    weights = {i for named in (trace.parameters, *(step.parameters for step in trace.steps)) for i in named.values()}
    nodes = number_slices(number_steps(trace.nodes, trace.layers, weights), trace.layers, weights)
    return dataclasses.replace(trace, nodes=tuple(nodes))


class _TorchRunner(Runner):
    """The torch recorder, told about Keras's layers, variables, optimizer and loss."""

    def __init__(self, model: Any, plan: Plan, full: bool) -> None:
        import keras  # noqa: PLC0415
        import optree  # noqa: PLC0415

        self.plan = plan
        self.returned: Any = None
        self.loss: Any = None
        super().__init__(model, (), full)
        places = self.observer.places
        places.skipped = (*places.skipped, *(os.path.dirname(str(p.__file__)) for p in (keras, optree)))
        self.x, self.target = _tensors(plan.inputs), _tensors(plan.target)
        for group, tree in (("input", self.x), ("target", self.target)):
            for name, tensor in named_leaves(tree, "" if isinstance(tree, dict) else group).items():
                self._adopt_tensor("input", name, tensor)

    def adopt(self, module: Any, prefix: str) -> None:
        """Name Keras's layers and variables as Keras does, torch's own modules as torch does."""
        if not hasattr(module, "_flatten_layers"):
            super().adopt(module, prefix)
            return
        places = self.observer.places
        for layer, path in names.layer_paths(module):
            name = ".".join(part for part in (prefix, path) if part)
            if layer not in places.names:
                places.names[layer], places.layers[name] = name, names.describe(layer)
        if module is self.model:
            self.plan.build_optimizer(module)
            known = names.model_variables(module)
            for variable, role, name in [*known, *names.run_variables(module, self.plan.optimizer, known)]:
                self._adopt_variable(variable, role, name)

    def _adopt_variable(self, variable: Any, role: str, name: str) -> None:
        if role == "state":
            self.observer.versions.leaf(variable.value, role, name)
        else:
            self._adopt_tensor(role, name, variable.value)

    @contextlib.contextmanager
    def watching(self, optimizer: Any) -> Iterator[None]:
        """Observe operations, layers, the optimizer and the loss; leave no hook behind."""
        computes_loss = hasattr(self.model, "_compute_loss")
        builds = hasattr(self.model, "_symbolic_build")
        seeing = replaced(self.model, "_compute_loss", self._seeing_loss) if computes_loss else contextlib.nullcontext()
        building = replaced(self.model, "_symbolic_build", _unobserved) if builds else contextlib.nullcontext()
        with (
            super().watching(optimizer),
            names.layer_calls(lambda _: contextlib.nullcontext(), self._done),
            names.optimizer_steps(self.plan.optimizer, self._stepping),
            seeing,
            building,
        ):
            yield

    def _done(self, layer: Any, result: Any) -> None:
        if layer is self.model:
            self.returned = result

    def _seeing_loss(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        def observed(*args: Any, **kwargs: Any) -> Any:
            self.loss = compute(*args, **kwargs)
            return self.loss

        return observed

    @contextlib.contextmanager
    def _stepping(self) -> Iterator[None]:
        self.observer.places.optimizing = True
        try:
            yield
        finally:
            self.observer.places.optimizing = False

    def run(self, model: Any, args: tuple, kwargs: dict) -> tuple[Any, Any]:
        """One step of the plan: `(output, loss)`."""
        plan = self.plan
        if plan.kind == "call":
            return model(self.x, **plan.call_arguments), None
        if plan.kind == "own":
            plan.train_step(model, self.x, *plan.targets(self.target))  # type: ignore[misc]
        elif plan.kind == "fit":
            model.train_on_batch(self.x, self.target)
        else:
            self._plain(model)
        return self.returned, self.loss

    def _plain(self, model: Any) -> None:
        plan, weights = self.plan, model.trainable_weights
        output = model(self.x, **plan.call_arguments)
        self.loss = plan.objective(self.target, output, model.losses)
        model.zero_grad()
        self.loss.backward()
        if plan.optimizer is not None:
            with self.torch.no_grad():
                plan.optimizer.apply([w.value.grad for w in weights], weights)


def _unobserved(build: Callable[..., Any]) -> Callable[..., Any]:
    """Keras builds a model by running it on shapes, and pools on memory that holds nothing: no part of the run."""

    def built(*args: Any, **kwargs: Any) -> Any:
        with unwatched():
            return build(*args, **kwargs)

    return built


def _tensors(tree: Any) -> Any:
    """NumPy arrays in nested containers as tensors."""
    import torch  # noqa: PLC0415

    if isinstance(tree, dict):
        return {k: _tensors(v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_tensors(v) for v in tree)
    return torch.from_numpy(tree) if isinstance(tree, np.ndarray) else tree
