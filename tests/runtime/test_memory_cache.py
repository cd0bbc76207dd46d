"""Results are kept by key within a byte budget, given again without firing, and released with their nodes."""

from __future__ import annotations
