"""What of a semantic difference is the comparison's own arithmetic, or the rounding of constants to the format.

Two correct ports differ in exact arithmetic too, a little: one keeps eps as a float64, the other as a float32; one
divides by sqrt 2, the other multiplies by a float32 constant. A constant is defined only to its format's rounding, so
that much is no difference of meaning; what both hold to the last bit makes none. Nor is the rounding of a parameter
that one side keeps in another form (a batch norm folded into a kernel, two biases added). The float64 evaluation errs
as well, by its balls' radii, to first order.
"""

import functools
from collections.abc import Callable

import numpy as np

from oracle.alignments.alignment import Side, difference, norm
from oracle.alignments.pairing import Pair
from oracle.networks.carrier import carrier_error
from oracle.networks.lowered import lower
from oracle.networks.network import Edits
from oracle.networks.node_reading import numbers, with_literal
from oracle.reference.formats import FORMATS, Format, format_named

_DRAWS = 2
_SAFETY = 4.0
# Below this share of the magnitude, or below the rounding on both sides, the noise is worth measuring.
_SMALL = 1e-4
# The float64 evaluation's own error is looked at where the difference is no more than a float32 rounding.
_CARRIED = 2.0**-23


def semantic_noise(a: Side, b: Side, pair: Pair, edited: bool = False) -> float:
    """How much of the difference between exact A and exact B two equal meanings may show at one target; 0 if none.

    A gradient that is zero in mathematics is only rounding: its magnitude says nothing, the rounding of it does (of an
    `edited` run there is no recorded one).
    """
    x, y = a.run.values[pair.a], b.run.values[pair.b]
    semantics = difference(x, pair.in_layout_of_a(x, y))
    runs = () if edited else ((a, pair.a, x), (b, pair.b, y))
    rounding = sum(norm(_finite(side.network.actual[i] - exact)) for side, i, exact in runs)
    size = norm(semantics)
    if size == 0 or size > max(_SMALL * norm(_finite(x)), rounding):
        return 0.0
    noise = constant_noise(a, b, pair.a) + constant_noise(b, a, pair.b)
    if size <= noise or size > max(_CARRIED * norm(_finite(x)), rounding):
        return noise
    direction = semantics / size
    noise += carrier_error(a.network, a.run, {pair.a: direction})
    return noise + carrier_error(b.network, b.run, {pair.b: pair.in_layout_of_b(direction, y)})


def means_the_same(a: Side, b: Side, pair: Pair) -> bool:
    """Whether what is left of the difference at a target is no difference of meaning."""
    x, y = a.run.values[pair.a], b.run.values[pair.b]
    if x.size != y.size:
        return False
    size = norm(difference(x, pair.in_layout_of_a(x, y)))
    return size == 0 or size <= semantic_noise(a, b, pair, edited=True)


def _finite(x: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.asarray(x), nan=0.0, posinf=0.0, neginf=0.0)


def derived(side: Side, other: Side) -> frozenset[int]:
    """Parameters, buffers and constants of `side` whose numbers `other` does not hold: they may be made of its own."""
    theirs: dict[int, list[np.ndarray]] = {}
    for y in _stored(other).values():
        theirs.setdefault(y.size, []).append(y)
    return frozenset(
        i for i, x in _stored(side).items() if not any(np.array_equal(x, y) for y in theirs.get(x.size, ()))
    )


def _stored(side: Side) -> dict[int, np.ndarray]:
    trace = side.network.trace
    constants = (v.id for v in trace.values.values() if v.role == "constant" and v.dtype in FORMATS)
    digests = {i: side.digest(i) for i in (*trace.parameters.values(), *trace.buffers.values(), *constants)}
    return {i: digest.ordered for i, digest in digests.items() if digest is not None}


def working_format(side: Side) -> Format:
    """The coarsest format of real numbers in which the side computes.

    A constant in a coarser format than everything else is no choice of format: it is a rounded constant.
    """
    names = {v.dtype for v in side.network.trace.values.values() if v.role != "constant"}
    formats = [FORMATS[n] for n in names if n in FORMATS]
    return min(formats, key=lambda f: f.precision, default=format_named("float64"))


def constant_noise(side: Side, other: Side, target: int) -> float:
    """How far the target moves when every constant of `side` alone changes by half a unit: the larger of two draws.

    Constants are what is `derived`, and literals that are not whole and that `other` does not hold.
    """
    own = derived(side, other)
    if own not in side.noise:
        side.noise[own] = _moved(side.unedited or side, own, _literals(other.unedited or other))
    return side.noise[own].get(target, 0.0)


def _literals(side: Side) -> frozenset[float]:
    return frozenset(number for node in side.network.nodes for _, number in numbers(node))


def _moved(side: Side, own: frozenset[int], shared: frozenset[float]) -> dict[int, float]:
    """What `constant_noise` is for every target of the recording."""
    format_ = working_format(side)
    moved: dict[int, float] = {}
    generator = np.random.default_rng(7)
    for _ in range(_DRAWS if format_.name != "float64" else 0):
        edits = _perturbed(side, own, shared, functools.partial(_nudged, format_.u, generator))
        if not edits.leaves and not edits.nodes:
            break
        with np.errstate(all="ignore"):
            run = side.network.edited(side.run, edits)
        for t in _targets(side):
            far = _SAFETY * norm(_finite(difference(run.values[t], side.run.values[t])))
            moved[t] = max(moved.get(t, 0.0), far)
    return moved


def _targets(side: Side) -> set[int]:
    found: set[int] = set()
    for step in side.network.trace.steps:
        found.update(step.outputs.values(), step.gradients.values(), step.parameters.values(), step.buffers.values())
        found.update(() if step.loss is None else (step.loss,))
    return {t for t in found if side.run.values[t].dtype.kind == "f"}


def _nudged(u: float, generator: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """`x` with each element moved by the relative amount `u`, up or down; whole numbers are what they say."""
    return x * (1 + u * (np.rint(x) != x) * generator.choice([-1.0, 1.0], x.shape))


def _perturbed(
    side: Side, own: frozenset[int], shared: frozenset[float], nudged: Callable[[np.ndarray], np.ndarray]
) -> Edits:
    """The edit that nudges the leaves `own` and the literals that are not `shared`."""
    leaves = {i: nudged(side.run.values[i]) for i in sorted(own)}
    nodes = {}
    for node in side.network.nodes:
        changed = node.node
        for path, number in numbers(node):
            if not number.is_integer() and number not in shared:
                changed = with_literal(changed, path, float(nudged(np.array(number))))
        if changed is not node.node:
            meaning = lower(side.network.trace, changed, side.network.actual)
            nodes[node.node.index] = functools.partial(side.network.apply, meaning)
    return Edits(leaves, nodes)
