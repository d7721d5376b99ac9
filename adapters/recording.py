"""A recording in the making: what the recorders of immutable arrays (TensorFlow, JAX) share.

Arrays there never change, so a value is an array: no views, no versions of memory. A variable is a name for
one value after another.
"""

import dataclasses
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from oracle.adapters.record_torch_stats import SAMPLE, summarise
from oracle.trace import COMMAND_LINE, OUR_FOLDERS, Node, Tree, Value, reference

SMALL = 64
"""Without `full`, arrays of at most this many elements are kept, and integer ones of at most SAMPLE."""


@dataclass
class Draft:
    """A value while the recording lasts."""

    shape: tuple[int, ...]
    dtype: str
    role: str
    name: str
    array: np.ndarray | None
    sample: np.ndarray | None


@dataclass
class Recording:
    """Values and nodes in the order in which they came to be. `full` keeps every array."""

    full: bool
    drafts: list[Draft] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def value(self, array: Any, role: str = "intermediate", name: str = "") -> int:
        """Note one array and return its id. The array must not change afterwards."""
        array = np.asarray(array)
        keep = self.full or array.size <= (SAMPLE if array.dtype.kind in "iub" else SMALL)
        sample = _sample(array)
        self.drafts.append(Draft(array.shape, array.dtype.name, role, name, array if keep else None, sample))
        return len(self.drafts) - 1

    def node(self, op: str, inputs: Sequence[Tree], outputs: Iterable[int | None], **details: Any) -> int:
        """Note one executed operation and return its index."""
        self.nodes.append(Node(len(self.nodes), op, tuple(inputs), tuple(outputs), **details))
        return len(self.nodes) - 1

    def amend(self, index: int, **details: Any) -> None:
        """Replace fields of a node."""
        self.nodes[index] = dataclasses.replace(self.nodes[index], **details)

    def values(self) -> dict[int, Value]:
        """The finished values."""
        stats = summarise([d.sample for d in self.drafts], [int(np.prod(d.shape)) for d in self.drafts])
        return {
            i: Value(i, d.shape, d.dtype, d.role, d.name, d.array, s)
            for i, (d, s) in enumerate(zip(self.drafts, stats, strict=True))
        }


def _sample(array: np.ndarray) -> np.ndarray | None:
    """At most SAMPLE elements, evenly spaced in memory, as float64; None for what is no number."""
    if array.dtype.kind not in "iubfV" or not array.size:
        return None
    flat = array.reshape(-1)
    return flat[:: -(-flat.size // SAMPLE)].astype(np.float64)


def named_leaves(tree: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested lists, tuples, mappings and dataclasses by their path ("output", "output.0.h")."""
    if isinstance(tree, Mapping):
        parts: Iterable[tuple[Any, Any]] = tree.items()
    elif isinstance(tree, list | tuple):
        parts = enumerate(tree)
    elif is_record(tree):
        parts = ((f.name, getattr(tree, f.name)) for f in dataclasses.fields(tree))
    else:
        return {} if tree is None else {path: tree}
    found: dict[str, Any] = {}
    for key, part in parts:
        found |= named_leaves(part, f"{path}.{key}" if path else str(key))
    return found


def is_record(tree: Any) -> bool:
    """Whether `tree` is a dataclass of arrays, as models return them, and not an array of its own."""
    return dataclasses.is_dataclass(tree) and not isinstance(tree, type) and not hasattr(tree, "dtype")


def references_to(ids: Iterable[int]) -> list[dict[str, int]]:
    """One reference for each id."""
    return [reference(i) for i in ids]


class Lines:
    """Finds the innermost line of the user's code: not ours, not that of the frameworks in `packages`."""

    def __init__(self, *packages: str) -> None:
        folders = [os.path.dirname(str(sys.modules[p].__file__)) for p in packages if p in sys.modules]
        self.skipped: tuple[str, ...] = (
            *OUR_FOLDERS,
            os.path.dirname(os.__file__) + os.sep + "contextlib",
            *folders,
        )
        self.is_users: dict[Any, bool] = {}

    def short(self, path: str, line: int) -> str:
        """A line as it is shown: "train.py:12"."""
        return f"{short_path(path)}:{line}"

    def here(self, depth: int = 1) -> str:
        """The line ("train.py:12") of the innermost frame of the user's, or "" if there is none."""
        frame: FrameType | None = sys._getframe(depth)
        while frame is not None:
            code = frame.f_code
            users = self.is_users.get(code)
            if users is None:
                users = self.is_users[code] = not code.co_filename.startswith((*self.skipped, "<frozen"))
            if users:
                return self.short(code.co_filename, frame.f_lineno)
            frame = None if code.co_filename.startswith(COMMAND_LINE) else frame.f_back
        return ""


def short_path(path: str) -> str:
    """The path from the installed package, or from the working folder, or the file's name alone."""
    for marker in ("site-packages" + os.sep, "dist-packages" + os.sep, os.getcwd() + os.sep):
        if marker in path:
            return path.split(marker, 1)[1]
    return os.path.basename(path)


def base_manifest() -> dict[str, str]:
    """Facts about the machine that every recording states."""
    return {"python": platform.python_version(), "machine": platform.machine(), "cpus": str(os.cpu_count())}
