"""One small synthetic run, made once."""

import pytest
import synthetic_results

from oracle.reports.results import Results, load

OPS = ("gelu", "sigmoid", "matmul", "prod", "cumsum", "attention", "tanh")


@pytest.fixture(scope="session")
def content() -> dict:
    """A `results.json` of eight operations, one of them with a hostile name."""
    return synthetic_results.results(only=OPS, regions=("typical", "wide", "subnormal", "special"))


@pytest.fixture(scope="session")
def results(content: dict) -> Results:
    """The same, loaded."""
    return load(content)
