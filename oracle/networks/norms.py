"""Inner products and norms in pieces: a BLAS that starts threads for one is slower by far than one that does not."""

import numpy as np

_PIECE = 8192  # below what OpenBLAS starts threads for


def inner(x: np.ndarray, y: np.ndarray) -> float:
    """The sum of x · y over all elements of two float64 arrays of one shape."""
    if x.strides == y.strides and not x.flags.c_contiguous:  # the same order in memory: nothing to copy
        x, y = x.ravel("K"), y.ravel("K")
    else:
        x, y = x.reshape(-1), y.reshape(-1)
    if x.size <= _PIECE:
        return float(np.dot(x, y))
    return float(sum(np.dot(x[k : k + _PIECE], y[k : k + _PIECE]) for k in range(0, x.size, _PIECE)))


def norm(*arrays: np.ndarray) -> float:
    """The Euclidean norm of all elements."""
    return float(np.sqrt(sum(inner(x, x) for x in (np.asarray(a, np.float64) for a in arrays))))
