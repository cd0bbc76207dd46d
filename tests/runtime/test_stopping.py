"""A run ends when it is told to: co-operative, deaf, async and overdue nodes, interrupts, and nothing left behind."""

from __future__ import annotations
