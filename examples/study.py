"""What the case studies share: one interface, and the command line.

A study records one step of a model in a framework and a number format; `oracle.explain` does the rest.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np

import oracle
from oracle.explanations.explanation import Explanation
from oracle.trace import Trace

FORMATS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Study:
    """A case study: how to record it in each framework, and the targets whose error it explains."""

    recorders: dict[str, Callable[[str], Trace]]
    targets: tuple[str, ...] = ("loss", "gradients")

    def run(self, framework: str = "torch", dtype: str = "float32", target: str | None = None) -> Explanation:
        """Record the step in `framework` and `dtype` (once) and explain `target`, the study's first by default."""
        return explained(self.recorders[framework], dtype, target or self.targets[0])

    def main(self, title: str) -> None:
        """The command line: print the explanation of one target, or of each."""
        parser = argparse.ArgumentParser(description=title.splitlines()[0])
        parser.add_argument("--framework", choices=self.recorders, default=next(iter(self.recorders)))
        parser.add_argument("--dtype", choices=FORMATS, default="float32")
        parser.add_argument("--target", choices=self.targets, help="the quantity to explain; all of them by default")
        parser.add_argument("--html", help="also write the page of the (first) target here")
        asked = parser.parse_args()
        for target in [asked.target] if asked.target else self.targets:
            found = self.run(asked.framework, asked.dtype, target)
            print(found, end="\n\n")
            if asked.html and target in (asked.target, self.targets[0]):
                print(f"wrote {found.to_html(asked.html)}")


@cache
def explained(record: Callable[[str], Trace], dtype: str, target: str) -> Explanation:
    """The explanation of one target, made once."""
    return oracle.explain(recorded(record, dtype), target)


@cache
def recorded(record: Callable[[str], Trace], dtype: str) -> Trace:
    """The recording, made once for all its targets."""
    return record(dtype)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers in float32, the same on every machine."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@contextmanager
def keras_policy(dtype: str, seed: int = 0) -> Iterator[None]:
    """Keras layers made inside compute and keep their weights in `dtype`, drawn from `seed`."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
