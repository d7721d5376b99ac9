"""The page of an explanation in a real browser: its charts, its layer tree, and a page for each operation."""

import shutil

import pytest

from oracle.reports.explanation import explanation_page

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]
NASTY = "<img src=x onerror=alert(1)>"


def _node(index, scope, contribution, **fields):
    return {
        "index": index, "op": f"aten.op{index}", "scope": scope, "layer": "", "phase": "forward", "step": 0,
        "time_step": index if "cell" in scope else None, "source": "m.py:1", "format": "float32", "elements": 4,
        "magnitude": 1.0, "local_error": 1e-8, "inherited_error": 2e-8, "contribution": contribution, "jump": 0.0,
        "budget_used": 0.1, "budget_fused": 0.1, "budget_probable": 0.1, "budget_worst": 0.5, "condition": 10.0,
        "flips": 0, "self_referenced": False, "accused": False, "suspect": False,
    } | fields  # fmt: skip


def _data(**fields):
    nodes = [
        _node(0, "body.0", 3e-8), _node(1, "body.1", -1e-8, flips=3, jump=-5e-9), _node(2, "cell", 2e-8),
        _node(3, "cell", "nan", budget_used="nan", condition="inf"), _node(4, NASTY, 1e-8, accused=True),
    ]  # fmt: skip
    return {
        "target": "loss", "total": 5e-8, "remainder": 0.0, "magnitude": 1.0, "completeness": 0.0, "points": 0,
        "nodes": nodes, "framework": "torch 2", "execution": "torch 2, eager kernels", "unchanged": True,
        "carrier_error": 1e-15, "decision": None, "compilation": 1e-7, "missing": [], "sentence": "The sentence.",
        "flips": {"aten.op1": 3},
    } | fields  # fmt: skip


def _details():
    array = {"name": "weight", "role": "parameter", "format": "float32", "shape": [2, 2], "minimum": -1.5,
             "maximum": 2.0, "mean": 0.25, "largest": 2.0, "nonfinite": 1}  # fmt: skip
    return {
        "arrays": {"7": array, "8": {**array, "name": "", "role": "intermediate"}},
        "reads": {str(i): [7, 8] if i else [7] for i in range(5)},
        "makes": {"0": [8], "1": [], "2": [], "3": [], "4": []},
        "attributes": {str(i): {"arguments": [{"value": 7}], "eps": 1e-5, "name": NASTY} for i in range(5)},
        "scripts": {str(i): f"print({i})  # {NASTY}" for i in range(5)},
    }


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(explanation_page(_data(), _details()), encoding="utf-8")
    complaints = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.address = path.as_uri()
        yield page
        browser.close()
    assert complaints == []


def test_the_page_and_the_page_of_an_operation(page):
    page.goto(page.address)
    page.wait_for_selector("html[data-ready]")
    page.wait_for_selector("#waterfall .plotly")
    page.wait_for_selector("#by-step .plotly")
    assert "The sentence." in page.text_content(".lead")
    assert page.locator("#decisions a").all_text_contents() == ["aten.op1"]
    assert "compiled minus eager" in page.text_content(".facts")
    assert page.locator(".tree .layer").first.text_content() == "model"
    page.click(".nodes tbody tr:has-text('body.1') >> nth=0 >> a")
    page.wait_for_selector("#operation h1")
    assert page.url.endswith("#node=1")
    assert page.is_hidden("#overview")
    text = page.text_content("#operation")
    assert all(part in text for part in ("weight", "-1.5", "float32[2,2]", "3 turned", "eps = 0.00001", NASTY))
    assert page.text_content("#script").startswith("print(1)")
    page.click("#operation table a >> nth=0")  # what made array 8
    page.wait_for_function("location.hash === '#node=0'")
    page.click("text=All operations")
    page.wait_for_selector("#overview:visible")


def test_a_link_to_an_operation_opens_it(page):
    page.goto(page.address + "#node=3")
    page.wait_for_selector("#operation h1")
    assert page.text_content("#operation h1") == "aten.op3"
    assert "–" in page.text_content("#operation dl")


def test_without_details_the_page_of_an_operation_has_its_errors():
    page = explanation_page(_data(decision={"margin": 0.1, "error": 1e-8, "rows": 4, "flipped": 0}, compilation=None))
    assert NASTY not in page
    assert "closest call" in page
    assert "compiled minus eager" not in page
