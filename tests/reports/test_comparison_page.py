"""The page of a comparison: everything is on it, it fits any window, and its buttons work."""

import shutil
import time
from dataclasses import replace

import pytest
from synthetic_comparisons import LONG, NASTY, accused, comparison

from oracle.comparisons.comparison import Meaning

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WINDOWS = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a comparison; at the end no complaint is on record."""
    complaints, contexts = [], []

    def open_page(found, window="desk", theme="light"):
        width, height = WINDOWS[window]
        contexts.append(
            browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=theme,
                permissions=["clipboard-read", "clipboard-write"],
            )
        )
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(found.to_html(tmp_path / "page.html").as_uri())
        page.wait_for_selector("html[data-ready]")
        page.wait_for_selector("#identity .main-svg")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.browser
@pytest.mark.parametrize(("window", "theme"), [("desk", "light"), ("phone", "dark")])
def test_long_names_fit_any_window(opened, window, theme):
    page = opened(comparison(2, 30, 3, name=LONG), window, theme)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    for block in page.locator(".card pre").all():
        assert block.evaluate("node => node.scrollWidth <= node.clientWidth + 1")


@pytest.mark.browser
def test_a_card_for_each_cause_with_its_proof_and_its_fixes(opened):
    page = opened(comparison(8, 40))
    assert page.locator(".card").count() == 8
    card = page.locator(".card").first
    assert card.locator(".share").inner_text() == "60.0 % of outputs"
    widths = card.locator(".proof i").evaluate_all("all => all.map(i => i.style.getPropertyValue('--w'))")
    assert [w.strip() for w in widths] == ["100%", "50.00%"]
    card.get_by_role("button", name="Copy").first.click()
    assert page.evaluate("navigator.clipboard.readText()") == "torch.nn.LayerNorm(..., eps=1e-01)  # fc1"
    card.locator("summary").click()
    card.get_by_role("button", name="Copy").last.click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("import torch")


@pytest.mark.browser
def test_both_networks_open_where_the_meaning_parts_among_a_thousand_operations(opened):
    start = time.monotonic()
    page = opened(comparison(3, 1000, 5))
    assert time.monotonic() - start < 20
    for network in page.locator(".network").all():
        assert network.locator("li").count() == 1000
        assert network.evaluate(
            """list => {
              const inner = list.querySelector("[data-first]").getBoundingClientRect();
              const outer = list.getBoundingClientRect();
              return inner.top >= outer.top && inner.bottom <= outer.bottom;
            }"""
        )


@pytest.mark.browser
def test_the_identity_is_stacked_or_side_by_side_on_a_logarithmic_scale(opened):
    page = opened(comparison(1, 10, 3, name=NASTY))
    assert page.get_by_text(NASTY).count() > 0
    bars = "document.getElementById('identity')"
    assert page.evaluate(f"{bars}.layout.barmode") == "stack"
    page.locator("#scale").click()
    page.wait_for_function(f"{bars}.layout.barmode === 'group' && {bars}.layout.xaxis.type === 'log'")
    assert page.evaluate(f"{bars}.data.map(t => t.name)") == ["semantics", "rounding(a)", "rounding(b)"]
    assert page.locator("#drift-loss .main-svg").count() > 0


def _html(found, tmp_path):
    return found.to_html(tmp_path / "page.html").read_text("utf-8")


def test_without_causes_there_are_no_cards_and_no_mark(tmp_path):
    content = _html(comparison(0), tmp_path)
    assert "SAME MEANING" in content
    assert 'class="card"' not in content
    assert "meaning parts here</b>" not in content


def test_the_identity_and_the_verdict_come_before_the_causes(tmp_path):
    content = _html(comparison(1), tmp_path)
    places = [content.index(t) for t in ("|a - b| = 0.01", "DIFFERENT MEANING</p>", 'class="card"', 'class="network"')]
    assert places == sorted(places)


def test_numbers_that_are_none_are_shown(tmp_path):
    found = comparison(1)
    odd = replace(found.causes[0], share=float("nan"), before=float("inf"))
    content = _html(replace(found, causes=(odd,)), tmp_path)
    assert "an unknown part of outputs" in content


def test_an_operation_beyond_its_budget_has_its_line(tmp_path):
    content = _html(accused(), tmp_path)
    assert str(Meaning.SAME_BEYOND_BUDGET) in content
    assert "12.5 times its budget" in content
