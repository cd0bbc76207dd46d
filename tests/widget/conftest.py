"""A JupyterLab without flowbook's extension, and one page in it that the tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbook.canvas.widget import MODULE_FILE
from tests.browsers import opened_browser
from tests.lab.lab_page import LabPage
from tests.lab.lab_server import start_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ViewportSize

    from tests.lab.lab_server import LabServer

VIEWPORT: ViewportSize = {"width": 1400, "height": 1100}


@pytest.fixture(scope="package")
def widget_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """JupyterLab with ipywidgets and ipyreact, as any other front end of theirs."""
    if not MODULE_FILE.exists():
        pytest.fail("the browser side is not built: make extension")
    server = start_lab(tmp_path_factory.mktemp("widget"), disabled=["flowbook"])
    yield server
    server.stop()


@pytest.fixture(scope="package")
def widget_browser() -> Iterator[Browser]:
    """A browser."""
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="package")
def widget_page(widget_server: LabServer, widget_browser: Browser) -> Iterator[LabPage]:
    """The page all tests share."""
    context = widget_browser.new_context(viewport=VIEWPORT)
    shared = LabPage(context.new_page(), widget_server)
    shared.watch()
    shared.load()
    yield shared
    context.close()


@pytest.fixture
def lab(widget_page: LabPage) -> Iterator[LabPage]:
    """The shared page without notebooks; at the end nothing asked another machine for anything."""
    widget_page.requests.clear()
    widget_page.complaints.clear()
    yield widget_page
    widget_page.close_all()
    assert widget_page.foreign_requests == []


@pytest.fixture
def own_page(widget_server: LabServer, widget_browser: Browser) -> Iterator[LabPage]:
    """A page that may be loaded again."""
    context = widget_browser.new_context(viewport=VIEWPORT)
    own = LabPage(context.new_page(), widget_server)
    own.watch()
    own.load()
    yield own
    own.close_all()
    context.close()
    assert own.foreign_requests == []
