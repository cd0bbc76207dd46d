"""``make test`` runs tests with a kernel one after another, and the others beside them.

Which ports a kernel will use is found out before it is started, and anybody may take them meanwhile: two tests that
start kernels at the same time would now and then start one that dies.
"""

from __future__ import annotations

import re

from tests.house.source_tree import ROOT

# Spelt in pieces, so that this file keeps its own rule.
STARTS_ONE = re.compile(r"\b(?:start_new_" + r"kernel|Notebook" + r"Client|started_" + r"notebook|start_" + r"lab)\(")


def test_whatever_starts_a_kernel_is_among_those_that_take_turns() -> None:
    (told,) = re.findall(r"^KERNEL_TESTS := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    taking_turns = [ROOT / name for name in told.split()]
    assert all(path.exists() for path in taking_turns)
    starting = {
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if "bench" not in path.parts and STARTS_ONE.search(path.read_text(encoding="utf-8"))
    }
    assert starting
    beside = [path for path in starting if not any(path.is_relative_to(turn) for turn in taking_turns)]
    assert [str(path.relative_to(ROOT)) for path in beside] == []
