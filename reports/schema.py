"""The published forms of what machines read (`results.json`, a comparison), and where a file departs from them."""

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from oracle.errors import OracleError


@functools.cache
def schema(name: str = "results") -> dict[str, Any]:
    """The JSON Schema (2020-12) of `results.json`, or of a "comparison"."""
    return json.loads(resources.files("oracle.reports").joinpath(f"{name}.schema.json").read_text("utf-8"))


def validate(content: Mapping[str, Any], name: str = "results") -> None:
    """Check every value of `content` against the schema of that name.

    Needs the `jsonschema` package. Raises `OracleError` naming the place that departs and what was expected.
    """
    import jsonschema  # noqa: PLC0415 - needed to validate only

    problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema(name)).iter_errors(content))
    if problem is not None:
        raise OracleError(f"{name}.json departs from its schema at {problem.json_path}: {_brief(problem.message)}")


def _brief(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:140]} ... {message[-140:]}"
