"""A file is the old one or the new one, never half of either.

The new content goes into a temporary file in the same folder (the same file system, so that the last step is a rename)
and takes the old one's place by ``os.replace``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``: whole, or not at all.

    A file that was there keeps its permissions; a symbolic link is followed, not replaced.

    Raises:
        OSError: the system refused (disk full, permissions); what was there before is untouched.
    """
    target = real_path(path)
    temporary = temporary_beside(target)
    try:
        with os.fdopen(create(temporary), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def real_path(path: Path) -> Path:
    """Follow symbolic links."""
    return Path(os.path.realpath(path))


def temporary_beside(target: Path) -> Path:
    """Name a file of the same folder that nobody else uses."""
    return target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")


def create(path: Path) -> int:
    """Create the file with the permissions the user's umask asks for (``tempfile`` would make it private)."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
