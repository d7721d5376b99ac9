"""Straight-line programs: a JAX function traced, inlined and unrolled, ready for any arithmetic.

A `Program` is the jaxpr without control structure: calls and custom derivatives are inlined, scans unrolled,
convolutions unfolded to windows and one matrix product, and dead steps dropped. What remains is a list of steps, each
one primitive, that the ball arithmetic, Arb, and the rounding budget interpret alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oracle.reference.lazy import jax

_CALLS = {"jit", "pjit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call", "custom_vjp_call",
          "custom_vjp_call_jaxpr", "custom_lin", "remat2"}  # fmt: skip

# Mathematics does not see these: a real number in whatever format is the same number.
_IDENTITIES = {"stop_gradient", "copy", "copy_p", "optimization_barrier", "reduce_precision", "device_put",
               "sharding_constraint"}  # fmt: skip

_WINDOWED = {"reduce_window_sum", "reduce_window_max", "reduce_window_min", "select_and_scatter_add",
             "select_and_gather_add"}  # fmt: skip


def is_real(dtype: Any) -> bool:
    """Whether arrays of `dtype` hold real numbers; bfloat16 and the float8 formats have a kind of their own."""
    return np.dtype(dtype).kind not in "iub"


@dataclass(frozen=True)
class Step:
    """One primitive applied: variables in, variables out, static parameters."""

    primitive: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    params: dict[str, Any]


@dataclass(frozen=True)
class Variable:
    """Shape and NumPy dtype of a variable."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def is_real(self) -> bool:
        """Whether it holds real numbers (not integers or booleans)."""
        return is_real(self.dtype)


