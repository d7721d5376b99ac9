"""Local tests: what a hypothesis looks at before it proposes an edit, so that only what fits is proposed.

An edit of B is promising if it makes a value for which A's divergent region, or one of A's targets, waits. Most
hypotheses can tell that from one small computation, long before the network is evaluated again.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from oracle.alignments.alignment import CLOSE, Digest, Side
from oracle.causes import Context
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values

Compute = Callable[[Values], np.ndarray]

# So many edited nodes are computed to see what is made of a result.
_NEXT = 24
_SPELLINGS = {
    "torch": {"permute": "x.permute{0}", "flip": "x.flip({0})", "reshape": "x.reshape{0}", "select": "x[{0}]"},
    "tensorflow": {
        "permute": "tf.transpose(x, {0})", "flip": "tf.reverse(x, [{0}])", "reshape": "tf.reshape(x, {0})",
        "select": "x[{0}]",
    },
    "jax": {
        "permute": "jnp.transpose(x, {0})", "flip": "jnp.flip(x, {0})", "reshape": "jnp.reshape(x, {0})",
        "select": "x[{0}]",
    },
}  # fmt: skip


class Wanted:
    """The values of A that wait for a counterpart: results of its divergent region, and its targets."""

    def __init__(self, context: Context) -> None:
        self._side = context.a
        targets = [p.b if context.exchanged else p.a for p in context.pairs]
        by_size: dict[int, dict[int, Digest]] = {}
        for i in dict.fromkeys([*(o for n in context.at_a.region for o in n.outputs), *targets]):
            digest = self._side.digest(i)
            if digest is not None and digest.size > 1:
                by_size.setdefault(digest.size, {})[i] = digest
        self._by_size = {size: (found, np.array([d.rms for d in found.values()])) for size, found in by_size.items()}

    def has_size(self, size: int) -> bool:
        """Whether a value of that many elements waits."""
        return size in self._by_size

    def find(self, array: np.ndarray) -> int | None:
        """The value of A that holds the numbers of `array`, in any order; None if none does, or if they say nothing."""
        if array.size not in self._by_size or array.dtype.kind != "f" or not np.all(np.isfinite(array)):
            return None
        digest = Digest(array)
        waiting, sizes = self._by_size[array.size]
        near = np.abs(sizes - digest.rms) <= 4 * CLOSE * digest.largest  # cheap, and never too strict
        hits = (i for i, other in itertools.compress(waiting.items(), near) if digest.matches(other, CLOSE))
        return next(hits, None) if digest.telling else None

    def node(self, value: int | None) -> LoweredNode | None:
        """The node of A that makes the value."""
        return None if value is None else self._side.producers.get(value)


def overridden(side: Side, computes: Mapping[int, Compute]) -> Edits:
    """The edit that computes these values of nodes by the given functions; what else the nodes make stays."""
    by_node: dict[int, tuple[LoweredNode, dict[int, Compute]]] = {}
    for value, compute in computes.items():
        node = side.producers[value]
        by_node.setdefault(node.node.index, (node, {}))[1][value] = compute
    return Edits(nodes={k: _results(side, node, changed) for k, (node, changed) in by_node.items()})


def _results(side: Side, node: LoweredNode, changed: Mapping[int, Compute]) -> Callable[[Values], Values]:
    def results(values: Values) -> Values:
        made = side.network.apply(node, values) if set(node.results) - set(changed) else {}
        return made | {v: _fitted(compute(values), side, v) for v, compute in changed.items()}

    return results


def _fitted(array: np.ndarray, side: Side, value: int) -> np.ndarray:
    shape = side.run.values[value].shape
    return array.reshape(shape) if array.size == int(np.prod(shape)) else array


def rewired(side: Side, node: LoweredNode, reads: Mapping[int, Compute]) -> Edits:
    """The edit with which `node` reads other arrays in the place of some of its inputs."""

    def results(values: Values) -> Values:
        return side.network.apply(node, {**values, **{v: compute(values) for v, compute in reads.items()}})

    return Edits(nodes={node.node.index: results})


def soon(context: Context, wanted: Wanted, edits: Edits, steps: int) -> int | None:
    """The value of A that B's network makes within so many nodes of the edits; None if it makes none."""
    values = dict(context.b.run.values)
    with np.errstate(all="ignore"):
        walk = context.b.network.walk(values, edits, edits)
        for node in itertools.islice(walk, steps):
            for o in node.outputs:
                found = wanted.find(values[o])
                if found is not None:
                    return found
    return None


