"""The settings of a node as traits: the same value seen from both sides, and what a change sets going."""

from __future__ import annotations
