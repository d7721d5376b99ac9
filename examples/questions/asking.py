"""What the questions share: numbers, printing, and the way to the case studies beside this folder."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))

from study import normal

__all__ = ["as_numpy", "normal", "show"]


def as_numpy(array: Any) -> Any:
    """An array of any framework in NumPy."""
    return np.asarray(array.detach() if hasattr(array, "detach") else array)


def show(title: str, measure: Callable[[], Mapping[str, Any]]) -> None:
    """Measure, and print what was found."""
    print(title.splitlines()[0])
    for name, value in measure().items():
        print(f"\n{name}:")
        for line in _lines(value):
            print(f"  {line}")


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for row in value:
            yield ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
    elif isinstance(value, dict):
        for key, part in value.items():
            yield f"{key}:"
            yield from (f"  {line}" for line in _lines(part))
    else:
        yield from str(value).splitlines()
