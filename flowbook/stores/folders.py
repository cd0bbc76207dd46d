"""Where a machine keeps what lasts: a variable of the environment first, else where the system wants it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of what can be computed again: ``$FLOWBOOK_CACHE``, else the system's caches."""
    given = os.environ.get("FLOWBOOK_CACHE")
    if given:
        return Path(given).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "flowbook"
    if sys.platform == "win32":
        return _windows() / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flowbook"


def state_folder() -> Path:
    """Return the folder of what must not be lost: ``$FLOWBOOK_STATE``, else the system's place for state."""
    given = os.environ.get("FLOWBOOK_STATE")
    if given:
        return Path(given).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "flowbook"
    if sys.platform == "win32":
        return _windows() / "State"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "flowbook"


def _windows() -> Path:
    return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "flowbook"
