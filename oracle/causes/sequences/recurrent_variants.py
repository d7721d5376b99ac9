"""A recurrent layer with one convention changed, or two."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.causes import Context
from oracle.causes.sequences.masks import Mask, masks
from oracle.causes.sequences.recurrence import ACTIVATIONS, GATES, Cell, States
from oracle.causes.sequences.recurrent_layers import Layer
from oracle.networks.network import Values

_GATE_FUNCTIONS = ("sigmoid", "hard_sigmoid (x/6 + 1/2)", "hard_sigmoid (0.2 x + 1/2)", "tanh", "linear")
# Longer sequences are not computed under pairs of changes.
_PAIRED_STEPS = 64


@dataclass(frozen=True)
class Variant:
    """A layer `base` under another convention: code, how A has it, how B has it, and the `layer` under it.

    `reweigh` makes the leaves that do the same, where weights alone can. `mask`: steps that leave the state as it was;
    `zeroed`: their outputs are zero, not the state before. `turned`: the states stand in the opposite order, as those
    of a layer that reads backward and returns them in the order in which it made them.
    """

    code: str
    in_a: str
    in_b: str
    base: Layer
    layer: Layer
    reweigh: Callable[[Values], Values] | None = None
    mask: Mask | None = None
    zeroed: bool = False
    turned: bool = False

    def leaves(self, values: Values) -> Values:
        """The leaves that the variant changes."""
        return self.reweigh(values) if self.reweigh else {}

    def states(self, values: Values) -> States:
        """The states under the variant; its leaves are to be among `values`."""
        states = self.layer.run(values, self._mask(values))
        return States(states.hidden[::-1], states.cell[::-1]) if self.turned else states

    def outputs(self, values: Values) -> np.ndarray:
        """The hidden states as the layer returns them, (time, batch, units)."""
        hidden, mask = self.states(values).hidden, self._mask(values)
        if mask is None or not self.zeroed:
            return hidden
        return np.where((mask[::-1] if self.turned else mask)[..., None], hidden, 0.0)

    @property
    def last(self) -> int:
        """The place of the last state among the outputs."""
        return 0 if self.layer.reverse is not self.turned else -1

    def _mask(self, values: Values) -> np.ndarray | None:
        if self.mask is None:
            return None
        return np.moveaxis(self.mask.of(values), self.layer.time, 0)


def variants(context: Context, layer: Layer) -> Iterator[tuple[Variant, ...]]:
    """Every single change of convention."""
    for make in (_orders, _biases, _forget, _equations, _directions, _axes):
        for variant in make(context, layer):
            yield (variant,)
    for variant in _masked(context, layer):
        yield (variant,)


def combined(context: Context, layer: Layer) -> Iterator[tuple[Variant, ...]]:
    """Two changes at once, of different kinds."""
    if layer.sequence(context.b.run.values).shape[0] > _PAIRED_STEPS:
        return
    for first, second in itertools.combinations(
        (_orders, _biases, _forget, _equations, _directions, _axes, _masked), 2
    ):
        for one in first(context, layer):
            # The second change starts from the layer as the first leaves it; weights change by leaves, not the layer.
            for two in second(context, one.layer if one.reweigh is None else layer):
                if two.reweigh is None and one.reweigh is None:
                    two = replace(two, mask=two.mask or one.mask, zeroed=two.zeroed or one.zeroed)  # noqa: PLW2901
                yield (one, replace(two, base=layer))


def _orders(context: Context, layer: Layer) -> Iterator[Variant]:
    """The gates are stored in another order: the blocks of all weights are moved."""
    cell = layer.cell
    for order in itertools.permutations(range(len(cell.order))):
        if order == cell.order:
            continue
        as_a = Cell(cell.kind, order)
        # B reads gate k in block cell.order[k]; what A reads there lies in block order[k].
        moved = tuple(order[cell.order.index(block)] for block in range(len(order)))
        yield Variant(
            "gate-order", f"the gates {as_a.stored}", f"the gates {cell.stored}", layer, layer, _moving(layer, moved)
        )


def _moving(layer: Layer, moved: tuple[int, ...]) -> Callable[[Values], Values]:
    def leaves(values: Values) -> Values:
        made: Values = {}
        for operand in (layer.kernel, layer.recurrent, *layer.biases):
            now = {**values, **made}
            made |= operand.put(now, _blocks(operand.of(now), moved))
        return made

    return leaves


def _blocks(array: np.ndarray, moved: tuple[int, ...]) -> np.ndarray:
    parts = np.split(array, len(moved), -1)
    return np.concatenate([parts[k] for k in moved], -1)


def _biases(context: Context, layer: Layer) -> Iterator[Variant]:
    """A bias is left out, counted twice, or in the place of the other."""
    del context
    if not layer.biases:
        return
    both = len(layer.biases) == 2
    names = ("the first bias", "the second bias") if both else ("the bias",)
    own = "both biases" if both else "one bias"
    for k, name in enumerate(names):
        for factor, words in ((0.0, f"{name} left out"), (0.5, f"half of {name}"), (2.0, f"{name} twice")):
            yield Variant("double-bias", words, own, layer, layer, _scaling(layer, k, factor))
    if both and layer.cell.kind == "gru":
        yield Variant("double-bias", "the two biases exchanged", own, layer, layer, _exchanging(layer))


def _scaling(layer: Layer, which: int, factor: float) -> Callable[[Values], Values]:
    bias = layer.biases[which]
    return lambda values: bias.put(values, factor * bias.of(values))


def _exchanging(layer: Layer) -> Callable[[Values], Values]:
    first, second = layer.biases

    def leaves(values: Values) -> Values:
        made = first.put(values, second.of(values))
        return made | second.put({**values, **made}, first.of(values))

    return leaves


def _forget(context: Context, layer: Layer) -> Iterator[Variant]:
    """The forget gate's bias holds a one more, or less."""
    del context
    if layer.cell.kind != "lstm" or not layer.biases:
        return
    for shift in (1.0, -1.0, 2.0, -2.0, 5.0, -5.0):
        words = f"{abs(shift):g} {'more' if shift > 0 else 'less'} in the forget gate's bias"
        yield Variant("forget-bias", words, "its own forget bias", layer, layer, _shifting(layer, shift))


