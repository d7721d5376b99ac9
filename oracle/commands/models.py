"""The verbs about whole models: record, explain, compare, precision, lowerings."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.commands.inputs import loaded, made_with_inputs, refuse_inputs, side, sides
from oracle.errors import OracleError
from oracle.writing import writable

Input = Annotated[Path | None, typer.Option("--input", help="A .npz or .npy file with the model's inputs.")]
Html = Annotated[Path | None, typer.Option("--html", help="Also write the page here.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", help="Also write Markdown for an issue here.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the numbers here.")]


def record(
    model: Annotated[str, typer.Argument(help="module:factory, a function that returns (model, inputs).")],
    input: Input = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The trace file to write.")] = Path("run.trace"),
    *,
    full: Annotated[bool, typer.Option("--full/--stats", help="Keep every array, or statistics alone.")] = True,
    framework: Annotated[
        str | None, typer.Option(help="torch, keras, tensorflow or jax, if it cannot be told.")
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="A training step: forward, backward, optimizer.")] = False,
) -> None:
    """Run a model once and write every operation that executed to a trace file."""
    from oracle.recordings.recording import record as record_model  # noqa: PLC0415
    from oracle.recordings.tracefile import save_trace  # noqa: PLC0415

    _ready(output)
    made = made_with_inputs(model, input)
    chosen = {"full": full, "framework": framework, "train_step": train or None}
    trace = record_model(made.model, made.inputs, **{**chosen, **made.options})
    save_trace(trace, output)
    size = output.stat().st_size
    print(f"{output}: {len(trace.nodes)} operations, {len(trace.values)} values, {size / 1e6:.2f} MB")


def explain(
    trace: Annotated[Path, typer.Argument(help="A trace file, recorded with --full.")],
    *,
    target: Annotated[str | None, typer.Option(help="loss, outputs, gradients, parameters, or a name.")] = None,
    html: Html = None,
    json: Json = None,
) -> None:
    """Which operation made how much of the final error?"""
    from oracle.explanations.explaining import explain as explain_trace  # noqa: PLC0415

    _ready(html, json)
    with _Progress("explaining") as step:
        found = explain_trace(loaded(trace), target, details=html is not None, progress=step)
    print(found)
    _write(found, html, json)


def compare(
    a: Annotated[str, typer.Argument(help="A trace file, or module:factory: a function that returns (model, inputs).")],
    b: Annotated[str, typer.Argument(help="The other one.")],
    *,
    input: Input = None,
    input_a: Annotated[Path | None, typer.Option(help="Inputs of A, in A's layout.")] = None,
    input_b: Annotated[Path | None, typer.Option(help="Inputs of B, in B's layout.")] = None,
    reproduce: Annotated[bool, typer.Option("--reproduce", help="Print a script for each cause.")] = False,
    html: Html = None,
    json: Json = None,
    markdown: Markdown = None,
) -> None:
    """Do two models mean the same, and whose rounding makes the difference? Exit code 1 for a finding.

    A factory may also return a dict with "model", "inputs" and "loss", "target", "optimizer", "steps": training steps.
    """
    from oracle.comparisons.comparing import compare as compare_models  # noqa: PLC0415

    refuse_inputs(a, input_a, "--input-a")
    refuse_inputs(b, input_b, "--input-b")
    _ready(html, json, markdown)
    with _Progress("comparing") as step:
        one, other = sides((a, input_a or input), (b, input_b or input))
        found = compare_models(one.model, other.model, inputs_a=one.inputs, inputs_b=other.inputs, progress=step)
    found = replace(found, name_a=a, name_b=b)
    print(found)
    for cause in found.causes if reproduce else ():
        print(f"\n# {cause.code}: {cause.detail}\n{cause.reproduction}")
    _write(found, html, json, markdown)
    raise typer.Exit(found.exit_code)


def precision(
    model: Annotated[str, typer.Argument(help="A trace file recorded with --full, or module:factory.")],
    *,
    input: Input = None,
    format: Annotated[list[str] | None, typer.Option(help="bfloat16, float16 or tf32; all without any.")] = None,
    target: Annotated[str | None, typer.Option(help="loss, outputs, gradients, parameters, or a name.")] = None,
    json: Json = None,
) -> None:
    """Which operations to keep in float32 when the model runs in a lower precision?"""
    from oracle.precision.planning import FORMATS, plan_precision  # noqa: PLC0415

    _ready(json)
    made = side(model, input)
    found = plan_precision(made.model, made.inputs, formats=format or FORMATS, target=target)
    print(found)
    _write(found, None, json)


def lowerings(
    framework: Annotated[str | None, typer.Argument(help="torch, tensorflow or jax; all without any.")] = None,
    *,
    missing: Annotated[Path | None, typer.Option(help="List what this trace executes and has no lowering.")] = None,
) -> None:
    """The framework operations whose meaning the oracle knows."""
    from oracle.reference.lowerings import lowering  # noqa: PLC0415
    from oracle.reference.lowerings import lowerings as known  # noqa: PLC0415

    if missing is not None:
        trace = loaded(missing)
        absent = sorted({n.op for n in trace.nodes if lowering(trace.framework, n.op) is None})
        share = sum(n.op not in absent for n in trace.nodes) / max(len(trace.nodes), 1)
        print("\n".join([f"{share:.1%} of {len(trace.nodes)} executed operations have a lowering", *absent]))
        return
    for name in [framework] if framework else ["torch", "tensorflow", "jax"]:
        names = known(name)
        if not names:
            raise OracleError(f"no lowerings for {name!r}", "use torch, tensorflow or jax")
        print(f"{name}: {len(names)} operations")
        print("  " + " ".join(names))


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    for verb in (record, explain, compare, precision, lowerings):
        app.command()(verb)


def _ready(*paths: Path | None) -> None:
    """Refuse what cannot be written before the work begins."""
    for path in paths:
        if path is not None:
            writable(path)


def _write(found: Any, html: Path | None, json: Path | None, markdown: Path | None = None) -> None:
    for path, kind in ((html, "html"), (json, "json"), (markdown, "markdown")):
        if path is not None:
            getattr(found, f"to_{kind}")(path)
            print(f"wrote {path}")


class _Progress:
    """A progress bar on a terminal, silence elsewhere."""

    def __init__(self, title: str) -> None:
        self.title = title

    def __enter__(self) -> Any:
        if not sys.stderr.isatty():
            self.bar = None
            return lambda done, total: None
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self.bar.start()
        task = self.bar.add_task(self.title, total=None)
        return lambda done, total: self.bar.update(task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
