"""A browser for tests that look at pages."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

#: A browser of the machine's; without one Playwright's own is tried.
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def opened_browser() -> Iterator[Browser]:
    """Open a browser; where there is none the test is skipped, and says so, but fails in continuous integration."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none"]
        try:
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=arguments)
        except Error as error:
            said = f"no browser ({error.message.splitlines()[0]}): .venv/bin/python -m playwright install chromium"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
        yield browser
        browser.close()
