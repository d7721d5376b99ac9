"""Recording a Keras model on JAX: the jaxpr of its stateless call or train step, run primitive by primitive."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from oracle.adapters import record_keras_names as names
from oracle.adapters.record_jax import EXECUTION, NOT_COMPARED, as_jax, manifest, named_arrays
from oracle.adapters.record_jax_walk import OPTIMIZER_SCOPE, Traced, Walker
from oracle.adapters.record_keras_plan import Plan
from oracle.adapters.recording import base_manifest
from oracle.adapters.recording_places import replaced, settle
from oracle.trace import Layer, Observation, StepResult, Trace

_MARK = re.compile(r"keras:([^/()]*)")
_GROUPS = ("trainable", "non_trainable", "optimizer", "metrics")


def keras_scope(stack: str) -> str:
    """The path of the innermost Keras layer in JAX's stack of names."""
    marks = _MARK.findall(stack)
    return marks[-1] if marks else ""


def record(model: Any, plan: Plan, full: bool) -> Trace:
    """Run `plan` on `model` and record every primitive that executes."""
    if plan.kind == "own":
        raise ValueError("on JAX a train step is a pure function: pass train_step=True for the step of fit(), or "
                         "loss= and optimizer=; record_jax records your own JAX function")  # fmt: skip
    runner = _Runner(model, plan, full)
    return runner.trace(tuple(runner.step(i) for i in range(plan.steps)))


