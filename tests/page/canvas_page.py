"""A canvas as a person uses it: with the pointer and with the keys."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.house.source_tree import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

AXE = ROOT / "js" / "node_modules" / "axe-core" / "axe.min.js"

_FAULTS = """
async () => (await axe.run('.fb-root', { preload: false })).violations.map(({ id, nodes }) =>
  [id, ...nodes.slice(0, 3).map((node) => node.target.join(' ') + ' ' + (node.any[0]?.message ?? ''))])
"""

_SETTLED = """
() => window.store.pending.length === 0
  && JSON.stringify(window.kernel.store.documentText) === JSON.stringify(JSON.stringify(window.kernel.document))
"""


@dataclass
class CanvasPage:
    """The page with one canvas."""

    page: Page

    # -- what is there

    def card(self, node: str) -> Locator:
        """The card of a node."""
        return self.page.locator(f'.react-flow__node[data-id="{node}"]')

    def port(self, node: str, side: str, name: str) -> Locator:
        """The handle of a port; ``side`` is in or out."""
        return self.page.locator(f'.fb-handle[data-nodeid="{node}"][data-handleid="{side}:{name}"]')

    def control(self, node: str, setting: str) -> Locator:
        """The control of a setting on its card."""
        return self.card(node).locator(f'[data-fb-setting="{setting}"]').locator("input, select")

    def press_edge(self, source: str, target: str) -> Self:
        """Press an edge in its middle."""
        path = self.edge(source, target).locator(".react-flow__edge-interaction")
        script = """(path) => {
          const { x, y } = path.getPointAtLength(path.getTotalLength() / 2).matrixTransform(path.getScreenCTM());
          return [x, y];
        }"""
        self.page.mouse.click(*path.evaluate(script))
        return self

    def edge(self, source: str, target: str) -> Locator:
        """The edge between two nodes."""
        return self.page.locator(".react-flow__edge", has=self.page.locator("title", has_text=f"{source} → {target} "))

    @property
    def lines(self) -> Locator:
        """The lines of the list that is open."""
        return self.page.locator(".fb-list-item")

    @property
    def notice(self) -> Locator:
        """What is said at the moment."""
        return self.page.locator(".fb-notices .fb-notice span")

    @property
    def selected(self) -> list[str]:
        """Ids of the selected nodes, the last one last."""
        return list(self.page.evaluate("() => [...window.currentCanvas().view.selection.nodes]"))

    @property
    def nodes(self) -> list[str]:
        """Ids of the nodes that are drawn."""
        return list(self.page.evaluate("() => [...window.store.state.cards.keys()]"))

    @property
    def edges(self) -> list[str]:
        """Edges that are drawn, those that follow from names in brackets."""
        script = "() => [...window.store.state.edges].map(([id, edge]) => edge.implicit ? `(${id})` : id).sort()"
        return list(self.page.evaluate(script))

    def place(self, node: str) -> tuple[int, int]:
        """Where a card lies."""
        card = self.page.evaluate("(node) => window.store.card(node)", node)
        return card["x"], card["y"]

    def value(self, node: str, setting: str) -> Any:
        """The value of a setting as it is drawn."""
        script = "([node, name]) => window.store.card(node).settings.find((s) => s.name === name).value"
        return self.page.evaluate(script, [node, setting])

    def faults(self) -> list[Any]:
        """What axe has to say against the canvas by WCAG 2.2 AA and its own good practices, and where."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.add_script_tag(path=AXE)
        return list(self.page.evaluate(_FAULTS))

    # -- what the kernel was asked and says

    def asked(self) -> list[dict[str, Any]]:
        """Messages since the last call, after the kernel has answered all."""
        self.settle()
        messages = self.page.evaluate("() => window.kernel.asked.splice(0)")
        return list(messages)

    def settle(self) -> None:
        """Wait until nothing waits for the kernel."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.page.wait_for_function(_SETTLED)

    def document(self) -> Any:
        """The kernel's document."""
        self.settle()
        return json.loads(self.page.evaluate("() => JSON.stringify(window.kernel.document)"))

    # -- what is done

    def press(self, *keys: str) -> Self:
        """Press keys, one after another, wherever the focus is."""
        for key in keys:
            self.page.keyboard.press(key)
        return self

    def write(self, text: str) -> Self:
        """Type a text wherever the focus is."""
        self.page.keyboard.type(text)
        return self

    def select(self, node: str, *others: str) -> Self:
        """Press a card's head, and others with Shift."""
        self.card(node).locator(".fb-icon").first.click()
        for other in others:
            self.card(other).locator(".fb-icon").first.click(modifiers=["Shift"])
        return self

    def middle(self, place: Locator) -> tuple[float, float]:
        """The middle of an element, in pixels of the window."""
        box = place.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(
        self, start: Locator | tuple[float, float], *ways: Locator | tuple[float, float], drop: bool = True
    ) -> None:
        """Press at one place, move over others, let go at the last; a pair of numbers is a place in the window."""
        mouse = self.page.mouse
        begin = start if isinstance(start, tuple) else self.middle(start)
        mouse.move(*begin)
        mouse.down()
        mouse.move(begin[0] + 4, begin[1])  # a press becomes a drag after some pixels
        for way in ways:
            mouse.move(*(way if isinstance(way, tuple) else self.middle(way)), steps=8)
        if drop:
            mouse.up()

    def drag_by(self, start: Locator, x: float, y: float) -> None:
        """Drag something by pixels."""
        at = self.middle(start)
        self.drag(at, (at[0] + x, at[1] + y))
