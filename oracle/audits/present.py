"""An audit shown: progress while it runs, then the summary, and where the reports lie."""

from pathlib import Path

from rich.console import Console

from oracle.audits.plan import Selection
from oracle.audits.run import run
from oracle.progress import progress
from oracle.reports import render
from oracle.reports.terminal import print_summary


def audit_and_report(selection: Selection, out: Path | None, console: Console) -> None:
    """Run `selection`, print its summary, write its reports into the run folder and say where they are."""
    results, folder = run(selection, out, progress)
    print_summary(results, console)
    paths = render(results, folder)
    console.print(f"\nReport: {paths['html'].resolve()}", soft_wrap=True)
