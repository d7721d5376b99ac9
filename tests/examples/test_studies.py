"""Every case study: contributions sum to the total, nothing honest is accused, and what its page claims holds."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import study

from oracle.explanations.attribution import total_error
from oracle.networks.network import Network, target_values

FOLDER = Path(__file__).parents[2] / "examples"
NAMES = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem != "study")
STUDIES = {name: importlib.import_module(name).STUDY for name in NAMES}
CASES = [
    pytest.param(name, framework, dtype, id=f"{name}-{framework}-{dtype}")
    for name, made in STUDIES.items()
    for framework in made.recorders
    for dtype in study.FORMATS
]
BAR = 1e-6


def _run(name, framework, dtype, target):
    pytest.importorskip(framework.partition("-")[0])
    return STUDIES[name].run(framework, dtype, target)


@pytest.mark.parametrize(("name", "framework", "dtype"), CASES)
def test_contributions_sum_to_the_total_error_and_none_is_accused(name, framework, dtype):
    for target in STUDIES[name].targets:
        found = _run(name, framework, dtype, target)
        total = sum(n.contribution for n in found.nodes)
        assert found.completeness < 1e-12
        assert not found.missing
        assert [(n.op, n.scope, n.budget_used) for n in found.accused] == []
        assert total + found.remainder == pytest.approx(found.total, rel=1e-9)
        assert abs(found.remainder) <= BAR * abs(found.total)
        if dtype == "float32" and name != "branches":
            assert not any(n.jump for n in found.nodes)


@pytest.mark.parametrize(("name", "target"), [("mlp_adam", "gradients"), ("cnn", "gradients")])
def test_without_turned_decisions_what_is_left_is_of_second_order(name, target):
    """In bfloat16 signs of relu turn, and that is a jump; with smaller errors none turns, and halving quarters."""
    pytest.importorskip("keras")
    network = Network(study.recorded(STUDIES[name].recorders["keras"], "bfloat16"))
    errors, exact = network.local_errors(), network.run()
    _, direction = total_error(network, exact, target_values(network.trace, target))
    remainders = [abs(_remainder(network, errors, (exact, direction), 2.0**-k)) for k in range(5)]
    assert remainders[0] > 0.1
    assert remainders[4] < 0.3 * remainders[3] < 1e-6


def _remainder(network, errors, exact_and_direction, scale):
    exact, direction = exact_and_direction
    run, middle = network.run(errors, scale), network.run(errors, scale / 2)
    total = sum(float(np.vdot(c, run.values[i] - exact.values[i])) for i, c in direction.items())
    adjoints = network.pull_back(middle, direction)
    explained = sum(scale * float(np.vdot(adjoints[i], e)) for i, e in errors.items() if i in adjoints)
    return (total - explained) / total


def test_every_study_has_its_page():
    pages = FOLDER.parent / "docs"
    assert sorted(p.stem for p in (pages / "sources" / "studies").glob("*.md")) == NAMES
    assert sorted(p.stem for p in (pages / "studies").glob("*.md")) == NAMES


def test_a_study_is_a_command(tmp_path):
    page = tmp_path / "page.html"
    command = [sys.executable, str(FOLDER / "matmul_sum.py"), "--dtype", "bfloat16", "--html", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "loss: error" in done.stdout
    assert "gradients: error" in done.stdout
    assert "Who made the error" in page.read_text()
