"""Takes the pictures of the console that the documents show: of a stack that `make up` has started, as an operator."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).parent.parent / "docs"
SIZE = {"width": 1200, "height": 860}


def main() -> None:
    """Write docs/timeline.png, the newest order that failed, and docs/flow.png."""
    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("There is no chromium here. On Debian: apt-get install chromium")
    url = os.environ.get("CONSOLE_URL")
    if not url:
        sys.exit("There is no console here. Start it with: make up")
    with sync_playwright() as playwright:
        # its sandbox does not let root in, which is who runs in a container
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"] if os.getuid() == 0 else []
        )
        page = browser.new_page(viewport={"width": SIZE["width"], "height": SIZE["height"]}, reduced_motion="reduce")
        page.goto(f"{url}#/?ending=failed")
        page.get_by_label("E-mail").fill(os.environ["OPERATOR_EMAIL"])
        page.get_by_label("Password").fill(os.environ["OPERATOR_PASSWORD"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("list", name="Orders").get_by_role("link").first.click()
        page.locator(".mark").first.wait_for()
        _take(page, "timeline.png")
        page.goto(f"{url}#/flow")
        page.get_by_role("heading", name="Unusual").wait_for()
        _take(page, "flow.png")
        browser.close()


def _take(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.screenshot(path=DOCS / name)
    print(f"docs/{name}")


if __name__ == "__main__":
    main()
