"""What a release, a clone and a stranger's machine rely on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

import flowbook
from tests.house.source_tree import PACKAGE, ROOT, distributions, project, text_of, tracked_files

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = [path for path in tracked_files(ROOT) if path.name.endswith(("requirements.txt", ".lock", "-lock.json"))]

# Spelt in pieces, so that this file keeps its own rule.
DEVELOPERS_PATH = re.compile(r"(?<![\w./-])/(?:(?:home|Users)/[a-z]|root/|work" + r"/[a-z])")
REGISTRY = re.compile(
    r'^\s*(?:-i|--(?:extra-)?index-url|--find-links)\b|\bgit\+|@ *https?:|"resolved"|^\S*https?://', re.MULTILINE
)


def declared_version() -> str:
    """Read the version out of pyproject.toml."""
    return str(project()["version"])


def changelog_fault(changelog: str, version: str) -> str | None:
    """Say why a changelog does not fit ``version``, or None: changes are unreleased, or the newest release is it."""
    headings = re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)
    if not headings:
        return "no release and nothing unreleased"
    releases = [heading for heading in headings if heading != "Unreleased"]
    return None if not releases or releases[0] == version else f"newest release {releases[0]}, version {version}"


def test_the_version_is_the_same_everywhere() -> None:
    """pyproject.toml, ``flowbook.__version__``, the installed package and the changelog agree."""
    version = declared_version()
    assert flowbook.__version__ == version
    assert metadata.version("flowbook") == version
    assert changelog_fault((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version) is None


@pytest.mark.parametrize(
    ("changelog", "fault"),
    [
        ("# Changelog", "no release and nothing unreleased"),
        ("## [Unreleased]\n", None),
        ("## [Unreleased]\n## [0.2.0] - 2027-01-01\n## [0.1.0] - 2026-12-01", None),
        ("## [0.3.0] - 2027-01-01\n## [0.2.0] - 2026-12-01", "newest release 0.3.0, version 0.2.0"),
    ],
)
def test_a_changelog_that_lags_behind_is_found(changelog: str, fault: str | None) -> None:
    """The rule above is able to fail."""
    assert changelog_fault(changelog, "0.2.0") == fault


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_host(path: Path) -> None:
    """A lock says what, by hash; where from is the business of the machine."""
    assert REGISTRY.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https" + "://example.org/simple",
        "-i https" + "://example.org/simple",
        "polars @ https" + "://example.org/polars.whl",
        "https" + "://example.org/polars.whl",
        '  "resolved": "https' + '://example.org/react.tgz",',
        "git+ssh" + "://example.org/polars",
    ],
)
def test_a_host_in_a_lock_is_found(line: str) -> None:
    """The rule above is able to fail."""
    assert REGISTRY.search(f"numpy==2.0.0 \\\n    --hash=sha256:00\n{line}\n")


def test_every_locked_package_has_its_hashes() -> None:
    """A list with hashes for some packages only is refused by pip, but late."""
    lock = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert len(entries) > 50
    assert [
        entry for entry in entries if not re.match(r"[\w.-]+==\S+.*--hash=sha256:[0-9a-f]{64}", entry, re.DOTALL)
    ] == []


def test_the_lock_holds_what_the_package_asks_for() -> None:
    """Whoever adds a dependency refreshes the lock (``make lock``)."""
    extras = project()["optional-dependencies"]
    names = distributions([*project()["dependencies"], *extras["charts"], *extras["dev"]])
    lock = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8")
    assert names - set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)) == set()


def test_no_file_knows_a_developers_machine() -> None:
    """A path that exists on one machine only is a promise to nobody."""
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in tracked_files(ROOT)
        if (text := text_of(path)) is not None and (match := DEVELOPERS_PATH.search(text))
    }
    assert found == {}


@pytest.mark.parametrize("folder", ["home/ann", "Users/ann", "root/", "work/main"])
def test_a_developers_path_is_found(folder: str) -> None:
    """The rule above is able to fail."""
    assert DEVELOPERS_PATH.search(f'data = "/{folder}/flights.csv"')
    assert not DEVELOPERS_PATH.search(f"https://example.org/{folder}/flights.csv")


def test_the_wheel_carries_types_declarations_and_the_extension_and_nothing_else(tmp_path: Path) -> None:
    """``py.typed`` and JSON beside the logic are installed, the extension where JupyterLab looks; tests are not."""
    shutil.copytree(PACKAGE, tmp_path / "flowbook", ignore=shutil.ignore_patterns("__pycache__", "labextension"))
    for name in ("pyproject.toml", "LICENSE", "README.md", ".gitignore", "js/install.json", "js/hatch_build.py"):
        if (ROOT / name).exists():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    planted = {"flowbook/planted/schema.json": "{}", "tests/test_planted.py": "", "notebooks/planted.ipynb": "{}"}
    planted |= {"flowbook/labextension/package.json": "{}", "js/src/planted.ts": ""}
    planted |= {"flowbook/canvas/static/planted.js": ""}
    for name, content in planted.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    env = {**os.environ, "HATCH_JUPYTER_BUILDER_SKIP_NPM": "1"}
    subprocess.run(build, cwd=tmp_path, env=env, capture_output=True, check=True, timeout=120)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    extension = f"flowbook-{declared_version()}.data/data/share/jupyter/labextensions/flowbook"
    assert {"flowbook/py.typed", "flowbook/errors.py", "flowbook/planted/schema.json"} <= set(names)
    assert "flowbook/canvas/static/planted.js" in names, "the canvas as a widget, though git does not know it"
    assert {f"flowbook/nodes/table/filter/{name}" for name in ("schema.json", "logic.py")} <= set(names)
    assert {name for name in names if ".data/" in name} == {f"{extension}/package.json", f"{extension}/install.json"}
    tops = {f"flowbook-{declared_version()}.{part}" for part in ("dist-info", "data")}
    assert {name.split("/")[0] for name in names} == {"flowbook", *tops}
    assert not [name for name in names if name.startswith("flowbook/labextension")]


def test_the_browser_side_has_the_same_version() -> None:
    """JupyterLab shows the version of package.json."""
    package = json.loads((ROOT / "js" / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == declared_version()
