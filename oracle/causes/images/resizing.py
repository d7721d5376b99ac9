"""Images resized under another convention: kernel, corners, half pixels, antialiasing, rounding of the nearest."""

from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.images.resampling import Convention, conventions, resample
from oracle.causes.local import Wanted, close, matched_inputs, overridden, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import numbers, place

_REGION = 400
_UPSTREAM = 8
_LARGE = 2_000_000
# Operations that take a part of an array, every second element say, or pool it: that is no resizing.
_PARTS = ("slice", "split", "select", "chunk", "unbind", "narrow", "unpack", "concat", "cat", "pad", "pool")
_RESIZINGS = ("resize", "upsample", "interpol")
_METHODS = {
    "linear": "bilinear", "nearest": "nearest", "cubic -0.5": "bicubic", "cubic -0.75": "bicubic", "area": "area",
    "lanczos3": "lanczos3", "lanczos5": "lanczos5",
}  # fmt: skip


@hypothesis(priority=9)
def other_resizing(context: Context) -> Iterator[Candidate]:
    """B resizes a common image under one convention; A's values are those of another."""
    wanted = Wanted(context)
    for node, x, sizes in _resized(context):
        array, y = context.b.run.values[x], context.b.run.values[node.outputs[0]]
        if not wanted.has_size(y.size):
            continue
        steps = _steps(context, node)
        own = _identified(array, y, sizes, steps)
        if own is None and not _unknown(context, node, x, sizes):
            continue
        for convention in conventions():
            for step in steps:
                if (convention, step) == own:
                    continue
                made = _computed(array, sizes, convention, step)
                found = None if made is None or close(made, y) else wanted.find(made)
                if found is not None:
                    yield _candidate(context, (node, wanted.node(found)), (x, sizes), (own, (convention, step)))


def _unknown(context: Context, node: LoweredNode, x: int, sizes: dict[int, int]) -> bool:
    """Whether the node resizes `x` by no known convention: it is said to, and resizes no later value by a known one."""
    if not any(word in node.node.op.lower() for word in _RESIZINGS):
        return False
    side = context.b
    y, shape = side.run.values[node.outputs[0]], side.run.values[x].shape
    near = dict.fromkeys(i for n in (node, *upstream(side, node.outputs[0], _UPSTREAM)) for i in n.reals if i != x)
    later = [side.run.values[i] for i in near if side.run.values[i].shape == shape and _comes_from(side, i, x)]
    return all(_identified(z, y, sizes, _steps(context, node)) is None for z in later)


def _comes_from(side: Side, value: int, source: int) -> bool:
    return any(source in n.reals for n in upstream(side, value, _UPSTREAM))


def _resized(context: Context) -> Iterator[tuple[LoweredNode, int, dict[int, int]]]:
    """Nodes of B that make an array of another size from an array of as many axes, and the axes that change."""
    side = context.b
    matched = matched_inputs(context, _REGION)
    for node in context.at_b.region[:_REGION]:
        y = side.run.values[node.outputs[0]]
        if y.ndim not in (3, 4, 5) or y.size > _LARGE or any(word in node.node.op.lower() for word in _PARTS):
            continue
        near = [i for n in (node, *upstream(side, node.outputs[0], _UPSTREAM)) for i in n.reals]
        for x in dict.fromkeys([*(i for i in matched if side.run.values[i].ndim == y.ndim), *near]):
            shape = side.run.values[x].shape
            if len(shape) == y.ndim:
                sizes = {k: y.shape[k] for k in range(y.ndim) if shape[k] != y.shape[k]}
                changed = sizes and 0 not in sizes and len(sizes) <= y.ndim - 2
                if changed and min(min(shape[k], n) for k, n in sizes.items()) > 1:
                    yield node, x, sizes


