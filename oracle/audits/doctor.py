"""`oracle doctor`: what is installed here and how it computes, as every framework tells and as it is measured."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from oracle.adapters import Adapter, Refusal, adapters
from oracle.adapters.worker import Worker
from oracle.audits.candidates import installation
from oracle.audits.manifest import manifest

# Told in the table of arithmetic or of versions already.
_ELSEWHERE = {"version", "devices", "libraries", "arithmetic"}


def examination() -> dict[str, Any]:
    """The machine's manifest, and under `adapters` that of each installed framework, asked side by side."""
    installed = {name: adapter for name, adapter in adapters().items() if adapter.available()}
    with ThreadPoolExecutor(max(1, len(installed))) as threads:
        told = dict(zip(installed, threads.map(_told, installed.values()), strict=True))
    return {**manifest(), "adapters": told}


def _told(adapter: Adapter) -> Mapping[str, Any]:
    try:
        with Worker(adapter) as worker:
            return worker.manifest()
    except Refusal as refusal:
        return {"error": str(refusal)}


def diagnosis(facts: Mapping[str, Any] | None = None) -> RenderableType:
    """What `oracle doctor` prints: `facts`, by default a fresh examination."""
    facts = facts or examination()
    absent = [adapter for adapter in adapters().values() if adapter.name not in facts["adapters"]]
    return Group(
        *_machine(facts),
        Text(),
        *_frameworks(facts["adapters"]),
        Text(),
        _arithmetic(facts["adapters"]),
        *_missing(absent),
    )


def _machine(facts: Mapping[str, Any]) -> Iterator[Text]:
    cpu = facts["cpu"]
    gpus = ", ".join(f"{gpu['name']} ({gpu['memory']}, driver {gpu['driver']})" for gpu in facts["gpus"]) or "none"
    yield Text("versions  " + ", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    yield Text(f"platform  {facts['platform']}")
    yield Text(f"cpu       {cpu['model']}, {cpu['cores']} cores, {' '.join(cpu['features'])}")
    yield Text(f"gpu       {gpus}")
    yield Text(f"blas      {_libraries(facts['blas'])} (of the reference)")
    yield Text("flags     " + (" ".join(f"{k}={v}" for k, v in facts["flags"].items()) or "none set"))


def _libraries(pools: list[Mapping[str, Any]]) -> str:
    found = (f"{p.get('internal_api')} {p.get('version') or ''} {p.get('architecture') or ''} "
             f"{p.get('num_threads')} threads" for p in pools)  # fmt: skip
    return "; ".join(dict.fromkeys(" ".join(text.split()) for text in found)) or "none"


def _frameworks(told: Mapping[str, Mapping[str, Any]]) -> Iterator[Text]:
    for name, facts in told.items():
        if "error" in facts:
            yield Text(f"{name}: does not start: {facts['error']}", style="red")
            continue
        flags = ", ".join(f"{key} {value}" for key, value in facts.items() if key not in _ELSEWHERE)
        yield Text.assemble((f"{name} {facts['version']}", "bold"), f"  devices {', '.join(facts['devices'])}")
        yield Text(f"  {flags}")
        yield Text(f"  libraries {_libraries(facts['libraries'])}")


def _arithmetic(told: Mapping[str, Mapping[str, Any]]) -> Table:
    """What each mode of each framework was measured to do, on 67 equal elements each."""
    rows = {
        f"{name} {mode}": found for name, facts in told.items() for mode, found in facts.get("arithmetic", {}).items()
    }
    questions = list(dict.fromkeys(question for found in rows.values() for question in found))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="as measured", title_justify="left")
    table.add_column("", no_wrap=True)
    for question in questions:
        table.add_column(question, justify="center", overflow="fold")
    for name, found in rows.items():
        table.add_row(name, *(_short(found.get(question, "")) for question in questions))
    return table


def _short(measured: str) -> Text:
    word = measured.partition(":")[0]
    return Text(word, style={"yes": "yellow", "some": "yellow", "refused": "dim"}.get(word, ""))


def _missing(absent: list[Adapter]) -> Iterator[Text]:
    if not absent:
        yield Text("\nAll adapters have their frameworks.")
    for adapter in absent:
        yield Text(f"\n{adapter.name} is not installed: {installation(adapter)}")
