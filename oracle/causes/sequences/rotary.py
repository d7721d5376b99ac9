"""Rotary position embedding under another convention: pairing of features, base, first position, direction.

    (x_a, x_b) -> (x_a cos t - x_b sin t, x_a sin t + x_b cos t),    t = position base^(-2 k / d)

for the k-th pair (a, b) of the d features of a head: (2k, 2k + 1), interleaved, or (k, k + d/2), half against half.
Source: Su et al. (2021), arXiv:2104.09864.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignments.alignment import CLOSE, Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, close, overridden, soon
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values

_REGION = 120
_UPSTREAM = 12
_BASES = (1e4, 5e5, 1e6, 1e5, 1e3, 1e2)
_SOON = 16
_PARTS = (1.0, 0.5, 0.25)
_LAYOUTS = ("interleaved", "half against half")


@dataclass(frozen=True)
class Rotation:
    """How positions rotate the last axis: the layout of pairs, the base, the first position, the sign of the angle.

    `part` of the features, the first ones, are rotated. `mixed`: the angles are laid out as for the other layout.
    """

    layout: str
    base: float
    first: int
    sign: int
    part: float = 1.0
    mixed: bool = False

    def __str__(self) -> str:
        direction = "" if self.sign > 0 else ", backward"
        part = "" if self.part == 1 else f", the first {self.part:.3g} of the features alone"
        mixed = f", with the angles laid out for pairs {_other(self.layout)}" if self.mixed else ""
        return f"pairs {self.layout}, base {self.base:g}, positions from {self.first}{direction}{part}{mixed}"

    def angles(self, length: int, size: int) -> np.ndarray:
        """Angles (length, size): one for each feature."""
        positions = np.arange(self.first, self.first + length)
        angles = self.sign * np.outer(positions, self.base ** (-np.arange(0, size, 2) / size))
        layout = _other(self.layout) if self.mixed else self.layout
        return np.repeat(angles, 2, -1) if layout == "interleaved" else np.concatenate([angles, angles], -1)

    def apply(self, x: np.ndarray, time: int) -> np.ndarray:
        """`x` with each step along `time` rotated."""
        size = 2 * round(self.part * x.shape[-1] / 2)
        turned, rest = x[..., :size], x[..., size:]
        shape = [1] * x.ndim
        shape[time], shape[-1] = x.shape[time], size
        angles = self.angles(x.shape[time], size).reshape(shape)
        first, second = _pairs(turned, self.layout)
        if self.layout == "interleaved":
            across = np.stack([-second, first], -1).reshape(turned.shape)
        else:
            across = np.concatenate([-second, first], -1)
        return np.concatenate([turned * np.cos(angles) + across * np.sin(angles), rest], -1)


def _other(layout: str) -> str:
    return _LAYOUTS[1 - _LAYOUTS.index(layout)]


@dataclass(frozen=True)
class Rotated:
    """A value `y` of a side that is its value `x` rotated along the axis `time`."""

    node: LoweredNode
    x: int
    time: int
    rotation: Rotation


@hypothesis(priority=7)
def other_rotation(context: Context) -> Iterator[Candidate]:
    """Every rotation of B takes the convention of A's rotations, or one of the usual ones, or is left out."""
    own = [r for r in rotated(context.b, context.at_b.region[:_REGION]) if context.matched(r.x)]
    if not own:
        return
    wanted, proposed = Wanted(context), False
    theirs = [r.rotation for r in rotated(context.a, context.at_a.region[:_REGION])]
    for rotation in dict.fromkeys([*theirs, *_usual(own[0].rotation)]):
        found = {r.node.node.index: _found(context, wanted, r, rotation) for r in own if r.rotation != rotation}
        fitting = [r for r in own if found.get(r.node.node.index) is not None]
        if fitting:
            proposed = True
            yield _candidate(context, fitting, rotation, wanted.node(found[fitting[0].node.node.index]))
    for chosen in (own, *([r] for r in own)) if not proposed else ():
        edits = functools.reduce(Edits.__or__, (_edit(context.b, r, None) for r in chosen))
        made = soon(context, wanted, edits, _SOON)
        if made is not None:
            yield _candidate(context, chosen, None, wanted.node(made))


def _candidate(
    context: Context, fitting: list[Rotated], rotation: Rotation | None, node_a: LoweredNode | None
) -> Candidate:
    present = fitting[0].rotation
    written = f"rotate queries and keys by {rotation}" if rotation else "leave the rotation of these features out"
    return Candidate(
        "rotary-layout",
        functools.reduce(Edits.__or__, (_edit(context.b, r, rotation) for r in fitting)),
        node_a,
        fitting[0].node,
        fix_a=f"rotate queries and keys by {present}",
        fix_b=written,
        detail=f"rotary embedding: {rotation or 'none'} in {{A}}; {present} in {{B}}",
        tested=True,
    )


