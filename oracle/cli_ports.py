"""The verbs about weights and layers of two frameworks: port, equivalents."""

from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.cli_models import made_by, writable


def port(
    src: Annotated[str, typer.Argument(help="module:factory, a function that returns the model with the weights.")],
    dst: Annotated[str, typer.Argument(help="module:factory of the model that gets them.")],
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Save the filled model's arrays as .npz.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the report here.")] = None,
) -> None:
    """Copy the weights of one model into another by structure: all of them, or none and the reason."""
    from oracle.porting import port as port_weights  # noqa: PLC0415

    (source, _), (target, _) = made_by(src), made_by(dst)
    report = port_weights(source, target)
    print(report)
    if json is not None:
        writable(json)
        report.to_json(json)
        print(f"wrote {json}")
    if output is not None:
        _save(target, output)


def _save(model: Any, path: Path) -> None:
    import numpy as np  # noqa: PLC0415

    from oracle.porting import own_arrays  # noqa: PLC0415

    writable(path)
    arrays = own_arrays(model)
    with path.open("wb") as file:
        np.savez(file, **arrays)
    print(f"wrote {path}: {len(arrays)} arrays")


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    for verb in (port,):
        app.command()(verb)
