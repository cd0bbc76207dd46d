"""A flow that is saved and opened is the same flow, and opening runs nothing."""

from __future__ import annotations