class _Runner:
    """One recording: the walker, the model's variables in Keras's order, and their values."""

    def __init__(self, model: Any, plan: Plan, full: bool) -> None:
        self.model, self.plan = model, plan
        self.layers: dict[str, Layer] = {path: names.describe(layer) for layer, path in names.layer_paths(model)}
        self.paths = {id(layer): path for layer, path in names.layer_paths(model)}
        self.walker = Walker(full, keras_scope, "keras", "optree")
        self.data = {
            name: self.walker.leaf(as_jax(array), "input", name)
            for group, tree in (("input", plan.inputs), ("target", plan.target))
            for name, array in named_arrays(tree, "" if isinstance(tree, dict) else group).items()
        }
        self._prepare()
        self.groups = self._groups()
        self.names = self._names()
        self.held = {id(v): self._leaf(v) for group in self.groups.values() for v in group}
        self.started = self._by_name()

    def _prepare(self) -> None:
        """What Keras does before its first step: build the optimizer and the metrics, and reset these."""
        if self.plan.kind == "fit":
            self.model._symbolic_build(data_batch=(self.plan.inputs, self.plan.target, None))
            self.model.reset_metrics()
        self.plan.build_optimizer(self.model)

    def _groups(self) -> dict[str, list[Any]]:
        """Keras's four lists of variables, in the order of its stateless functions."""
        model, optimizer = self.model, self.plan.optimizer
        metrics = model.metrics_variables if self.plan.kind == "fit" else []
        lists = (model.trainable_variables, model.non_trainable_variables, getattr(optimizer, "variables", []), metrics)
        return dict(zip(_GROUPS, (list(v) for v in lists), strict=True))

    def _names(self) -> dict[int, names.Named]:
        known = names.model_variables(self.model)
        known += names.run_variables(self.model, self.plan.optimizer, known)
        return {id(n.variable): n for n in known}

    def _leaf(self, variable: Any) -> Traced:
        named = self.names.get(id(variable))
        role, name = (named.role, named.name) if named else ("state", variable.path)
        leaf = self.walker.leaf(variable.value, role, name)
        if name.endswith("seed_generator_state"):
            self.walker.random.add(leaf.value)
        return leaf

    def _by_name(self) -> dict[str, dict[str, int]]:
        """The values that the parameters and buffers hold now."""
        found: dict[str, dict[str, int]] = {"parameter": {}, "buffer": {}}
        for key, held in self.held.items():
            named = self.names.get(key)
            if named and named.role in found and held.value is not None:
                found[named.role][named.name] = held.value
        return found

    def step(self, index: int) -> StepResult:
        """Trace one step, run it, and give the variables their new values."""
        import jax  # noqa: PLC0415

        self.walker.step = index
        state = {g: [self.held[id(v)] for v in variables] for g, variables in self.groups.items()}
        arguments = ({g: [t.array for t in held] for g, held in state.items()}, self.plan.inputs, self.plan.target)
        with self._hooks():
            closed, shape = jax.make_jaxpr(self._function(), return_shape=True)(*arguments)
        leaves = [*(t for g in sorted(state) for t in state[g]), *self.data.values()]
        results = self.walker.run(closed.jaxpr, closed.consts, leaves)
        self.traced = (closed, [t.array for t in leaves], list(named_arrays(shape, "")))
        found = dict(zip(named_arrays(shape, ""), results, strict=True))
        for group, variables in self.groups.items():
            self._assign(variables, [found[f"{group}.{i}"] for i in range(len(variables))])
        return self._result(found)

    def _assign(self, variables: Sequence[Any], values: Sequence[Traced]) -> None:
        for variable, held in zip(variables, values, strict=True):
            self.held[id(variable)] = held
            variable.assign(held.array)

    def _result(self, found: dict[str, Traced]) -> StepResult:
        now = self._by_name()
        outputs = {n: t.value for n, t in found.items() if n.partition(".")[0] == "output" and t.value is not None}
        trained = [self.names[id(v)].name for v in self.groups["trainable"]]
        gradients = {n: found[k].value for i, n in enumerate(trained) if (k := f"gradient.{i}") in found}
        loss = found["loss"].value if "loss" in found else None
        return StepResult(outputs, loss, gradients, now["parameter"], now["buffer"])  # type: ignore[arg-type]

    def _function(self) -> Callable[..., dict[str, Any]]:
        """The step as a pure function of state, inputs and target."""
        return {"call": self._call, "plain": self._plain, "fit": self._fit}[self.plan.kind]

    def _call(self, state: dict, x: Any, y: Any) -> dict[str, Any]:
        output, other = self.model.stateless_call(
            state["trainable"], state["non_trainable"], x, **self.plan.call_arguments
        )
        return {**state, "non_trainable": other, "output": output}

    def _plain(self, state: dict, x: Any, y: Any) -> dict[str, Any]:
        import jax  # noqa: PLC0415

        def objective(trainable: Any) -> tuple[Any, Any]:
            output, other, added = self.model.stateless_call(
                trainable, state["non_trainable"], x, **self.plan.call_arguments, return_losses=True
            )
            results = {**state, "trainable": trainable, "non_trainable": other, "output": output}
            return self.plan.objective(y, output, added), results

        (loss, results), gradient = jax.value_and_grad(objective, has_aux=True)(state["trainable"])
        results = {**results, "trainable": state["trainable"], "loss": loss, "gradient": gradient}
        if self.plan.optimizer is not None:
            trainable, own = self.plan.optimizer.stateless_apply(state["optimizer"], gradient, state["trainable"])
            results |= {"trainable": trainable, "optimizer": own}
        return results

    def _fit(self, state: dict, x: Any, y: Any) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def seeing_gradients(apply: Callable[..., Any]) -> Callable[..., Any]:
            def observed(own: Any, gradients: Any, trainable: Any) -> Any:
                seen["gradient"] = list(gradients)
                return apply(own, gradients, trainable)

            return observed

        def seeing_output(update: Callable[..., Any]) -> Callable[..., Any]:
            def observed(metrics: Any, loss: Any, *data: Any) -> Any:
                seen.update(loss=loss, output=data[2])
                return update(metrics, loss, *data)

            return observed

        with (
            replaced(self.model.optimizer, "stateless_apply", seeing_gradients),
            replaced(self.model, "_update_metrics_variables", seeing_output),
        ):
            _, after = self.model.train_step(tuple(state[g] for g in _GROUPS), (x, y, None))
        return {**dict(zip(_GROUPS, after, strict=True)), **seen}

    @contextlib.contextmanager
    def _hooks(self) -> Iterator[None]:
        """While calls of layers and the optimizer leave their marks in JAX's stack of names."""
        import jax  # noqa: PLC0415

        def marking(apply: Callable[..., Any]) -> Callable[..., Any]:
            def marked(*args: Any, **kwargs: Any) -> Any:
                with jax.named_scope(OPTIMIZER_SCOPE):
                    return apply(*args, **kwargs)

            return marked

        optimizer = self.plan.optimizer
        applying = replaced(optimizer, "stateless_apply", marking) if optimizer else contextlib.nullcontext()
        with names.layer_calls(self._inside, lambda *_: None), applying:
            yield

    def _inside(self, layer: Any) -> Any:
        import jax  # noqa: PLC0415

        path = self.paths.setdefault(id(layer), layer.name)
        if path not in self.layers:
            self.layers[path] = names.describe(layer)
        return jax.named_scope(f"keras:{path}")

    def compiled(self) -> dict[str, int]:
        """What XLA's compilation of the last step returns as the model's outputs."""
        import jax.extend  # noqa: PLC0415

        if not self.plan.compiled:
            return {}
        closed, arrays, paths = self.traced
        results = dict(zip(paths, jax.jit(jax.extend.core.jaxpr_as_fun(closed))(*arrays), strict=True))
        outputs = {n: r for n, r in results.items() if n.partition(".")[0] == "output"}
        return {n: self.walker.recording.value(r, "constant", f"compiled.{n}") for n, r in outputs.items()}

    def trace(self, results: tuple[StepResult, ...]) -> Trace:
        """The finished recording."""
        import jax  # noqa: PLC0415
        import keras  # noqa: PLC0415

        recording = self.walker.recording
        for node in recording.nodes:
            if node.scope in self.layers:
                recording.amend(node.index, layer=self.layers[node.scope].kind)
        settle(recording, self.layers)
        compiled = self.compiled()
        return Trace(
            "jax",
            jax.__version__,
            {**base_manifest(), **manifest(), "keras": keras.__version__},
            tuple(recording.nodes),
            recording.values(),
            {n: t.value for n, t in self.data.items() if t.value is not None},
            self.started["parameter"],
            self.started["buffer"],
            results,
            self.layers,
            compiled,
            observation=Observation(
                f"Keras {keras.__version__} on {EXECUTION.format(version=jax.__version__)}", evidence=NOT_COMPARED
            ),
        )
