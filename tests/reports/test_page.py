"""The page as text: complete in itself, every script known by its hash, nothing of the data readable as markup."""

import base64
import dataclasses
import hashlib
import html as html_entities
import json
import re
import zlib
from html.parser import HTMLParser

import jinja2
import pytest
from synthetic_results import NASTY_OP

from oracle.errors import OracleError
from oracle.reports import render
from oracle.reports.detail import operation_detail
from oracle.reports.html import html
from oracle.reports.page import pack, render_page
from oracle.reports.results import Results

LOADING = {"src", "srcset", "data", "poster", "background", "action", "formaction", "ping", "cite"}


class Scan(HTMLParser):
    """What a browser would run, load or follow."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        for name, value in attrs:
            self.handlers += [name] if name.startswith("on") else []
            address = name in LOADING or (name == "href" and not (value or "").startswith("#"))
            self.loads += [f"{tag} {name}={value}"] if address else []

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    return html(results)


def test_the_page_loads_nothing(page: str):
    scan = Scan(page)
    assert scan.loads == []
    assert scan.tags & {"link", "iframe", "img", "object", "embed", "base", "form"} == {"form"}


def test_the_scan_sees_what_loads():
    scan = Scan('<img src="http://x/a.png" onerror="f()"><link href="https://x/b.css"><script src="c.js"></script>')
    assert scan.loads == ["img src=http://x/a.png", "link href=https://x/b.css", "script src=c.js"]
    assert scan.handlers == ["onerror"]


def test_no_handlers_and_one_script(page: str):
    scan = Scan(page)
    assert scan.handlers == []
    assert sum("type" not in attrs for attrs, _ in scan.scripts) == 1


def test_policy_admits_our_scripts_by_hash_and_nothing_else(page: str):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    policy = html_entities.unescape(policy)
    (script,) = [text for attrs, text in Scan(page).scripts if "type" not in attrs]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert f"'sha256-{digest}'" in policy
    assert "unsafe-eval" not in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_data_is_inert_and_complete(page: str, results: Results):
    packed = {attrs["data-chunk"]: text for attrs, text in Scan(page).scripts if "data-chunk" in attrs}
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]+", text) for text in packed.values())
    index = json.loads(zlib.decompress(base64.b64decode(packed["index"])))
    assert {op["name"] for op in index["ops"]} == {row.op for row in results.rows}
    assert NASTY_OP in {op["name"] for op in index["ops"]}
    assert set(packed) == {"index", "plotly", *(f"op {n}" for n in range(len(index["ops"])))}


def test_hostile_text_is_escaped(page: str):
    assert "<script>document.title" not in page
    assert "&lt;script&gt;document.title" in page


def test_pack_round_trips():
    text = "</script> \u2028 é 数 🧮"
    assert zlib.decompress(base64.b64decode(pack(text))).decode() == text


def test_an_absent_value_in_a_template_is_an_error(results: Results):
    with pytest.raises(jinja2.UndefinedError):
        render_page("audit", {}, "title")


def test_detail_folds_curves_and_histograms(results: Results):
    detail = operation_detail(results, "gelu")
    entry = next(e for e in detail["directions"]["forward"] if e["curve"])
    rows = entry["cases"]
    assert sum(entry["histogram"]["counts"]) == pytest.approx(
        sum(sum(row.histogram["counts"]) for row in results.rows if row.histogram and _is(row, results, entry)),
        rel=1e-3,
    )
    assert entry["curve"]["x"] == sorted(entry["curve"]["x"])
    assert max(entry["curve"]["max_ulp"]) == pytest.approx(
        max(max(row.curve["max_ulp"]) for row in results.rows if row.curve and _is(row, results, entry)), rel=1e-4
    )
    assert entry["elements"] == sum(row["elements"] for row in rows)
    assert entry["worst"][0]["ulp"] is None


def _is(row, results: Results, entry: dict) -> bool:
    column = results.columns[entry["column"]]
    return (row.op, row.direction) == ("gelu", "forward") and column == (
        row.framework,
        row.mode,
        row.device,
        row.format,
    )


def test_render_writes_every_format(tmp_path, content: dict):
    paths = render(content, tmp_path / "new" / "folder")
    assert {name: path.name for name, path in paths.items()} == {
        "html": "report.html", "markdown": "report.md", "junit": "junit.xml",
    }  # fmt: skip
    assert all(path.stat().st_size > 1000 for path in paths.values())


def test_render_refuses_an_unknown_format(tmp_path, content: dict):
    with pytest.raises(OracleError, match="unknown report format 'pdf'; expected one of html, markdown, junit"):
        render(content, tmp_path, ("pdf",))


def test_render_says_where_it_cannot_write(tmp_path, content: dict):
    (tmp_path / "file").write_text("")
    with pytest.raises(OracleError, match="cannot write"):
        render(content, tmp_path / "file", ("junit",))


def test_a_reproduction_stands_beside_its_own_input_only(results: Results):
    bare = [[{k: v for k, v in w.items() if k != "reproduction"} for w in row.worst] for row in results.rows]
    rows = [dataclasses.replace(row, worst=worst) for row, worst in zip(results.rows, bare, strict=True)]
    run = dataclasses.replace(results.run, rows=rows)
    entry = operation_detail(Results(run), "gelu")["directions"]["forward"][0]
    assert {w["inputs"]["x"]["decimal"] for w in entry["worst"] if w["reproduction"]} == {"-9.375"}
    assert len({w["inputs"]["x"]["decimal"] for w in entry["worst"]}) > 1


def test_the_same_worst_input_is_shown_once(results: Results):
    """Every region of the synthetic run repeats its worst input."""
    entry = operation_detail(results, "gelu")["directions"]["forward"][0]
    assert sum(w["inputs"]["x"]["decimal"] == "-9.375" for row in results.rows for w in row.worst) > 1
    shown = [(w["inputs"]["x"]["decimal"], w["actual"]["decimal"]) for w in entry["worst"]]
    assert len(shown) == len(set(shown))
