"""Who made how much of the final error: signed contributions of the operations that sum to the total.

Along the straight path from the exact run F(0) to the recorded run F(d),

    contribution_i = integral over t in [0, 1] of <dF/dd_i(t d), d_i>,

and the contributions sum to F(d) - F(0), the total error, up to the quadrature's remainder, which is stated. Arrays
are projected on the direction of the total error, so that the total is its Euclidean norm; a loss keeps its sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from oracle.network import Network, Progress, Run, Values, finite

# The remainder at which a finer quadrature is tried, relative to the total.
ENOUGH = 1e-7
_NODES = (0, 2, 4)


@dataclass(frozen=True)
class Attribution:
    """Contributions by value id (a node's outputs), with what they explain and what they leave.

    `points` is the number of quadrature points: 0 for the mean of the two runs, which is of the midpoint rule's order.
    """

    total: float
    contributions: Mapping[int, float]
    points: int

    @property
    def remainder(self) -> float:
        """Total minus the sum of the contributions."""
        return self.total - sum(self.contributions.values())


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
    best = None
    reached = network.influenced(errors)
    for points in _NODES:
        contributions = dict.fromkeys(errors, 0.0)
        for run, weight in _path(network, errors, exact, points):
            cotangents = network.pull_back(run, direction, wanted=reached)
            for i, error in errors.items():
                if i in cotangents and i in reached:
                    contributions[i] += weight * float(np.vdot(cotangents[i], error))
        found = Attribution(total, contributions, points)
        if best is None or abs(found.remainder) < abs(best.remainder):
            best = found
        progress(points, _NODES[-1])
        if abs(best.remainder) <= ENOUGH * abs(total):
            break
    assert best is not None
    return best


def total_error(network: Network, exact: Run, targets: Mapping[str, int]) -> tuple[float, Values]:
    """The total error of the targets and the cotangents that measure it: signed for one number, else a norm."""
    with np.errstate(invalid="ignore", over="ignore"):
        differences = {i: finite(network.actual[i] - exact.values[i]) for i in dict.fromkeys(targets.values())}
    if len(differences) == 1 and next(iter(differences.values())).size == 1:
        ((i, difference),) = differences.items()
        return float(difference.reshape(())), {i: np.ones(difference.shape)}
    norm = float(np.sqrt(sum(np.vdot(d, d) for d in differences.values())))
    return norm, {i: d / norm for i, d in differences.items()} if norm else {i: d for i, d in differences.items()}


def _path(network: Network, errors: Values, exact: Run, points: int) -> list[tuple[Run, float]]:
    """Runs on the path with their quadrature weights."""
    if points == 0:
        return [(Run(_Middle(network, exact)), 1.0)]
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return [(network.run(errors, (1 + t) / 2), w / 2) for t, w in zip(nodes, weights, strict=True)]


class _Middle(dict):
    """The mean of the recorded and the exact run, of those values that are asked for."""

    def __init__(self, network: Network, exact: Run) -> None:
        super().__init__()
        self.actual, self.exact = network.actual, exact.values

    def __missing__(self, i: int) -> np.ndarray:
        a, b = self.actual[i], self.exact[i]
        self[i] = a if a is b or a.dtype.kind in "iub" else _mean(a, b)
        return self[i]


def _mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        mean = a + b
        mean *= 0.5
        return mean if np.isfinite(np.sum(mean)) else np.where(np.isfinite(a) & np.isfinite(b), mean, a)
