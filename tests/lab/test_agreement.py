"""Whatever is done in whatever order: canvas, kernel and the text of the cell say the same in the end."""

from __future__ import annotations

import json
import re
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from nbformat import v4
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.lab.lab_page import page_apart
from tests.lab.live_notebook import ask, canvas_of, card, cell_text, document_in, type_in_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.lab.lab_page import LabPage, OpenNotebook
    from tests.lab.lab_server import LabServer

FLOW = 1
CELLS = (
    "%load_ext flowbook\nimport flowbook as fb",
    "%%flow walk\n",
    "%%node walk.count(most: int = 3)\ncount = list(range(most))",
    "%%node walk.total(count, scale: int = 1)\ntotal = scale * sum(count)",
    "%%node walk.twice(total)\ntwice = 2 * total",
)
ARROWS = ("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight")
_TRIES = 80
_PAUSE_MS = 100.0
#: How often in a row all three have to agree: an edit may be on its way.
_AGREED = 3

#: What the kernel holds: the document, and every edge that is drawn.
_KERNEL = """
(lambda flow, edges_of: (flow.document_text(), [
    f"{edge['source']}.{edge['sourcePort']}→{edge['target']}.{edge['targetPort']}" for edge in edges_of(flow)
]))(__import__('flowbook').flow('walk'), __import__('flowbook.canvas.snapshot', fromlist=['edges_of']).edges_of)
"""
_PAGE = """
async (panel) => {
  const cell = panel.content.widgets[1];
  const places = {}, settings = {};
  for (const node of cell.node.querySelectorAll('.react-flow__node')) {
    const [, x, y] = node.style.transform.match(/translate\\((-?[\\d.]+)px, (-?[\\d.]+)px\\)/);
    places[node.dataset.id] = [Number(x), Number(y)];
    settings[node.dataset.id] = Object.fromEntries(
      [...node.querySelectorAll('[data-fb-setting] input[type=number]')].map(
        input => [input.closest('[data-fb-setting]').dataset.fbSetting, Number(input.value)]));
  }
  const edges = [...cell.node.querySelectorAll('.react-flow__edge')].map(edge => edge.dataset.id);
  const bar = cell.node.querySelector('.fb-keeper[data-fb-keeping=differs]');
  return {cell: cell.model.sharedModel.getSource(), places, settings, edges, isHeld: bar !== null};
}
"""
#: What the settings are where a document does not say otherwise.
_DEFAULTS = {"count": {"most": 3}, "total": {"scale": 1}}


