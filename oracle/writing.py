"""Files that a user asked for: written, or refused in one line."""

from pathlib import Path

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
