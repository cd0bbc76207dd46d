"""``flowbook doctor``: is everything here that flowbook needs, and does a kernel start?

What is needed, and from which version on, is what the installed package itself declares; nothing is said twice. Then a
real kernel is started the way ``flowbook run`` starts one, and flowbook is loaded in it.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal, TextIO

from flowbook.headless.report import Report
from flowbook.headless.wording import duration_text, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.requirements import Requirement

PACKAGE = "flowbook"
#: What people ask about first; the other requirements are named only when something is wrong with them.
_SHOWN = ("polars", "numpy", "jupyterlab", "ipykernel", "ipywidgets", "ipyreact", "nbclient")
#: Extras for those who develop flowbook itself.
_OWN_EXTRAS = frozenset({"dev"})
_KERNEL_TIMEOUT_S = 60.0
_KERNEL_SOURCE = "%load_ext flowbook\nimport flowbook; print(flowbook.__version__)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the examination.

    Attributes:
        name: what was looked at.
        state: ``"ok"``, ``"missing"`` (makes the exit code 1) or ``"optional"`` (does not).
        text: version, figure or what is wrong.
        hint: what to type, or empty.
    """

    name: str
    state: Literal["ok", "missing", "optional"]
    text: str
    hint: str = ""


def examine(out: TextIO | None = None) -> int:
    """Print what is here and what is not.

    Returns:
        0, or 1 when something that flowbook needs is missing, too old or does not work.
    """
    out = out or sys.stdout
    has_trouble = False
    for finding in _examination():
        sign = {"ok": "✓", "missing": "✕", "optional": "·"}[finding.state]
        print(f"{sign} {finding.name.ljust(12)}  {finding.text}", file=out, flush=True)
        if finding.hint:
            print(f"  hint  {finding.hint}", file=out)
        has_trouble |= finding.state == "missing"
    return 1 if has_trouble else 0


def _examination() -> Iterator[Finding]:
    yield Finding(name="python", state="ok", text=f"{platform.python_version()}, {platform.system()}")
    yield Finding(name="machine", state="ok", text=machine_text())
    yield from _packages()
    yield kernel_finding()


def machine_text() -> str:
    """Say how many cores and how much memory this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = _memory_bytes()
    text = f"{cores} core" if cores == 1 else f"{cores} cores"
    return f"{text}, {memory / 2**30:.1f} GiB of memory" if memory else text


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


# -- packages


def _packages() -> Iterator[Finding]:
    try:
        version = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        hint = "pip install flowbook, or pip install --editable . in its folder"
        yield Finding(name=PACKAGE, state="missing", text="is not installed; it runs from its source", hint=hint)
        return
    yield Finding(name=PACKAGE, state="ok", text=version)
    needed, extras = _declared()
    for requirement in sorted(needed, key=_rank):
        finding = requirement_finding(requirement)
        if finding.state != "ok" or requirement.name in _SHOWN:
            yield finding
    for extra, requirements in extras.items():
        absent = [item.name for item in requirements if requirement_finding(item).state != "ok"]
        text = f"optional, without {', '.join(absent)}" if absent else "optional, installed"
        hint = f"pip install '{PACKAGE}[{extra}]'" if absent else ""
        yield Finding(name=extra, state="optional" if absent else "ok", text=text, hint=hint)


def requirement_finding(requirement: Requirement) -> Finding:
    """Compare one requirement with what is installed."""
    hint = f"pip install --upgrade '{requirement.name}{requirement.specifier}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding(name=requirement.name, state="missing", text="is not installed", hint=hint)
    if not requirement.specifier.contains(version, prereleases=True):
        text = f"{version}, but flowbook needs {requirement.specifier}"
        return Finding(name=requirement.name, state="missing", text=text, hint=hint)
    return Finding(name=requirement.name, state="ok", text=version)


def _declared() -> tuple[list[Requirement], dict[str, list[Requirement]]]:
    """Read the requirements of the installed package: those of everybody, and those of each extra."""
    from packaging.requirements import Requirement

    needed: list[Requirement] = []
    names = metadata.metadata(PACKAGE).get_all("Provides-Extra") or []
    extras: dict[str, list[Requirement]] = {name: [] for name in sorted(names) if name not in _OWN_EXTRAS}
    for line in metadata.requires(PACKAGE) or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed.append(requirement)
            continue
        for extra, requirements in extras.items():
            if requirement.marker.evaluate({"extra": extra}):
                requirements.append(requirement)
    return needed, extras


def _rank(requirement: Requirement) -> tuple[int, str]:
    shown = _SHOWN.index(requirement.name) if requirement.name in _SHOWN else len(_SHOWN)
    return shown, requirement.name


# -- the kernel


def kernel_finding(source: str = _KERNEL_SOURCE) -> Finding:
    """Start a kernel, run ``source`` in it and say how that went."""
    import asyncio
    from io import StringIO
    from pathlib import Path
    from tempfile import TemporaryDirectory
    from time import monotonic

    from flowbook.headless.interruption import Interruption
    from flowbook.headless.sources import without_slow_grammars

    with without_slow_grammars():
        from nbformat.v4 import new_code_cell, new_notebook

    from flowbook.headless.execute import FlowNotebookClient
    from flowbook.headless.outcome import Ending

    started_at = monotonic()
    notebook = new_notebook(cells=[new_code_cell(source)])
    with Interruption() as interruption, TemporaryDirectory() as folder:
        client = FlowNotebookClient(
            notebook, folder=Path(folder), numbers={0: 1}, observer=Report(StringIO(), cell_count=1)
        )
        execution = asyncio.run(client.run(interruption, _KERNEL_TIMEOUT_S))
    took = duration_text(monotonic() - started_at)
    if interruption:
        raise KeyboardInterrupt
    if execution.ending is not Ending.DONE:
        ended = execution.ending.name.lower().replace("_", " ")
        hint = f"{sys.executable} -m ipykernel_launcher --version"
        return Finding(name="kernel", state="missing", text=f"does not work: {ended} after {took}", hint=hint)
    if execution.failures:
        text = f"starts, but %load_ext flowbook fails: {plain(execution.failures[0].error)}"
        return Finding(name="kernel", state="missing", text=text, hint="pip install --force-reinstall flowbook")
    return Finding(name="kernel", state="ok", text=f"starts and loads flowbook in {took}")
