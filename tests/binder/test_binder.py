"""What Binder makes of ``binder/``: the recipe it writes, and the environment that comes of it.

Building takes minutes, as on Binder; ``make soak`` does it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from flowbook.canvas.protocol import CANVAS_MIME
from tests.browsers import opened_browser
from tests.house.source_tree import ROOT, tracked_files

if TYPE_CHECKING:
    from collections.abc import Iterator

BINDER = ROOT / "binder"
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb") if ".out." not in path.name)


def start_notebook() -> Path:
    """What the badge in the README opens, from the root of the repository."""
    (link,) = re.findall(r"\]\((https://mybinder\.org/v2/\S+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    found = re.fullmatch(r"urlpath=lab/tree/(\S+\.ipynb)", unquote(urlsplit(link).query))
    assert found, link
    return Path(found[1])


def test_the_badge_opens_a_notebook_whose_canvas_is_painted() -> None:
    notebook = nbformat.read(ROOT / start_notebook(), as_version=4)
    painted = [
        output.data[CANVAS_MIME] for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output
        if CANVAS_MIME in output.data
    ]  # fmt: skip
    assert painted
    assert {node["status"] for node in painted[0]["nodes"]} == {"ok"}


def test_binder_gets_python_3_11_and_a_jupyterlab_that_knows_the_extension() -> None:
    assert (BINDER / "runtime.txt").read_text(encoding="utf-8") == "python-3.11\n"
    lock = (BINDER / "requirements.txt").read_text(encoding="utf-8")
    (version,) = re.findall(r"^jupyterlab==(\S+)", lock, re.MULTILINE)
    assert (4, 6, 4) <= tuple(int(part) for part in version.split(".")) < (5,)


def test_the_script_that_follows_can_be_run() -> None:
    script = BINDER / "postBuild"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.soak  # installs repo2docker
def test_repo2docker_renders_the_recipe(tmp_path: Path) -> None:
    python = new_environment(tmp_path / "venv")
    run(python, "-m", "pip", "install", "--quiet", "jupyter-repo2docker")
    rendered = run(tmp_path / "venv/bin/jupyter-repo2docker", "--no-build", "--debug", ".", folder=ROOT)
    assert "environment.py-3.11" in rendered.replace("-2e", ".").replace("-2d", "-")
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in rendered
    assert "RUN ./binder/postBuild" in rendered


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which Binder's steps were taken, with ``.venv`` in the place of its environment."""
    faulthandler.cancel_dump_traceback_later()  # how long this takes is up to the package index
    clone = tmp_path_factory.mktemp("binder") / "repository"
    for path in tracked_files(ROOT):
        target = clone / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    python = new_environment(clone / ".venv")
    run(python, "-m", "pip", "install", "--quiet", "-r", "binder/requirements.txt", folder=clone)
    run("./binder/postBuild", folder=clone, first_in_path=python.parent)
    return clone


@pytest.mark.soak  # builds an environment
def test_binders_environment_has_the_extension_and_nothing_that_only_the_build_needed(repository: Path) -> None:
    listed = run(repository / ".venv/bin/jupyter", "labextension", "list", folder=repository)
    assert re.search(r"flowbook v\S+ \S*enabled\S* \S*OK", listed)
    assert not (repository / "js" / "node_modules").exists()


@pytest.mark.soak  # builds an environment
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_binders_environment_runs_the_notebooks(repository: Path, notebook: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    program = repository / ".venv/bin/flowbook"
    run(program, "run", f"notebooks/{notebook}", "-o", tmp_path / "out.ipynb", "--json", report, folder=repository)
    assert json.loads(report.read_text(encoding="utf-8"))["status"] == "ok"


@pytest.mark.soak  # builds an environment
def test_binder_opens_a_painted_canvas_and_asks_for_no_news(repository: Path, tmp_path: Path) -> None:
    asked: list[str] = []
    with serving(repository, tmp_path) as url, opened_browser() as browser:
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{url}lab/tree/{start_notebook()}")
        page.locator(".fb-canvas .fb-card").first.wait_for(timeout=60_000)
        page.locator(".jp-NotebookPanel [data-status=idle]").first.wait_for(timeout=60_000)
        assert page.locator(".fb-canvas .fb-summary").first.inner_text().startswith("recorded")
        assert page.locator(".Toastify__toast").count() == 0
    assert [each for each in asked if urlsplit(each).scheme in ("http", "https") and not each.startswith(url)] == []


@contextlib.contextmanager
def serving(repository: Path, folder: Path) -> Iterator[str]:
    """Serve the repository with its own JupyterLab, as Binder starts it; yield the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "HOME")
    env = {**os.environ, **{name: str(folder / name.lower()) for name in own}}
    command = [
        str(repository / ".venv/bin/jupyter-lab"), "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--ServerApp.port={port}", "--IdentityProvider.token=",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}/"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=repository, env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not is_up(url):
            assert process.poll() is None, (folder / "server.log").read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.1)  # nothing tells that a server has begun to listen
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}api", timeout=5):  # noqa: S310 - our own server
            return True
    except (URLError, ConnectionError, TimeoutError):
        return False


def new_environment(folder: Path) -> Path:
    """Make a virtual environment; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


def run(*command: str | Path, folder: Path | None = None, first_in_path: Path | None = None) -> str:
    """Run a command and return all it says; fail with that when it fails."""
    path = os.pathsep.join([*([str(first_in_path)] if first_in_path else []), os.environ["PATH"]])
    env = {**os.environ, "PATH": path}
    done = subprocess.run(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))} returned {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout
