"""A JupyterLab of its own: nothing of the user's settings, nothing of other Jupyters, this repository's extension."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

from tests.house.source_tree import PACKAGE, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

EXTENSION = PACKAGE / "labextension"
#: The name of a kernel of this environment that runs on the oldest ipykernel that is supported.
OLDER_KERNEL = "ipykernel-7.3"
#: Where that ipykernel is; nothing but its kernel sees it.
OLDER_FOLDER = Path(sys.prefix) / "share" / "flowbook-tests" / OLDER_KERNEL
_START_LIMIT_S = 60.0


@dataclass(frozen=True)
class LabServer:
    """A running server.

    Attributes:
        url: where it answers, ending in a slash.
        root: the folder its notebooks are in.
    """

    url: str
    root: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the server and the kernels it started."""
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_lab(folder: Path, *, disabled: Iterable[str] = ()) -> LabServer:
    """Start a JupyterLab that keeps everything in a folder.

    Args:
        folder: empty; gets ``notebooks``, settings, logs and runtime files.
        disabled: extensions that are as if they were not installed.
    """
    root, extensions = folder / "notebooks", folder / "extensions"
    for path in (root, extensions):
        path.mkdir(parents=True)
    (extensions / "flowbook").symlink_to(EXTENSION, target_is_directory=True)
    page_config = folder / "jupyter_config_dir" / "labconfig" / "page_config.json"
    page_config.parent.mkdir(parents=True)
    page_config.write_text(json.dumps({"disabledExtensions": dict.fromkeys(disabled, True)}), encoding="utf-8")
    _quieten(folder / "jupyterlab_settings_dir")
    _offer_older_kernel(folder / "jupyter_data_dir")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    own |= {name: str(folder / name.lower()) for name in ("JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR")}
    own |= {"JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}",
        "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.expose_app_in_browser=True",
        f"--LabApp.extra_labextensions_path={extensions}",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        f"--JupyterNotebookApp.extra_labextensions_path={extensions}",
    ]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=root, env={**os.environ, **own}, stdout=log, stderr=log)
    server = LabServer(f"http://127.0.0.1:{port}/", root, process)
    try:
        _wait_until_up(server, folder / "server.log")
    except BaseException:
        server.stop()
        raise
    return server


def _offer_older_kernel(data: Path) -> None:
    """List the oldest kernel that is supported: this environment, with another ipykernel before its own."""
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": OLDER_KERNEL,
        "language": "python",
        "env": {"PYTHONPATH": os.pathsep.join((str(OLDER_FOLDER), str(ROOT)))},
    }
    file = data / "kernels" / OLDER_KERNEL / "kernel.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(spec), encoding="utf-8")


def install_older_kernel() -> None:
    """Fetch the oldest kernel that is supported from the package index, once for this environment."""
    if (OLDER_FOLDER / "ipykernel").exists():
        return
    wanted = ["--require-hashes", "--requirement", str(ROOT / "tests" / "lab" / "older_kernel.txt")]
    where = ["--target", str(OLDER_FOLDER.with_suffix(".part"))]
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    subprocess.run([*pip, *wanted, *where], check=True, capture_output=True)
    OLDER_FOLDER.with_suffix(".part").rename(OLDER_FOLDER)


def _quieten(settings: Path) -> None:
    """Answer what JupyterLab would ask at its first start."""
    file = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    file.parent.mkdir(parents=True)
    file.write_text('{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8")


def _wait_until_up(server: LabServer, log: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}api", timeout=5):  # noqa: S310 - our own server
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)  # nothing tells that a server has begun to listen
    message = f"JupyterLab did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}"
    raise RuntimeError(message)
