"""One server, one browser and one page for all tests in JupyterLab; each opens its own notebook."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browsers import opened_browser
from tests.lab.lab_page import LabPage, page_apart
from tests.lab.lab_server import EXTENSION, start_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.lab.lab_server import LabServer

#: Where `screenshot` puts pictures that are to be looked at; nowhere when it is not set.
_PICTURES = os.environ.get("FLOWBOOK_SCREENSHOTS")


@pytest.fixture(scope="package")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A JupyterLab with flowbook's extension."""
    if not (EXTENSION / "package.json").exists():
        pytest.fail("the JupyterLab extension is not built: make extension")
    server = start_lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A browser; its tests are skipped where there is none."""
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="package")
def shared_page(lab_server: LabServer, browser: Browser) -> Iterator[LabPage]:
    """The page all tests share."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    shared = LabPage(context.new_page(), lab_server)
    shared.watch()
    shared.load()
    yield shared
    context.close()


@pytest.fixture
def lab(shared_page: LabPage) -> Iterator[LabPage]:
    """The shared page, light and without notebooks; at the end nothing asked another machine for anything."""
    shared_page.requests.clear()
    shared_page.complaints.clear()
    yield shared_page
    shared_page.close_all()
    assert shared_page.foreign_requests == []


@pytest.fixture
def own_page(lab_server: LabServer, browser: Browser) -> Iterator[LabPage]:
    """A page of the test's own, on the same server: another tab, or one that may be loaded again."""
    with page_apart(browser, lab_server) as own:
        yield own


@pytest.fixture
def screenshot(lab: LabPage) -> Callable[..., Path | None]:
    """Keep a picture of the page, or of a part of it, where ``FLOWBOOK_SCREENSHOTS`` names a folder."""

    def take(name: str, selector: str | None = None) -> Path | None:
        if not _PICTURES:
            return None
        path = Path(_PICTURES) / f"{name}.png"
        target = lab.page.locator(selector).first if selector else lab.page
        target.screenshot(path=path)
        return path

    return take
