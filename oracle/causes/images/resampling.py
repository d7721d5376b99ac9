"""One-dimensional interpolation as a matrix, under every convention in which frameworks differ.

The value at output place i is a weighted mean of the inputs near the source place s(i):

    half-pixel     s(i) = (i + 1/2) n / m - 1/2        (torch align_corners=False, TensorFlow 2, JAX)
    align-corners  s(i) = i (n - 1) / (m - 1)          (torch align_corners=True)
    asymmetric     s(i) = i n / m                      (TensorFlow 1)

with weights k(s - j) of a kernel k: nearest, linear, cubic (Keys 1981, with a = -1/2 or -3/4) or Lanczos. With
antialiasing the kernel is widened by n / m where that is more than one.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

COORDINATES = ("half-pixel", "align-corners", "asymmetric")


@dataclass(frozen=True)
class Convention:
    """How an axis is resampled. `kernel`: "nearest", "linear", "cubic -0.5", "cubic -0.75", "lanczos3" or 5, "area".

    `edge`: what lies outside counts as the edge ("clamp") or not at all ("renormalise"). `rounding`: "floor", "round"
    or "ceil" of the source place, for nearest.
    """

    kernel: str
    coordinates: str = "half-pixel"
    antialias: bool = False
    edge: str = "clamp"
    rounding: str = "floor"

    def __str__(self) -> str:
        parts = [self.kernel]
        if self.kernel != "area":
            parts.append(self.coordinates)
        if self.kernel == "nearest":
            parts.append(self.rounding)
        if self.antialias:
            parts.append("antialiased")
        return ", ".join(parts)


def conventions() -> list[Convention]:
    """All that are known, the usual ones first."""
    found = [Convention("linear", c) for c in COORDINATES]
    found += [Convention("nearest", c, rounding=r) for c in COORDINATES for r in ("floor", "round", "ceil")]
    found += [Convention("linear", antialias=True, edge="renormalise"), Convention("area")]
    for a in ("cubic -0.75", "cubic -0.5"):
        found += [Convention(a, c, edge=e) for c in COORDINATES for e in ("clamp", "renormalise")]
        found.append(Convention(a, antialias=True, edge="renormalise"))
    for kernel in ("lanczos3", "lanczos5"):
        found += [Convention(kernel, antialias=aa, edge="renormalise") for aa in (False, True)]
    return found


@functools.lru_cache(maxsize=512)
def matrix(convention: Convention, size: int, out: int, step: float | None = None) -> np.ndarray:
    """The matrix (out, size) of the convention; `step` is the distance of source places, size / out unless given."""
    step = size / out if step is None else step
    index = np.arange(out)
    if convention.kernel == "area":
        return _area(size, out)
    if convention.coordinates == "align-corners":
        places = index * ((size - 1) / (out - 1)) if out > 1 else np.zeros(out)
    elif convention.coordinates == "asymmetric":
        places = index * step
    else:
        places = (index + 0.5) * step - 0.5
    if convention.kernel == "nearest":
        return _nearest(convention, places, size)
    width = max(step, 1.0) if convention.antialias else 1.0
    return _weighted(convention, places, size, width)


def _nearest(convention: Convention, places: np.ndarray, size: int) -> np.ndarray:
    if convention.coordinates == "half-pixel":
        rounded = {"floor": np.floor(places + 0.5), "round": np.rint(places), "ceil": np.ceil(places - 0.5)}
    else:
        rounded = {"floor": np.floor(places), "round": np.floor(places + 0.5), "ceil": np.ceil(places)}
    chosen = np.clip(rounded[convention.rounding], 0, size - 1).astype(int)
    return np.eye(size)[chosen]


def _area(size: int, out: int) -> np.ndarray:
    made = np.zeros((out, size))
    for i in range(out):
        first, last = math.floor(i * size / out), math.ceil((i + 1) * size / out)
        made[i, first:last] = 1 / (last - first)
    return made


def _weighted(convention: Convention, places: np.ndarray, size: int, width: float) -> np.ndarray:
    reach = math.ceil(_RADIUS[convention.kernel] * width) + 1
    made = np.zeros((len(places), size))
    for row, place in zip(made, places, strict=True):
        near = np.arange(math.floor(place) - reach, math.floor(place) + reach + 2)
        weights = _kernel(convention.kernel, (place - near) / width)
        if convention.edge == "clamp":
            np.add.at(row, np.clip(near, 0, size - 1), weights)
        else:
            inside = (near >= 0) & (near < size)
            np.add.at(row, near[inside], weights[inside])
    return made / np.sum(made, 1, keepdims=True)


_RADIUS = {"linear": 1.0, "cubic -0.5": 2.0, "cubic -0.75": 2.0, "lanczos3": 3.0, "lanczos5": 5.0}


def _kernel(name: str, x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    if name == "linear":
        return np.maximum(1 - x, 0.0)
    if name.startswith("lanczos"):
        n = int(name[-1])
        return np.where(x < n, np.sinc(x) * np.sinc(x / n), 0.0)
    a = float(name.split()[1])
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))


def resample(convention: Convention, x: np.ndarray, sizes: dict[int, int], step: float | None = None) -> np.ndarray:
    """`x` with each axis of `sizes` resampled to the length given there."""
    for axis, out in sizes.items():
        moved = np.tensordot(matrix(convention, x.shape[axis], out, step), x, ([1], [axis]))
        x = np.moveaxis(moved, 0, axis)
    return x
