"""Values in a few numbers, at a cost that does not grow with their size.

While the recording lasts only a bounded sample of each tensor is kept, at even steps through its memory; afterwards all
samples are summarised together.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle.adapters.record_torch_memory import geometry_of, is_dense
from oracle.trace import Stats

SAMPLE = 256
QUANTILES = tuple(i / 8 for i in range(9))


def sample(tensor: Any) -> np.ndarray:
    """At most `SAMPLE` elements of `tensor`, at even steps through its memory, copied."""
    import torch  # noqa: PLC0415

    direct = tensor.dtype in (torch.float32, torch.float64)
    if direct and tensor.is_contiguous() and not tensor.is_cuda:
        return thinned(tensor.detach().numpy()).copy()
    size = tensor.numel()
    tensor = tensor.detach()
    flat = tensor.as_strided((size,), (1,)) if is_dense(geometry_of(tensor), size) else tensor.reshape(-1)
    few = flat[:: max(-(-size // SAMPLE), 1)]
    few = few.abs() if few.is_complex() else few
    return (few if direct else few.to(torch.float64)).cpu().numpy().copy()


def thinned(array: np.ndarray) -> np.ndarray:
    """At most `SAMPLE` elements of an array, at even steps."""
    flat = array.reshape(-1) if array.dtype.kind != "c" else np.abs(array.reshape(-1))
    return flat[:: max(-(-flat.size // SAMPLE), 1)]


def summarise(samples: Sequence[np.ndarray | None], sizes: Sequence[int]) -> list[Stats | None]:
    """The statistics of each sample (None where there is none); samples of one length are summarised together."""
    results: list[Stats | None] = [None] * len(samples)
    groups: dict[int, list[int]] = {}
    for i, few in enumerate(samples):
        if few is not None and few.size:
            groups.setdefault(few.size, []).append(i)
    for members in groups.values():
        table = np.stack([samples[i].astype(np.float64) for i in members])  # type: ignore[union-attr]
        for i, stats in zip(members, _summaries(table, [sizes[i] for i in members]), strict=True):
            results[i] = stats
    return results


def _summaries(table: np.ndarray, sizes: Sequence[int]) -> list[Stats]:
    """One `Stats` for each row. A row without a finite element has zeros for its moments."""
    finite = np.isfinite(table)
    count = finite.sum(axis=1)
    kept = np.where(finite, table, 0.0)
    with np.errstate(over="ignore"):
        mean = kept.sum(axis=1) / np.maximum(count, 1)
        rms = np.sqrt((kept * kept).sum(axis=1) / np.maximum(count, 1))
    ordered = np.sort(np.where(finite, table, np.inf), axis=1)
    position = np.rint(np.outer(np.maximum(count - 1, 0), QUANTILES)).astype(np.int64)
    quantiles = np.where(count[:, None] > 0, np.take_along_axis(ordered, position, axis=1), 0.0)
    zeros = (table == 0).mean(axis=1)
    length = table.shape[1]
    return [
        Stats(size, length, low, high, m, r, length - c, z, tuple(q))
        for size, low, high, m, r, c, z, q in zip(
            sizes, quantiles[:, 0].tolist(), quantiles[:, -1].tolist(), mean.tolist(), rms.tolist(),
            count.tolist(), zeros.tolist(), quantiles.tolist(), strict=True
        )
    ]  # fmt: skip