class Walk:
    """A person who does things at random.

    Args:
        notebook: open, and its cells run.
        random: source of chance.
    """

    def __init__(self, notebook: OpenNotebook, random: Random) -> None:
        self.notebook = notebook
        self.random = random
        self.done: list[str] = []
        self.has_typed = False

    def step(self) -> None:
        """Do one thing."""
        things: dict[Callable[[], None], int] = {
            self.nudge: 30,
            self.set: 20,
            self.undo: 20,
            self.redo: 8,
            self.add: 5,
            self.remove: 4,
            self.flag: 4,
            self.rename: 3,
            self.connect: 5,
            self.duplicate: 2,
            self.run_flow_cell: 5,
            self.run_node_cell: 4,
            self.type: 4,
            self.undo_in_editor: 3,
            self.edit_in_python: 4,
        }
        [thing] = self.random.choices(list(things), list(things.values()))
        self.done.append(thing.__name__)
        thing()

    # -- on the canvas

    def press(self, *keys: str) -> None:
        self.notebook.cell(FLOW).locator(".fb-surface").focus()
        for key in keys:
            self.notebook.page.keyboard.press(key)

    def choose(self) -> None:
        self.press(*self.random.choices(ARROWS, k=self.random.randint(1, 3)))

    def nudge(self) -> None:
        self.choose()
        self.press(f"Control+{self.random.choice(ARROWS)}")

    def set(self) -> None:
        node = self.random.choice(("count", "total"))
        field = card(self.notebook, FLOW, node).locator("input[type=number]")
        if field.count():
            try:
                field.first.fill(str(self.random.randint(0, 20)), timeout=10_000)
                field.first.press("Enter", timeout=10_000)
            except PlaywrightTimeoutError:
                if field.count():  # or else an edit that was under way has taken it
                    raise

    def undo(self) -> None:
        self.press(*["Control+z"] * self.random.randint(1, 3))

    def redo(self) -> None:
        self.press("Control+Shift+z")

    def add(self) -> None:
        self.press("Tab")
        self.notebook.page.keyboard.type("value")
        self.notebook.page.keyboard.press("Enter")
        self.press()

    def remove(self) -> None:
        self.choose()
        if self.random.random() < 0.5:
            self.press("Delete")

    def flag(self) -> None:
        self.choose()
        self.press(self.random.choice("mp"))

    def rename(self) -> None:
        self.choose()
        self.press("F2")
        self.notebook.page.keyboard.type(f"n{self.random.randint(0, 99)}")
        self.notebook.page.keyboard.press("Enter")
        self.press()

    def connect(self) -> None:
        self.choose()
        self.press("c")
        keys = self.notebook.page.keyboard
        for key in (*["ArrowDown"] * self.random.randint(0, 3), "Enter", "Enter", "Escape"):
            keys.press(key)
        self.press()

    def duplicate(self) -> None:
        self.choose()
        self.press("Control+d")

    # -- in the notebook

    def run_flow_cell(self) -> None:
        self.notebook.run(FLOW)
        self.has_typed = False
        canvas_of(self.notebook, FLOW)

    def run_node_cell(self) -> None:
        self.notebook.run(self.random.randint(2, 4))

    def type(self) -> None:
        text = cell_text(self.notebook, FLOW)
        places = list(re.finditer(r'"x": (-?\d+)', text))
        if not places:
            return
        place = self.random.choice(places)
        to = self.random.randint(0, 900)
        type_in_cell(self.notebook, FLOW, f"{text[: place.start(1)]}{to}{text[place.end(1) :]}")
        self.has_typed = True

    def undo_in_editor(self) -> None:
        before = cell_text(self.notebook, FLOW)
        self.notebook.evaluate("async (panel) => { panel.content.widgets[1].editor.undo(); }")
        self.has_typed = self.has_typed or cell_text(self.notebook, FLOW) != before

    def edit_in_python(self) -> None:
        code = self.random.choice(
            (
                "flow['count'].settings['most'] = {}",
                "flow.disconnect('count', 'total')",
                "flow.connect('count', 'total.count')",
                "flow.add('value', 'v{}')",
            )
        ).format(self.random.randint(0, 30))
        self.notebook.evaluate(
            """async (panel, app, code) => {
              const kernel = panel.sessionContext.session.kernel;
              await kernel.requestExecute({code, silent: true, store_history: false, stop_on_error: false}).done;
            }""",
            f"import flowbook as fb; flow = fb.flow('walk')\ntry:\n    {code}\nexcept fb.FlowbookError:\n    pass",
        )

    def reload(self) -> None:
        self.notebook.save()
        self.notebook.page.reload()
        self.notebook.page.wait_for_function("window.jupyterapp?.started")
        self.notebook.page.evaluate("window.jupyterapp.restored")
        self.notebook.evaluate("async (panel, app) => { await panel.context.ready; await panel.revealed; }")
        canvas_of(self.notebook, FLOW)
        self.done.append("reload")

    # -- agreeing

    def settle(self) -> None:
        """Wait until all three say the same; what was typed is decided on."""
        why, agreed, seen = "", 0, {}
        for attempt in range(_TRIES):
            seen = self.look()
            if seen["isHeld"]:
                name = self.random.choice(("Use canvas", "Use text"))
                self.notebook.cell(FLOW).get_by_role("button", name=name).click()
                self.done.append(name)
                self.has_typed = False
                agreed = 0
            elif self.has_typed and attempt > _AGREED:
                self.run_flow_cell()
            else:
                why = disagreement(seen)
                agreed = 0 if why else agreed + 1
                if agreed == _AGREED:
                    return
                if attempt % 10 == 9:
                    self.press("Escape")  # ends what is open; or leaves the canvas
                    self.press(".")  # only what is in sight is drawn
            self.notebook.page.wait_for_timeout(_PAUSE_MS)
        pytest.fail(f"{why}\nafter {self.done[-25:]}\n{json.dumps(seen, indent=1)}")

    def look(self) -> dict[str, Any]:
        """What kernel, cell and canvas say now."""
        document, drawn = ask(self.notebook, _KERNEL)
        return {"kernel": json.loads(document), "drawn": drawn, **self.notebook.evaluate(_PAGE)}


