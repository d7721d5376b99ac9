"""Recurrent layers under another convention: gate order, biases, reset gate, direction, time axis, masked steps.

B's layer is understood first (see `recurrent_layers`): the equations with its own weights reproduce its own states.
Then one convention is changed at a time, or two; the change after which the states are those for which A waits is
proposed, as new weights where weights alone can do it, else as new states.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, close, overridden
from oracle.causes.sequences.recurrent_layers import Layer, layers
from oracle.causes.sequences.recurrent_variants import Variant, combined, variants
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values

_FIXES = {
    "gate-order": "store the gates of both kernels and of the biases in the order {}",
    "double-bias": "use {} (torch adds bias_ih and bias_hh: load one bias into the first, zeros into the second)",
    "forget-bias": "use {} (Keras: unit_forget_bias=; torch: add it to the f block of bias_ih)",
    "reset-after": "use {} (Keras: GRU(reset_after=); torch has reset_after=True; ONNX: linear_before_reset)",
    "reverse-direction": "run the layer {} (Keras: go_backwards=; torch: x.flip(1), and flip the outputs back)",
    "batch-first": "give both layers the same axis as time (torch: batch_first=True, or x.transpose(0, 1))",
    "masking": "have {} (Keras: Masking() or mask_zero=True; torch: pack_padded_sequence)",
    "activation-variant": "use {} (Keras: activation=, recurrent_activation=)",
    "update-gate": "use {}",
}


@hypothesis(priority=9)
def other_convention(context: Context) -> Iterator[Candidate]:
    """A recurrent layer of B follows another convention than A's: one convention, or two, are changed."""
    found = [layer for layer in layers(context.b, context.at_b.region) if _parts_here(context, layer)]
    if not found:
        return
    wanted = Wanted(context)
    for make in (variants, combined):
        several = (_proposed(context, wanted, v) for v in _alike(found, functools.partial(make, context)))
        proposed = [p for p in several if p is not None]
        # Values are matched by their numbers in any order: those in A's own order come first.
        in_order = [candidate for candidate, placed in proposed if placed]
        yield from in_order or [candidate for candidate, _ in proposed]
        if proposed:
            return


def _parts_here(context: Context, layer: Layer) -> bool:
    """Whether the layer's input is in line and its last state is not: else another node is to be mended first."""
    return bool(context.matched(layer.x)) and not any(context.matched(i) for i in layer.ends)


def _alike(
    found: list[Layer], make: Callable[[Layer], Iterator[tuple[Variant, ...]]]
) -> Iterator[list[tuple[Variant, ...]]]:
    """The same variants of every layer, together: the two directions of a layer share their mistakes."""
    by_change: dict[tuple, list[tuple[Variant, ...]]] = {}
    for layer in found:
        for several in make(layer):
            by_change.setdefault(tuple((v.code, v.in_a, v.in_b) for v in several), []).append(several)
    yield from by_change.values()


def _proposed(context: Context, wanted: Wanted, alike: list[tuple[Variant, ...]]) -> tuple[Candidate, bool] | None:
    """The candidate for those layers whose states under the variants are waited for; None if there are none.

    With it, whether A holds these states in the same order.
    """
    values, node_a, placed = context.b.run.values, None, True
    fitting: list[tuple[Variant, ...]] = []
    for several in alike:
        found = _waited_for(wanted, several, values)
        if found is not None:
            value, array = found
            node_a = node_a or wanted.node(value)
            placed = placed and _in_place(array, context.a.run.values[value])
            fitting.append(several)
    if not fitting:
        return None
    edits = [
        functools.reduce(Edits.__or__, (_edits(context.b, several, k) for several in fitting))
        for k in range(len(fitting[0]))
    ]
    parts = [_candidate(node_a, v, e) for v, e in zip(fitting[0], edits, strict=True)]
    return replace(parts[0], also=tuple(parts[1:])), placed


def _in_place(array: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether both hold the same numbers at the same places, whichever of the first two axes is time."""
    orders = ((0, 1), (1, 0)) if array.ndim == 3 else ((0, 1),)
    return any(close(np.moveaxis(array, (0, 1), axes), wanted) for axes in orders)


def _waited_for(wanted: Wanted, several: tuple[Variant, ...], values: Values) -> tuple[int, np.ndarray] | None:
    """The value of A that the outputs, or the last state, under the variants are, and these; None if there is none."""
    last = several[-1]
    x = last.layer.sequence(values)
    size = x.shape[0] * x.shape[1] * last.layer.units(values)
    if not (wanted.has_size(size) or wanted.has_size(size // x.shape[0])):
        return None
    with np.errstate(all="ignore"):
        outputs = last.outputs(_with_leaves(several, values))
    for array in (outputs, outputs[last.last]):
        found = wanted.find(array)
        if found is not None:
            return found, array
    return None


def _with_leaves(several: tuple[Variant, ...], values: Values) -> Values:
    return functools.reduce(lambda v, variant: {**v, **variant.leaves(v)}, several, values)


def _edits(side: Side, several: tuple[Variant, ...], which: int) -> Edits:
    """New leaves where a variant is one of weights; else new states wherever the network holds the old ones."""
    variant = several[which]
    if variant.reweigh is not None:
        before = _with_leaves(several[:which], side.run.values)
        return Edits(leaves=variant.leaves(before))
    computes = {}
    for node in side.network.nodes:
        for o in node.outputs:
            read = _place(side.run.values[o], variant)
            if read is not None:
                computes[o] = functools.partial(_read, variant, read)
    return overridden(side, computes)


def _place(array: np.ndarray, variant: Variant) -> Callable[[Variant, Values], np.ndarray] | None:
    """How `array`, of B's own run, is made of the layer's states: the function that makes the same of the variant's."""
    base = variant.base
    assert base.states is not None
    hidden, cells = base.states.hidden, base.states.cell
    if array.size == hidden.size and array.ndim == 3:
        for axes in ((0, 1), (1, 0)):
            if close(array, np.moveaxis(base.in_layout(hidden), (0, 1), axes)):
                return functools.partial(_sequence, axes)
    if array.size != hidden[0].size or variant.layer.time != base.time:
        return None
    for states, name in ((hidden, "hidden"), (cells, "cell")):
        for t in range(len(states)):
            if np.any(states[t]) and close(array, states[t]):
                return functools.partial(_state, name, t)
    return None


def _sequence(axes: tuple[int, int], variant: Variant, values: Values) -> np.ndarray:
    return np.moveaxis(variant.layer.in_layout(variant.outputs(values)), (0, 1), axes)


def _state(name: str, t: int, variant: Variant, values: Values) -> np.ndarray:
    return getattr(variant.states(values), name)[t]


def _read(variant: Variant, read: Callable[[Variant, Values], np.ndarray], values: Values) -> np.ndarray:
    return read(variant, values)


def _candidate(node_a: LoweredNode | None, variant: Variant, edits: Edits) -> Candidate:
    fix = _FIXES[variant.code]
    return Candidate(
        variant.code,
        edits,
        node_a,
        variant.base.node,
        fix_a=fix.format(variant.in_b),
        fix_b=fix.format(variant.in_a),
        detail=f"the {variant.base.cell.kind.upper()} has {variant.in_a} in {{A}}, {variant.in_b} in {{B}}",
        tested=True,
    )
