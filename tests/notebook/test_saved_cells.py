"""A flow of cells that is saved stands alone: opened where its notebook is not, it gives the same values."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.notebook.kernel_driver import Notebook

#: Opens a file in a process of its own and prints what its nodes give.
_OPEN = """
import json, sys
import flowbook as fb
run = fb.Flow.open(sys.argv[1]).run_sync(inputs=json.loads(sys.argv[2]))
print(json.dumps({name: run[name] for name in run.node_ids}))
"""


def _saved(notebook: Notebook, file: Path) -> str:
    notebook.ask(f"str(__import__('flowbook').flow({notebook.flow!r}).save({str(file)!r}))")
    return str(file)


def _opened(file: str, **inputs: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, file, json.dumps(inputs)], check=True, capture_output=True, text=True
    )
    values: dict[str, Any] = json.loads(done.stdout)
    return values


def test_a_cell_that_reads_a_node_still_reads_it(notebook: Notebook, tmp_path: Path) -> None:
    """The decorated function of that name is bound in the notebook, too, and is not what the cell reads."""
    notebook.cell(f"""
        import math
        import flowbook as fb
        def half(n): return math.floor(n / 2)
        @fb.flow({notebook.flow!r}).node
        def counted(start: int = 7) -> int: return start
    """)
    notebook.cell("%%node halved\nhalved = half(counted)")
    file = _saved(notebook, tmp_path / "a.flow.json")

    assert _opened(file) == {"counted": 7, "halved": 3}


def test_the_signature_on_the_line_is_saved_with_every_parameter(notebook: Notebook, tmp_path: Path) -> None:
    notebook.cell("%%node tall(*, n: int = 2, words: list = ['a, b', '()'], seed) --define\ntall = [*words, n, seed]")
    file = _saved(notebook, tmp_path / "a.flow.json")

    assert _opened(file, seed=1) == {"tall": ["a, b", "()", 2, 1]}
