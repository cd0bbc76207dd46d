"""Files that a command writes: whether that will work is asked before anything runs.

Nobody should wait an hour for a notebook and then learn that its folder does not exist.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flowbook.core.atomic_file import create, real_path, replace_file, temporary_beside
from flowbook.errors import HeadlessError

if TYPE_CHECKING:
    from pathlib import Path

UNWRITABLE = "FB702"


def check_writable(path: Path, option: str) -> None:
    """Raise if `write_atomically` could not write ``path``.

    Args:
        path: file to be written later; it need not exist.
        option: how the caller named it (``"-o"``), for the error.

    Raises:
        HeadlessError: the folder is missing, the file is a folder or read-only, or nothing can be created there.
    """
    target = real_path(path)
    folder = target.parent
    if not folder.is_dir():
        raise _unwritable(path, option, "its folder does not exist", f"mkdir -p {path.parent}")
    if target.is_dir():
        raise _unwritable(path, option, "it is a folder", f"name a file in it: {option} {path / 'out.ipynb'}")
    if target.exists() and not os.access(target, os.W_OK):
        raise _unwritable(path, option, "it is read-only", f"chmod u+w {path}, or write elsewhere with {option}")
    probe = temporary_beside(target)
    try:
        os.close(create(probe))
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise _unwritable(path, option, reason, f"write elsewhere with {option}") from error


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path``: whole, or not at all (``core.atomic_file``).

    Raises:
        HeadlessError: the system refused (disk full, permissions); what was there before is untouched.
    """
    try:
        replace_file(path, text.encode())
    except OSError as error:
        what = f"{path} cannot be written: {(error.strerror or type(error).__name__).lower()}"
        raise HeadlessError(what, code=UNWRITABLE, hint="what was there before is unchanged", path=path.name) from error


def _unwritable(path: Path, option: str, reason: str, hint: str) -> HeadlessError:
    return HeadlessError(
        f"{path} cannot be written: {reason}", code=UNWRITABLE, where=option, hint=hint, path=path.name, reason=reason
    )
