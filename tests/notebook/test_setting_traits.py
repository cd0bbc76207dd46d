"""Settings as traits: a slider moves the flow and the flow moves the slider; what is quick runs by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.notebook.kernel_driver import Cell, Notebook

LINKED = """
import flowbook as fb, ipywidgets, traitlets
flow = fb.flow(HOME)
slider = ipywidgets.IntSlider(min=0, max=100)
link = traitlets.link((flow["a"].traits(), "n"), (slider, "value"))
"""

WATCHED = """
started = []
def note(event, started=started):
    if event.kind == "run_started":
        started.append(event.kind)
watching = flow.observe(note)
"""


def shown_value(cell: Cell) -> str:
    return cell.shown.text.splitlines()[-1]


def linked(notebook: Notebook, more: str = "") -> tuple[Cell, Cell]:
    """``a(n=1) -> b``, both with a value, and a slider linked to ``n``."""
    a = notebook.cell(f"%%node a(n: int = 1) {more}\na = n * 10")
    b = notebook.cell("%%node b\nb = f'b of {a}'")
    notebook.cell(LINKED.replace("HOME", repr(notebook.flow)))
    return a, b


def test_a_moved_slider_runs_the_node_and_what_is_below_it(notebook: Notebook) -> None:
    a, b = linked(notebook)
    aside = notebook.cell("%%node aside\naside = 1")
    untouched = aside.shown.updates
    cell = notebook.cell("slider.value = 7")
    notebook.until(lambda: shown_value(b) == "'b of 70'")
    assert shown_value(a) == "70"
    assert cell.outputs == []
    assert aside.shown.updates == untouched
    assert notebook.of_flow("document()['nodes'][0]['settings']") == {"n": 7}
    assert notebook.of_flow("stale()") == {}


def test_a_setting_set_in_python_moves_the_slider_and_runs_nothing(notebook: Notebook) -> None:
    a, _ = linked(notebook)
    assert notebook.ask("slider.value") == 1
    notebook.cell("flow.set('a', n=4)")
    assert notebook.ask("slider.value") == 4
    notebook.cell("flow['a'].settings['n'] = 5")
    assert notebook.ask("[slider.value, flow['a'].traits().n]") == [5, 5]
    notebook.drain()
    assert shown_value(a) == "10"
    assert sorted(notebook.of_flow("stale()")) == ["a", "b"]


def test_the_slider_moves_with_the_text_of_the_flow_cell(notebook: Notebook) -> None:
    linked(notebook)
    notebook.cell(f'%%flow {notebook.flow}\n{{"nodes": [{{"id": "a", "settings": {{"n": 33}}}}]}}')
    assert notebook.ask("slider.value") == 33


def test_many_moves_become_few_runs_and_the_last_one_wins(notebook: Notebook) -> None:
    _, b = linked(notebook)
    notebook.cell(WATCHED)
    notebook.cell("for value in range(2, 60): slider.value = value")
    notebook.until(lambda: shown_value(b) == "'b of 590'")
    notebook.drain()
    assert len(notebook.ask("started")) <= 2
    assert shown_value(b) == "'b of 590'"
    assert notebook.ask("slider.value") == 59


def test_a_move_during_a_run_gives_that_run_up_and_forgets_nothing(notebook: Notebook) -> None:
    """Two sliders: what the first had moved and was not computed yet comes with the second."""
    notebook.cell("import threading\ngate = threading.Event()\ngate.set()")
    a = notebook.cell("%%node a(n: int = 1)\ngate.wait(30)\na = n")
    c = notebook.cell("%%node c(n: int = 1)\nc = n")
    both = notebook.cell("%%node both\nboth = [a, c]")
    notebook.cell(LINKED.replace("HOME", repr(notebook.flow)))
    notebook.cell("gate.clear()\nflow['a'].traits().n = 2")
    notebook.until(lambda: a.shown.node["status"] == "running")
    notebook.cell("flow['c'].traits().n = 3")
    notebook.until(lambda: shown_value(c) == "3")
    notebook.cell("gate.set()")
    notebook.until(lambda: shown_value(both) == "[2, 3]")
    assert notebook.of_flow("stale()") == {}


def test_what_has_no_value_is_not_run(notebook: Notebook) -> None:
    _, b = linked(notebook)
    never = notebook.cell("%%node never --define\nnever = b * 2")
    notebook.cell("slider.value = 3")
    notebook.until(lambda: shown_value(b) == "'b of 30'")
    notebook.drain()
    assert never.shown.node["status"] == "idle"


def test_a_node_that_took_long_only_turns_stale_with_what_is_below_it(notebook: Notebook) -> None:
    a, b = linked(notebook)
    notebook.cell("flow.results.state('b').cost_s = 2.5\nslider.value = 8")
    notebook.until(lambda: shown_value(a) == "80")
    notebook.drain()
    assert shown_value(b) == "'b of 10'"
    assert list(notebook.of_flow("stale()")) == ["b"]


@pytest.mark.parametrize("policy", ["--on-change manual", "--on-change once"])
def test_a_node_on_manual_only_turns_stale(notebook: Notebook, policy: str) -> None:
    a, b = linked(notebook, policy)
    other = notebook.cell("%%node other(m: int = 1)\nother = m")
    notebook.cell("slider.value = 8\nflow['other'].traits().m = 2")
    notebook.until(lambda: shown_value(other) == "2")
    notebook.drain()
    assert notebook.ask("[slider.value, flow['a'].settings['n']]") == [8, 8]
    assert shown_value(a) == "10"
    assert shown_value(b) == "'b of 10'"


def test_an_invalid_value_restores_the_old_one(notebook: Notebook) -> None:
    notebook.cell(f"""
        import flowbook as fb
        from typing import Annotated, Literal
        flow = fb.flow({notebook.flow!r})
        @flow.node
        def a(n: Annotated[int, fb.Setting(min=0, max=10)] = 1, how: Literal["mean", "sum"] = "mean") -> int:
            return n
        traits = flow["a"].traits()
    """)
    for code in ("traits.n = 11", "traits.n = 'many'", "traits.how = 'median'"):
        notebook.cell(code, fails=True)
    assert notebook.ask("[traits.n, traits.how]") == [1, "mean"]
    assert notebook.ask("dict(flow['a'].settings)") == {"n": 1, "how": "mean"}
    notebook.cell("traits.n = 10")
    assert notebook.ask("flow['a'].settings['n']") == 10


def test_new_bounds_and_new_settings_of_edited_code_reach_the_linked_traits(notebook: Notebook) -> None:
    linked(notebook)
    cell = notebook.cells[0]
    notebook.cell("%%node a(n: int = 5, m: float = 0.5) --define\na = n * m", cell)
    assert notebook.ask("[slider.value, flow['a'].traits().m]") == [5, 0.5]
    notebook.cell("flow['a'].traits().m = 2.0\nslider.value = 6")
    assert notebook.ask("dict(flow['a'].settings)") == {"n": 6, "m": 2.0}


def test_a_linked_slider_follows_a_renamed_node(notebook: Notebook) -> None:
    linked(notebook)
    notebook.cell("%%node first(n: int = 1)\nfirst = n", notebook.cells[0])
    notebook.cell("slider.value = 9")
    notebook.until(lambda: shown_value(notebook.cells[0]) == "9")
    notebook.cell("flow.set('first', n=2)")
    assert notebook.ask("slider.value") == 2


def test_a_slider_of_a_removed_or_waiting_node_breaks_nothing(notebook: Notebook) -> None:
    linked(notebook)
    notebook.delete(notebook.cells[0])
    notebook.cell("slider.value = 3")
    assert notebook.of_flow("data.nodes['a'].settings") == {"n": 3}
    notebook.cell("%%node a(n: int = 1)\na = n")
    assert notebook.of_flow("__getitem__('a').value") == 3
    notebook.cell("flow.remove('a')\nflow.set_policy('b', timeout_s=1)")


def test_a_value_of_a_document_that_fits_no_trait_breaks_no_edit(notebook: Notebook) -> None:
    linked(notebook)
    notebook.cell(f'%%flow {notebook.flow}\n{{"nodes": [{{"id": "a", "settings": {{"n": "many"}}}}]}}')
    assert notebook.ask("slider.value") == 1
    notebook.cell("slider.value = 3")
    assert notebook.of_flow("document()['nodes'][0]['settings']") == {"n": 3}
