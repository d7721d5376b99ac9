"""What answers are judged by: the arrays of a case, and on them the truth and the rounding budget of each result."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from oracle.adapters import Request
from oracle.audits.candidates import Candidate
from oracle.audits.inputs import cotangents, flushed, generate
from oracle.reference.budget import Budget
from oracle.reference.formats import Format, format_named
from oracle.reference.operation import Config, Operation, get_operation
from oracle.reference.true_value import budget_of, program_of, true_value
from oracle.reference.truth import Truth
from oracle.types import Case


@dataclass(frozen=True)
class Material:
    """The arrays of a call, float64 (or integers, booleans), by name: arguments, and cotangents by output.

    With cotangents the call is the gradient of the operation, else the operation itself.
    """

    operation: Operation
    config: Config
    fmt: Format
    arguments: Mapping[str, np.ndarray]
    cotangents: Mapping[str, np.ndarray]

    @property
    def operands(self) -> list[np.ndarray]:
        """All arrays in the order of the program's inputs."""
        return [*self.arguments.values(), *self.cotangents.values()]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the results: outputs, or for a gradient the arguments that it belongs to."""
        if self.cotangents:
            return tuple(self.operation.args[i].name for i in self.operation.differentiable_args)
        return self.operation.outputs

    @property
    def named(self) -> dict[str, np.ndarray]:
        """Arguments by name, cotangents as `cotangent` and the output's name where there are several."""
        single = len(self.cotangents) == 1
        grads = {"cotangent" if single else f"cotangent {name}": x for name, x in self.cotangents.items()}
        return {**self.arguments, **grads}

    def request(self, candidate: Candidate) -> Request:
        """What the candidate is asked: the arrays in the format that it takes. `ValueError` if it takes none here."""
        carrier = format_named(candidate.arrays_in(self.fmt.name) or "none")
        return Request(
            operation=self.operation.name,
            arrays={name: _stored(x, carrier) for name, x in self.arguments.items()},
            attrs=self.config.attrs,
            format=carrier.name,
            mode=candidate.mode,
            device=candidate.device,
            direction="vjp" if self.cotangents else "forward",
            cotangents=tuple(
                None if name in self.arguments else _stored(x, self.fmt) for name, x in self.cotangents.items()
            ),
        )


def _stored(x: np.ndarray, fmt: Format) -> np.ndarray:
    return fmt.round(x) if x.dtype.kind == "f" else x


@functools.lru_cache(maxsize=64)
def material(case: Case) -> Material:
    """The arrays of `case`: the same ones wherever and whenever they are drawn."""
    op, fmt = get_operation(case.operation), format_named(case.format)
    config = op.config(case.config)
    arguments = generate(op, config, fmt, case.region, case.seed)
    if case.direction == "forward":
        return Material(op, config, fmt, arguments, {})
    drawn = cotangents(result_shapes(op, config, arguments), fmt, *case)
    # An output called like an argument is its updated state (running statistics): no framework differentiates it.
    given = {name: np.zeros_like(x) if name in arguments else x for name, x in drawn.items()}
    return Material(op, config, fmt, arguments, given)


def result_shapes(op: Operation, config: Config, arguments: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Shape of each output, by name."""
    program = program_of(op, config, list(arguments.values()))
    return {name: program.variables[v].shape for name, v in zip(op.outputs, program.outputs, strict=True)}


@dataclass(frozen=True)
class Bench:
    """Truth and budget of each result; `at_zero` the same at inputs whose subnormals are taken for zeros."""

    given: Material
    truths: tuple[Truth, ...]
    budgets: tuple[Budget, ...]
    at_zero: tuple[tuple[Truth, Budget], ...] | tuple[None, ...]


def bench(given: Material, limit: int | None = None) -> Bench:
    """What the answers to `given` are judged by. `limit` caps how many elements of a truth may climb to Arb.

    Raises `oracle.reference.evaluate.TruthViolation` where two rungs of the ladder contradict each other.
    """
    op, config, fmt = given.operation, given.config, given.fmt
    truths = true_value(op, config, given.operands, fmt, limit=limit)
    budgets = budget_of(op, config, given.operands, fmt)
    calm = [flushed(x, fmt) for x in given.operands]
    if all(a is b for a, b in zip(calm, given.operands, strict=True)):
        return Bench(given, truths, budgets, (None,) * len(truths))
    there = true_value(op, config, calm, fmt, limit=limit)
    return Bench(given, truths, budgets, tuple(zip(there, budget_of(op, config, calm, fmt), strict=True)))
