"""The page in a real browser: it opens offline, complains of nothing, and its views, filters and buttons work."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import synthetic_results
from synthetic_results import NASTY_OP

from oracle.reports import render

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]
OPS = ("gelu", "sigmoid", "matmul", "prod", "cumsum", "attention", "tanh")
TITLE = "How far from the truth"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    content = synthetic_results.results(only=OPS, regions=("typical", "wide", "subnormal", "special"))
    return render(content, tmp_path_factory.mktemp("report"), ("html",))["html"].as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    sync_api.expect.set_options(timeout=30_000)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address: str) -> Iterator["sync_api.Page"]:
    """The report, opened; at the end no complaint and no request beyond the file itself is on record."""
    context = browser.new_context(
        viewport={"width": 1400, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    yield page
    assert complaints == []
    assert {request.split("#")[0] for request in requests if not request.startswith(("blob:", "data:"))} == {address}
    context.close()


def cells(page) -> int:
    return page.locator("#matrix td a:visible").count()


def test_matrix_shows_every_line_and_column(page):
    assert page.title() == TITLE
    assert page.locator("#matched").inner_text() == "16 of 16 lines, 24 of 24 columns"
    assert cells(page) == 16 * 24
    assert page.locator(".count.v-BEYOND_BUDGET .number").inner_text().startswith("✗")


def test_verdict_is_text_as_well_as_colour(page):
    cell = page.get_by_label("gelu, forward, keras-jax jit, float32: beyond budget, 1.7e7")
    assert cell.inner_text().split() == ["✗", "1.7e7"]
    assert "bin7" in cell.locator("xpath=..").get_attribute("class")


def test_filters_narrow_and_address_keeps_them(page, address: str):
    page.get_by_role("searchbox").fill("gelu")
    assert page.locator("#matched").inner_text() == "2 of 16 lines, 24 of 24 columns"
    page.locator("#filters").get_by_text("jax", exact=True).click()
    page.locator("#filters").get_by_text("bfloat16", exact=True).click()
    page.get_by_label("Direction").select_option("forward")
    assert cells(page) == 1
    assert page.evaluate("location.hash") == "#/?q=gelu&direction=forward&framework=jax&format=bfloat16"
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert cells(page) == 1
    assert page.get_by_role("searchbox").input_value() == "gelu"
    page.get_by_role("button", name="Clear").click()
    sync_api.expect(page.locator("#matched")).to_have_text("16 of 16 lines, 24 of 24 columns")


def test_verdict_filter_keeps_lines_that_have_it(page):
    page.locator("#filters").get_by_text("crashed").click()
    assert page.locator("#matrix tbody th[scope=row]:visible").all_inner_texts() == ["cumsum", "∂ cumsum"]
    assert page.locator("#matrix td.dim:visible").count() == 2 * (24 - 3)


def test_nothing_matches_says_so(page):
    page.get_by_role("searchbox").fill("no such operation")
    assert "Nothing matches" in page.locator("#matched").inner_text()
    assert cells(page) == 0


def test_budget_measure(page):
    page.get_by_label("Show").select_option("budget_used")
    cell = page.locator("#matrix tr", has=page.locator("th", has_text="sigmoid")).first.locator("td a").first
    assert cell.inner_text().split()[-1] == "%"


def test_click_through_and_back(page):
    page.get_by_label("gelu, forward, keras-jax jit, float32").click()
    page.wait_for_selector("#operation h1")
    assert page.locator("#operation h1").inner_text().startswith("gelu")
    assert page.locator("#operation .formula").inner_text() == "gelu(x) = x/2 · erfc(−x/√2)"
    assert page.locator("tr.highlighted").first.inner_text().startswith("keras-jax jit")
    assert not page.locator("#overview").is_visible()
    page.go_back()
    page.wait_for_selector("#matrix td a:visible")
    assert not page.locator("#operation").is_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("gelu, forward, keras-jax jit")


def test_operation_page_has_every_part(page, address: str):
    page.goto(f"{address}#/op/gelu/float32")
    page.wait_for_selector("#d-vjp .js-plotly-plot .main-svg")
    for section in ("#d-forward", "#d-vjp"):
        part = page.locator(section)
        assert part.locator("table.candidates > tbody > tr:not(.case)").count() == 8
        assert part.locator(".js-plotly-plot").count() == 2
        assert part.locator("table.worst tbody tr:not(.code)").count() == 8
        assert part.locator("table.special tbody tr").count() == 3
    row = page.locator("#d-forward table.worst tbody tr", has_text="keras-jax").inner_text()
    for needed in (
        "-9.375",
        "0xc1160000",
        "-3.2421875e-20",
        "0x9f191000",
        "-3.24219140282117304968e-20",
        "-1.7e7",
        "4.2e6×",
    ):
        assert needed in row
    assert page.locator("#d-forward table.special .over").all_inner_texts() == ["✗ nan", "✗ nan"]


def test_cases_unfold(page, address: str):
    page.goto(f"{address}#/op/gelu/float32")
    first = page.locator("#d-forward .disclose").first
    assert page.locator("#d-forward tr.case:visible").count() == 0
    first.click()
    assert page.locator("#d-forward tr.case:visible").count() == 4
    assert first.get_attribute("aria-expanded") == "true"


def test_formats_are_tabs(page, address: str):
    page.goto(f"{address}#/op/tanh/float32")
    page.locator(".tabs a", has_text="bfloat16").click()
    sync_api.expect(page).to_have_title("tanh · bfloat16")
    assert page.locator("#d-forward table.candidates").inner_text().count("numpy has no bfloat16") == 1


def test_closer_look_changes_the_axis(page, address: str):
    page.goto(f"{address}#/op/tanh/float32")
    page.wait_for_selector("#d-forward .js-plotly-plot .main-svg")
    ticks = page.locator("#d-forward figure").first.locator(".xtick")
    sync_api.expect(ticks.filter(has_text="1038")).to_have_count(2)
    page.get_by_role("button", name="10⁻³ to 10³").first.click()
    sync_api.expect(ticks.filter(has_text="1038")).to_have_count(0)
    sync_api.expect(ticks.filter(has_text="103")).to_have_count(2)


def test_copy_button_copies_the_reproduction(page, address: str):
    page.goto(f"{address}#/op/gelu/float32")
    page.get_by_role("button", name="Copy code").first.click()
    page.wait_for_selector("#toast.shown")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("import torch")
    assert "# gelu <b>&amp;</b>" in copied
    page.get_by_role("button", name="Show", exact=True).first.click()
    assert copied == page.locator("table.worst pre:visible").text_content()


def test_hostile_strings_are_text(page, address: str):
    page.goto(f"{address}#/op/{quote(NASTY_OP, safe='')}/float32")
    page.wait_for_selector("#operation .js-plotly-plot .main-svg")
    assert page.locator("#operation h1").inner_text().startswith(NASTY_OP)
    assert page.title() == f"{NASTY_OP} · float32"
    assert page.locator("#operation img, #operation script, #overview img, #overview script").count() == 0
    page.get_by_role("link", name="All operations").click()
    sync_api.expect(page).to_have_title(TITLE)


def test_a_script_that_got_in_would_not_run(browser, address: str):
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.owned = 1\">')")
    page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.owned = 1'; document.body.append(s)"
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.owned") is None
    context.close()


def test_unknown_addresses_are_answered(page, address: str):
    page.goto(f"{address}#/op/nosuchop")
    page.wait_for_selector("#operation .notice")
    assert "no operation called nosuchop" in page.locator("#operation").inner_text()


def test_keyboard_walks_the_matrix_and_opens_a_cell(page):
    page.locator("#matrix td a[tabindex='0']").focus()
    start = page.evaluate("document.activeElement.getAttribute('aria-label')")
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == start
    page.keyboard.press("Enter")
    page.wait_for_selector("#operation h1")
    assert page.locator("#matrix td a[tabindex='0']").count() == 1


def test_theme_button_switches_and_is_remembered(page):
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(paper)
    page.get_by_role("button", name="Switch between light and dark").click()
    after = page.evaluate(paper)
    assert after != before
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate(paper) == after


CONTRAST = """() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((v) => ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll(".swatch")].map((swatch) => {
    const style = getComputedStyle(swatch);
    const [dark, light] = [luminance(style.color), luminance(style.backgroundColor)].sort((a, b) => a - b);
    return { contrast: (light + 0.05) / (dark + 0.05), lightness: luminance(style.backgroundColor) };
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_scale_is_legible_and_ordered_without_colour(browser, address: str, scheme: str):
    """WCAG 2.1's contrast of 4.5, and from 2 ulp on a lightness that only ever goes one way."""
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    swatches = page.evaluate(CONTRAST)
    assert all(swatch["contrast"] >= 4.5 for swatch in swatches)
    lightness = [swatch["lightness"] for swatch in swatches[2:]]
    assert lightness == sorted(lightness, reverse=scheme == "light")
    context.close()


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_nothing_sticks_out_sideways(browser, address: str, width: int):
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    for hash in ("", "#/op/gelu/float32"):
        page.goto(address + hash)
        page.wait_for_selector("html[data-ready]")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_prints(page, tmp_path: Path):
    page.emulate_media(media="print")
    page.pdf(path=tmp_path / "report.pdf")
    assert not page.locator("#filters").is_visible()
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
