"""How much memory this machine has, or the container that this process runs in."""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path("/")
_UNKNOWN_BYTES: Final = 4 * 1024**3


@functools.lru_cache(maxsize=8)  # it is asked for with every call
def memory_bytes(root: Path = _ROOT) -> int:
    """Say how much memory there is: what the machine has, or what a control group above this process allows.

    Args:
        root: of the file system that ``/proc`` and ``/sys`` stand in.

    Returns:
        Bytes; 4 GiB where nobody knows.
    """
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if hasattr(os, "sysconf") else []
    for file in _limit_files(root):
        with contextlib.suppress(OSError, ValueError):  # it is not there, or says "max"
            limits.append(int(file.read_text(encoding="ascii")))
    return min((limit for limit in limits if limit > 0), default=_UNKNOWN_BYTES)


def _limit_files(root: Path) -> Iterator[Path]:
    """List the files that may hold a limit: of this process's groups and of those above them, version 2 and 1."""
    mount = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in ["0::/", "0:memory:/", *lines]:  # inside a container the group's own path may not be there
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            base, name = mount, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = Path(path.lstrip("/"))
        for level in (group, *group.parents):
            yield base / level / name
