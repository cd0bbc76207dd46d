"""Cells with outputs as a kernel would have stored them, made without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbformat import v4

from flowbook.canvas.pages import (
    canvas_html,
    canvas_svg,
    canvas_text,
    card_html,
    card_text,
    trace_html,
    trace_svg,
    trace_text,
)
from flowbook.canvas.protocol import CANVAS_MIME, NODE_MIME, TRACE_MIME, fit_canvas, fit_trace

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flowbook.canvas.protocol import Canvas, Card, Trace


def cell(source: str, *data: dict[str, Any]) -> NotebookNode:
    """A code cell that displayed some bundles."""
    outputs = [v4.new_output("display_data", data=bundle) for bundle in data]
    made: NotebookNode = v4.new_code_cell(source, outputs=outputs, execution_count=1 if data else None)
    return made


def canvas_bundle(snapshot: Canvas) -> dict[str, Any]:
    """What showing a flow stores."""
    drawn = fit_canvas(snapshot)
    svg, text = canvas_svg(drawn), canvas_text(drawn)
    return {CANVAS_MIME: drawn, "text/html": canvas_html(drawn), "image/svg+xml": svg, "text/plain": text}


def trace_bundle(trace: Trace) -> dict[str, Any]:
    """What a run stores."""
    drawn = fit_trace(trace)
    svg, text = trace_svg(drawn), trace_text(drawn)
    return {TRACE_MIME: drawn, "text/html": trace_html(drawn), "image/svg+xml": svg, "text/plain": text}


def node_bundle(card: Card, flow: str = "flights", value_html: str | None = None, **value: Any) -> dict[str, Any]:
    """What a node's cell stores: with a value, its own bundle beside ours; without, the card."""
    note: dict[str, Any] = {
        "flowbook": "1", "kind": "node", "flow": flow, "node": card["id"], "runId": "9f3a" * 8, "seq": 3,
        "status": card["status"], "stamp": card["stamp"], "reason": card["reason"], "at": "2026-11-20T12:00:00Z",
        "key": None, "tookS": card["tookS"],
    }  # fmt: skip
    if value_html is None:
        note["card"] = card
    html = card_html(card, value_html=value_html)
    return {**value, NODE_MIME: note, "text/html": html, "text/plain": card_text(card)}
