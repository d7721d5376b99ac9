"""Files that a user asked for: written, or refused in one line; numbers as strict JSON has them."""

import json
import math
from pathlib import Path
from typing import Any

from oracle.errors import OracleError


def writable(path: str | Path) -> Path:
    """`path`, its folder made where it is missing. Raises `OracleError` where it cannot be written."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
    except OSError as error:
        raise OracleError(f"cannot write {str(path)!r}: {error.strerror}", "choose another place") from None
    return path


def write(path: str | Path, text: str) -> Path:
    """Write `text` to `path` and return the path. Raises `OracleError` where that cannot be done."""
    path = writable(path)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OracleError(f"cannot write {str(path)!r}: {error.strerror}", "free some space") from None
    return path


def strict_json(data: Any, path: str | Path | None = None) -> str:
    """`data` as strict JSON (non-finite numbers as strings), written to `path` if given."""
    text = json.dumps(strict(data), indent=1, allow_nan=False)
    if path is not None:
        write(path, text)
    return text


def strict(value: Any) -> Any:
    """`value` with non-finite floats as the strings "nan", "inf", "-inf"."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(k): strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [strict(v) for v in value]
    return value