def goes_on(context: Context, wanted: Wanted, edits: Edits, node: LoweredNode) -> bool:
    """Whether what B makes next of the edited node's result has a counterpart as well, or nothing is made of it."""
    using = {n.node.index for o in node.outputs for n in context.b.consumers.get(o, ())}
    values = dict(context.b.run.values)
    with np.errstate(all="ignore"):
        for other in itertools.islice(context.b.network.walk(values, edits, edits), _NEXT):
            if other.node.index in using and any(wanted.find(values[o]) is not None for o in other.outputs):
                return True
    return not using


def close(a: np.ndarray, b: np.ndarray, tolerance: float = CLOSE) -> bool:
    """Whether two arrays of one size are equal element by element, to `tolerance` of the largest."""
    if a.size != b.size:
        return False
    x, y = np.reshape(a, -1), np.reshape(b, -1)
    with np.errstate(invalid="ignore"):
        size = max(float(np.max(np.abs(x), initial=0.0)), float(np.max(np.abs(y), initial=0.0)))
        return bool(np.max(np.abs(x - y), initial=0.0) <= tolerance * size)


def matched_inputs(context: Context, limit: int) -> list[int]:
    """Values of B that have a counterpart and are read by its divergent region, in order, leaves of data included."""
    found: dict[int, None] = {}
    for node in context.at_b.region[:limit]:
        found.update((i, None) for i in node.reals if context.matched(i))
    return list(found)


def upstream(side: Side, value: int, steps: int) -> Iterator[LoweredNode]:
    """The nodes from which `value` comes, nearest first."""
    wanted, seen = [value], set()
    while wanted and steps:
        producer = side.producers.get(wanted.pop(0))
        if producer is not None and producer.node.index not in seen:
            seen.add(producer.node.index)
            steps -= 1
            yield producer
            wanted.extend(producer.reals)


def downstream(side: Side, value: int, steps: int) -> Iterator[LoweredNode]:
    """The nodes of the same phase that use `value`, nearest first."""
    producer = side.producers.get(value)
    wanted, seen = [value], set()
    while wanted and steps:
        for node in side.consumers.get(wanted.pop(0), ()):
            same = producer is None or node.node.phase == producer.node.phase
            if same and node.node.index not in seen and steps:
                seen.add(node.node.index)
                steps -= 1
                yield node
                wanted.extend(node.outputs)


def is_fixed(side: Side, value: int, steps: int = 60) -> bool:
    """Whether no input of real numbers and no parameter reaches the value."""
    read = (i for n in upstream(side, value, steps) for i in n.reals)
    leaves = [i for i in (value, *read) if i not in side.producers]
    return all(side.network.trace.values[i].role not in ("input", "parameter") for i in leaves)


def is_stored(side: Side, value: int, steps: int = 60) -> bool:
    """Whether parameters, buffers and constants alone make the value, however they are rearranged."""
    wanted, seen = [value], {value}
    while wanted and len(seen) <= steps:
        i = wanted.pop()
        producer = side.producers.get(i)
        if producer is None and side.network.trace.values[i].role == "input":
            return False
        fresh = [] if producer is None else [j for j in producer.node.reads if j not in seen]
        seen.update(fresh)
        wanted += fresh
    return not wanted


def spell(side: Side, verb: str, argument: object) -> str:
    """An array operation as the side's framework writes it: `x.permute(0, 2, 1)`."""
    return _SPELLINGS[side.network.trace.framework][verb].format(argument)
