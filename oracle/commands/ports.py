"""The verbs about weights and layers of two frameworks: port, equivalents."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.commands.inputs import made_by
from oracle.writing import writable, write

_PIPED_WIDTH = 160


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
    from oracle.ports.porting import port as port_weights  # noqa: PLC0415

    source, target = made_by(src).model, made_by(dst).model
    report = port_weights(source, target)
    print(report)
    if json is not None:
        report.to_json(json)
        print(f"wrote {json}")
    if output is not None:
        _save(target, output)


def _save(model: Any, path: Path) -> None:
    import numpy as np  # noqa: PLC0415

    from oracle.ports.porting import own_arrays  # noqa: PLC0415

    writable(path)
    arrays = own_arrays(model)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    print(f"wrote {path}: {len(arrays)} arrays")


def equivalents(
    layer: Annotated[
        str | None, typer.Argument(help="A layer, loss or optimizer: Dense, LSTM, Adam ...; all without.")
    ] = None,
    *,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the numbers here.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Also write Markdown here.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write the page here.")] = None,
) -> None:
    """Which layer of Keras is which module of torch and function of JAX: both run here, argument by argument."""
    from rich.console import Console  # noqa: PLC0415

    from oracle.ports.equivalents import chosen, measured, versions  # noqa: PLC0415
    from oracle.reports import equivalents as shown  # noqa: PLC0415

    items = [found.to_dict() for found in measured(chosen(layer))]
    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)
    console.print(*(map(shown.details, items) if layer else [shown.overview(items)]))
    for path, text in ((json, shown.as_json), (markdown, shown.markdown), (html, shown.page)):
        if path is not None:
            write(path, text(items, versions()))
            print(f"wrote {path}")


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    for verb in (port, equivalents):
        app.command()(verb)
