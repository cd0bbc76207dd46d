"""Bundles to draw: the flights flow in the middle of a run, larger flows, and a run's trace."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from typing import TYPE_CHECKING, Any, cast

from flowbook.canvas.placement import placed

if TYPE_CHECKING:
    from flowbook.canvas.protocol import Canvas, Card, Edge, Setting, Span, Trace

RUN_ID = "9f3a6c0e5b7d4f1e8a2c9d0b1e3f5a7c"


def card(name: str, **given: Any) -> Card:
    """Make a card; ``reads`` and ``gives`` name ports: ``name``, ``name:type``, or ``name-`` when not connected."""

    def port(text: str) -> dict[str, Any]:
        name, _, port_type = text.rstrip("-").partition(":")
        return {"name": name, "type": port_type or "table", "connected": not text.endswith("-")}

    inputs = [{**port(text), "required": True} for text in given.pop("reads", "").split()]
    shape = given.pop("shape", None)
    outputs = [{**port(text), "shape": shape} for text in given.pop("gives", "result").split()]
    base = {
        "id": name, "typeId": f"cell.{name}", "kind": "node", "doc": "", "x": 0, "y": 0, "w": 0, "h": 0,
        "status": "ok", "stamp": "recorded", "reason": "first run", "tookS": 0.031, "inputs": inputs,
        "outputs": outputs, "settings": [], "preview": None, "copies": 0, "copiedBytes": 0, "error": None,
        "pinned": False, "bypassed": False,
    }  # fmt: skip
    return cast("Card", {**base, **given})


def setting(name: str, control: str, value: Any, default: Any, **given: Any) -> Setting:
    base = {"name": name, "label": name, "control": control, "value": value, "default": default, "connected": False}
    return cast("Setting", {**base, **given})


def edge(text: str, label: str | None = None, **given: Any) -> Edge:
    """Make an edge from ``source.port > target.port``."""
    source, target = (end.strip().split(".") for end in text.split(">"))
    base = {
        "source": source[0], "sourcePort": source[1], "target": target[0], "targetPort": target[1], "implicit": True,
        "type": "table", "label": label, "copies": 0, "copiedBytes": 0, "copyReason": "",
        "carried": True,
    }  # fmt: skip
    return cast("Edge", {**base, **given})


def canvas(nodes: list[Card], edges: list[Edge], flow: str = "flights", **given: Any) -> Canvas:
    base = {
        "flowbook": "1", "kind": "canvas", "flow": flow, "seq": 12, "runId": RUN_ID, "at": "2026-11-20T12:00:00Z",
        "layoutHash": "", "document": {"flowbook": "1", "id": flow}, "nodes": nodes, "edges": edges, "groups": [],
        "notes": [],
        "run": {"id": RUN_ID, "status": "failed", "tookS": 4.1, "ran": 6, "cached": 3, "failed": 1, "skipped": 1,
                "copies": 0, "copiedBytes": 0, "cacheBytes": 4_100_000, "cacheBudgetBytes": 536_870_912},
    }  # fmt: skip
    return placed(cast("Canvas", {**base, **given}))


def tiny_png(width: int = 48, height: int = 30) -> str:
    """Make a small picture, base64: a bar chart in two colours."""
    rows = b""
    for y in range(height):
        row = b"".join(
            (b"\x2b\x6c\xb0" if height - y < (x // 6 % 5 + 1) * 5 and x % 6 < 4 else b"\xff\xff\xff")
            for x in range(width)
        )
        rows += b"\x00" + row

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(png).decode("ascii")


def flights() -> Canvas:
    """The flights flow while it runs: cached sources, a fused pair, a stale table, one failure, one that waits."""
    table = {
        "kind": "table", "height": 24, "width": 3,
        "columns": [{"name": "wind", "type": "String"}, {"name": "late", "type": "Int64"},
                    {"name": "delay", "type": "Float64"}],
        "rows": [["0–5", "11,204", "41.2"], ["5–10", "18,950", "47.8"], ["10–15", "14,377", "53.1"],
                 ["15–20", "9,020", "58.6"]],
    }  # fmt: skip
    nodes = [
        card("flights", stamp="cached", reason="lazy · parquet", tookS=None, shape="336,776 × 19"),
        card("weather", stamp="cached", reason="lazy · parquet", tookS=None, shape="26,115 × 15"),
        card("carriers", reason="async · http", tookS=1.2, shape="16 × 2"),
        card(
            "late_flights", reads="flights", shape="128,432 × 19", reason="setting 15 → 30",
            doc="Flights that left late.",
            settings=[setting("min_minutes", "slider", 30, 15, min=0, max=120, step=5)],
        ),
        card("with_weather", reads="late_flights weather", shape="128,432 × 34", reason="fused with 2", tookS=0.118),
        card("by_carrier", reads="with_weather carriers", status="running", stamp=None, reason="inputs changed",
             tookS=2.4, settings=[setting("sort", "select", "delay", "delay", options=["delay", "late"]),
                                  setting("top_only", "switch", value=True, default=False)]),
        card("wind_effect", reads="with_weather", stamp="stale", reason="24 × 3 · paused by you", tookS=0.084,
             preview=table, shape="24 × 3", copies=1, copiedBytes=4_200_000),
        card("chart", reads="by_carrier:table", gives="picture:picture-", status="waiting", stamp=None,
             reason="waits for by_carrier", tookS=None),
        card("correlate", reads="wind_effect", gives="result-", status="failed", stamp=None, tookS=0.012,
             reason="ColumnNotFound", error={"code": "FB402", "message": "no column “gust”",
                                             "hint": "did you mean “wind_gust”?", "line": 4}),
    ]  # fmt: skip
    edges = [
        edge("flights.result > late_flights.flights", "336,776 × 19"),
        edge("late_flights.result > with_weather.late_flights", "128,432 × 19"),
        edge("weather.result > with_weather.weather", "26,115 × 15"),
        edge("with_weather.result > by_carrier.with_weather", "128,432 × 34"),
        edge("carriers.result > by_carrier.carriers", "16 × 2"),
        edge("with_weather.result > wind_effect.with_weather", "128,432 × 34"),
        edge("by_carrier.result > chart.by_carrier", carried=False),
        edge("wind_effect.result > correlate.wind_effect", "24 × 3", implicit=False),
    ]
    group = {"title": "fused · 2 nodes + scan → 1 collect", "nodes": ["late_flights", "with_weather"]}
    return canvas(nodes, edges, groups=[group])


#: A histogram of twenty steps, one of them empty.
BELL = [1, 3, 9, 24, 55, 107, 178, 255, 312, 330, 312, 255, 178, 107, 55, 24, 9, 3, 0, 1]


def gallery() -> Canvas:
    """Every status, stamp, control, preview and port type on one canvas."""
    spark = [abs((index * 37 % 60) - 30) / 30 for index in range(60)]
    states = ["idle", "queued", "running", "ok", "skipped", "muted", "unresponsive"]
    nodes = [
        card("rows", kind="input", stamp="from notebook", reason="", tookS=None, shape="1,000 × 4"),
        *(card(f"is_{state}", reads="rows", status=state, stamp=None, reason="", tookS=None) for state in states),
        card("replayed", reads="is_ok", stamp="replayed", reason="step 3"),
        card("stub", kind="waiting", status="waiting", stamp=None, reason="its cell has not run", tookS=None,
             reads="is_ok"),
        card("controls", reads="is_ok url:text-", gives="train:array test:array-", pinned=True,
             settings=[setting("share", "slider", 0.25, 0.2, min=0, max=1, unit="of rows"),
                       setting("folds", "number", 5, 5), setting("method", "select", "spearman", "pearson"),
                       setting("shuffle", "switch", value=True, default=True),
                       setting("path", "path", "data/flights.parquet", ""), setting("seed", "number", 1, 1)]),
        card("curve", reads="controls:array", gives="result:array-", copies=2, copiedBytes=81_000,
             preview={"kind": "array", "dtype": "float64", "shape": [1000], "min": -1.5, "max": 3.25,
                      "spark": spark, "histogram": BELL}),
        card("field", reads="curve:array", gives="result:array-",
             preview={"kind": "array", "dtype": "float64", "shape": [96, 60], "min": 0, "max": 1, "spark": spark,
                      "histogram": BELL, "sampled": True,
                      "image": {"kind": "picture", "mime": "image/png", "data": tiny_png(96, 60), "width": 96,
                                "height": 60}}),
        card("drawn", reads="curve:array", gives="picture:picture", bypassed=True,
             preview={"kind": "picture", "mime": "image/png", "data": tiny_png(96, 60), "width": 96, "height": 60}),
        card("told", reads="drawn:picture", gives="text:text-",
             preview={"kind": "text", "text": "Delays grow with wind until 20 knots,\nthen fall: the worst flights\n"
                                              "are cancelled, not late."}),
        card("given", reads="is_ok", settings=[setting("n", "number", 5, 5, connected=True)]),
    ]  # fmt: skip
    edges = [
        *(edge(f"rows.result > is_{state}.rows", "1,000 × 4") for state in states),
        *(edge(f"is_ok.result > {node}.is_ok", "990 × 4") for node in ("replayed", "stub", "controls", "given")),
        edge("controls.train > curve.controls", "(1000, 3)", type="array", implicit=False, copies=2),
        edge("curve.result > drawn.curve", "(1000,)", type="array"),
        edge("drawn.picture > told.drawn", "640 × 400", type="picture"),
        edge("is_queued.result > given.n", "5", type="scalar", carried=False),
    ]
    return canvas(nodes, edges, flow="gallery", notes=[{"text": "Every state on one canvas, to look at.", "x": -240,
                                                        "y": 0}])  # fmt: skip


def random_flow(count: int, seed: int = 3) -> Canvas:
    """A flow of many nodes, some of them cached, stale or failed, with long edges."""
    chance = random.Random(seed)  # noqa: S311 - the same flow every time, no secret
    nodes, edges = [], []
    for number in range(count):
        name = f"step_{number:03}"
        sources = sorted({max(0, number - 1 - int(chance.expovariate(0.25))) for _ in range(chance.choice([1, 1, 2]))})
        reads = [f"step_{source:03}" for source in sources] if number > 2 else []
        state: dict[str, Any] = chance.choice(
            [{"stamp": "cached"}, {"stamp": "stale"}, {}, {}, {}, {"status": "failed", "stamp": None}]
        )
        nodes.append(card(name, reads=" ".join(reads), shape=f"{chance.randrange(10, 10**6):,} × 12",
                          tookS=chance.random(), **state))  # fmt: skip
        edges += [edge(f"{source}.result > {name}.{source}", "12,345 × 12") for source in reads]
    return canvas(nodes, edges, flow="many steps")


def trace(count: int = 0) -> Trace:
    """The run of the flights flow; with ``count``, a run of that many spans."""

    def span(node: str, **given: Any) -> Span:
        base = {
            "node": node, "status": "ok", "stamp": "recorded", "reason": "first run", "startS": 0.0, "tookS": 0.1,
            "attempt": 1, "rows": None, "columns": None, "copies": 0, "copiedBytes": 0, "copyReason": "", "logs": [],
            "logCount": 0, "error": None,
        }  # fmt: skip
        return cast("Span", {**base, **given})

    spans = [
        span("flights", stamp="cached", reason="nothing changed", startS=None, tookS=None, rows=336_776, columns=19),
        span("carriers", reason="recomputed: io node", startS=0.0, tookS=0.85, rows=16, columns=2,
             logs=[{"stream": "stdout", "text": "fetching carriers\n"}, {"stream": "stderr", "text": "slow server\n"}],
             logCount=2),
        span("late_flights", reason="fused: min_minutes 15 → 30", startS=0.06, tookS=0.11, rows=128_432, columns=19),
        span("by_carrier", status="running", stamp=None, reason="inputs changed", startS=0.9, tookS=1.3),
        span("wind_effect", stamp="stale", reason="kept: paused by you", startS=0.02, tookS=0.004, copies=1,
             copiedBytes=4_200_000),
        span("correlate", status="failed", stamp=None, reason="ColumnNotFound in In [9], line 4", startS=0.21,
             tookS=0.012, error={"code": "FB402", "message": "no column “gust”", "hint": "did you mean “wind_gust”?",
                                 "line": 4}),
        span("chart", status="skipped", stamp=None, reason="skipped: correlate failed", startS=None, tookS=None),
    ]  # fmt: skip
    if count:
        spans = [
            span(f"step_{number:04}", startS=number / 100, tookS=(number % 7) / 100, status="ok" if number % 50 else
                 "failed", logs=[{"stream": "stdout", "text": "a line of output\n" * 20}], logCount=1)
            for number in range(count)
        ]  # fmt: skip
    counts = {"ran": 6, "cached": 3, "failed": 1, "skipped": 1, "copies": 1, "copiedBytes": 4_200_000}
    return cast(
        "Trace",
        {
            "flowbook": "1", "kind": "trace", "flow": "flights", "runId": RUN_ID, "seq": 40, "status": "failed",
            "final": True, "startedAt": "2026-11-20T12:00:00Z", "tookS": 2.2, "summarised": False, "counts": counts,
            "spans": spans,
            "fused": [
                {
                    "members": ["flights", "late_flights", "by_carrier"], "collected": ["by_carrier"], "startS": 0.9,
                    "tookS": 1.3, "flowed": [{"source": "flights", "target": "late_flights", "rows": 336_776}],
                    "notFused": {"chart": "chart.table asks for a DataFrame"}, "error": "",
                },
            ] if not count else [],
        },
    )  # fmt: skip
