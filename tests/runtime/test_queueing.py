"""Runs of one flow go one after another, runs of two flows at the same time; a pure node that fires is superseded."""

from __future__ import annotations