def _steps(context: Context, node: LoweredNode) -> list[float | None]:
    """Distances of source places: that of the sizes, and those of scale factors given to a resizing."""
    nodes = (node, *context.at_a.first[:4])
    factors = {f for n in nodes for _, f in numbers(n) if 0.05 < f < 32 and not f.is_integer()}
    return [None, *(1 / f for f in sorted(factors))]


def _computed(x: np.ndarray, sizes: dict[int, int], convention: Convention, step: float | None) -> np.ndarray | None:
    with np.errstate(all="ignore"):
        made = resample(convention, x, sizes, step)
    return made if np.all(np.isfinite(made)) else None


def _identified(
    x: np.ndarray, y: np.ndarray, sizes: dict[int, int], steps: list[float | None]
) -> tuple[Convention, float | None] | None:
    """The convention that makes `y` of `x`; one channel of one image is looked at before all are."""
    one = tuple(slice(None) if k in sizes else slice(0, 1) for k in range(x.ndim))
    for convention in conventions():
        for step in steps:
            first = _computed(x[one], sizes, convention, step)
            if first is None or not close(first, y[one]):
                continue
            made = _computed(x, sizes, convention, step)
            if made is not None and close(made, y):
                return convention, step
    return None


def _candidate(
    context: Context,
    nodes: tuple[LoweredNode, LoweredNode | None],
    read: tuple[int, dict[int, int]],
    change: tuple[tuple[Convention, float | None] | None, tuple[Convention, float | None]],
) -> Candidate:
    (node, node_a), (x, sizes), (own, (convention, step)) = nodes, read, change

    def compute(values: Values) -> np.ndarray:
        return resample(convention, values[x], sizes, step)

    present = own[0] if own else None
    by_factor = " with the given scale factor" if own and own[1] != step else ""
    return Candidate(
        "resize-convention",
        overridden(context.b, {node.outputs[0]: compute}),
        node_a,
        node,
        fix_a=f"{written(context.a, present)}  # at {place(node_a)}",
        fix_b=f"{written(context.b, convention)}  # at {place(node)}",
        detail=f"{{A}} resizes by {convention}{by_factor}; {{B}} by {present or 'a convention of its own'}",
        tested=True,
    )


def written(side: Side, convention: Convention | None) -> str:
    """The resizing as the side's framework writes it."""
    if convention is None:
        return "resize as the other model does"
    writer = {"torch": _torch, "tensorflow": _tensorflow, "jax": _jax}[side.network.trace.framework]
    return writer(convention) or f"interpolate by {convention}: the framework has no option for it"


def _torch(c: Convention) -> str:
    if c.kernel == "area":
        return 'F.interpolate(x, size, mode="area")'
    if c.kernel == "nearest":
        mode = {("asymmetric", "floor"): "nearest", ("half-pixel", "floor"): "nearest-exact"}.get(
            (c.coordinates, c.rounding)
        )
        return f'F.interpolate(x, size, mode="{mode}")' if mode else ""
    if c.coordinates == "asymmetric" or c.kernel.startswith("lanczos"):
        return ""
    if (c.kernel == "cubic -0.5") is not c.antialias and c.kernel.startswith("cubic"):
        return ""
    align = c.coordinates == "align-corners"
    return f'F.interpolate(x, size, mode="{_METHODS[c.kernel]}", align_corners={align}, antialias={c.antialias})'


def _tensorflow(c: Convention) -> str:
    method = _METHODS[c.kernel]
    if c.coordinates == "half-pixel" or c.kernel == "area":
        return f'tf.image.resize(x, size, method="{method}", antialias={c.antialias})'
    return f'tf.compat.v1.image.resize(x, size, method="{method}", align_corners={c.coordinates == "align-corners"})'


def _jax(c: Convention) -> str:
    if c.coordinates != "half-pixel" or c.kernel in ("area", "cubic -0.75"):
        return ""
    return f'jax.image.resize(x, shape, method="{_METHODS[c.kernel]}", antialias={c.antialias})'
