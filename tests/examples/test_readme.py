"""The README's `models.py` is what its commands say."""

import re
from pathlib import Path

import pytest

import oracle

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_models_of_the_readme_differ_in_what_it_says():
    pytest.importorskip("torch")
    (source,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "def mine" in block)
    names: dict = {}
    exec(source, names)
    (a, x), (b, _) = names["mine"](), names["port"]()
    found = oracle.compare(a, b, x)
    assert [c.code for c in found.causes] == ["eps"]
    for line in str(found).splitlines()[1:]:
        assert line in README


def test_links_lead_somewhere():
    folder = Path(__file__).parents[2]
    kinds = (folder / "docs" / kind for kind in ("", "studies", "questions"))
    for page in (folder / "README.md", *(page for kind in kinds for page in kind.glob("*.md"))):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"
