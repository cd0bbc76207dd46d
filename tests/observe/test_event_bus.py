"""Events reach every observer in order; who is slow is told how much was missed, and hurts nobody else."""

from __future__ import annotations
