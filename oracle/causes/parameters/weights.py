"""The same weights in another order: layouts, gates, flatten order, flips; and biases counted twice or left out.

The leaves that B's divergent layer reads are rearranged; what the edit was tells the name.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from oracle.alignments.alignment import Side, same_multiset
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.sequences.recurrent_kernels import is_cell
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits
from oracle.networks.node_reading import place

_REACH = 24
_ROLES = ("parameter", "buffer", "constant", "state")
_PRODUCTS = ("mm", "matmul", "conv", "linear", "dot", "einsum", "lstm", "gru", "rnn", "attention", "dense")
# Squares of a sine and a cosine in float32 add up to one within this.
_SINES = 1e-5
_CELLS = ("lstm", "gru", "rnn")


@hypothesis(priority=11)
def arranged_as_in_a(context: Context) -> Iterator[Candidate]:
    """A leaf of B's layer holds the numbers of one of A's in another order: it takes A's order, in any axis layout."""
    for j, node_b in leaves_near(context.b, context.at_b.region):
        theirs = context.b.run.values[j]
        for i, node_a in leaves_near(context.a, context.at_a.region):
            ours = context.a.run.values[i]
            if ours.size < 2 or not same_multiset(ours, theirs, 0.0):
                continue
            for permutation, array in layouts(ours, theirs.shape):
                if not np.array_equal(array, theirs):
                    in_cell = is_cell(context.b, node_b)
                    code, words = _relation(array, theirs, permutation, in_cell)
                    cause = (code_of_table(theirs, node_b) or code, words)
                    yield _candidate(context, (i, node_a), (j, node_b), array, cause)


@hypothesis(priority=14)
def kernel_turned_by_the_operation(context: Context) -> Iterator[Candidate]:
    """Both sides hold the same kernel, but one operation flips or transposes it: B's is flipped, or transposed."""
    ours = [context.a.run.values[i] for i, _ in leaves_near(context.a, context.at_a.region)]
    for j, node in leaves_near(context.b, context.at_b.region):
        kernel = context.b.run.values[j]
        if kernel.ndim < 2 or code_of_table(kernel, node) or not any(_is_held(x, kernel) for x in ours):
            continue
        for axes in _axis_subsets(kernel.ndim) if kernel.ndim > 2 else ():
            if all(kernel.shape[k] > 1 for k in axes):
                array = np.flip(kernel, axes)
                detail = f"the kernel of {{B}} is used flipped along the axes {list(axes)}, against {{A}}"
                flip = f"flip the kernel along the axes {list(axes)}"
                if "conv_general_dilated" in node.node.op:
                    flip += " (jax.lax.conv_transpose(..., transpose_kernel=True) does)"
                candidate = _simple(context, "kernel-flip", j, node, (array, detail))
                yield replace(candidate, fix_a="flip the spatial axes of the kernel", fix_b=flip)
        for order in itertools.permutations(range(kernel.ndim)):
            array = kernel.transpose(order)
            if array.shape == kernel.shape and not np.array_equal(array, kernel):
                detail = f"the kernel of {{B}} is used with its axes in the order {list(order)}, against {{A}}"
                yield _simple(context, "kernel-layout", j, node, (array, detail))


