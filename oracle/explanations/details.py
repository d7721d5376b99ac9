"""The details of a recorded run's operations, as plain data for the page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ArrayFacts:
    """One recorded array: what it is, and the range of its finite elements (NaN where there are none)."""

    name: str
    role: str
    format: str
    shape: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float
    largest: float
    nonfinite: int


@dataclass(frozen=True)
class Details:
    """The arrays by id; and for each node the arrays that it reads and makes, its attributes, and a script of it."""

    arrays: Mapping[int, ArrayFacts] = field(default_factory=dict)
    reads: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    makes: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    attributes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    scripts: Mapping[int, str] = field(default_factory=dict)
