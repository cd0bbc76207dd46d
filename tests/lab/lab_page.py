"""One JupyterLab page as a person uses it: open a notebook, run cells, look, change the theme."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nbformat

from tests.lab.lab_server import OLDER_KERNEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from nbformat import NotebookNode
    from playwright.sync_api import Browser, Locator, Page

    from tests.lab.lab_server import LabServer

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark", "contrast": "JupyterLab Dark High Contrast"}

#: The widget manager looks for the widgets of every kernel, on a subshell it asks for; some kernels end before that.
_OF_JUPYTERLAB = ("@jupyter-widgets/jupyterlab-manager", "Canceled future for create_subshell_request")

#: How long anything that the page does may take, in seconds; the browser itself would wait for ever.
_LIMIT_S = 120.0
#: How long a new kernel may take to answer, in seconds, when it may be replaced.
_ANSWER_LIMIT_S = 15.0

_numbers = itertools.count(1)

_OPEN = """
async ({path, starts}) => {
  const app = window.jupyterapp;
  const panel = await app.commands.execute('docmanager:open', {
    path, factory: 'Notebook', kernelPreference: starts ? undefined : {shouldStart: false, canStart: false},
  });
  await panel.context.ready;
  await panel.revealed;
  if (starts) await panel.sessionContext.ready;
  app.shell.activateById(panel.id);
}
"""
_PANEL = "[...window.jupyterapp.shell.widgets('main')].find(w => w.context?.path === path)"
_ANSWERS = f"""
async ({{path}}) => {{
  const {{kernel}} = {_PANEL}.sessionContext.session;
  await kernel.info;
  await kernel.requestExecute({{code: '', silent: true, store_history: false}}).done;
}}
"""
_REPLACE_KERNEL = f"""
async ({{path}}) => {{
  const context = {_PANEL}.sessionContext;
  await context.changeKernel({{name: context.session.kernel.name}});
}}
"""
_RUN = f"""
async ({{path, indices}}) => {{
  const panel = {_PANEL};
  for (const index of indices ?? panel.content.widgets.keys()) {{
    panel.content.activeCellIndex = index;
    panel.content.deselectAll();
    await window.jupyterapp.commands.execute('notebook:run-cell');
  }}
}}
"""
_CLOSE = f"""
async ({{path}}) => {{
  const panel = {_PANEL};
  await panel?.sessionContext.shutdown();
  panel?.dispose();
}}
"""


def _within(function: str, limit_s: float = _LIMIT_S) -> str:
    """The same function of the page, which fails when nothing came of it for too long."""
    return f"""
    (argument) => Promise.race([
      ({function})(argument),
      new Promise((_, fail) => {{
        setTimeout(() => fail(new Error('nothing came of it in {limit_s} s')), {limit_s * 1000});
      }}),
    ])"""


@dataclass
class OpenNotebook:
    """A notebook that is open in the page."""

    page: Page
    file: Path

    @property
    def path(self) -> str:
        """Its path as the server knows it."""
        return self.file.name

    def cell(self, index: int) -> Locator:
        """The cell at an index, from 0."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell").nth(index)

    def run(self, *indices: int) -> None:
        """Run cells, or all of them, one after another."""
        self.page.evaluate(_within(_RUN), {"path": self.path, "indices": list(indices) or None})

    def evaluate(self, body: str, argument: Any = None) -> Any:
        """Call ``async (panel, app, argument) => …`` in the page."""
        script = f"""
        async ({{path, argument}}) => {{
          const panel = {_PANEL};
          return await ({body})(panel, window.jupyterapp, argument);
        }}"""
        return self.page.evaluate(_within(script), {"path": self.path, "argument": argument})

    def save(self) -> NotebookNode:
        """Save the notebook, and read what is in the file now."""
        self.evaluate("async (panel) => { await panel.context.save(); }")
        return self.saved()

    def saved(self) -> NotebookNode:
        """Read the file as it is."""
        notebook: NotebookNode = nbformat.read(self.file, as_version=4)
        return notebook

    @property
    def is_dirty(self) -> bool:
        """Whether there is something to save."""
        return bool(self.evaluate("async (panel) => panel.context.model.dirty"))

    def wait_for_kernel(self, starts: int = 1) -> None:
        """Wait until the kernel answers; one that does not is replaced while there are ``starts`` left.

        ipykernel 7.3 loses what it is asked first in about one start of fifteen, also without flowbook in the page: it
        says that it is idle, and never answers.
        """
        from playwright.sync_api import Error

        for left in reversed(range(starts)):
            try:
                self.page.evaluate(_within(_ANSWERS, _ANSWER_LIMIT_S if left else _LIMIT_S), {"path": self.path})
            except Error:
                if not left:
                    raise
                self.page.evaluate(_within(_REPLACE_KERNEL), {"path": self.path})
            else:
                return

    def close(self) -> None:
        """Close the notebook without saving it, and end its kernel."""
        self.page.evaluate(_within(_CLOSE), {"path": self.path})


