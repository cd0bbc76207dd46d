"""Nodes run beside each other where they may, where they ask to, and in the order that edges and priorities give."""

from __future__ import annotations
