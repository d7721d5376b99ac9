"""What recording and explaining a training step cost, as multiples of the plain step.

Ratios of processor times on one thread, measured side by side in this one run: the contestants take turns with the
plain step, and the median of the turns' ratios is told. The first turn, which traces and compiles, is told apart.

    python benchmarks/networks.py [--turns N] [--write FOLDER]
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from models import Workload, chain_of, workloads
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from oracle.explanations.attribution import attribute
from oracle.explanations.explaining import explain
from oracle.networks.network import Network, target_values

DEPTHS = (10, 30, 100, 300, 1000)
BARS = {"recording": 2.0, "local truth": 2.0, "full attribution": 5.0}
Rows = list[dict[str, Any]]


def seconds(task: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = task()
    return time.process_time() - start, result


def ratios(plain: Callable[[], Any], task: Callable[[], Any], turns: int) -> tuple[float, float, float]:
    """Median seconds of the plain step, the median ratio of the task's to it, and the task's first time."""
    plain()
    first, _ = seconds(task)
    taken = []
    for _ in range(turns):
        before, own, after = seconds(plain)[0], seconds(task)[0], seconds(plain)[0]
        taken.append(((before + after) / 2, 2 * own / (before + after)))
    return *map(statistics.median, zip(*taken, strict=True)), first  # type: ignore[return-value]


def costs(workload: Workload, turns: int) -> Rows:
    """The three bars for one network: recording, the truth of every operation, and the whole attribution."""
    double = workload.double()
    trace = workload.record(full=True)
    network, targets = Network(trace), target_values(trace, "gradients")

    def whole() -> None:
        errors = network.local_errors()
        attribute(network, errors, network.run(), targets)
        network.completeness(errors, targets.values())

    contests = {
        "recording": (workload.step, lambda: workload.record(full=False)),
        "local truth": (double.step, network.local_errors),
        "full attribution": (double.step, whole),
    }
    rows = []
    for name, (plain, task) in contests.items():
        step, ratio, first = ratios(plain, task, turns)
        rows.append({"network": workload.name, "operations": len(trace.nodes), "what": name,
                     "plain step, ms": 1e3 * step, "ratio": ratio, "bar": BARS[name],
                     "first time, s": first})  # fmt: skip
    return rows


def growth() -> Rows:
    """Recording and explaining (budgets too) a training step of chains of growing depth."""
    chain_of(DEPTHS[0]).record(full=True)
    rows = []
    for depth in DEPTHS:
        workload = chain_of(depth)
        recording, trace = seconds(lambda w=workload: w.record(full=True))
        explain(trace)
        explaining, _ = seconds(lambda t=trace: explain(t))
        rows.append({"layers": depth, "operations": len(trace.nodes), "record, s": recording, "explain, s": explaining,
                     "ms per layer": 1e3 * (recording + explaining) / depth})  # fmt: skip
    return rows


def command_to_page() -> Rows:
    """A model of 1000 operations from `oracle record` to the page, by the wall clock, on all threads."""
    with tempfile.TemporaryDirectory() as folder:
        trace, page = Path(folder) / "run.trace", Path(folder) / "page.html"
        oracle = [sys.executable, "-m", "oracle"]
        commands = {
            "oracle record": [*oracle, "record", "models:thousand", "-o", str(trace)],
            "oracle explain --html": [*oracle, "explain", str(trace), "--html", str(page)],
        }
        rows = []
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, cwd=Path(__file__).parent, stdout=subprocess.DEVNULL)
            rows.append({"command": name, "seconds": time.perf_counter() - start})
        rows.append({"command": "both (bar: 60)", "seconds": sum(r["seconds"] for r in rows)})
        rows.append({"command": "the page, MB", "seconds": page.stat().st_size / 1e6})
    return rows


def shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(title: str, rows: Rows) -> Table:
    result = Table(title=title, title_justify="left")
    for name, value in rows[0].items():
        result.add_column(name, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        result.add_row(*map(shown, row.values()))
    return result


def markdown(title: str, rows: Rows) -> str:
    lines = [
        " | ".join(rows[0]),
        " | ".join("---" for _ in rows[0]),
        *(" | ".join(map(shown, r.values())) for r in rows),
    ]
    return "\n".join([f"## {title}", "", *(f"| {line} |" for line in lines), ""])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--turns", type=int, default=9)
    arguments.add_argument("--write", type=Path, help="also write networks.json and networks.md here")
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        tables = {
            f"Multiples of the plain step, one thread, medians of {chosen.turns} turns": [
                row for workload in workloads() for row in costs(workload, chosen.turns)
            ],
            "Growth with depth, seconds on one thread": growth(),
        }
    tables["A model of 1000 operations, from command to page, wall clock"] = command_to_page()
    for title, rows in tables.items():
        Console().print(table(title, rows))
    if chosen.write:
        chosen.write.mkdir(parents=True, exist_ok=True)
        versions = f"torch {torch.__version__}, NumPy {np.__version__}, Python {platform.python_version()}"
        machine = f"{platform.machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[1]:.1f}"
        text = [
            f"# What recording and explaining cost\n\n{versions}, {machine}\n",
            *(markdown(t, r) for t, r in tables.items()),
        ]
        (chosen.write / "networks.md").write_text("\n".join(text), encoding="utf-8")
        (chosen.write / "networks.json").write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
