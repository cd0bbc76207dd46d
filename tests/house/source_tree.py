"""Where the repository is and what it holds, for the tests of its house rules."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "flowbook"


def modules(root: Path) -> Iterator[Path]:
    """Yield the Python files below ``root``, sorted."""
    yield from sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def module_name(path: Path, root: Path) -> str:
    """Turn ``flowbook/core/events.py`` below ``root`` into ``flowbook.core.events``."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_node_folder(folder: Path) -> bool:
    """Tell whether a folder holds one node type, which is introduced by its ``schema.json`` and is no package."""
    return (folder / "schema.json").is_file()


def rooms(package: Path) -> Iterator[Path]:
    """Yield the folders of ``package`` that hold Python, ``package`` itself included, node types left out."""
    yield from sorted({path.parent for path in modules(package) if not is_node_folder(path.parent)})


def node_logic(package: Path) -> list[Path]:
    """List the ``logic.py`` of every node type in ``package``."""
    return sorted(path for path in modules(package) if is_node_folder(path.parent))


def project() -> dict[str, Any]:
    """Read the ``[project]`` table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def distribution(requirement: str) -> str:
    """Turn ``"jupyter_client>=8.6"`` into ``"jupyter-client"``, the spelling that locks use."""
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-")


def distributions(requirements: Iterable[str]) -> set[str]:
    """Name the packages that requirements ask for, the project's own extras left out."""
    return {distribution(requirement) for requirement in requirements} - {"flowbook"}


def tracked_files(root: Path) -> list[Path]:
    """List the files that git keeps or would keep; all files when there is no git, as in a source archive."""
    asked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if asked.returncode:
        return sorted(path for path in root.rglob("*") if path.is_file() and ".venv" not in path.parts)
    names = asked.stdout.decode().split("\0")
    return sorted(path for path in (root / name for name in names if name) if path.is_file())


def text_of(path: Path) -> str | None:
    """Read a text file; None for a binary one."""
    content = path.read_bytes()
    return None if b"\0" in content[:8192] else content.decode("utf-8", errors="replace")
