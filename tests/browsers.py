"""A browser for tests that look at pages."""

from __future__ import annotations

import contextlib
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
    """Open a browser; the test is skipped where there is none."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none"]
        try:
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=arguments)
        except Error as error:
            pytest.skip(f"no browser: {error.message.splitlines()[0]}")
        yield browser
        browser.close()
