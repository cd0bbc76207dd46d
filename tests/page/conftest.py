"""The canvas on a page of its own, with a kernel that lives in the page: every gesture, and nothing else that moves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowbook.canvas.protocol import fit_canvas
from tests.browsers import opened_browser
from tests.canvas.samples import flights, gallery, random_flow
from tests.house.source_tree import ROOT
from tests.page.canvas_page import CanvasPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

#: Where `screenshot` puts pictures that are to be looked at; nowhere when it is not set.
_PICTURES = os.environ.get("FLOWBOOK_SCREENSHOTS")

_THEMES = {
    "light": ("theme-light-extension", "JupyterLab Light"),
    "dark": ("theme-dark-extension", "JupyterLab Dark"),
    "contrast": ("theme-dark-high-contrast-extension", "JupyterLab Dark High Contrast"),
}


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page in every theme of JupyterLab."""
    esbuild = ROOT / "js" / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists():
        pytest.fail("esbuild is not installed: make extension")
    folder = tmp_path_factory.mktemp("page")
    command: list[str | Path] = [
        *(esbuild, "tests/page/page.tsx", "--bundle", f"--outdir={folder}", "--jsx=automatic"),
        *('--define:process.env.NODE_ENV="production"', "--log-level=error"),
    ]
    subprocess.run(command, cwd=ROOT / "js", check=True)
    samples = {"running": flights(), "gallery": gallery(), "many": fit_canvas(random_flow(1000))}
    (folder / "samples.js").write_text(f"window.samples = {json.dumps(samples)}", encoding="utf-8")
    for theme, (extension, name) in _THEMES.items():
        style = Path(sys.prefix) / "share/jupyter/lab/themes/@jupyterlab" / extension / "index.css"
        (folder / f"{theme}.css").write_text(style.read_text(encoding="utf-8"), encoding="utf-8")
        (folder / f"{theme}.html").write_text(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Canvas</title>'
            f'<link rel="stylesheet" href="{theme}.css"><link rel="stylesheet" href="page.css">'
            f'<body data-jp-theme-light="{str(theme == "light").lower()}" data-jp-theme-name="{name}"'
            ' style="background: var(--jp-layout-color0); margin: 16px; width: 1150px">'
            '<main><h1 style="display: none">Canvas</h1><div id="canvas" style="height: 460px"></div>'
            '<button id="after">after</button></main><script src="samples.js"></script><script src="page.js"></script>',
            encoding="utf-8",
        )
    return folder


@pytest.fixture(scope="package")
def page_browser() -> Iterator[Browser]:
    """A browser; its tests are skipped where there is none."""
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def open_canvas(page_browser: Browser, page_folder: Path) -> Iterator[Callable[..., CanvasPage]]:
    """Open the page; at the end nothing went wrong in it."""
    context = page_browser.new_context(viewport={"width": 1190, "height": 560}, reduced_motion="reduce")
    faults: list[str] = []

    def open_page(theme: str = "light", **query: str) -> CanvasPage:
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        written = "&".join(f"{key}={value}" for key, value in query.items())
        page.goto(f"{(page_folder / theme).with_suffix('.html').as_uri()}?{written}")
        page.wait_for_selector(".fb-empty" if query.get("bundle") == "empty" else ".fb-card")
        return CanvasPage(page)

    yield open_page
    context.close()
    assert faults == []


@pytest.fixture
def canvas(open_canvas: Callable[..., CanvasPage]) -> CanvasPage:
    """A live flow in the light theme."""
    return open_canvas()


@pytest.fixture
def screenshot() -> Callable[[CanvasPage, str], None]:
    """Keep a picture of the page where ``FLOWBOOK_SCREENSHOTS`` names a folder."""

    def take(canvas: CanvasPage, name: str) -> None:
        if _PICTURES:
            canvas.page.screenshot(path=Path(_PICTURES) / f"{name}.png")

    return take
