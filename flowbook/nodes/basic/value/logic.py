"""A value that a person typed."""

from __future__ import annotations

from typing import Any


def value(value: Any) -> Any:
    """Give the value that was set."""
    return value
