"""What a proven truth costs: the oracle against raw float64 NumPy, python-flint and mpmath.

Ratios of processor times per element on one thread, measured side by side in this one run: the contestants take turns,
so that whatever else the machine does meets all of them, and the median of the turns' ratios is told. NumPy computes
the same formula once in float64 and proves nothing; python-flint evaluates it at 64 bits, and mpmath at 53, one element
at a time.

    python benchmarks/truth.py [ROUNDS]
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import flint
import mpmath
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import erfc
from threadpoolctl import threadpool_limits

from oracle.reference.formats import FORMATS
from oracle.reference.operation import Config, get_operation, textbook_definition
from oracle.reference.true_value import true_value

ROUNDS = 7
SHORTEST = 0.02  # seconds; a shorter task is repeated within its turn
SLOW = 2000  # elements for the contestants that take them one at a time


@dataclass(frozen=True)
class Contest:
    """One operation: its arguments, its elements, and how each contestant computes it."""

    name: str
    args: tuple[np.ndarray, ...]
    numpy: Callable[..., np.ndarray]
    flint: Callable[..., object] | None = None


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


def gelu_arb(x: flint.arb) -> flint.arb:
    return x / 2 * (-x / flint.arb(2).sqrt()).erfc()


def contests() -> list[Contest]:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32).astype(np.float64)

    x = 4 * draw(200_003)
    return [
        Contest("exp", (x,), np.exp, flint.arb.exp),
        Contest("tanh", (x,), np.tanh, flint.arb.tanh),
        Contest("sigmoid", (x,), lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (1 + (-x).exp())),
        Contest("gelu_erf", (x,), lambda x: x / 2 * erfc(-x / np.sqrt(2)), gelu_arb),
        Contest("softmax", (draw(1000, 128),), softmax),
        Contest("layer_norm", (draw(1000, 128), draw(128), draw(128)), layer_norm),
        Contest("matmul", (draw(384, 384), draw(384, 384)), np.matmul),
    ]


def seconds(task: Callable[[], object]) -> float:
    start = time.process_time()
    count = 0
    while count == 0 or time.process_time() - start < SHORTEST:
        task()
        count += 1
    return (time.process_time() - start) / count


def turns(contest: Contest, rounds: int) -> dict[str, float]:
    """Median ratio of the truth's time per element to each other contestant's."""
    op, fmt = get_operation(contest.name), FORMATS["float32"]
    config = Config("bench", {}, op.configs[0].attrs)
    few = contest.args[0].ravel()[:SLOW].tolist()
    tasks: dict[str, tuple[int, Callable[[], object]]] = {
        "truth": (contest.args[0].size, lambda: true_value(op, config, contest.args, fmt)),
        "NumPy float64": (contest.args[0].size, lambda: contest.numpy(*contest.args)),
    }
    if contest.flint:
        exact, one = contest.flint, textbook_definition(contest.name)
        tasks["python-flint"] = (SLOW, lambda: [exact(flint.arb(v)) for v in few])
        tasks["mpmath"] = (SLOW, lambda: [one(mpmath.mpf(v)) for v in few])
    for _, task in tasks.values():
        task()  # the first turn compiles and fills caches
    each = [{name: seconds(task) / size for name, (size, task) in tasks.items()} for _ in range(rounds)]
    return {n: statistics.median(turn["truth"] / turn[n] for turn in each) for n in tasks if n != "truth"}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    table = Table(title=f"time of a proven truth (float32, 1e-3 ulp), as a multiple of; medians of {rounds} turns")
    table.add_column("operation")
    for name in ("NumPy float64", "python-flint", "mpmath"):
        table.add_column(name, justify="right")
    with flint.ctx.workprec(64), threadpool_limits(1):
        for contest in contests():
            ratios = turns(contest, rounds)
            table.add_row(contest.name, *(f"{ratios[n]:.3g}" if n in ratios else "" for n in table_columns(table)))
    Console().print(table)


def table_columns(table: Table) -> list[str]:
    return [str(column.header) for column in table.columns[1:]]


if __name__ == "__main__":
    main()
