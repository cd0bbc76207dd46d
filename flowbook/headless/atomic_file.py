"""A file is the old one or the new one, never half of either.

The new text goes into a temporary file in the same folder (the same file system, so that the last step is a rename)
and takes the old one's place by ``os.replace``. Whether that will work is asked before anything runs: nobody should
wait an hour for a notebook and then learn that its folder does not exist.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from flowbook.errors import HeadlessError

UNWRITABLE = "FB702"


def check_writable(path: Path, option: str) -> None:
    """Raise if `write_atomically` could not write ``path``.

    Args:
        path: file to be written later; it need not exist.
        option: how the caller named it (``"-o"``), for the error.

    Raises:
        HeadlessError: the folder is missing, the file is a folder or read-only, or nothing can be created there.
    """
    target = _real(path)
    folder = target.parent
    if not folder.is_dir():
        raise _unwritable(path, option, "its folder does not exist", f"mkdir -p {path.parent}")
    if target.is_dir():
        raise _unwritable(path, option, "it is a folder", f"name a file in it: {option} {path / 'out.ipynb'}")
    if target.exists() and not os.access(target, os.W_OK):
        raise _unwritable(path, option, "it is read-only", f"chmod u+w {path}, or write elsewhere with {option}")
    probe = _temporary(target)
    try:
        os.close(_create(probe))
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise _unwritable(path, option, reason, f"write elsewhere with {option}") from error


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path``: whole, or not at all.

    A file that was there keeps its permissions; a symbolic link is followed, not replaced.

    Raises:
        HeadlessError: the system refused (disk full, permissions); what was there before is untouched.
    """
    target = _real(path)
    temporary = _temporary(target)
    try:
        descriptor = _create(temporary)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        what = f"{path} cannot be written: {(error.strerror or type(error).__name__).lower()}"
        raise HeadlessError(what, code=UNWRITABLE, hint="what was there before is unchanged", path=path.name) from error


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")


def _create(path: Path) -> int:
    """Create the file with the permissions the user's umask asks for (``tempfile`` would make it private)."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)


def _unwritable(path: Path, option: str, reason: str, hint: str) -> HeadlessError:
    return HeadlessError(
        f"{path} cannot be written: {reason}", code=UNWRITABLE, where=option, hint=hint, path=path.name, reason=reason
    )