def _is_held(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether `ours` is `theirs` in some order of the axes."""
    if ours.size != theirs.size or ours.ndim != theirs.ndim or not same_multiset(ours, theirs, 0.0):
        return False
    return any(np.array_equal(array, theirs) for _, array in layouts(ours, theirs.shape))


@hypothesis(priority=11)
def flatten_order(context: Context) -> Iterator[Candidate]:
    """The features that a matrix multiplies were flattened in another order: its rows or columns are moved."""
    for j, node in leaves_near(context.b, context.at_b.region[:4]):
        weight = context.b.run.values[j]
        if weight.ndim != 2:
            continue
        for axis, size in enumerate(weight.shape):
            for shape in _feature_shapes(context.b, node, size):
                for order in itertools.permutations(range(len(shape))):
                    places = np.arange(size).reshape(shape).transpose(order).reshape(-1)
                    if np.array_equal(places, np.arange(size)):
                        continue
                    moved = tuple(shape[k] for k in order)
                    detail = f"the {size} features are flattened in the order {moved} on one side, {shape} on the other"
                    for there_or_back in (places, np.argsort(places)):
                        array = np.take(weight, there_or_back, axis)
                        yield _simple(context, "flatten-order", j, node, (array, detail))


@hypothesis(priority=27)
def two_biases(context: Context) -> Iterator[Candidate]:
    """A bias counted twice or not at all: one of two biases becomes zero, or a single one is halved or doubled."""
    for j, node in leaves_near(context.b, context.at_b.region):
        bias = context.b.run.values[j]
        if np.squeeze(bias).ndim != 1 or not np.any(bias):
            continue
        name = context.b.network.trace.values[j].name
        others = [i for i in _added_beside(context.b, node) if i != j and context.b.run.values[i].size == bias.size]
        left_out = "double-bias" if others else "missing-node" if context.exchanged else "extra-node"
        for code, factor, meaning in (
            (left_out, 0.0, "is left out in {A}"),
            ("double-bias", 0.5, "is counted twice in {B}"),
            ("double-bias", 2.0, "is counted twice in {A}"),
        ):
            candidate = _simple(context, code, j, node, (factor * bias, f"the bias {name} {meaning}"))
            if factor == 0 and not others:
                add = f"add a bias with the numbers of {name}  # at {candidate.node_a and place(candidate.node_a)}"
                candidate = replace(candidate, fix_a=add, fix_b=f"leave out {name} (bias=False, use_bias=False)")
            yield candidate


def _added_beside(side: Side, node: LoweredNode) -> list[int]:
    """Stored arrays that are added to the same sum as the node's: those of a fused cell, or of the sums around."""
    if any(word in node.node.op.lower() for word in _CELLS):
        return _origins(side, node)
    if "add" not in node.node.op.lower():
        return []
    sums, wanted = [node], [node]
    while wanted and len(sums) < _REACH:
        n = wanted.pop()
        around = [*(side.producers[i] for i in n.reals if i in side.producers), *side.consumers.get(n.outputs[0], ())]
        fresh = [m for m in around if "add" in m.node.op.lower() and m not in sums]
        sums += fresh
        wanted += fresh
    return [i for n in sums for i in _origins(side, n)]


def leaves_near(side: Side, region: tuple[LoweredNode, ...]) -> list[tuple[int, LoweredNode]]:
    """Trained or constant arrays that the first divergent layer reads, each with the node that reads it first.

    The whole layer counts, not only what diverges: stacked gates in another order hold the same numbers until the
    gates are taken apart.
    """
    if not region:
        return []
    scope, phase = region[0].node.scope, region[0].node.phase
    nodes = [n for n in side.network.nodes if n.node.scope == scope and n.node.phase == phase]
    near = (
        nodes if len(nodes) <= _REACH else [n for n in nodes if any(i not in side.producers for i in n.reals)][:_REACH]
    )
    found: dict[int, LoweredNode] = {}
    for node in (region[0], *near):
        for i in _origins(side, node):
            found.setdefault(i, node)
    return list(found.items())


def _origins(side: Side, node: LoweredNode) -> list[int]:
    """Leaves that the node reads, directly or through nodes that only rearrange them."""
    found = []
    for i in node.reals:
        origin, steps = i, 0
        while origin in side.producers and steps < 6:
            producer = side.producers[origin]
            if len(producer.reals) != 1 or side.run.values[producer.reals[0]].size != side.run.values[origin].size:
                break
            if not same_multiset(side.run.values[producer.reals[0]], side.run.values[origin], 0.0):
                break
            origin, steps = producer.reals[0], steps + 1
        if origin not in side.producers and side.network.trace.values[origin].role in _ROLES:
            found.append(origin)
    return found


def layouts(array: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """`array` with its axes permuted in every way that gives `shape`, neighbours merged where that must be."""
    if array.ndim != len(shape) or array.ndim > 5:
        if array.size == math.prod(shape):
            yield (), array.reshape(shape)
        return
    merged = sorted(array.shape) != sorted(shape)
    for permutation in itertools.permutations(range(array.ndim)):
        moved = array.transpose(permutation)
        if moved.shape == shape or (merged and _merges(moved.shape, shape)):
            yield permutation, moved.reshape(shape)


def _merges(fine: tuple[int, ...], coarse: tuple[int, ...]) -> bool:
    """Whether `coarse` is `fine` with neighbouring axes merged, ones left out: (C, M, h, w) as (C M, 1, h, w)."""
    rest = [n for n in fine if n > 1]
    for size in (n for n in coarse if n > 1):
        product = 1
        while rest and product < size:
            product *= rest.pop(0)
        if product != size:
            return False
    return not rest


def _relation(wanted: np.ndarray, present: np.ndarray, permutation: tuple[int, ...], in_cell: bool) -> tuple[str, str]:
    """Code and words for how `present` must be rearranged to become `wanted`."""
    for axes in _axis_subsets(present.ndim):
        if (present.ndim > 1 or not in_cell) and np.array_equal(np.flip(present, axes), wanted):
            return "kernel-flip", f"the kernel of {{B}} is flipped along the axes {list(axes)}"
    for order in itertools.permutations(range(present.ndim)):
        moved = present.transpose(order)
        if moved.shape == wanted.shape and np.array_equal(moved, wanted):
            return "kernel-layout", f"the weight of {{B}} is transposed: its axes belong in the order {list(order)}"
    for gates in (3, 4) if in_cell else ():
        for axis, size in enumerate(present.shape):
            if size % gates == 0:
                for order in itertools.permutations(range(gates)):
                    if np.array_equal(_blocks(present, axis, gates, order), wanted):
                        return "gate-order", f"the gates of {{B}} belong in the order {list(order)}"
    return (
        "kernel-layout",
        f"the weight of {{B}} holds the numbers of {{A}} in another order (axes {list(permutation)})",
    )


def code_of_table(array: np.ndarray, reader: LoweredNode) -> str:
    """What it means that a stored array is in another order which no product reads: it is no kernel."""
    if any(word in reader.node.op.lower() for word in _PRODUCTS):
        return ""
    return "positional-encoding" if _is_sinusoidal(np.squeeze(array)) else "data-layout"


def _is_sinusoidal(table: np.ndarray) -> bool:
    """Whether the columns are sines and cosines of the same angles, in halves or as neighbours."""
    if table.ndim != 2 or table.shape[1] % 2 or np.max(np.abs(table)) > 1 + _SINES:
        return False
    squares, half = table.astype(np.float64) ** 2, table.shape[1] // 2
    sums = (squares[:, :half] + squares[:, half:], squares[:, 0::2] + squares[:, 1::2])
    return any(bool(np.max(np.abs(s - 1)) < _SINES) for s in sums)


def _axis_subsets(rank: int) -> Iterator[tuple[int, ...]]:
    for count in range(1, rank + 1):
        yield from itertools.combinations(range(rank), count)


def _feature_shapes(side: Side, node: LoweredNode, size: int) -> list[tuple[int, ...]]:
    """Shapes, without the batch axis, that the node's input had before it was flattened to `size` features."""
    shapes: list[tuple[int, ...]] = []
    wanted = list(node.reals)
    for _ in range(12):
        if not wanted:
            break
        value = wanted.pop(0)
        shape = side.run.values[value].shape
        if len(shape) in (3, 4, 5) and math.prod(shape[1:]) == size and shape[1:] not in shapes:
            shapes.append(shape[1:])
        producer = side.producers.get(value)
        wanted.extend(producer.reals if producer else ())
    return shapes


def _blocks(x: np.ndarray, axis: int, gates: int, order: tuple[int, ...]) -> np.ndarray:
    parts = np.split(x, gates, axis)
    return np.concatenate([parts[k] for k in order], axis)


def _candidate(
    context: Context, a: tuple[int, LoweredNode], b: tuple[int, LoweredNode], array: np.ndarray, cause: tuple[str, str]
) -> Candidate:
    (i, node_a), (j, node_b) = a, b
    name_a, name_b = (s.network.trace.values[v].name for s, v in ((context.a, i), (context.b, j)))
    return Candidate(
        cause[0],
        Edits(leaves={j: np.array(array)}),
        node_a,
        node_b,
        fix_a=f"arrange {name_a or 'the weight'} as in the other model ({place(node_a)})",
        fix_b=f"set {name_b or 'the weight'} from {name_a or 'the weight'} of the other model: oracle.port(src, dst)",
        detail=cause[1],
    )


def _simple(context: Context, code: str, leaf: int, node: LoweredNode, edit: tuple[np.ndarray, str]) -> Candidate:
    array, detail = edit
    name = context.b.network.trace.values[leaf].name or "a constant"
    node_a = context.at_a.first[0] if context.at_a.first else None
    return Candidate(
        code,
        Edits(leaves={leaf: array}),
        node_a,
        node,
        fix_a=f"rearrange the weights of {place(node_a)} the other way",
        fix_b=f"rearrange {name}: {detail.replace('{A}', 'the other model').replace('{B}', 'this model')}",
        detail=detail,
    )
