"""Recording a Keras model on TensorFlow: the eager form of its call and of its own train step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from oracle.adapters import record_keras_names as names
from oracle.adapters.record_keras_plan import Plan
from oracle.adapters.record_keras_steps import number_steps
from oracle.adapters.record_tensorflow import Runner, to_tensors
from oracle.adapters.record_tensorflow_observer import array_of
from oracle.adapters.recording import named_leaves
from oracle.trace import StepResult, Trace


def record(model: Any, plan: Plan, full: bool) -> Trace:
    """Run `plan` on `model` and record every raw operation that executes."""
    runner = TensorFlowRunner(model, plan, full)
    results = runner.run_steps(runner.run, plan.steps, plan.verify)
    recording = runner.observer.recording
    recording.nodes = number_steps(recording.nodes, runner.observer.places.layers)
    return runner.trace(results, runner.compiled_call() if plan.compiled else None)


class TensorFlowRunner(Runner):
    """The TensorFlow recorder with Keras's names for layers and variables."""

    def __init__(self, model: Any, plan: Plan, full: bool) -> None:
        super().__init__(model, (), full)
        self.plan = plan
        self.x, self.target = to_tensors(plan.inputs), to_tensors(plan.target)
        self.adopt_inputs(self.x, "input")
        self.adopt_inputs(self.target, "target")
        self.returned: Any = None

    def _name_modules(self) -> None:
        for layer, path in names.layer_paths(self.model):
            self.observer.places.name(layer, path, names.describe(layer))

    def run(self, model: Any, args: tuple, kwargs: dict) -> tuple[Any, Any]:
        """One step of the plan: `(output, loss)`."""
        import tensorflow as tf  # noqa: PLC0415

        plan: Any = self.plan
        if plan.kind == "call":
            return model(self.x, **plan.call_arguments), None
        if plan.kind == "own":
            plan.train_step(model, self.x, *plan.targets(self.target))
        elif plan.kind == "fit":
            model.train_on_batch(self.x, self.target)
        else:
            with tf.GradientTape() as tape:
                output = model(self.x, **plan.call_arguments)
                value = plan.objective(self.target, output, model.losses)
            gradients = tape.gradient(value, model.trainable_weights)
            if plan.optimizer is not None:
                plan.optimizer.apply(gradients, model.trainable_weights)
        return self.returned, None

    def step(self, index: int, function: Any) -> StepResult:
        """Run one step under observation, remembering the state that it starts from."""
        if self.plan.compiled:
            model: Any = self.model
            self.before = [v.value.numpy() for v in model.variables]
        return super().step(index, function)

    def compiled_call(self) -> dict[str, np.ndarray]:
        """What the model's call returns as a `tf.function` from the state before the last step; then undone."""
        import tensorflow as tf  # noqa: PLC0415

        model: Any = self.model
        plan, variables = self.plan, model.variables
        flags = {"training": True} if plan.kind == "fit" else plan.call_arguments
        jit = plan.kind == "fit" and bool(model.jit_compile)
        after = [v.value.numpy() for v in variables]
        try:
            _assign(variables, self.before)
            result = tf.function(lambda x: self.model(x, **flags), jit_compile=jit)(self.x)
        finally:
            _assign(variables, after)
        return {name: array_of(t) for name, t in named_leaves(result, "output").items()}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Observe operations, layers and the optimizer; leave no hook behind."""
        self._adopt_variables()
        with (
            names.layer_calls(self._inside, self._done),
            names.optimizer_steps(self.plan.optimizer, self._stepping),
            self.observer.watching(),
        ):
            self.started = self._current()
            yield

    def _inside(self, layer: Any) -> Any:
        self.observer.places.name(layer, layer.name, names.describe(layer))
        return self.observer.places.inside(layer)

    def _done(self, layer: Any, result: Any) -> None:
        if layer is self.model:
            self.returned = result

    def _adopt_variables(self) -> None:
        self.plan.build_optimizer(self.model)
        parameters = names.model_variables(self.model)
        for variable, role, name in [*parameters, *names.run_variables(self.model, self.plan.optimizer, parameters)]:
            if role == "state":
                self.observer.name_variable(variable.value, role, name)
            else:
                self.adopt(variable.value, role, name)

    @contextmanager
    def _stepping(self) -> Iterator[None]:
        """An optimizer's step. What follows it (metrics) is neither backward nor optimizer."""
        with self.observer.places.phase("optimizer"):
            yield
        self.observer.places.phases[0] = "forward"


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.value.assign(value)
