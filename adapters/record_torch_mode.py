"""The observer: sees every aten operation that executes, forward, backward and optimizer step, and notes it."""

import functools
from typing import Any, NamedTuple

from oracle.adapters.record_torch_memory import described, dtype_name, geometry_of
from oracle.adapters.record_torch_place import Place, Places
from oracle.adapters.record_torch_values import Versions
from oracle.trace import Tree, reference

HIDDEN_WRITES = {"aten.native_batch_norm.default": (3, 4), "aten.cudnn_batch_norm.default": (3, 4)}
"""Operations that write arguments although their schema does not say so, when their sixth argument is true."""

_WITHOUT_MEANING = frozenset(("device", "layout", "pin_memory", "memory_format", "generator", "non_blocking"))


_LITERALS = frozenset((type(None), bool, int, float, str))


class _Kind(NamedTuple):
    """What the recorder must know of an operator. `composite` says whether it is made of others, on CPU and on GPU."""

    name: str
    ignored: bool
    composite: tuple[bool, bool]
    random: bool
    allocates: bool
    returns: bool
    writes: tuple[tuple[int, str], ...]


@functools.cache
def _kind(func: Any) -> _Kind:
    import torch  # noqa: PLC0415

    schema, name = func._schema, str(func)
    rearranges = torch.Tag.inplace_view in func.tags  # `transpose_` changes the tensor's geometry, not its memory
    written = [a.alias_info is not None and a.alias_info.is_write and not rearranges for a in schema.arguments]
    has = functools.partial(torch._C._dispatch_has_kernel_for_dispatch_key, func.name())
    composite = (
        has("CompositeImplicitAutograd") and not has("CPU"),
        has("CompositeImplicitAutograd") and not has("CUDA"),
    )
    return _Kind(
        name,
        ignored=name.startswith(("profiler.", "prim.", "aten.record_stream")),
        composite=composite,
        random=torch.Tag.nondeterministic_seeded in func.tags and "scaled_dot_product" not in name,
        allocates=name.split(".")[1] in ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
        returns=bool(schema.returns),
        writes=tuple((i, a.name) for i, a in enumerate(schema.arguments) if written[i]),
    )


class Record(NamedTuple):
    """A node while the recording lasts."""

    op: str
    inputs: list[Tree]
    attrs: dict[str, Tree]
    outputs: list[int | None]
    place: Place
    step: int


