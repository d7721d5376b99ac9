"""Arguments as a user types them: numbers, JSON arrays, and attributes such as `eps=1e-5`."""

import ast
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oracle.errors import OracleError
from oracle.reference.operation import Arg, Config, Operation

_WORD = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F.]+(?:[pP][-+]?\d+)?|[\w.]+(?:[-+]\d+)?)")


def parse_array(text: str) -> np.ndarray:
    """The array that `text` says: a number (decimal, hexadecimal float, inf, nan) or nested JSON lists of them.

    `OracleError` if it is neither.
    """
    if text.startswith("--"):
        raise OracleError(f"unknown option {text!r}; `oracle truth --help` lists the options")
    try:
        quoted = _WORD.sub(lambda word: json.dumps(word[0]), text)
        values = np.vectorize(_number, otypes=[np.float64])(np.array(json.loads(quoted)))
    except (ValueError, OverflowError, AttributeError) as error:
        raise OracleError(
            f"cannot read the argument {text!r}; expected a number (-12.5, 1e-30, 0x1.8p-3, inf, nan) or a JSON array "
            "of numbers ([[1, 2], [3, 4]])"
        ) from error
    return values


def _number(word: str) -> float:
    if word.lower() in ("true", "false"):
        return float(word.lower() == "true")
    return float.fromhex(word) if "0x" in word.lower() else float(word)


def parse_attributes(pairs: Sequence[str]) -> dict[str, Any]:
    """The attributes that `name=value` texts say; values are Python literals, or words."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise OracleError(f"cannot read the attribute {pair!r}; expected name=value, such as eps=1e-5")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def bound_attributes(op: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of the operation's first configuration, those `given` in their place. `OracleError` if unknown."""
    named = {arg.name for arg in op.args}
    known = [name for name in inspect.signature(op.define).parameters if name not in named]
    for name in given:
        if name not in known:
            expected = f"it has {', '.join(known)}" if known else "it has none"
            raise OracleError(f"{op.name} has no attribute {name!r}; {expected}")
    return {**op.configs[0].attrs, **given}


def bound_arguments(op: Operation, values: Sequence[Any]) -> dict[str, np.ndarray]:
    """`values` by the names of the operation's arguments, each of the type that it takes. `OracleError` if not so."""
    names = ", ".join(arg.name for arg in op.args)
    if len(values) != len(op.args):
        raise OracleError(
            f"{op.name} takes {len(op.args)} argument{'s' * (len(op.args) > 1)} ({names}), not {len(values)}"
        )
    return {arg.name: _typed(op, arg, value) for arg, value in zip(op.args, values, strict=True)}


def _typed(op: Operation, arg: Arg, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise OracleError(f"{op.name}: {arg.name} = {value!r} is no array of numbers") from error
    if arg.kind == "mask":
        return array != 0
    if arg.kind != "index":
        return array
    if not np.array_equal(array, np.trunc(array)):
        raise OracleError(f"{op.name}: {arg.name} holds indices, and {value!r} is no array of whole numbers")
    return array.astype(np.int64)


def asked_config(op: Operation, arguments: Mapping[str, np.ndarray], attrs: Mapping[str, Any]) -> Config:
    """A configuration for exactly these arguments and attributes."""
    return Config("asked", {name: x.shape for name, x in arguments.items()}, bound_attributes(op, attrs))
