"""From records to nodes: backward operations find their forward ones, optimizer operations their layers."""

from collections.abc import Iterator, Mapping
from typing import Any

from oracle.adapters.recording_places import owner_of
from oracle.trace import Layer, Node, Value, references

_RECURRENT = ("torch.nn.RNN", "torch.nn.LSTM", "torch.nn.GRU")
_PRODUCTS = ("aten.addmm.default", "aten.mm.default", "aten.bmm.default")
_JOINS = ("aten.stack.default", "aten.cat.default")
_SLICES = ("aten.unbind.int", "aten.slice.Tensor")


def finish_nodes(observer: Any, values: Mapping[int, Value]) -> tuple[Node, ...]:
    """The nodes of a finished recording, in the order of execution."""
    layers = observer.places.layers
    steps_of = _TimeSteps(layers)
    owners = {v.id: owner_of(v.name, layers) for v in values.values() if v.role in ("parameter", "state")}
    nodes: list[Node] = []
    for index, record in enumerate(observer.records):
        place = record.place
        forward = observer.forward_of.get((record.step, place.sequence)) if place.phase == "backward" else None
        scope, source, time_step = place.scope, place.source, steps_of.of(record)
        layer = layers[scope].kind if place.call >= 0 else ""
        if forward is not None and forward >= index:  # a later pass reuses the number of a node that made no call
            forward = None
        if forward is not None:
            cause = nodes[forward]
            scope, layer, source, time_step = cause.scope, cause.layer, cause.source, cause.time_step
        elif place.phase == "backward" and (record.step, place.sequence) in observer.passed:
            passed = observer.passed[record.step, place.sequence]
            scope, source, time_step = passed.scope, passed.source, passed.time_step
            layer = layers[scope].kind if passed.call >= 0 else ""
        if place.phase == "optimizer":
            scope = _inherited(record, owners)
            layer = layers[scope].kind if scope in layers else ""
        nodes.append(
            Node(index, record.op, tuple(record.inputs), tuple(record.outputs), record.attrs, scope=scope,
                 layer=layer, phase=place.phase, step=record.step, time_step=time_step, source=source,
                 forward_index=forward)
        )  # fmt: skip
    return tuple(nodes)


def _reads(record: Any) -> Iterator[int]:
    return references([record.inputs, *record.attrs.values()])


def _inherited(record: Any, owners: dict[int, str]) -> str:
    """The layer whose parameter an optimizer operation works on, if it works on one only."""
    found = {owners[i] for i in _reads(record) if owners.get(i)}
    scope = found.pop() if len(found) == 1 else ""
    if scope:
        owners.update((out, scope) for out in record.outputs if out is not None)
    return scope


class _TimeSteps:
    """Which step of a recurrence an operation belongs to.

    A cell called once for each step is at the step of its call, and so are the layers in it. Inside one call of an
    unrolled recurrent layer an operation is at the step of the slice of the projected sequence that joined last what
    flows into it; a packed sequence is sliced in the order of its steps.
    """

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        self.layers = layers
        self.projected: set[int] = set()
        self.slices: dict[int, int] = {}
        self.packed: dict[int, int] = {}
        self.reached: dict[int, tuple[int, int]] = {}  # when the slice joined, and its step

    def of(self, record: Any) -> int | None:
        """The time step of `record`, or None outside of a recurrence."""
        layer = self.layers.get(record.place.scope)
        if layer is None or record.place.phase != "forward":
            return None
        if record.place.time_step is not None:
            return int(record.place.time_step)
        return self._of_slices(record) if layer.kind in _RECURRENT else None

    def _of_slices(self, record: Any) -> int | None:
        reads, outputs = list(_reads(record)), [out for out in record.outputs if out is not None]
        if self._slices(record, reads, outputs):
            return None
        for i in reads:
            if i in self.slices:
                self.reached[i] = (len(self.reached), self.slices.pop(i))
        last = max((self.reached[i] for i in reads if i in self.reached), default=None)
        if last is not None and record.op not in _JOINS:
            self.reached.update(dict.fromkeys(outputs, last))
            return last[1]
        if record.op in _PRODUCTS or not self.projected.isdisjoint(reads):
            self.projected.update(outputs)
        return None

    def _slices(self, record: Any, reads: list[int], outputs: list[int]) -> bool:
        """Whether `record` takes the projected sequence apart; a packed one that begins at its end has no numbers."""
        if not reads or reads[0] not in self.projected or record.op not in _SLICES:
            return False
        sequence = reads[0]
        if record.op == "aten.unbind.int":
            self.slices.update((out, i) for i, out in enumerate(record.outputs) if out is not None)
        elif sequence in self.packed or not any(record.inputs[2:3]):
            self.packed[sequence] = step = self.packed.get(sequence, -1) + 1
            self.slices.update(dict.fromkeys(outputs, step))
        return True
