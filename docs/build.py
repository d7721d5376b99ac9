"""Writes the pages of `docs/` from their sources and from runs of the examples: no number is typed by hand.

    python docs/build.py                 # everything: several minutes
    python docs/build.py mlp_adam        # the pages whose names begin so; --no-pictures leaves pictures alone

A source (`docs/sources/*/NAME.md`) is a Jinja template. A study's source calls `run(framework, dtype, target)` of
`examples/NAME.py`, a question's has what `measure()` of `examples/questions/NAME.py` returned as `m`.
"""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import jinja2
from pictures import picture
from tables import FILTERS, study_table, top_table

from oracle.audits.manifest import cpu, versions

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
KINDS = ("studies", "questions")
NAMED = ("torch", "tensorflow-cpu", "tensorflow", "keras", "jax", "numpy")


def main() -> None:
    """Build the pages that were asked for, then the index."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of pages' names; all pages by default")
    parser.add_argument("--no-pictures", action="store_true")
    asked = parser.parse_args()
    sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "questions")]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DOCS / "sources"), trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters.update(FILTERS)
    for kind in KINDS:
        for source in sorted((DOCS / "sources" / kind).glob("*.md")):
            if not asked.names or source.stem.startswith(tuple(asked.names)):
                build(environment, kind, source.stem, not asked.no_pictures)
    index = environment.get_template("README.md").render(pages={kind: titles(kind) for kind in KINDS})
    (DOCS / "README.md").write_text(index, encoding="utf-8")


def build(environment: jinja2.Environment, kind: str, name: str, pictures: bool) -> None:
    """Render one page, and the picture that it asks for."""
    shown: list[Any] = []

    def picture_of(found: Any, caption: str) -> str:
        shown.append(found)
        return f"![{caption}](../pictures/{name}.png)"

    module = importlib.import_module(name)
    context = study_context(module) if kind == "studies" else {"m": module.measure(), "module": module}
    page = environment.get_template(f"{kind}/{name}.md").render(
        name=name, made_with=made_with(), picture=picture_of, top=top_table, **context
    )
    (DOCS / kind).mkdir(exist_ok=True)
    (DOCS / kind / f"{name}.md").write_text(page, encoding="utf-8")
    if pictures and shown:
        with tempfile.TemporaryDirectory() as folder:
            html = shown[0].to_html(Path(folder) / "page.html")
            picture(html, DOCS / "pictures" / f"{name}.png")
    print(f"wrote docs/{kind}/{name}.md", flush=True)


def study_context(module: Any) -> dict[str, Any]:
    """What a study's source may call."""
    return {"run": module.STUDY.run, "table": lambda: study_table(module.STUDY), "module": module}


def titles(kind: str) -> dict[str, str]:
    """The first heading of every page of a kind, by name."""
    pages = sorted((DOCS / kind).glob("*.md"))
    return {p.stem: p.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for p in pages}


def made_with() -> str:
    """The versions and the processor that the numbers of a page are from."""
    found = versions()
    packages = ", ".join(f"{name} {found[name]}" for name in NAMED if name in found)
    return f"{packages}; {cpu()['model']}"


if __name__ == "__main__":
    main()