@dataclass(frozen=True)
class Program:
    """Straight-line code over variables numbered from 0; `constants` maps some of them to their values."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    steps: tuple[Step, ...]
    variables: tuple[Variable, ...]
    constants: dict[int, np.ndarray] = field(default_factory=dict)


def trace(fn: Callable[..., Any], *examples: Any, unfold: bool = True) -> Program:
    """The program of `fn` on arrays like `examples` (arrays or anything with shape and dtype).

    Floats are traced as float64, whatever the user's own x64 setting. The outputs are the flattened leaves of what
    `fn` returns. Without `unfold` convolutions and windowed reductions stay whole, for an arithmetic that knows them.
    `ValueError` names a primitive that has no straight-line form.
    """
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(fn)(*[_abstract(x) for x in examples])
    builder = _Builder(unfold)
    inputs = [builder.new(v.aval) for v in closed.jaxpr.invars]
    outputs = builder.inline(closed.jaxpr, closed.consts, inputs)
    return builder.finish(inputs, outputs)


def vjp(fn: Callable[..., Any], positions: Sequence[int], arity: int) -> Callable[..., tuple]:
    """The gradient program of `fn`, a function of `arity` arrays: `g(*args, *cotangents)`.

    It takes one cotangent for each (flattened) output of `fn`, of the same shape, and returns the cotangents of the
    arguments at `positions`.
    """

    def gradient(*operands: Any) -> tuple:
        args, cotangents = list(operands[:arity]), operands[arity:]

        def of_selected(*selected: Any) -> list:
            for position, value in zip(positions, selected, strict=True):
                args[position] = value
            return jax.tree_util.tree_leaves(fn(*args))

        _, pull_back = jax.vjp(of_selected, *[args[p] for p in positions])
        return pull_back(list(cotangents))

    return gradient


def _abstract(x: Any) -> Any:
    dtype = np.dtype(x.dtype) if hasattr(x, "dtype") else np.asarray(x).dtype
    return jax.ShapeDtypeStruct(np.shape(x), np.dtype(np.float64) if is_real(dtype) else dtype)


class _Builder:
    """Collects steps while jaxprs are inlined."""

    def __init__(self, unfold: bool = True) -> None:
        self.unfold = unfold
        self.variables: list[Variable] = []
        self.constants: dict[int, np.ndarray] = {}
        self.steps: list[Step] = []

    def new(self, aval: Any) -> int:
        self.variables.append(Variable(tuple(aval.shape), np.dtype(aval.dtype)))
        return len(self.variables) - 1

    def constant(self, value: Any) -> int:
        value = np.asarray(value)
        if is_real(value.dtype):  # float32 arrays would be computed with in float32
            value = value.astype(np.float64)
        index = self.new(value)
        self.constants[index] = value
        return index

    def emit(self, primitive: str, inputs: Sequence[int], aval: Any, **params: Any) -> int:
        output = self.new(aval)
        self.steps.append(Step(primitive, tuple(inputs), (output,), params))
        return output

    def inline(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[int]) -> list[int]:
        """Append the steps of `jaxpr` and return the variables of its outputs."""
        environment: dict[Any, int] = dict(zip(jaxpr.invars, inputs, strict=True))
        for variable, value in zip(jaxpr.constvars, consts, strict=True):
            environment[variable] = self.constant(value)

        def read(atom: Any) -> int:
            return self.constant(atom.val) if hasattr(atom, "val") else environment[atom]

        for equation in jaxpr.eqns:
            outputs = self.equation(equation, [read(atom) for atom in equation.invars])
            environment.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, equation: Any, inputs: list[int]) -> list[int]:
        name, params = equation.primitive.name, equation.params
        if name in _CALLS:
            inner = next(params[k] for k in ("jaxpr", "call_jaxpr", "fun_jaxpr") if k in params)
            closed = inner if hasattr(inner, "consts") else None
            return self.inline(closed.jaxpr, closed.consts, inputs) if closed else self.inline(inner, (), inputs)
        if name == "scan":
            return self.scan(params, inputs, [v.aval for v in equation.outvars])
        if name == "conv_general_dilated" and self.unfold:
            from oracle.reference.unfold import unfold_convolution  # noqa: PLC0415 - it needs the builder

            return [unfold_convolution(self, params, inputs, equation.outvars[0].aval)]
        if name in _WINDOWED and self.unfold:
            from oracle.reference.windows import unfold_windowed  # noqa: PLC0415 - it needs the builder

            return [unfold_windowed(self, name, params, inputs)]
        if name in _IDENTITIES or (name == "convert_element_type" and self._is_identity(equation, inputs)):
            return inputs
        if name == "scatter-sub":
            negated = self.emit("neg", inputs[2:], self.variables[inputs[2]])
            name, inputs = "scatter-add", [*inputs[:2], negated]
        if name in ("while", "cond"):
            raise ValueError(
                f"the definition uses `{name}`, which depends on data; write it with `jnp.where` or a scan"
            )
        outputs = [self.new(v.aval) for v in equation.outvars]
        self.steps.append(Step(name, tuple(inputs), tuple(outputs), dict(params)))
        return outputs

    def _is_identity(self, equation: Any, inputs: list[int]) -> bool:
        """Whether a conversion changes no number: from one format of real numbers to another."""
        return self.variables[inputs[0]].is_real and is_real(equation.params["new_dtype"])

    def scan(self, params: dict[str, Any], inputs: list[int], avals: Sequence[Any]) -> list[int]:
        """Unroll a scan: element steps for its sequences, the body repeated, one stack step for each result."""
        body, n_consts, n_carry = params["jaxpr"], params["num_consts"], params["num_carry"]
        consts, carry, sequences = (
            inputs[:n_consts],
            inputs[n_consts : n_consts + n_carry],
            inputs[n_consts + n_carry :],
        )
        order = range(params["length"])
        results: dict[int, list[int]] = {}
        for i in reversed(order) if params["reverse"] else order:
            slices = [self._element(s, i) for s in sequences]
            outputs = self.inline(body.jaxpr, body.consts, [*consts, *carry, *slices])
            carry, results[i] = outputs[:n_carry], outputs[n_carry:]
        if not results:  # a scan of no steps
            return [*carry, *(self.constant(np.zeros(a.shape, a.dtype)) for a in avals[n_carry:])]
        columns = zip(*(results[i] for i in order), strict=True)
        return [*carry, *(self._stack(column) for column in columns)]

    def _element(self, sequence: int, i: int) -> int:
        v = self.variables[sequence]
        return self.emit("element", [sequence], Variable(v.shape[1:], v.dtype), index=i)

    def _stack(self, column: Sequence[int]) -> int:
        v = self.variables[column[0]]
        return self.emit("stack", column, Variable((len(column), *v.shape), v.dtype))

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> Program:
        """The program, without steps on which no output depends."""
        needed, steps = set(outputs), []
        for step in reversed(self.steps):
            if needed.intersection(step.outputs):
                needed.update(step.inputs)
                steps.append(step)
        constants = {i: c for i, c in self.constants.items() if i in needed}
        return Program(tuple(inputs), tuple(outputs), tuple(reversed(steps)), tuple(self.variables), constants)
