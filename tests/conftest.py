"""Property tests draw the same examples everywhere and are not timed: the machine may be busy."""

import sys
from pathlib import Path

import hypothesis
import pytest

import oracle

# Only now may tests share helper modules: on a path that is searched first, tests/oracle would be taken for oracle.
assert oracle.__file__
sys.path.append(str(Path(__file__).parent))

hypothesis.settings.register_profile("oracle", deadline=None, derandomize=True)
hypothesis.settings.load_profile("oracle")


@pytest.fixture(autouse=True)
def _mistakes_of_hypotheses_fail(monkeypatch):
    """A hypothesis that fails by a mistake of its own costs a user that hypothesis; here it costs the test."""

    def fail(what, error):
        raise error

    monkeypatch.setattr("oracle.networks.unfit.mistaken", fail)
