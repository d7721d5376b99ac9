"""The command `oracle`: each verb reads its arguments here and does its work elsewhere, imported when called."""

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.commands.models import register
from oracle.commands.ports import register as register_ports
from oracle.errors import OracleBugError, OracleError

app = typer.Typer(
    name="oracle",
    help="The true value of every deep-learning operation, how far each framework is from it, and why.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

PIPED_WIDTH = 120

Adapters = Annotated[list[str] | None, typer.Option("--adapter", help="Only this adapter (repeatable).")]
Formats = Annotated[list[str] | None, typer.Option("--format", help="Only this number format (repeatable).")]
Modes = Annotated[list[str] | None, typer.Option("--mode", help="Only this mode: eager, jit ... (repeatable).")]
Devices = Annotated[list[str] | None, typer.Option("--device", help="Only this device: cpu, cuda (repeatable).")]


@app.command()
def audit(
    ops: Annotated[list[str] | None, typer.Argument(help="Operations or families; all without any.")] = None,
    *,
    adapter: Adapters = None,
    format: Formats = None,
    mode: Modes = None,
    device: Devices = None,
    full: Annotated[bool, typer.Option("--full/--quick", help="Everything, or what fits in minutes.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the drawn inputs.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Run folder; the same one again resumes.")] = None,
) -> None:
    """How far is each framework from the truth, operation by operation?"""
    from oracle.audits.plan import Selection  # noqa: PLC0415
    from oracle.audits.present import audit_and_report  # noqa: PLC0415

    operations, adapters, formats, modes, devices = (
        tuple(names or ()) for names in (ops, adapter, format, mode, device)
    )
    selection = Selection(operations, adapters, formats, modes, devices, full=full, seed=seed)
    audit_and_report(selection, out, _console())


@app.command(context_settings={"ignore_unknown_options": True})
def truth(
    op: Annotated[str, typer.Argument(help="An operation; `oracle ops` lists them.")],
    args: Annotated[list[str], typer.Argument(help="Numbers (decimal, hex float, inf, nan) or JSON arrays.")],
    *,
    digits: Annotated[int, typer.Option(min=1, max=10_000, help="Digits of the true value, all proven.")] = 20,
    grad: Annotated[bool, typer.Option("--grad", help="The gradient, each output's cotangent being one.")] = False,
    attr: Annotated[list[str] | None, typer.Option(help="An attribute: eps=1e-5 (repeatable).")] = None,
    frameworks: Annotated[bool, typer.Option(help="Also ask every installed framework.")] = True,
) -> None:
    """The true value of an operation, and what each framework returns for it."""
    from oracle.audits.arguments import parse_array, parse_attributes  # noqa: PLC0415

    arrays, attrs = [parse_array(text) for text in args], parse_attributes(attr or [])
    from oracle.audits.ask import truth as true_value  # noqa: PLC0415 - takes a second: after the arguments are read

    _console().print(true_value(op, *arrays, digits=digits, grad=grad, frameworks=frameworks, **attrs))


@app.command()
def ops(
    names: Annotated[list[str] | None, typer.Argument(help="Operations or families; all without any.")] = None,
) -> None:
    """The operations that the oracle knows, with their formulas."""
    from oracle.audits.listing import listing  # noqa: PLC0415

    _console().print(listing(names or []))


@app.command()
def doctor() -> None:
    """What is installed here and how it computes: versions, devices, threads, BLAS, flush-to-zero, FMA, TF32."""
    from oracle.audits.doctor import diagnosis  # noqa: PLC0415

    _console().print(diagnosis())


register(app)
register_ports(app)


def _console() -> Any:
    from rich.console import Console  # noqa: PLC0415

    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def main() -> None:
    """Run the command line; the exit code is 0, 2 (wrong input), 3 (a bug of the oracle) or 130 (interrupted)."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(_run(sys.argv[1:]))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="oracle", standalone_mode=False) or 0
        resumed = "; run the same command again to go on where it stopped" if arguments[0] == "audit" else ""
        return _say(f"interrupted{resumed}", code) if code == 130 else code
    except (OracleError, OracleBugError) as error:
        if os.environ.get("ORACLE_DEBUG"):
            traceback.print_exc()
        return _say(str(error), error.exit_code)
    except typer.TyperException as error:
        return _say(f"{error.format_message()} Try `oracle --help`.", error.exit_code)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter flushes stdout once more at exit
        return 0
    except Exception as error:
        if os.environ.get("ORACLE_DEBUG"):
            traceback.print_exc()
        where = "set ORACLE_DEBUG=1 for the traceback and report it"
        return _say(f"this is a bug of the oracle: {type(error).__name__}: {error}; {where}", OracleBugError.exit_code)


def _say(message: str, code: int) -> int:
    one_line = " ".join(message.split())
    print(f"oracle: {one_line}", file=sys.stderr)
    return code
