"""The browser's mirror of the bundles and messages: both sides are compared with one file, key by key.

``js/tests/fixtures/protocol.json`` is written from here (``FLOWBOOK_REWRITE=1``); the browser's own tests read it, too.
"""

from __future__ import annotations

import json
import os
from typing import Any

from flowbook.canvas import protocol
from tests.canvas import samples
from tests.house.source_tree import ROOT

FIXTURE = ROOT / "js" / "tests" / "fixtures" / "protocol.json"

RECORDS = (
    "Failure", "InputPort", "OutputPort", "Setting", "Column", "TablePreview", "ArrayPreview", "PicturePreview",
    "TextPreview", "Card", "Edge", "Group", "Note", "RunSummary", "Canvas", "Counts", "LogLine", "Span", "Flowed",
    "Fused", "Trace", "NodeNote",
)  # fmt: skip


def node_note() -> dict[str, Any]:
    """A node that failed, in the output of its cell, with everything that may stand there."""
    card = next(card for card in samples.flights()["nodes"] if card["id"] == "correlate")
    note = {"flowbook": "1", "kind": "node", "flow": "flights", "node": "correlate", "runId": samples.RUN_ID, "seq": 7}
    note |= {"status": "failed", "stamp": None, "reason": "ColumnNotFound", "at": None, "key": "00ff", "tookS": 0.012}
    return {**note, "error": card["error"], "card": card}


def fixture() -> dict[str, Any]:
    """What both sides agree on: mime types, words, the keys of every record, and one bundle of each kind."""
    return {
        "mimes": {"canvas": protocol.CANVAS_MIME, "trace": protocol.TRACE_MIME, "node": protocol.NODE_MIME},
        "words": {
            "Status": protocol.Status.__args__,  # type: ignore[attr-defined]
            "Stamp": protocol.Stamp.__args__,  # type: ignore[attr-defined]
            "PortType": protocol.PortType.__args__,  # type: ignore[attr-defined]
            "Control": protocol.Control.__args__,  # type: ignore[attr-defined]
        },
        "keys": {name: sorted(getattr(protocol, name).__annotations__) for name in RECORDS},
        "bundles": {
            "canvas": samples.gallery(),
            "flights": samples.flights(),
            "lean": protocol.fit_canvas(samples.flights(), max_bytes=3000),
            "trace": samples.trace(),
            "node": node_note(),
        },
    }


def test_the_browser_knows_every_word_and_every_key() -> None:
    """One file stands between the two languages: who changes one side has to change the other."""
    now = json.loads(json.dumps(fixture()))
    if os.environ.get("FLOWBOOK_REWRITE"):
        FIXTURE.parent.mkdir(parents=True, exist_ok=True)
        FIXTURE.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    kept = json.loads(FIXTURE.read_text(encoding="utf-8"))
    assert kept == now, "protocol.py changed: run this test with FLOWBOOK_REWRITE=1, then make the browser's tests pass"
