"""What a port did: each array of the target, where its numbers came from, and how they were rearranged."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oracle.adapters.weights import Unit, Writer
from oracle.writing import strict_json

_AS_IT_IS = "as it is"


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
        """Strict JSON (non-finite numbers as strings), written to `path` if given."""
        return strict_json(self.to_dict(), path)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        head = ("kind", self.src, self.dst, "how")
        cells = [head, *((r.kind, r.src or "-", r.dst, r.transform) for r in self.rows)]
        widths = [max(len(row[k]) for row in cells) for k in range(3)]
        lines = ["  ".join([*(row[k].ljust(widths[k]) for k in range(3)), row[3]]).rstrip() for row in cells]
        lines.append(f"{len(self.rows)} arrays, {self.numbers} numbers: every array of the target")
        return "\n".join([*lines, *(f"note: {n}" for n in self.notes)])


def rearranged(source: Unit, writer: Writer, more: list[str]) -> str:
    """How an array of the target differs from the source's own, and what else was done to it."""
    words = [w for w in (_between(source, writer), *more) if w != _AS_IT_IS]
    return "; ".join(words) or _AS_IT_IS


def _between(source: Unit, writer: Writer) -> str:
    """From the source's own layout to the target's; each tells its own as seen from the canonical one."""
    own = [w for w in source.writers if not set(writer.roles).isdisjoint(w.roles)]
    if any((w.roles, w.words) == (writer.roles, writer.words) for w in own):
        return _AS_IT_IS
    if writer.words == _AS_IT_IS and own:
        return ", ".join(_inverse(part) for part in own[0].words.split(", "))
    return writer.words


def _inverse(words: str) -> str:
    """What undoes a rearrangement, in words."""
    if words.startswith("gate "):
        return "gates joined"
    for one, other in (("joined", "split"), ("split", "joined"), ("stacked", "taken apart")):
        if words.endswith(one):
            return words.removesuffix(one) + other
    first, to, second = words.removeprefix("gates ").partition(" to ")
    return f"{'gates ' if words.startswith('gates ') else ''}{second} to {first}" if to else words
