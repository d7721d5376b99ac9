"""One recorded operation as a function of reference operations, compiled once for all nodes alike.

A node's arrays are split into three: *reals*, which carry errors and derivatives; *facts*, the integers and booleans
that direct it; and *static* arrays, which the lowering needs as concrete numbers. Nodes with the same operation,
literals, shapes and static arrays share one compiled function.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.networks.unfit import Unfit
from oracle.reference.lazy import jax
from oracle.reference.lowerings import Lowering, lowering
from oracle.reference.plain import plain
from oracle.reference.program import Program, trace
from oracle.reference.structure import MOVES
from oracle.trace import Node, Trace, is_reference, references, substitute

Array = Any


@dataclass(frozen=True)
class Signature:
    """What decides a compiled function: operation, literals with numbered slots, shapes, static arrays."""

    framework: str
    op: str
    literals: str
    reals: tuple[int, ...]
    facts: tuple[int, ...]
    static: tuple[tuple[int, str, tuple[int, ...], bytes], ...]
    shapes: tuple[tuple[int, ...], ...]
    fact_dtypes: tuple[str, ...]
    real_outputs: tuple[int, ...]


@dataclass(frozen=True)
class LoweredNode:
    """A node of the trace with its meaning.

    `reals`, `facts` are the ids of the values it reads; `outputs` the ids of its real outputs, `decisions` those of
    its integer, boolean and complex ones. `signature` is None for a node without a lowering, or with complex numbers:
    it is self-referenced.
    """

    node: Node
    signature: Signature | None
    reals: tuple[int, ...]
    facts: tuple[int, ...]
    outputs: tuple[int, ...]
    decisions: tuple[int, ...]

    @property
    def results(self) -> tuple[int, ...]:
        """Ids of all that the node makes: real outputs, then decisions."""
        return (*self.outputs, *self.decisions)

    @functools.cached_property
    def reads(self) -> frozenset[int]:
        """Ids of all values that the node reads."""
        return frozenset(self.node.reads)

    @functools.cached_property
    def forward(self) -> Any:
        """Its meaning in float64 (`forward_function`)."""
        assert self.signature is not None
        return forward_function(self.signature)

    @functools.cached_property
    def pullback(self) -> Callable[[tuple[int, ...], tuple[int, ...]], Any]:
        """Its derivative in float64 (`pullback_function`), by the cotangents given and wanted."""
        assert self.signature is not None
        return functools.cache(functools.partial(pullback_function, self.signature))

    @functools.cached_property
    def moves(self) -> bool:
        """Whether its one real output is its one real input rearranged, not computed with."""
        alone = len(self.outputs) == len(self.reals) == 1 and not self.facts and not self.decisions
        return self.signature is not None and alone and _only_moves(self.signature)

    @property
    def self_referenced(self) -> bool:
        """Whether the operation has no lowering, so that its own recorded result stands for its meaning."""
        return self.signature is None


def is_real(dtype: str) -> bool:
    """Whether `dtype` names a format of real numbers."""
    return dtype.startswith(("float", "bfloat"))


def is_complex(dtype: str) -> bool:
    """Whether `dtype` names a format of complex numbers."""
    return dtype.startswith("complex")


def lower(recorded: Trace, node: Node, arrays: Mapping[int, np.ndarray]) -> LoweredNode:
    """The meaning of `node`; `arrays` supplies the numbers that its lowering needs to be concrete."""
    known = lowering(recorded.framework, node.op)

    def dtype(value: int) -> str:
        return recorded.values[value].dtype

    outputs = [o for o in node.outputs if o is not None]
    real_outputs = tuple(o for o in outputs if is_real(dtype(o)))
    decisions = tuple(o for o in outputs if not is_real(dtype(o)))
    ids = tuple(dict.fromkeys(node.reads))
    if known is None or any(is_complex(dtype(i)) for i in (*ids, *outputs)):
        return LoweredNode(node, None, tuple(i for i in ids if is_real(dtype(i))), (), real_outputs, decisions)
    frozen = _static_values(known, node)
    reals = tuple(i for i in ids if i not in frozen and is_real(dtype(i)))
    facts = tuple(i for i in ids if i not in frozen and i not in reals)
    slots = {value: slot for slot, value in enumerate(ids)}
    signature = Signature(
        recorded.framework,
        node.op,
        json.dumps([_renumbered(node.inputs, slots), {k: _renumbered(v, slots) for k, v in node.attrs.items()}]),
        tuple(slots[i] for i in reals),
        tuple(slots[i] for i in facts),
        tuple((slots[i], str(arrays[i].dtype), arrays[i].shape, arrays[i].tobytes()) for i in ids if i in frozen),
        tuple(recorded.values[i].shape for i in ids),
        tuple(dtype(i) for i in facts),
        tuple(k for k, o in enumerate(node.outputs) if o is not None and is_real(dtype(o))),
    )
    return LoweredNode(node, signature, reals, facts, real_outputs, decisions)


def _static_values(known: Lowering, node: Node) -> set[int]:
    positions = known.static_positions(len(node.inputs))
    return {v for p in positions for v in references(node.inputs[p])}


def _renumbered(tree: Any, slots: Mapping[int, int]) -> Any:
    if is_reference(tree):
        return {"value": slots[tree["value"]]}
    if isinstance(tree, dict):
        return {key: _renumbered(part, slots) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        return [_renumbered(part, slots) for part in tree]
    return tree


@functools.lru_cache(maxsize=4096)
def meaning(signature: Signature) -> Any:
    """The node as `f(reals, facts) -> outputs`: all outputs in order, None where the lowering has none."""
    known = lowering(signature.framework, signature.op)
    assert known is not None
    inputs, attrs = json.loads(signature.literals)
    static = {slot: np.frombuffer(data, dtype).reshape(shape) for slot, dtype, shape, data in signature.static}

    def apply(reals: Sequence[Array], facts: Sequence[Array]) -> list[Array | None]:
        values = dict(static)
        values.update(zip(signature.reals, reals, strict=True))
        values.update(zip(signature.facts, facts, strict=True))
        result = known(*substitute(inputs, values), **{k: substitute(v, values) for k, v in attrs.items()})
        made = list(result) if isinstance(result, tuple | list) else [result]
        return [_as_real(y) if k in signature.real_outputs and y is not None else y for k, y in enumerate(made)]

    return apply


def _as_real(y: Array) -> Array:
    """`y` as reals: truth values written into a float array (`x.gt_(0)`) are zeros and ones."""
    return jax.numpy.asarray(y, np.float64) if jax.numpy.result_type(y).kind in "iub" else y


@functools.lru_cache(maxsize=4096)
def real_program(signature: Signature) -> Program:
    """The real outputs as a straight-line program over the reals, then the facts: for balls and budgets."""
    apply = meaning(signature)
    count = len(signature.reals)

    def real_outputs(*operands: Array) -> list[Array]:
        outputs = apply(operands[:count], operands[count:])
        return [outputs[k] for k in signature.real_outputs if outputs[k] is not None]

    return trace(real_outputs, *_examples(signature))


@functools.lru_cache(maxsize=4096)
def _only_moves(signature: Signature) -> bool:
    return all(step.primitive in MOVES for step in real_program(signature).steps)


@functools.lru_cache(maxsize=4096)
def forward_function(signature: Signature) -> Any:
    """The meaning in float64: `(reals, facts) -> outputs in order`, None where the lowering has none."""
    apply = meaning(signature)
    count = len(signature.reals)
    # Edited networks have other shapes, and an operation then may have another number of outputs.
    made: dict[tuple[tuple[int, ...], ...], list[bool]] = {}

    def outputs(*operands: Array) -> list[Array]:
        results = apply(operands[:count], operands[count:])
        made[tuple(x.shape for x in operands)] = [r is not None for r in results]
        return [r for r in results if r is not None]

    compiled = _by_shapes(outputs)

    def evaluate(reals: Sequence[Array], facts: Sequence[Array]) -> list[Array | None]:
        results = iter(compiled(*reals, *facts))
        return [next(results) if there else None for there in made[tuple(x.shape for x in (*reals, *facts))]]

    return evaluate


@functools.lru_cache(maxsize=4096)
def pullback_function(signature: Signature, given: tuple[int, ...], wanted: tuple[int, ...]) -> Any:
    """`(reals, facts, cotangents) -> cotangents of the wanted reals`, in float64.

    `given` are the places of the cotangents among the real outputs, `wanted` those of the results among the reals.
    """
    apply = meaning(signature)
    count, facts_end = len(signature.reals), len(signature.reals) + len(signature.facts)

    def pull(*operands: Array) -> list[Array]:
        reals, facts, cotangents = operands[:count], operands[count:facts_end], operands[facts_end:]

        def real_outputs(*varied: Array) -> list[Array]:
            moved = dict(zip(wanted, varied, strict=True))
            outputs = apply([moved.get(k, x) for k, x in enumerate(reals)], facts)
            paired = zip((outputs[signature.real_outputs[k]] for k in given), cotangents, strict=True)
            # An edited operation may make what the recorded one left empty: that has no cotangent.
            unmade = jax.numpy.zeros
            return [unmade(c.shape) if y is None or y.size != c.size else y.reshape(c.shape) for y, c in paired]

        _, back = jax.vjp(real_outputs, *[reals[k] for k in wanted])
        return list(back(list(cotangents)))

    compiled = _by_shapes(pull)
    return lambda reals, facts, cotangents: compiled(*reals, *facts, *cotangents)


def _by_shapes(function: Any) -> Any:
    """`function` traced once for each set of operand shapes, evaluated by NumPy in float64.

    Raises `Unfit` where the operation does not take such operands: an edited network may have other shapes.
    """
    compiled: dict[tuple, Callable[..., list[np.ndarray]]] = {}

    def evaluate(*operands: Array) -> list[np.ndarray]:
        key = tuple((x.shape, x.dtype.kind) for x in operands)
        if key not in compiled:
            try:
                program = trace(function, *operands, unfold=False)
            except Exception as error:  # whatever a definition, or JAX, says of operands that are not for it
                raise Unfit(f"operands of shapes {[x.shape for x in operands]} do not fit: {error}") from error
            compiled[key] = plain(program)
        return compiled[key](*operands)

    return evaluate


def _examples(signature: Signature) -> list[Any]:
    reals = [jax.ShapeDtypeStruct(signature.shapes[s], np.float64) for s in signature.reals]
    kinds = zip(signature.facts, signature.fact_dtypes, strict=True)
    return reals + [np.zeros(signature.shapes[s], kind) for s, kind in kinds]
