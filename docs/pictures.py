"""The tool's own pages as pictures."""

import shutil
from pathlib import Path

WIDTH, HEIGHT = 1000, 850


def picture(html: Path, png: Path) -> None:
    """The upper part of a page, where the answer and the charts are."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - pages can be built without pictures

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    png.parent.mkdir(exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(html.as_uri())
        page.wait_for_selector(".chart .main-svg", timeout=30_000)
        page.screenshot(path=png)
        browser.close()
