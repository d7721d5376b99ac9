"""From records to nodes: backward operations find their forward ones, optimizer operations their layers."""

from collections.abc import Iterator, Mapping
from typing import Any

from oracle.adapters.recording_places import owner_of
from oracle.trace import Layer, Node, Value, references

_RECURRENT = ("torch.nn.RNN", "torch.nn.LSTM", "torch.nn.GRU")


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

    A cell called once for each step is at the step of its call. Inside one call of an unrolled recurrent layer an
    operation is at the latest step of the slices of the sequence that flow into it.
    """

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        self.layers = layers
        self.reached: dict[int, int] = {}

    def of(self, record: Any) -> int | None:
        """The time step of `record`, or None outside of a recurrence."""
        layer = self.layers.get(record.place.scope)
        if layer is None or record.place.phase != "forward":
            return None
        if layer.kind.endswith("Cell"):
            return record.place.call
        if layer.kind not in _RECURRENT:
            return None
        if record.op == "aten.unbind.int":
            self.reached.update((out, i) for i, out in enumerate(record.outputs) if out is not None)
            return None
        steps = [self.reached[i] for i in _reads(record) if i in self.reached]
        if not steps:
            return None
        self.reached.update((out, max(steps)) for out in record.outputs if out is not None)
        return max(steps)
