"""Cells whose node is called once for each item of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.notebook.kernel_driver import Notebook


def test_a_cell_takes_the_items_of_a_list_and_shows_the_list_of_what_it_made(notebook: Notebook) -> None:
    source = notebook.cell("%%node numbers\nnumbers = [1, 2, 3]")
    notebook.cell("import flowbook as fb")
    cell = notebook.cell("%%node squares(numbers: fb.each[int], plus: int = 0)\nsquares = numbers**2 + plus")
    assert "[1, 4, 9]" in cell.shown.text
    assert "3 items" in cell.shown.text
    notebook.cell("%%node numbers\nnumbers = [1, 2, 3, 4]", source)
    again = notebook.cell("%%node squares(numbers: fb.each[int], plus: int = 0)\nsquares = numbers**2 + plus", cell)
    assert "[1, 4, 9, 16]" in again.shown.text
    assert "4 items: 3 unchanged" in again.shown.text


def test_a_cell_says_which_item_failed_and_on_which_line(notebook: Notebook) -> None:
    notebook.cell("%%node numbers\nnumbers = [2, 1, 0]")
    notebook.cell("import flowbook as fb")
    cell = notebook.cell("%%node shares(numbers: fb.each[int])\none = 1\nshares = one / numbers", fails=True)
    assert "ZeroDivisionError" in cell.error
    told = notebook.of_flow("last_run.errors[0].message"), notebook.of_flow("last_run.errors[0].line")
    assert told == ("item 2: ZeroDivisionError: division by zero", 3)


def test_items_of_a_cell_go_to_a_process_of_their_own(notebook: Notebook) -> None:
    notebook.cell("%%node numbers\nnumbers = [1, 2, 3]")
    notebook.cell("import flowbook as fb")
    cell = notebook.cell(
        "%%node later(numbers: fb.each[int]) --isolation process\nimport os\nlater = numbers, os.getpid()"
    )
    assert "(1, " in cell.shown.text


def test_the_magic_line_says_what_becomes_of_failed_items(notebook: Notebook) -> None:
    notebook.cell("%%node numbers\nnumbers = [2, 0, 1]")
    notebook.cell("import flowbook as fb")
    line = "%%node shares(numbers: fb.each[int]) --on-item-error skip --max-concurrency 2"
    cell = notebook.cell(f"{line}\nshares = 2 / numbers")
    assert "[1.0, 2.0]" in cell.shown.text or "[1, 2]" in cell.shown.text
    assert "1 failed and left out" in cell.shown.text
