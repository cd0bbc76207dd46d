"""What a notebook shows of its flows: node cells, cards, traces, canvases, each updated in place by later runs."""

from __future__ import annotations

import datetime as dt
import itertools
import secrets
from typing import TYPE_CHECKING, Any

from flowbook.canvas.drawing import canvas_svg
from flowbook.canvas.drawing import canvas_svg
from flowbook.canvas.pages import canvas_html, card_html, trace_html
from flowbook.canvas.plain_text import canvas_text, card_text, trace_text
from flowbook.canvas.protocol import CANVAS_MIME, NODE_MIME, TRACE_MIME, fit_canvas, fit_trace
from flowbook.canvas.snapshot import card, snapshot
from flowbook.canvas.trace_drawing import trace_svg
from flowbook.notebook.effect_pages import effects_html, effects_text, value_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from flowbook.runtime.results import NodeResult
    from flowbook.runtime.run import Run
    from flowbook.session import Flow

_sequence = itertools.count(1)


def new_display_id() -> str:
    """Make an id under which an output can be found again."""
    return f"flowbook-{secrets.token_hex(8)}"


class RunOutput:
    """The live trace of one run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.display_id = new_display_id()

    def render(self) -> dict[str, Any]:
        """Make the trace bundle."""
        trace = fit_trace(self.run.trace.to_json())
        return {
            TRACE_MIME: trace,
            "text/html": trace_html(trace),
            "image/svg+xml": trace_svg(trace),
            "text/plain": trace_text(trace),
        }


class CanvasOutput:
    """The picture of a flow.

    Args:
        flow: what to draw.
        note: one sentence under it, or empty.
    """

    def __init__(self, flow: Flow, note: Callable[[], str] = lambda: "") -> None:
        self.flow = flow
        self.note = note
        self.display_id = new_display_id()

    def render(self) -> dict[str, Any]:
        """Make the canvas bundle."""
        return canvas_bundle(self.flow, self.note())


def canvas_bundle(flow: Flow, note: str = "") -> dict[str, Any]:
    """Make the mime bundle of a flow's picture."""
    drawn = fit_canvas(snapshot(flow, seq=next(_sequence)))
    html, text = canvas_html(drawn), canvas_text(drawn)
    if note:
        html += effects_html([("note", note)], [])
        text += f"\n{note}"
    return {CANVAS_MIME: drawn, "text/html": html, "image/svg+xml": canvas_svg(drawn), "text/plain": text}


class NodeOutput:
    """One node in the output of its cell.

    Args:
        flow: its flow.
        node_id: the node; follows a rename.
        shell: formats values as the notebook would.
        shows_value: the value stands under the strip, as after a ``%%node`` cell; False shows the card (a decorator's).
    """

    def __init__(self, flow: Flow, node_id: str, shell: InteractiveShell, *, shows_value: bool) -> None:
        self.flow = flow
        self.node_id = node_id
        self.shows_value = shows_value
        self.display_id = new_display_id()
        self._shell = shell
        self._formatted: tuple[NodeResult | None, dict[str, Any]] = (None, {})
        self._shown: tuple[Any, ...] = ()

    @property
    def is_news(self) -> bool:
        """Whether there is more to tell than another stamp: those change in the view only, never in the notebook."""
        return self._shown != self._facts()

    def _facts(self) -> tuple[Any, ...]:
        state = self.flow.results.state(self.node_id)
        return (self.node_id, state.status, id(state.result), id(state.error))

    def render(self) -> dict[str, Any] | None:
        """Make the node bundle, with the value's own bundle beside it."""
        if self.node_id not in self.flow.data.nodes:
            return None
        self._shown = self._facts()
        drawn: Any = card(self.flow, self.node_id)
        state = self.flow.results.state(self.node_id)
        result = state.result
        effects = result.effects if result is not None else None
        entries = list(effects.entries) if effects is not None else []
        displays = list(effects.displays) if effects is not None else []
        value = self._value(result) if self.shows_value and state.status in ("ok", "skipped") else {}
        html = effects_html(entries, displays) + str(value.pop("text/html", ""))
        plain = value.pop("text/plain", "")
        texts = [card_text(drawn), effects_text(entries), plain]
        bundle: dict[str, Any] = {
            "flowbook": "1",
            "kind": "node",
            "flow": self.flow.name,
            "node": self.node_id,
            "runId": result.run_id if result is not None else state.run_id,
            "seq": next(_sequence),
            "status": drawn["status"],
            "stamp": drawn["stamp"],
            "reason": drawn["reason"],
            "at": _made_at(result),
            "key": result.effective_key if result is not None else None,
            "tookS": drawn["tookS"],
        }
        if not self.shows_value:
            bundle["card"] = drawn
        return {
            **value,
            NODE_MIME: bundle,
            "text/html": card_html(drawn, value_html=html) if self.shows_value else card_html(drawn),
            "text/plain": "\n".join(text for text in texts if text),
        }

    def _value(self, result: NodeResult | None) -> dict[str, Any]:
        """Format the value once per result."""
        if result is None:
            return {}
        known, data = self._formatted
        if known is not result:
            plan = self.flow.plan
            slot = plan.slots[plan.index[self.node_id]]
            data = value_bundle(
                self._shell, _shown(result, slot.primary, [port.name for port in slot.node_type.outputs])
            )
            self._formatted = (result, data)
        return dict(data)


def _shown(result: NodeResult, primary: int | None, names: list[str]) -> Any:
    if primary is not None:
        return result.collected.get(primary, result.outputs[primary])
    return {name: result.collected.get(index, result.outputs[index]) for index, name in enumerate(names)}


def _made_at(result: NodeResult | None) -> str | None:
    """When a value was made, ISO 8601 UTC."""
    if result is None:
        return None
    return dt.datetime.fromtimestamp(result.at, tz=dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
