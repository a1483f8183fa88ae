"""Draws the pages for people into docs/images, from the demo: `make page-pictures`."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import Browser, sync_playwright

from support.answers import ROOT
from support.process import running

IMAGES = ROOT / "docs/images"
SETTLING = 60.0
"""Seconds of the demo's life before it is drawn: most of its stories have begun by then."""


def main() -> int:
    """Start the demo and draw three pages; 1 where there is no Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("chromium is not installed\n")
        return 1
    with running("--demo") as exporter, sync_playwright() as playwright:
        time.sleep(SETTLING)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        fleet = exporter.url
        scale_set = _draw(browser, fleet, "page-fleet.png", "light", follow="main table a")
        instance = _draw(browser, scale_set, "page-scale-set.png", "light", follow="a.tile.failed")
        _draw(browser, instance, "page-instance.png", "dark", follow="main a")
        browser.close()
    return 0


def _draw(browser: Browser, url: str, name: str, scheme: str, *, follow: str) -> str:
    """Draw a page; the result is where the first link leads that a selector finds."""
    dark = scheme == "dark"
    context = browser.new_context(
        color_scheme="dark" if dark else "light",
        viewport={"width": 420 if dark else 1280, "height": 900},
    )
    page = context.new_page()
    page.goto(url)
    page.screenshot(path=str(Path(IMAGES, name)))
    found = page.locator(follow).first.get_attribute("href") or ""
    context.close()
    return urljoin(url, found)


if __name__ == "__main__":
    sys.exit(main())
