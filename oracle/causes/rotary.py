"""Rotary position embedding under another convention: pairing of features, base, first position, direction.

    (x_a, x_b) -> (x_a cos t - x_b sin t, x_a sin t + x_b cos t),    t = position base^(-2 k / d)

for the k-th pair (a, b) of the d features of a head: (2k, 2k + 1), interleaved, or (k, k + d/2), half against half.
Source: Su et al. (2021), arXiv:2104.09864.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oracle.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, close, overridden, upstream
from oracle.lowered import LoweredNode
from oracle.network import Edits, Values

_REGION = 120
_UPSTREAM = 12
_BASES = (1e4, 5e5, 1e6, 1e5, 1e3, 1e2)
_LAYOUTS = ("interleaved", "half against half")


@dataclass(frozen=True)
class Rotation:
    """How positions rotate the last axis: the layout of pairs, the base, the first position, the sign of the angle."""

    layout: str
    base: float
    first: int
    sign: int

    def __str__(self) -> str:
        direction = "" if self.sign > 0 else ", backward"
        return f"pairs {self.layout}, base {self.base:g}, positions from {self.first}{direction}"

    def angles(self, length: int, size: int) -> np.ndarray:
        """Angles (length, size / 2)."""
        positions = np.arange(self.first, self.first + length)
        return self.sign * np.outer(positions, self.base ** (-np.arange(0, size, 2) / size))

    def apply(self, x: np.ndarray, time: int) -> np.ndarray:
        """`x` with each step along `time` rotated."""
        shape = [1] * x.ndim
        shape[time], shape[-1] = x.shape[time], x.shape[-1] // 2
        angles = self.angles(x.shape[time], x.shape[-1]).reshape(shape)
        first, second = _pairs(x, self.layout)
        turned = first * np.cos(angles) - second * np.sin(angles), first * np.sin(angles) + second * np.cos(angles)
        if self.layout == "interleaved":
            return np.stack(turned, -1).reshape(x.shape)
        return np.concatenate(turned, -1)


@dataclass(frozen=True)
class Rotated:
    """A value `y` of a side that is its value `x` rotated along the axis `time`."""

    node: LoweredNode
    x: int
    time: int
    rotation: Rotation


@hypothesis(priority=7)
def other_rotation(context: Context) -> Iterator[Candidate]:
    """Every rotation of B takes the convention of A's rotations, or one of the usual ones."""
    own = list(rotated(context.b, context.at_b.region[:_REGION]))
    if not own:
        return
    wanted = Wanted(context)
    theirs = [r.rotation for r in rotated(context.a, context.at_a.region[:_REGION])]
    present = own[0].rotation
    for rotation in dict.fromkeys([*theirs, *_usual(present)]):
        fitting = [r for r in own if r.rotation != rotation]
        found = {r.node.node.index: _found(context, wanted, r, rotation) for r in fitting}
        fitting = [r for r in fitting if found[r.node.node.index] is not None]
        if fitting:
            edits = functools.reduce(Edits.__or__, (_edit(context.b, r, rotation) for r in fitting))
            node_a = wanted.node(found[fitting[0].node.node.index])
            yield Candidate(
                "rotary-layout",
                edits,
                node_a,
                fitting[0].node,
                fix_a=f"rotate queries and keys by {present}",
                fix_b=f"rotate queries and keys by {rotation}",
                detail=f"rotary embedding: {rotation} in {{A}}; {present} in {{B}}",
                tested=True,
            )


def _usual(present: Rotation) -> Iterator[Rotation]:
    bases = dict.fromkeys((present.base, *_BASES))
    firsts = (present.first, 0, 1)
    for layout, base, first, sign in itertools.product(_LAYOUTS, bases, firsts, (1, -1)):
        yield Rotation(layout, base, first, sign)


def _found(context: Context, wanted: Wanted, r: Rotated, rotation: Rotation) -> int | None:
    return wanted.find(rotation.apply(context.b.run.values[r.x], r.time))


def _edit(side: Side, r: Rotated, rotation: Rotation) -> Edits:
    def compute(values: Values) -> np.ndarray:
        return rotation.apply(values[r.x], r.time)

    return overridden(side, {r.node.outputs[0]: compute})


def rotated(side: Side, nodes: tuple[LoweredNode, ...]) -> Iterator[Rotated]:
    """The nodes whose result is a value upstream of them, rotated by position."""
    for node in nodes:
        y = side.run.values[node.outputs[0]]
        if y.ndim < 2 or y.shape[-1] % 2 or y.size < 4:
            continue
        near = [i for n in (node, *upstream(side, node.outputs[0], _UPSTREAM)) for i in n.reals]
        for i in dict.fromkeys(near):
            x = side.run.values[i]
            if x.shape == y.shape and i not in node.outputs:
                found = identify(x, y)
                if found is not None:
                    yield Rotated(node, i, *found)
                    break


def identify(x: np.ndarray, y: np.ndarray) -> tuple[int, Rotation] | None:
    """The axis of time and the rotation that makes `y` of `x`; None if it is none."""
    size = x.shape[-1]
    if close(x, y):
        return None
    for layout in _LAYOUTS:
        (a, b), (c, d) = _pairs(x, layout), _pairs(y, layout)
        if not close(a * a + b * b, c * c + d * d):
            continue
        angles = np.arctan2(a * d - b * c, a * c + b * d)
        for time in range(x.ndim - 1):
            rotation = _fitted(np.moveaxis(angles, time, 0), layout, size)
            if rotation is not None and close(rotation.apply(x, time), y):
                return time, rotation
    return None


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