@dataclass
class LabPage:
    """The one page all tests share; what it asked the network for and what it complained of is kept."""

    page: Page
    server: LabServer
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _opened: list[OpenNotebook] = field(default_factory=list)

    def watch(self) -> None:
        """Keep every request and every error of the page, and give it as much time as everything else."""
        self.page.set_default_timeout(_LIMIT_S * 1000)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))
        self.page.on("pageerror", lambda error: self.complaints.append(error.stack or str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)

    def load(self) -> None:
        """Load JupyterLab with an empty workspace."""
        self.page.goto(f"{self.server.url}lab?reset")
        self.page.wait_for_function("window.jupyterapp?.started && document.querySelector('#jp-main-dock-panel')")
        self.page.evaluate("window.jupyterapp.restored")

    def open(
        self, cells: Iterable[NotebookNode], *, starts_kernel: bool = True, kernel: str = "python3"
    ) -> OpenNotebook:
        """Write a notebook of some cells and open it."""
        notebook = nbformat.v4.new_notebook(cells=list(cells))
        notebook.metadata["language_info"] = {"name": "python"}
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
        file = self.server.root / f"test_{next(_numbers)}.ipynb"
        nbformat.write(notebook, file)
        return self.open_file(file, starts_kernel=starts_kernel, starts=5 if kernel == OLDER_KERNEL else 1)

    def open_file(self, file: Path, *, starts_kernel: bool = True, starts: int = 1) -> OpenNotebook:
        """Open a notebook that is there; a kernel that does not answer is replaced while there are ``starts`` left."""
        opened = OpenNotebook(self.page, file)
        self._opened.append(opened)
        self.page.evaluate(_within(_OPEN), {"path": opened.path, "starts": starts_kernel})
        if starts_kernel:
            opened.wait_for_kernel(starts)
        return opened

    def close_all(self) -> None:
        """Close what tests opened."""
        while self._opened:
            self._opened.pop().close()

    def theme(self, name: str) -> None:
        """Change to a theme, one of ``THEMES``."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", THEMES[name]
        )
        self.page.wait_for_function(
            "theme => document.body.dataset.jpThemeName === theme && !document.querySelector('#jupyterlab-splash')",
            arg=THEMES[name],
        )

    @property
    def own_complaints(self) -> list[str]:
        """What the page complained of, save for what JupyterLab's own parts say of kernels that are not there."""
        return [said for said in self.complaints if not any(theirs in said for theirs in _OF_JUPYTERLAB)]

    @property
    def foreign_requests(self) -> list[str]:
        """What the page asked of anybody but its own server."""
        own = urlsplit(self.server.url).netloc
        return [url for url in self.requests if urlsplit(url).netloc != own and not url.startswith(("blob:", "data:"))]


@contextmanager
def page_apart(browser: Browser, server: LabServer) -> Iterator[LabPage]:
    """A page that shares nothing with others but the server; it asks nobody else for anything."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = LabPage(context.new_page(), server)
    page.watch()
    page.load()
    yield page
    page.close_all()
    context.close()
    assert page.foreign_requests == []