def _usual(present: Rotation) -> Iterator[Rotation]:
    bases = dict.fromkeys((present.base, *_BASES))
    firsts = (present.first, 0, 1)
    for layout, base, first, sign in itertools.product(_LAYOUTS, bases, firsts, (1, -1)):
        yield Rotation(layout, base, first, sign, present.part)
    for layout in _LAYOUTS:
        yield replace(present, layout=layout, mixed=True)
    for part in _PARTS:
        yield replace(present, part=part)


def _found(context: Context, wanted: Wanted, r: Rotated, rotation: Rotation) -> int | None:
    return wanted.find(rotation.apply(context.b.run.values[r.x], r.time))


def _edit(side: Side, r: Rotated, rotation: Rotation | None) -> Edits:
    def compute(values: Values) -> np.ndarray:
        return values[r.x] if rotation is None else rotation.apply(values[r.x], r.time)

    return overridden(side, {r.node.outputs[0]: compute})


def rotated(side: Side, nodes: tuple[LoweredNode, ...]) -> Iterator[Rotated]:
    """The nodes whose result is a value upstream of them, rotated by position."""
    for node in nodes:
        y = side.run.values[node.outputs[0]]
        if y.ndim < 2 or y.shape[-1] % 2 or y.size < 4:
            continue
        for i in _sources(side, node):
            x = side.run.values[i]
            if x.shape == y.shape and _same_size(side, i, node.outputs[0]):
                found = identify(x, y)
                if found is not None:
                    yield Rotated(node, i, *found)
                    break


def _same_size(side: Side, value: int, other: int) -> bool:
    """Whether both have one norm, as a rotation keeps it."""
    one, two = side.digest(value), side.digest(other)
    return one is not None and two is not None and abs(one.rms - two.rms) <= CLOSE * two.rms


def _sources(side: Side, node: LoweredNode) -> dict[int, None]:
    """The values from which the node's result comes, nearest first, through complex numbers too."""
    found, nodes = {}, [node]
    for _ in range(_UPSTREAM):
        if nodes:
            reads = [i for i in nodes.pop(0).node.reads if i not in found]
            found.update(dict.fromkeys(reads))
            nodes += [side.producers[i] for i in reads if i in side.producers]
    return found


def identify(x: np.ndarray, y: np.ndarray) -> tuple[int, Rotation] | None:
    """The axis of time and the rotation that makes `y` of `x`; None if it is none."""
    whole = x.shape[-1]
    if close(x, y):
        return None
    size = _changed(x, y)
    for layout in _LAYOUTS:
        (a, b), (c, d) = _pairs(x[..., :size], layout), _pairs(y[..., :size], layout)
        if not close(a * a + b * b, c * c + d * d):
            continue
        angles = np.arctan2(a * d - b * c, a * c + b * d)
        for time in range(x.ndim - 1):
            found = _fitted(np.moveaxis(angles, time, 0), layout, size)
            rotation = None if found is None else replace(found, part=size / whole)
            if rotation is not None and close(rotation.apply(x, time), y):
                return time, rotation
    return None


def _changed(x: np.ndarray, y: np.ndarray) -> int:
    """The even number of leading features in which the two differ."""
    differing = np.flatnonzero(np.any(x != y, axis=tuple(range(x.ndim - 1))))
    return 2 * (int(differing[-1]) // 2 + 1) if len(differing) else x.shape[-1]


def _fitted(angles: np.ndarray, layout: str, size: int) -> Rotation | None:
    """The rotation with these angles (time, ..., pairs): its first position, sign and base."""
    if len(angles) < 2 or size < 4:
        return None
    flat = angles.reshape(len(angles), -1, size // 2)[:, 0]
    steps = np.angle(np.exp(1j * (flat[1] - flat[0])))
    sign = 1 if steps[0] > 0 else -1
    rate = abs(steps[1])
    if rate <= 0:
        return None
    base = float(f"{rate ** (-size / 2):.6g}")
    first = round(sign * float(np.angle(np.exp(1j * flat[0][0]))))
    return Rotation(layout, base, first, sign)


def _pairs(x: np.ndarray, layout: str) -> tuple[np.ndarray, np.ndarray]:
    if layout == "interleaved":
        return x[..., 0::2], x[..., 1::2]
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]
