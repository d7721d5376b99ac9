"""Running a jaxpr primitive by primitive: what each really computed, where in the user's program."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from oracle.adapters.record_jax_moves import moved
from oracle.adapters.record_jax_params import encode
from oracle.adapters.recording import Lines, Recording, references_to
from oracle.trace import reference

_CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_INLINED = frozenset(
    ("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_jvp_call", "custom_vjp_call",
     "custom_vjp_call_jaxpr", "custom_lin", "run_state")
)  # fmt: skip


OPTIMIZER_SCOPE = "oracle-optimizer"
"""A name that a recorder puts on JAX's stack around an optimizer's step."""


class Traced(NamedTuple):
    """An array while the jaxpr runs, and the value that records it (None for a random key)."""

    array: Any
    value: int | None


@dataclass(frozen=True)
class Where:
    """The place of the equations of an inlined jaxpr: the scopes outside of it, the user's line, the time step."""

    scopes: str = ""
    source: str = ""
    line: str = ""
    time_step: int | None = None


class Walker:
    """Evaluates jaxprs and records. `scope_of` reads a layer path out of JAX's stack of names."""

    def __init__(self, full: bool, scope_of: Callable[[str], str], *packages: str) -> None:
        self.recording = Recording(full)
        self.scope_of = scope_of
        self.lines = Lines("jax", *packages)
        self.forward_at: dict[tuple[str, str], int] = {}
        self.random: set[int | None] = set()
        self.phase = "forward"
        self.step = 0

    def leaf(self, array: Any, role: str, name: str = "") -> Traced:
        """An array that no equation made. A random key holds no numbers and is no value."""
        return Traced(array, self.recording.value(array, role, name) if is_numeric(array) else None)

    def run(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Traced], where: Where = Where()) -> list[Traced]:
        """Evaluate `jaxpr` equation by equation and return its outputs."""
        environment: dict[Any, Traced] = dict(zip(jaxpr.invars, inputs, strict=True))
        environment.update((v, self.leaf(c, "constant")) for v, c in zip(jaxpr.constvars, consts, strict=True))

        def read(atom: Any) -> Traced:
            return (
                self.leaf(np.asarray(atom.val, atom.aval.dtype), "constant")
                if hasattr(atom, "val")
                else environment[atom]
            )

        for equation in jaxpr.eqns:
            results = self._equation(equation, [read(a) for a in equation.invars], self._inside(equation, where))
            environment.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, equation: Any, inputs: list[Traced], where: Where) -> list[Traced]:
        name, params = equation.primitive.name, equation.params
        if name in _INLINED:
            inner = next(params[k] for k in _CALLS if k in params)
            return self.run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), inputs, where)
        if name in ("scan", "while", "cond"):
            return getattr(self, f"_{name}")(params, inputs, where)
        return self._primitive(equation, inputs, where)

    def _primitive(self, equation: Any, inputs: list[Traced], where: Where) -> list[Traced]:
        primitive, arrays = equation.primitive, [x.array for x in inputs]
        numeric = all(x.value is not None for x in inputs)
        results = moved(primitive.name, arrays, equation.params) if numeric else None
        if results is None:
            results = primitive.bind(*arrays, **primitive.get_bind_params(equation.params))
            results = list(results) if primitive.multiple_results else [results]
        return self._note(primitive.name, inputs, results, encode(equation.params), where)

    def _move(self, name: str, inputs: list[Traced], params: dict[str, Any], where: Where) -> Traced:
        """One of the recorder's own moves: an element of a sequence, a stack of results."""
        (result,) = moved(name, [x.array for x in inputs], params) or [None]
        return self._note(name, inputs, [result], params, where)[0]

    def _note(self, op: str, inputs: list[Traced], results: list[Any], attrs: dict, where: Where) -> list[Traced]:
        """Record one executed primitive. What random bits become is drawn, not computed."""
        read = [reference(x.value) for x in inputs if x.value is not None]
        if _draws(op, inputs, results) or self._is_random_integer(inputs, results):
            drawn = [self.leaf(r, "random") for r in results]
            self.random.update(d.value for d in drawn)
            attrs = {**attrs, "draws": references_to(d.value for d in drawn if d.value is not None)}
            self._node(op if op.startswith("random_") else f"random.{op}", read, [], attrs, where)
            return drawn
        made = [Traced(r, self.recording.value(r)) for r in results]
        self._node(op, read, [m.value for m in made], attrs, where)
        return made

    def _is_random_integer(self, inputs: list[Traced], results: list[Any]) -> bool:
        """Integers made of random bits are drawn too: what is done to them has no rounding."""
        return all(r.dtype.kind in "iu" for r in results) and any(x.value in self.random for x in inputs)

    def _node(self, op: str, inputs: list, outputs: list, attrs: dict, where: Where) -> None:
        backward = "transpose(" in where.scopes
        phase = "backward" if backward else "optimizer" if OPTIMIZER_SCOPE in where.scopes else self.phase
        scope, key = self.scope_of(where.scopes), (self.scope_of(where.scopes), where.source)
        index = self.recording.node(
            op, inputs, outputs, attrs=attrs, scope=scope, phase=phase, step=self.step, source=where.line,
            time_step=where.time_step, forward_index=self.forward_at.get(key) if backward else None,
        )  # fmt: skip
        if not backward:
            self.forward_at[key] = index

    def _inside(self, equation: Any, where: Where) -> Where:
        """The place of an equation: an inner jaxpr is cached, so the line of the outermost call counts."""
        from jax._src import source_info_util  # noqa: PLC0415 - the only reader of an equation's traceback

        info = equation.source_info
        scopes = f"{where.scopes}/{info.name_stack}"
        if equation.primitive.name in _INLINED:
            scopes = f"{scopes}/{equation.params.get('name', '')}"
        if where.line and where.time_step is None:
            return Where(scopes, where.source, where.line)
        frames = list(source_info_util.user_frames(info.traceback))
        users = next((f for f in frames if not f.file_name.startswith(self.lines.skipped)), None)
        inner = f"{frames[0].file_name}:{frames[0].start_line}:{frames[0].start_column}" if frames else where.source
        line = self.lines.short(users.file_name, users.start_line) if users else where.line
        return Where(scopes, inner, line, where.time_step)

    def _scan(self, params: dict[str, Any], inputs: list[Traced], where: Where) -> list[Traced]:
        """Run the body once for each element of the sequences; elements and stacks are moves, recorded as such."""
        body, consts, carried = params["jaxpr"], params["num_consts"], params["num_carry"]
        fixed, carry, sequences = inputs[:consts], inputs[consts : consts + carried], inputs[consts + carried :]
        steps = list(range(params["length"]))
        columns: dict[int, list[Traced]] = {}
        for i in reversed(steps) if params["reverse"] else steps:
            there = Where(where.scopes, where.source, where.line, i)
            elements = [self._element(s, i, there) for s in sequences]
            outputs = self.run(body.jaxpr, body.consts, [*fixed, *carry, *elements], there)
            carry, columns[i] = outputs[:carried], outputs[carried:]
        return [*carry, *self._stacked([columns[i] for i in steps], body.out_avals[carried:], where)]

    def _element(self, sequence: Traced, index: int, where: Where) -> Traced:
        if sequence.value is None:
            return Traced(sequence.array[index], None)
        return self._move("scan.element", [sequence], {"index": index}, where)

    def _stacked(self, rows: list[list[Traced]], avals: Sequence[Any], where: Where) -> list[Traced]:
        if not rows:
            return [self.leaf(np.zeros((0, *a.shape), a.dtype), "constant") for a in avals]
        return [self._move("scan.stack", list(column), {}, where) for column in zip(*rows, strict=True)]

    def _while(self, params: dict[str, Any], inputs: list[Traced], where: Where) -> list[Traced]:
        condition, body = params["cond_jaxpr"], params["body_jaxpr"]
        n, m = params["cond_nconsts"], params["body_nconsts"]
        for_condition, for_body, carry = inputs[:n], inputs[n : n + m], inputs[n + m :]
        iteration = 0
        while True:
            there = Where(where.scopes, where.source, where.line, iteration)
            (proceed,) = self.run(condition.jaxpr, condition.consts, [*for_condition, *carry], there)
            if not bool(proceed.array):
                return carry
            carry = self.run(body.jaxpr, body.consts, [*for_body, *carry], there)
            iteration += 1

    def _cond(self, params: dict[str, Any], inputs: list[Traced], where: Where) -> list[Traced]:
        branches = params["branches"]
        chosen = branches[int(np.clip(int(inputs[0].array), 0, len(branches) - 1))]
        return self.run(chosen.jaxpr, chosen.consts, inputs[1:], where)


def is_numeric(array: Any) -> bool:
    """Whether `array` holds numbers or booleans (not random keys)."""
    import jax  # noqa: PLC0415

    return not jax.dtypes.issubdtype(array.dtype, jax.dtypes.extended)


def _draws(op: str, inputs: list[Traced], results: list[Any]) -> bool:
    """Random bits and keys, and floats made out of bit patterns: none is a function of real numbers."""
    if op.startswith(("random_", "threefry", "rng_")) or any(not is_numeric(r) for r in results):
        return True
    made_of_bits = op == "bitcast_convert_type" and results[0].dtype.kind not in "iub"
    return made_of_bits or any(x.value is None for x in inputs)


_NAME = re.compile(r"[\w.\-\[\]<>:]+")
_TRANSFORMS = frozenset(("jvp", "transpose", "vmap", "remat", "checkpoint", "rematted_computation", "jit", "pmap"))


def plain_scope(stack: str) -> str:
    """JAX's stack of names as a dotted path, without transformations, private names and lambdas."""
    names = [n for n in _NAME.findall(stack) if n not in _TRANSFORMS and n[0] not in "_<" and n != OPTIMIZER_SCOPE]
    return ".".join(names)
