"""The layer tree of a network, with sums of its nodes at every level."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Branch:
    """A layer: its own name, the layers inside, its own nodes; of all below it the sum of contributions, their total
    size, the largest relative error inherited and the largest amplification.
    """

    name: str
    path: str
    children: dict[str, "Branch"] = field(default_factory=dict)
    nodes: list[Mapping[str, Any]] = field(default_factory=list)
    contribution: float = 0.0
    size: float = 0.0
    inherited: float = 0.0
    amplified: float = 0.0

    @property
    def count(self) -> int:
        """Number of nodes here and below."""
        return len(self.nodes) + sum(child.count for child in self.children.values())


def layer_tree(nodes: Iterable[Mapping[str, Any]]) -> Branch:
    """The tree of the nodes' scopes ("encoder.0.lstm" or "encoder/0/lstm"); `size` sums absolute contributions."""
    root = Branch("model", "")
    for node in nodes:
        branch = root
        _add(branch, node)
        for part in [p for p in str(node["scope"]).replace("/", ".").split(".") if p]:
            path = f"{branch.path}.{part}".lstrip(".")
            branch = branch.children.setdefault(part, Branch(part, path))
            _add(branch, node)
        branch.nodes.append(node)
    return root


def _add(branch: Branch, node: Mapping[str, Any]) -> None:
    value = number(node.get("contribution"))
    branch.contribution += value
    branch.size += abs(value)
    branch.inherited = max(branch.inherited, relative(node, "inherited_error"))
    branch.amplified = max(branch.amplified, number(node.get("condition")))


def number(value: Any) -> float:
    """A number of the data; the strings "nan" and "inf", and what is not there, count as zero."""
    return float(value) if isinstance(value, int | float) else 0.0


def relative(node: Mapping[str, Any], key: str) -> float:
    """An error of an operation relative to the magnitude of its results."""
    size = number(node.get("magnitude"))
    return number(node.get(key)) / size if size else 0.0