def disagreement(seen: dict[str, Any]) -> str:
    """Say what cell, kernel and canvas do not agree on; empty when they do."""
    kernel, cell = dict(seen["kernel"]), {}
    if seen["cell"].partition("\n")[2].strip():
        cell = document_in(seen["cell"])
    in_kernel = {node["id"]: node for node in kernel.pop("nodes", [])}
    in_cell = {node["id"]: node for node in cell.pop("nodes", [])}
    for document in (kernel, cell):
        document.pop("flowbook", None)
        document.pop("id", None)
    if cell != kernel:
        return "cell and kernel have other edges"
    # A node that a cell defines is named only where there is something to say of it.
    silent = {name for name, node in in_kernel.items() if set(node) == {"id", "typeId"}}
    if {**{name: in_kernel[name] for name in silent}, **in_cell} != in_kernel:
        return "cell and kernel have other nodes"
    if set(seen["places"]) != set(in_kernel):
        return "the canvas shows other nodes"
    if sorted(seen["edges"]) != sorted(seen["drawn"]):
        return "the canvas shows other edges"
    return next(filter(None, (unlike_canvas(name, node, seen) for name, node in in_kernel.items())), "")


def unlike_canvas(name: str, node: dict[str, Any], seen: dict[str, Any]) -> str:
    """Say what of a node the canvas shows otherwise than its document says."""
    place = node.get("position")
    if place and [place["x"], place["y"]] != seen["places"][name]:
        return f"the canvas shows {name} somewhere else"
    settings = {**_DEFAULTS.get(name, {}), **node.get("settings", {})}
    for setting, value in seen["settings"][name].items():
        if value != settings.get(setting, value):
            return f"the canvas shows another {name}.{setting}"
    return ""


def begin(page: LabPage, seed: int) -> Walk:
    """Open a notebook and run it."""
    notebook = page.open([v4.new_code_cell(source) for source in CELLS])
    notebook.run()
    canvas_of(notebook, FLOW)
    return Walk(notebook, Random(seed))  # noqa: S311 - a walk that can be taken again


def walk(person: Walk, steps: int, *, steps_a_load: int) -> None:
    """Do so many things, and see every now and then that all agree."""
    for step in range(1, steps + 1):
        person.step()
        if person.random.random() < 0.4:
            person.settle()
        if step % steps_a_load == 0:
            person.settle()
            person.reload()
    person.settle()


def complaints_of(page: LabPage) -> list[str]:
    """What the page complained of, save for comms of pages that were."""
    return [said for said in page.own_complaints if not said.startswith("Comm not found")]


def test_edits_undos_runs_and_reloads_never_part_them(own_page: LabPage) -> None:
    walk(begin(own_page, seed=2), 24, steps_a_load=12)
    assert complaints_of(own_page) == []


@pytest.fixture(scope="module", params=[1, 2, 3], ids="seed {}".format)
def long_walk(
    lab_server: LabServer, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[tuple[LabPage, Walk]]:
    """A walk that is begun anew for each seed only."""
    with page_apart(browser, lab_server) as page:
        yield page, begin(page, request.param)


@pytest.mark.soak  # minutes
@pytest.mark.parametrize("hundred", ["first", "second", "third"])
def test_three_hundred_edits_undos_runs_and_reloads_never_part_them(
    long_walk: tuple[LabPage, Walk], hundred: str
) -> None:
    page, person = long_walk
    walk(person, 100, steps_a_load=50)
    assert complaints_of(page) == []
