"""A trace says what each node of a run did, in the same words for every reader."""

from __future__ import annotations
