"""Porting mistakes: the same small network in torch and in Keras with one thing wrong, by the code of the cause."""
# ruff: noqa: F401 - each module is imported for what it registers

from typing import Any

import zoo_mistakes_attention
import zoo_mistakes_layers
import zoo_mistakes_norms
import zoo_mistakes_recurrent
import zoo_mistakes_windows
from zoo_registry import MISTAKES

from oracle.comparisons.comparing import compare

__all__ = ["MISTAKES", "compare_mistake"]


def compare_mistake(name: str) -> Any:
    """`oracle.compare` of a mistake."""
    m = MISTAKES[name][1]()
    return compare(m.a, m.b, inputs_a=m.x_a, inputs_b=m.x_b, **m.options)
