"""The published form of `results.json`, and where a file departs from it."""

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from oracle.errors import OracleError


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `results.json`."""
    return json.loads(resources.files("oracle.reports").joinpath("results.schema.json").read_text("utf-8"))


def validate(results: Mapping[str, Any]) -> None:
    """Check every value of `results` against the schema.

    Needs the `jsonschema` package. Raises `OracleError` naming the place that departs and what was expected.
    """
    import jsonschema  # noqa: PLC0415 - needed to validate only

    problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema()).iter_errors(results))
    if problem is not None:
        raise OracleError(f"results.json departs from its schema at {problem.json_path}: {_brief(problem.message)}")


def _brief(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:140]} ... {message[-140:]}"