def _shifting(layer: Layer, shift: float) -> Callable[[Values], Values]:
    bias = layer.biases[0]
    block = layer.cell.order[GATES["lstm"].index("f")]

    def leaves(values: Values) -> Values:
        numbers = np.array(bias.of(values)).reshape(4, -1)
        numbers[block] += shift
        return bias.put(values, numbers.reshape(-1))

    return leaves


def _equations(context: Context, layer: Layer) -> Iterator[Variant]:
    """The cell's equations differ: the reset gate, the update gate, an activation."""
    yield from _gru(context, layer)
    cell = layer.cell

    def variant(code: str, words: tuple[str, str], changed: Cell) -> Variant:
        return Variant(code, *words, layer, replace(layer, cell=changed))

    for name in ACTIVATIONS:
        if name != cell.activation:
            changed = replace(cell, activation=name)
            yield variant("activation-variant", (f"activation {name}", f"activation {cell.activation}"), changed)
    for name in _GATE_FUNCTIONS if cell.kind != "rnn" else ():
        if name != cell.recurrent:
            words_ = (f"gates of {name}", f"gates of {cell.recurrent}")
            yield variant("activation-variant", words_, replace(cell, recurrent=name))


def _gru(context: Context, layer: Layer) -> Iterator[Variant]:
    """The reset gate acts at another place, or the update gate the other way round."""
    del context
    cell = layer.cell
    if cell.kind != "gru":
        return
    words = {True: "the reset gate after the recurrent product", False: "the reset gate before it"}
    changed = replace(layer, cell=replace(cell, reset_after=not cell.reset_after))
    yield Variant("reset-after", words[not cell.reset_after], words[cell.reset_after], layer, changed)
    words = {True: "z for the old state", False: "z for the new state"}
    changed = replace(layer, cell=replace(cell, keep=not cell.keep))
    yield Variant("update-gate", words[not cell.keep], words[cell.keep], layer, changed)


def _directions(context: Context, layer: Layer) -> Iterator[Variant]:
    """The sequence is read from its other end."""
    del context
    changed = replace(layer, reverse=not layer.reverse)
    words = {True: "backward", False: "forward"}
    order = {True: "forward", False: "backward, its outputs in the order in which they were made"}
    for turned, (in_a, in_b) in (
        (False, (words[changed.reverse], words[layer.reverse])),
        (True, (order[layer.reverse], words[layer.reverse])),
    ):
        yield Variant("reverse-direction", in_a, in_b, layer, changed, turned=turned)


def _axes(context: Context, layer: Layer) -> Iterator[Variant]:
    """Batch and time are exchanged."""
    del context
    words = ("the other axis of its input as time", "one axis of its input as time")
    yield Variant("batch-first", *words, layer, replace(layer, time=1 - layer.time))


def _masked(context: Context, layer: Layer) -> Iterator[Variant]:
    """Padded steps are skipped."""
    for mask in masks(context, layer.x, layer.time):
        for zeroed in (False, True):
            words = f"{mask.words}{' and zero in the output' if zeroed else ''}"
            yield Variant("masking", words, "every step processed", layer, layer, None, mask, zeroed)
