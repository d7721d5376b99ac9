"""Files of a run: `results.json` rendered into every format a reader may want."""

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from oracle.errors import OracleError
from oracle.reports.results import Results, load
from oracle.types import RunResults

FILES = {"html": "report.html", "markdown": "report.md", "junit": "junit.xml"}


def render(
    results: str | Path | Mapping[str, Any] | RunResults,
    out_dir: str | Path,
    formats: Iterable[str] = tuple(FILES),
) -> dict[str, Path]:
    """Write the results (a `results.json`, or its content) to `out_dir` in each of `formats`; the paths by format.

    Raises `OracleError` for results that cannot be read, an unknown format, an absent package, an unwritable folder.
    """
    wanted = tuple(formats)
    for name in wanted:
        if name not in FILES:
            raise OracleError(f"unknown report format {name!r}; expected one of {', '.join(FILES)}")
    folded = load(results)
    return {name: _write(Path(out_dir) / FILES[name], _text(name, folded)) for name in wanted}


def _text(name: str, results: Results) -> str:
    try:
        module = importlib.import_module(f"oracle.reports.{name}")
    except ModuleNotFoundError as error:
        raise OracleError(
            f"the {name} report needs {error.name}: pip install 'numerical-oracle[report]', then render again"
        ) from None
    return getattr(module, name)(results)


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise OracleError(f"cannot write {path}: {error.strerror}; choose another --out") from None
    return path
