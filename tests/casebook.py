"""Real discrepancies from issue trackers, rebuilt as small programs, and what the tool must say of each.

A module of `tests/cases` registers the parts of each case with `case`; a part runs `oracle.compare` or `oracle.check`
and returns what it found. Run as a script, this file runs all of them and writes `docs/cases.md`.
"""

import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "cases"
PAGE = Path(__file__).parents[1] / "docs" / "cases.md"
# A proved cause leaves at most this share of what was there before it: float32 constants differ by 6e-8.
_LEFT = 1e-5


@dataclass(frozen=True)
class Part:
    """One program pair of a case: what to run, the codes that must be named and no others, the verdict."""

    case: str
    title: str
    codes: frozenset[str]
    verdict: str
    run: Callable[[], object]
    module: str
    optional: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The case and the function."""
        return f"{self.case}-{self.run.__name__}"


@dataclass(frozen=True)
class Said:
    """What the tool said: verdict, codes, its first line, and the share of the difference that the causes leave."""

    verdict: str
    codes: frozenset[str]
    headline: str
    left: float


_PARTS: list[Part] = []
DIFFERENT, SAME, ACCUSED = "DIFFERENT", "SAME", "BEYOND"


def case(name: str, title: str, *codes: str, verdict: str = "", optional: tuple[str, ...] = ()) -> Callable:
    """Register a part: without codes it is a negative control, "rounding only, within budget"."""

    def register(run: Callable[[], object]) -> Callable[[], object]:
        expected = verdict or (DIFFERENT if codes else SAME)
        _PARTS.append(Part(name, title, frozenset(codes), expected, run, run.__module__, frozenset(optional)))
        return run

    return register


def parts(module: str) -> list[Part]:
    """The parts that `module` registered."""
    return [p for p in _PARTS if p.module == module]


def said(found: object) -> Said:
    """What a `Comparison` or a `CheckResult` says, in short."""
    if hasattr(found, "causes") and hasattr(found, "headline"):
        verdict = {0: SAME}.get(found.exit_code, DIFFERENT if str(found.verdict).startswith(DIFFERENT) else ACCUSED)
        codes = {c.code for c in found.causes} | {a.code for a in found.accused if verdict == ACCUSED}
        left = _left(found) if verdict == DIFFERENT else 0.0
        return Said(verdict, frozenset(codes), found.headline(), left)
    beyond = str(found.verdict) == "BEYOND_BUDGET"
    codes = {found.code} - {"rounding-only"}
    return Said(ACCUSED if beyond else SAME, frozenset(codes), str(found).splitlines()[0], 0.0)


def _left(found: object) -> float:
    """The share that the causes leave; nothing where it is no more than what both sides round."""
    before, rest = (
        max((c.before for c in found.causes), default=0.0),
        found.causes[-1].residual if found.causes else 0.0,
    )
    rounding = max(t.rounding_a.norm + t.rounding_b.norm for t in found.targets)
    return 0.0 if rest <= rounding or not before else rest / before


def agrees(part: Part, told: Said) -> bool:
    """Whether the verdict and the codes are the expected ones, and the causes explain what there is."""
    missing, more = part.codes - told.codes, told.codes - part.codes - part.optional
    return told.verdict == part.verdict and not missing and not more and told.left <= _LEFT


def verify(part: Part) -> None:
    """Fail, with what was said, where the tool does not agree."""
    told = said(part.run())
    assert agrees(part, told), f"expected {part.verdict} {sorted(part.codes)}; {told}"


def _load() -> None:
    for path in sorted(FOLDER.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)


def table() -> tuple[list[str], int, int]:
    """The lines of the table, and how many of how many cases agree (a case agrees if all its parts do)."""
    lines, agreed = [], {}
    for part in sorted(_PARTS, key=lambda p: p.case):
        start = time.monotonic()
        try:
            told = said(part.run())
            right = agrees(part, told)
        except Exception as error:
            told, right = Said("ERROR", frozenset(), f"{type(error).__name__}: {error}", 0.0), False
        agreed[part.case] = agreed.get(part.case, True) and right
        codes = ", ".join(f"`{c}`" for c in sorted(told.codes)) or "rounding only"
        text = told.headline.replace("|", "\\|")[:150]
        lines.append(f"| {part.case} | {part.title} | {codes} | {text} | {'yes' if right else '**no**'} |")
        print(f"{part.name}: {'ok' if right else 'NO'} {told} {time.monotonic() - start:.1f} s", flush=True)
    return lines, sum(agreed.values()), len(agreed)


def write_page() -> None:
    """Run every case and write the page."""
    _load()
    lines, right, total = table()
    head = [
        "# Real discrepancies, and what the tool says of them",
        "",
        "Small programs with the discrepancies of real issue reports: each is a test (`tests/cases`). "
        "Written by `python tests/casebook.py`.",
        "",
        f"**{right} of {total} cases agree.**",
        "",
        "| case | what differs | named | the tool's first line | agrees |",
        "| --- | --- | --- | --- | --- |",
    ]
    PAGE.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    print(f"{right} of {total} cases agree; wrote {PAGE}")


if __name__ == "__main__":
    # `tests` would hide the package: its folder `oracle` is a namespace of that name.
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).parent.resolve()]
    import oracle

    assert oracle.__file__
    sys.path.append(str(Path(__file__).parent))
    sys.modules["casebook"] = sys.modules["__main__"]
    write_page()
