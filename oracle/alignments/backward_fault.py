"""Where a backward pass goes wrong: the operation that passes on something else than its derivative.

Every value of the forward pass has an exact cotangent. One that the backward pass has made, or from which it went on
to make another, is in order; an operation whose result's cotangent is in order and whose operand's is not is at fault.
If the gradient that it passes is one multiple of what it should be, all wrong gradients are off by that much of what
comes through it: this is computed, and proves the place (a multiple of zero: the gradient is cut there).
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import CLOSE, Digest, Side, norm
from oracle.alignments.backward import Derivatives, source_of
from oracle.networks.lowered import LoweredNode

_TRIED = 8
_LARGEST = 4_000_000


@dataclass(frozen=True)
class Fault:
    """The operation `forward` whose backward pass is wrong, the first wrong operation `backward` of that pass.

    `factor`: what is passed on is so many times the derivative; None where it is no multiple of it.
    """

    forward: LoweredNode | None
    backward: LoweredNode | None
    factor: float | None = None


def find_fault(
    side: Side, step: int, wrong: Mapping[str, np.ndarray], gradients: Mapping[str, int], known: Derivatives
) -> Fault:
    """The place that makes the recorded `gradients` of the names in `wrong` differ from their derivatives there."""
    sources = {name: source_of(side, step, name) for name in wrong}
    leading = _descendants(known.forward, {i for i in sources.values() if i is not None})
    later = _later(side, known, [gradients[name] for name in wrong])
    matches = _Matches(side, known, leading, later)
    errors = {sources[n]: side.run.values[gradients[n]] - d for n, d in wrong.items()}
    suspects = list(itertools.islice(_suspects(known, leading, matches), _TRIED))
    for node, value in suspects:
        factor = _factor(side, known, (node, value), {i: e for i, e in errors.items() if i is not None})
        if factor is not None:
            return Fault(node, _entry(later, matches, [gradients[n] for n in wrong]), factor)
    first = suspects[0][0] if suspects else None
    return Fault(first, _entry(later, matches, [gradients[n] for n in wrong]))


def _descendants(nodes: Iterable[LoweredNode], start: set[int]) -> set[int]:
    """`start` and every real value computed from it."""
    found = set(start)
    for node in nodes:
        if not found.isdisjoint(node.reals):
            found.update(node.outputs)
    return found


def _later(side: Side, known: Derivatives, targets: list[int]) -> list[LoweredNode]:
    """The nodes of the backward pass that lead to the targets, in order of execution."""
    forward = {n.node.index for n in known.forward}
    step = known.forward[-1].node.step
    above = side.ancestors(targets)
    return [
        n for n in side.network.nodes if n.node.step == step and n.node.index in above and n.node.index not in forward
    ]


class _Matches:
    """Which cotangents of forward values the backward pass has made, and which of its values are one."""

    def __init__(self, side: Side, known: Derivatives, leading: set[int], later: list[LoweredNode]) -> None:
        made: dict[int, list[tuple[int, Digest]]] = {}
        for o in (o for n in later for o in n.outputs):
            digest = side.digest(o)
            if digest is not None and digest.telling:
                made.setdefault(digest.size, []).append((o, digest))
        self.values: set[int] = set()
        self.made: set[int] = set()
        for v in leading & known.values.keys():
            found = _alike(known.values[v], made)
            self.made |= found
            if found:
                self.values.add(v)
        # A value that several operations read: what each of them passes to it is made on its own.
        for passed in known.passed.values():
            for v in leading & passed.keys():
                self.made |= _alike(passed[v], made)


def _alike(cotangent: np.ndarray, made: Mapping[int, list[tuple[int, Digest]]]) -> set[int]:
    """The values in `made` (by size) that hold the numbers of the cotangent."""
    if cotangent.size not in made or cotangent.size > _LARGEST:
        return set()
    own = Digest(cotangent)
    return {o for o, digest in made[cotangent.size] if own.matches(digest, CLOSE)}


def _suspects(known: Derivatives, leading: set[int], matches: _Matches) -> Iterable[tuple[LoweredNode, int]]:
    """Operations, the last first, with an operand whose cotangent is out of order though the result's is in order."""
    order = set(matches.values)
    for node in known.forward:
        if not order.isdisjoint(node.reals):
            order.update(node.outputs)
    last = known.forward[-1]
    for node in reversed(known.forward):
        if node is last or not order.isdisjoint(node.outputs):
            yield from ((node, i) for i in dict.fromkeys(node.reals) if i in leading and i not in order)


def _factor(
    side: Side, known: Derivatives, edge: tuple[LoweredNode, int], errors: Mapping[int, np.ndarray]
) -> float | None:
    """By what factor too much the node passes to the value, if that alone explains all errors; None if not."""
    node, value = edge
    passed = known.passed.get(node.node.index, {}).get(value)
    if passed is None:
        return None
    within = {n.node.index for n in known.forward}
    with np.errstate(all="ignore"):
        reached = side.network.pull_back(side.run, {value: passed}, within)
    shares = {i: reached[i].reshape(e.shape) for i, e in errors.items() if i in reached}
    square = sum(float(np.vdot(s, s)) for s in shares.values())
    if shares.keys() != errors.keys() or not square:
        return None
    excess = sum(float(np.vdot(shares[i], e)) for i, e in errors.items()) / square
    fits = all(norm(e - excess * shares[i]) <= 4 * CLOSE * norm(known.values[i]) for i, e in errors.items())
    return 1 + excess if fits else None


def _entry(later: list[LoweredNode], matches: _Matches, targets: list[int]) -> LoweredNode | None:
    """The first operation that makes of cotangents something that is none, and that leads to the targets."""
    order: set[int] = set(matches.made)
    for node in reversed(later):
        if not order.isdisjoint(node.outputs):
            order.update(i for i in node.reals)
    made = {o for n in later for o in n.outputs}
    leading = set(targets)
    wrong = []
    for node in reversed(later):
        if not leading.isdisjoint(node.outputs):
            leading.update(node.reals)
            if any(o in leading and o not in order for o in node.outputs):
                wrong.append(node)
    wrong.reverse()
    entries = (n for n in wrong if any(i in order and i in made for i in n.reals))
    return next(entries, wrong[0] if wrong else None)
