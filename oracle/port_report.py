"""What a port did: each array of the target, where its numbers came from, and how they were rearranged."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oracle.writing import write


@dataclass(frozen=True)
class Mapped:
    """One array of the target: the kind of layer, the arrays of the source that it was made of, the transformation."""

    kind: str
    src: str
    dst: str
    transform: str
    numbers: int


@dataclass(frozen=True)
class Port:
    """A finished port. Every array of the target is in `rows`; `notes` say what was left alone, and why."""

    src: str
    dst: str
    rows: tuple[Mapped, ...]
    notes: tuple[str, ...] = ()

    @property
    def numbers(self) -> int:
        """How many numbers were written."""
        return sum(row.numbers for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {**asdict(self), "numbers": self.numbers}

    def to_json(self, path: str | Path | None = None) -> str:
        """JSON, written to `path` if given."""
        text = json.dumps(self.to_dict(), indent=1)
        if path is not None:
            write(path, text)
        return text

    def __str__(self) -> str:
        head = ("kind", self.src, self.dst, "how")
        cells = [head, *((r.kind, r.src or "-", r.dst, r.transform) for r in self.rows)]
        widths = [max(len(row[k]) for row in cells) for k in range(3)]
        lines = ["  ".join([*(row[k].ljust(widths[k]) for k in range(3)), row[3]]).rstrip() for row in cells]
        lines.append(f"{len(self.rows)} arrays, {self.numbers} numbers: every array of the target")
        return "\n".join([*lines, *(f"note: {n}" for n in self.notes)])
