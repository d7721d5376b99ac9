"""Who made how much of the final error: signed contributions of the operations that sum to the total.

Along the straight path from the exact run F(0) to the recorded run F(d),

    contribution_i = integral over t in [0, 1] of <dF/dd_i(t d), d_i>,

and the contributions sum to F(d) - F(0), the total error, up to the quadrature's remainder, which is stated. Arrays
are projected on the direction of the total error, so that the total is its Euclidean norm; a loss keeps its sign.

With adjoints λ of the mean of both runs the bookkeeping is exact. Node i carried in the deviations Δ_in, made d_i and
let out Δ_out; what λ says of these leaves

    bend_i = <λ_out, Δ_out - d_i> - <λ_in, Δ_in>,

third order in the errors where the node is smooth: a finer quadrature takes it away. Where a decision of the node fell
otherwise than in exact arithmetic (a relu's sign, a window's maximum), or a singularity lies between the two runs (the
sign that Adam takes of a gradient near zero), none does. There it is a jump: a contribution of its own, reported apart.
Where even that leaves a remainder, every bend that counts is booked at its node in this way, strong curvature included.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from oracle.explanations.decisions import flips
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Network, Progress, Run, Values, finite, is_nothing
from oracle.networks.norms import inner, norm

# The remainder at which a finer quadrature is tried, relative to the total.
ENOUGH = 1e-7
_POINTS = (2, 4)
# The bend, relative to the total, above which a node is noticed.
_NOTICED = 1e-3 * ENOUGH


@dataclass(frozen=True)
class Attribution:
    """Contributions by value id (a node's outputs), with what they explain and what they leave.

    `jumps` say, by node index, what no derivative explains, `flips` how many decisions fell otherwise there.
    `points` is the number of quadrature points: 0 for the mean of the two runs, which is of the midpoint rule's order.
    """

    total: float
    contributions: Mapping[int, float]
    points: int
    jumps: Mapping[int, float] = field(default_factory=dict)
    flips: Mapping[int, int] = field(default_factory=dict)

    @property
    def remainder(self) -> float:
        """Total minus the sum of the contributions and jumps."""
        return self.total - sum(self.contributions.values()) - sum(self.jumps.values())


def attribute(
    network: Network,
    errors: Values,
    exact: Run,
    targets: Mapping[str, int],
    progress: Progress = lambda done, total: None,
) -> Attribution:
    """Contributions of the local `errors` to the total error of the `targets`; `exact` is `F(0)`."""
    total, direction = total_error(network, exact, targets)
    if total == 0:
        return Attribution(0.0, dict.fromkeys(errors, 0.0), 0)
    mean, bends = _along_the_mean(network, errors, exact, (total, direction))
    best, enough = mean, ENOUGH * abs(total)
    for done, points in enumerate(() if mean.flips else _POINTS):
        if abs(best.remainder) <= enough:
            break
        progress(done, len(_POINTS))
        found = _along_the_path(network, errors, (total, direction), points)
        best = min(best, found, key=lambda a: abs(a.remainder))
    return best if abs(best.remainder) <= enough else replace(mean, jumps=bends)


def _along_the_mean(
    network: Network, errors: Values, exact: Run, target: tuple[float, Values]
) -> tuple[Attribution, dict[int, float]]:
    """The contributions by the adjoints of the mean of both runs with the jumps of decisions; every noticed bend."""
    total, direction = target
    deviations = Lazy(lambda i: _deviation(network, exact, i))
    middle = Lazy(lambda i: Mean(network.actual[i], exact.values[i]))
    moved = network.influenced(errors)
    contributions, bends = dict.fromkeys(errors, 0.0), {}
    carried = {i: _dot(c, deviations[i]) for i, c in direction.items()}

    def share(node: LoweredNode, i: int, cotangent: np.ndarray) -> float:
        moved_from = node.outputs[0] if node.moves and is_nothing(errors[node.outputs[0]]) else None
        return _dot(cotangent, deviations[i]) if moved_from is None else carried[moved_from]

    for node, own, entered in network.reverse(Run(middle), dict(direction), share, wanted=moved):
        contributions |= {o: _dot(c, errors[o]) for o, c in own.items()}
        left = sum(carried[o] - contributions[o] for o in own)
        carried |= {i: carried.get(i, 0.0) + share for i, share in entered.items()}
        bend = left - sum(entered.values())
        for o in own:  # nothing further back reads them: their memory serves the next
            deviations.pop(o, None)
            middle.pop(o, None)
        if abs(bend) > _NOTICED * abs(total):
            bends[node.node.index] = bend
    counted = {n.node.index: flips(n, exact.values, network.actual) for n in network.nodes if n.node.index in bends}
    turned = {index: count for index, count in counted.items() if count}
    return Attribution(total, contributions, 0, {index: bends[index] for index in turned}, turned), bends


def _along_the_path(network: Network, errors: Values, target: tuple[float, Values], points: int) -> Attribution:
    """The contributions by Gauss-Legendre quadrature along the straight path of errors."""
    total, direction = target
    reached = network.influenced(errors)
    contributions = dict.fromkeys(errors, 0.0)
    for t, weight in zip(*np.polynomial.legendre.leggauss(points), strict=True):
        run = network.run(errors, (1 + t) / 2)
        for _, own, _ in network.reverse(run, dict(direction), lambda _, __, c: float(np.sum(c)), wanted=reached):
            for i, cotangent in own.items():
                contributions[i] += weight / 2 * _dot(cotangent, errors[i])
    return Attribution(total, contributions, points)


def total_error(network: Network, exact: Run, targets: Mapping[str, int]) -> tuple[float, Values]:
    """The total error of the targets and the cotangents that measure it: signed for one number, else a norm."""
    differences = {i: _deviation(network, exact, i) for i in dict.fromkeys(targets.values())}
    if len(differences) == 1 and next(iter(differences.values())).size == 1:
        ((i, difference),) = differences.items()
        return float(difference.reshape(())), {i: np.ones(difference.shape)}
    size = norm(*differences.values())
    return size, {i: d / size for i, d in differences.items()} if size else {i: d for i, d in differences.items()}


def _deviation(network: Network, exact: Run, value: int) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        return finite(network.actual[value] - exact.values[value])


def _dot(x: np.ndarray, y: np.ndarray) -> float:
    if is_nothing(y):
        return 0.0
    return inner(x, y)


class Lazy(dict):
    """Values that are made when they are first asked for."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, i: int) -> Any:
        self[i] = self.make(i)
        return self[i]


class Mean:
    """The middle of two real arrays, computed when it is first read: most derivatives need few of the values.

    Of decisions, and where there is no middle, the first one.
    """

    def __init__(self, a: np.ndarray, b: np.ndarray) -> None:
        self.a, self.b = a, b
        self.shape, self.dtype = a.shape, a.dtype

    @functools.cached_property
    def value(self) -> np.ndarray:
        """The middle."""
        if self.a is self.b or self.dtype.kind in "iub":
            return self.a
        with np.errstate(invalid="ignore", over="ignore"):
            mean = self.a + self.b
            mean *= 0.5
            return mean if np.isfinite(np.sum(mean)) else np.where(np.isfinite(mean), mean, self.a)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.value)