class Observer:
    """Collects the records of a run. `function` is its `__torch_dispatch__`."""

    def __init__(self, full: bool) -> None:
        import torch  # noqa: PLC0415

        self.torch = torch
        self.places = Places()
        self.versions = Versions(full, self._derived)
        self.records: list[Record] = []
        self.forward_of: dict[tuple[int, int], int] = {}
        self.passed: dict[tuple[int, int], Place] = {}  # where operations that made nothing new were called
        self.step = 0
        self.place = Place("", 0, None, "forward", "", 0)

    def mode(self) -> Any:
        """A dispatch mode that reports to this observer."""
        from torch.utils._python_dispatch import TorchDispatchMode  # noqa: PLC0415

        observer = self

        class Mode(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
                kind, kwargs = _kind(func), kwargs or {}
                if kind.ignored or _without_numbers(args, kwargs):
                    return func(*args, **kwargs)
                if kind.composite[0] and kind.composite[_on_gpu(args)]:
                    with self:
                        return func.decompose(*args, **kwargs)
                return observer.observe(func, kind, args, kwargs)

        return Mode()

    def observe(self, func: Any, kind: _Kind, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Run one operator exactly once and note what it read, made and wrote."""
        self.place = place = self.places.here()
        inputs = [self.tree(a) for a in args]
        attrs = {k: self.tree(v) for k, v in kwargs.items() if k not in _WITHOUT_MEANING}
        if kind.name.startswith("aten.as_strided"):  # strides speak of memory: the lowering must know where `self` lies
            attrs["base"] = described(geometry_of(args[0]))
        result = func(*args, **kwargs)
        if _stands_for_another(result):  # a view keeps the mark: what lies in memory is the view of what lies there
            inputs = [self.tree(a, in_memory=True) for a in args]
        if isinstance(result, bool | int | float):
            attrs["result"] = result  # the program's own decisions may hang on it
        written = [t for t in self._written(kind, args, kwargs) if t is not None]
        if kind.allocates:
            self.versions.uninitialised(result)
            return result
        made = self._outputs(result if kind.returns else [], written, "random" if kind.random else "intermediate")
        if made is not None:
            self._note(kind, inputs, attrs, made, place)
        elif place.phase == "forward":
            self.passed.update(((self.step, number), place) for number in self._numbers(place.sequence))
        return result

    def _outputs(self, result: Any, written: list, role: str) -> list[int | None] | None:
        """Ids of the new results that are not written arguments, then of the new versions. None for repeated views."""
        mine = {id(t) for t in written}
        results = [None if t is None else self.versions.result(t, role) for t in _flat(result) if id(t) not in mine]
        if results and not written and not any(r is not None and r[1] for r in results):
            return None
        # A view known before was made by another node, and a value has one maker: `x.unbind()` after `x[0]`.
        made = [r[0] if r is not None and r[1] else None for r in results]
        return made + [self.versions.written(t, role) for t in written]

    def _note(self, kind: _Kind, inputs: list, attrs: dict, made: list, place: Place) -> None:
        if kind.random:
            made, attrs = self._draws(kind, made, attrs)
        index = len(self.records)
        if place.phase == "forward":
            self._link(place.sequence, index)
        self.records.append(Record(kind.name, inputs, attrs, made, place, self.step))

    def _draws(self, kind: _Kind, made: list, attrs: dict) -> tuple[list, dict]:
        """A draw is a leaf that the node names; of `native_dropout` the mask is drawn and the product computed."""
        if kind.name == "aten.native_dropout.default":
            out, mask = made
            self.versions.drafts[out].role = "intermediate"
            return [out, None], {**attrs, "mask": reference(mask)}
        return [], {**attrs, "draws": [reference(m) for m in made]}

    def _link(self, sequence: int, index: int) -> None:
        for number in self._numbers(sequence):
            self.forward_of.setdefault((self.step, number), index)

    def _numbers(self, sequence: int) -> range:
        """Of the autograd nodes that an operation made: from the one before `sequence` to the next to come."""
        return range(sequence - 1, max(sequence, self.torch._C._autograd._get_sequence_nr()))

    def _derived(self, op: str, inputs: list, made: list) -> None:
        """Note a node that keeps views and their base together; it belongs where it was first needed."""
        self.records.append(Record(op, inputs, {}, made, self.place, self.step))

    def _written(self, kind: _Kind, args: tuple, kwargs: dict[str, Any]) -> list:
        if kind.name in HIDDEN_WRITES:
            return [args[i] for i in HIDDEN_WRITES[kind.name]] if args[5] else []
        written: list = []
        for position, name in kind.writes:
            target = args[position] if position < len(args) else kwargs.get(name)
            written.extend(_flat(target))
        return written

    def tree(self, value: Any, *, in_memory: bool = False) -> Tree:
        """An argument as a tree: tensors become references, everything else JSON literals.

        A tensor that stands for the conjugate or the negative of its memory is that, or the numbers `in_memory`.
        """
        if type(value) in _LITERALS:
            return value
        torch = self.torch
        if isinstance(value, torch.Tensor):
            lazy = not in_memory and _stands_for_another(value)
            return reference(self.versions.read_through(value) if lazy else self.versions.read(value))
        if isinstance(value, list | tuple):
            return [self.tree(v, in_memory=in_memory) for v in value]
        if isinstance(value, torch.dtype):
            return dtype_name(value)
        if isinstance(value, complex):
            return {"complex": [value.real, value.imag]}
        if isinstance(value, torch.SymInt | torch.SymFloat):
            return value.node.maybe_as_int() or float(value)
        return None if isinstance(value, torch.Generator) else str(value)


def _without_numbers(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether the operation only asks for shapes (Keras builds its layers on the meta device): nothing is computed."""
    device = kwargs.get("device")
    if device is not None:
        return str(device) == "meta"
    return any(getattr(t, "is_meta", False) for t in _flat(args))


def _stands_for_another(value: Any) -> bool:
    """Whether it is a tensor whose memory holds the conjugates, or the negatives, of its numbers."""
    return hasattr(value, "is_conj") and (value.is_conj() or value.is_neg())


def _on_gpu(args: tuple) -> bool:
    return any(getattr(t, "is_cuda", False) for t in _flat(args))


def _flat(result: Any) -> list:
    """Results in order, nested lists flattened. Scalars that are no tensors do not count."""
    if isinstance(result, list | tuple):
        return [t for part in result for t in _flat(part)]
    return [result] if result is None or hasattr(result, "data_ptr") else []
