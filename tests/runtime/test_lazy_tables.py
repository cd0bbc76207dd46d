"""A lazy table is collected once, where somebody needs its rows, and a preview never is that somebody."""

from __future__ import annotations
