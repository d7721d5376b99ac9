"""The Keras zoo on its three backends: what is recorded, what is lowered, and that no operation is accused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras")
ZOO = Path(__file__).parents[1] / "zoo_keras.py"
BACKENDS = ("tensorflow", "jax", "torch")
SMALL = ("transformer", "masked_embedding", "upsampler", "gru")


def rows(backend, names, full):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "ZOO_FULL": "1" if full else ""}
    done = subprocess.run(
        [sys.executable, str(ZOO), *names], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("backend", BACKENDS)
def test_small_models_are_lowered_explained_and_not_accused(backend):
    for row in rows(backend, SMALL, full=True):
        assert row["lowered"] == 1, row
        assert row["completeness"] == 0, row
        assert abs(row["remainder"]) < 1e-6, row
        assert row["accused"] == [], row
        recurrent = list(range(6)) if row["model"] in ("masked_embedding", "gru") else []
        assert row["steps"] == {"forward": recurrent, "backward": recurrent}, row


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backend", BACKENDS)
def test_at_least_97_percent_of_the_operations_of_the_zoo_are_lowered(backend):
    found = rows(backend, [], full=False)
    assert len(found) >= 20
    poor = {r["model"]: r["missing"] for r in found if r["lowered"] < 0.97}
    assert not poor


@pytest.mark.slow
@pytest.mark.timeout(14400)
@pytest.mark.parametrize("backend", BACKENDS)
def test_no_operation_of_the_zoo_is_accused(backend):
    found = rows(backend, [], full=True)
    assert len(found) >= 20
    assert {r["model"]: r["accused"] for r in found if r["accused"]} == {}
    assert all(r["completeness"] < 1e-12 for r in found)
