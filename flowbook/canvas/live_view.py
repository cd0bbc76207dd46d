"""One flow as its live views see it: every part kept, so that only what changed has to be told.

A look compares the flow with what was seen before and says what is news. A look at everything notices any change,
staleness included, and costs something for every node; a look at some nodes is for the middle of a run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from flowbook.canvas.cards import card_size
from flowbook.canvas.messages import sendable
from flowbook.canvas.placement import MANY_NODES
from flowbook.canvas.protocol import fit_canvas, fit_trace
from flowbook.canvas.sequence import next_seq
from flowbook.canvas.snapshot import FlowView, card, edges_of, look_at, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from flowbook.canvas.messages import CellNews, Message
    from flowbook.canvas.protocol import Canvas, Card, Edge, RunSummary
    from flowbook.runtime.run import Run

#: The most bytes of a canvas that is sent live; beyond it the same things are left out as when one is stored.
MAX_CANVAS_BYTES = 4 * 1024 * 1024
#: The most bytes of one node's output; of a larger one its large parts are left out.
MAX_OUTPUT_BYTES = 2 * 1024 * 1024
#: The most bytes of outputs in one batch; the rest comes with the next.
MAX_OUTPUTS_BYTES = 3 * 1024 * 1024
#: A longer document is not sent; a flow with one cannot be written into a cell.
MAX_DOCUMENT_CHARS = 1_000_000
#: Runs whose traces are kept for views; older ones are over.
KEPT_RUNS = 16
#: What stays when a node's output is too large.
_SMALL_MIMES = ("application/vnd.flowbook.node+json", "text/plain")


class LiveFlow(FlowView, Protocol):
    """What a live view needs of a flow."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while edits are made."""
        ...


class LiveOutput(Protocol):
    """What the cell of a node shows."""

    @property
    def version(self) -> int:
        """Another number whenever it shows something else; not for another stamp alone."""
        ...

    def live_bundle(self) -> Message | None:
        """Make its mime bundle, as it is stored; None when its node is gone."""
        ...


class Host(Protocol):
    """The notebook around the kernel, as far as live views have to know of it."""

    def current(self) -> str | None:
        """Name the flow whose cell ran last."""
        ...

    def node_output(self, flow: Any, node_id: str) -> LiveOutput | None:
        """Return what a node's cell shows, or None: no cell shows it."""
        ...

    def canvas_output(self, flow: Any) -> Message | None:
        """Make the mime bundle of the flow's canvas, as it is stored; None: no cell shows one."""
        ...

    def trace_output(self, run_id: str) -> Message | None:
        """Make the mime bundle of a run's trace, as it is stored; None: no cell shows it."""
        ...

    def run(self, run_id: str) -> Run | None:
        """Return a run that a cell shows, or None."""
        ...

    def document(self, flow: Any) -> str:
        """Return the text that should stand in the flow's ``%%flow`` cell."""
        ...

    def cell(self, flow: Any) -> CellNews:
        """Say what is known of that cell."""
        ...

    def wrote(self, flow: Any, text: str, cell_id: str | None) -> None:
        """Note that the cell holds this text now.

        Raises:
            FlowbookError: the text is no document.
        """
        ...


class NoHost:
    """No notebook: nothing is shown in cells, and no cell holds a document."""

    def current(self) -> str | None:
        """Name none."""
        return None

    def node_output(self, _flow: Any, _node_id: str) -> LiveOutput | None:
        """Return none."""
        return None

    def canvas_output(self, _flow: Any) -> Message | None:
        """Make none."""
        return None

    def trace_output(self, _run_id: str) -> Message | None:
        """Make none."""
        return None

    def run(self, _run_id: str) -> Run | None:
        """Return none."""
        return None

    def document(self, flow: Any) -> str:
        """Return the flow's own document."""
        return str(flow.document_text()).rstrip()

    def cell(self, _flow: Any) -> CellNews:
        """Say that there is none."""
        return {"id": None, "text": None, "due": False}

    def wrote(self, flow: Any, text: str, cell_id: str | None) -> None:
        """Note nothing."""


@dataclass(slots=True)
class News:
    """What a view has not been told yet; what it is by then is looked up when it is told."""

    all: bool = False
    revision: bool = False
    cards: set[str] = field(default_factory=set)
    edges: bool = False
    run: bool = False
    document: bool = False
    cell: bool = False
    runs: dict[str, None] = field(default_factory=dict)
    nodes: dict[str, None] = field(default_factory=dict)
    outputs: dict[str, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__dataclass_fields__)

    def add(self, other: News) -> None:
        """Add what came since."""
        self.all = self.all or other.all
        self.revision = self.revision or other.revision
        self.cards |= other.cards
        self.edges = self.edges or other.edges
        self.run = self.run or other.run
        self.document = self.document or other.document
        self.cell = self.cell or other.cell
        self.runs.update(other.runs)
        self.nodes.update(other.nodes)
        self.outputs.update(other.outputs)


class LiveView:
    """See the module's docstring.

    Args:
        flow: what to look at.
        host: the notebook around it.
    """

    def __init__(self, flow: LiveFlow, host: Host) -> None:
        self.flow = flow
        self._host = host
        self.revision = -1
        self.cell: CellNews = {"id": None, "text": None, "due": False}
        self._canvas: Canvas | None = None
        self._stale: dict[str, str] = {}
        self._cards: dict[str, Card] = {}
        self._edges: list[Edge] = []
        self._run: RunSummary | None = None
        self._document: str | None = None
        self._runs: dict[str, Run] = {}
        self._traces: dict[str, tuple[int, int]] = {}
        self._versions: dict[str, int] = {}
        self._stored: dict[str, Message] = {}

    # -- looking

    def look(self) -> News:
        """Look at everything; what changed is news. Nodes without a value that is made already are not computed."""
        flow = self.flow
        with flow.lock:
            revision, stale = flow.data.revision, flow.stale()
            canvas = snapshot_of(flow, look_at(flow, is_live=True, stale=stale))
            cell = self._host.cell(flow)
            is_same_text = revision == self.revision and cell["text"] == self.cell["text"]
            document = self._document if is_same_text and self._document else self._host.document(flow)
            node_ids = list(flow.data.nodes)
        news = News(revision=revision != self.revision)
        news.all = self._canvas is None or _frame(canvas) != _frame(self._canvas)
        cards = {entry["id"]: entry for entry in canvas["nodes"]}
        news.cards = {node_id for node_id, entry in cards.items() if self._cards.get(node_id) != entry}
        news.edges, news.run = canvas["edges"] != self._edges, canvas["run"] != self._run
        news.document, news.cell = document != self._document, cell != self.cell
        self.revision, self._stale, self._canvas, self._cards = revision, stale, canvas, cards
        self._edges, self._run, self._document, self.cell = canvas["edges"], canvas["run"], document, cell
        if flow.last_run is not None:
            news.add(self.look_at_runs([flow.last_run]))
        news.nodes = self._changed_outputs(node_ids)
        return news

    def look_at_nodes(self, node_ids: Iterable[str]) -> tuple[News, bool]:
        """Look at some nodes and the edges at them, and at the run.

        Returns:
            What is news, and whether cards outgrew their places, so that a look at everything is due.
        """
        flow = self.flow
        if self._canvas is None:
            return News(), True
        news, is_tight = News(), False
        with flow.lock:
            known = [node_id for node_id in node_ids if node_id in flow.data.nodes and node_id in self._cards]
            for node_id in known:
                self._stale.pop(node_id, None)  # its run has just been here
            look = look_at(flow, is_live=True, stale=self._stale)
            for node_id in known:
                before, now = self._cards[node_id], card(flow, node_id, look)
                is_tight = is_tight or (len(self._cards) <= MANY_NODES and card_size(before) != (now["w"], now["h"]))
                now = _in_place_of(before, now)
                if now != before:
                    self._cards[node_id] = now
                    news.cards.add(node_id)
            edges = [*edges_of(flow), *(edge for edge in self._edges if edge["source"] not in flow.data.nodes)]
        news.edges, self._edges = edges != self._edges, edges
        news.nodes = self._changed_outputs(known)
        return news, is_tight

    def look_at_runs(self, runs: Iterable[Run]) -> News:
        """Look at runs: their traces, and the summary of the last one."""
        news = News()
        for run in runs:
            self._runs.pop(run.id, None)
            self._runs[run.id] = run
            now = (run.trace.seq, said_by(run))
            if self._traces.get(run.id) != now:
                self._traces[run.id] = now
                news.runs[run.id] = None
        while len(self._runs) > KEPT_RUNS:
            oldest = next(iter(self._runs))
            del self._runs[oldest], self._traces[oldest]
        return news

    def look_at_outputs(self, run_ids: Iterable[str], *, with_canvas: bool) -> News:
        """Look at what cells other than node cells show: the traces of these runs, and the canvas."""
        news = News()
        made = {run_id: self._host.trace_output(run_id) for run_id in run_ids}
        if with_canvas:
            made[""] = self._host.canvas_output(self.flow)
        for key, data in made.items():
            if data is not None and _gist(data) != _gist(self._stored.get(key)):
                self._stored[key] = data
                news.outputs[key] = None
        for key in list(self._stored):
            if key and key not in self._runs:
                del self._stored[key]
        return news

    def everything(self, run_ids: Iterable[str] = ()) -> News:
        """Say what a view has to be told that knows nothing.

        Args:
            run_ids: runs it shows the traces of, besides those that are kept.
        """
        asked = [run for run_id in run_ids if (run := self._host.run(run_id)) is not None]
        self.look_at_runs([*asked, *self._runs.values()])
        wanted = {run.id for run in asked} | {run.id for run in self._runs.values() if run.status == "running"}
        if self.flow.last_run is not None:
            wanted.add(self.flow.last_run.id)
        return News(
            all=True,
            document=True,
            cell=True,
            runs=dict.fromkeys(run_id for run_id in self._runs if run_id in wanted),
            nodes=dict.fromkeys(self._versions),
            outputs=dict.fromkeys(self._stored),
        )

    @property
    def open_runs(self) -> list[Run]:
        """The runs that go on, as far as is known."""
        return [run for run in self._runs.values() if run.status == "running"]

    @property
    def said(self) -> dict[str, int]:
        """How much the runs that go on have printed: no event tells of that."""
        return {run.id: said_by(run) for run in self.open_runs}

    def _changed_outputs(self, node_ids: Iterable[str]) -> dict[str, None]:
        changed: dict[str, None] = {}
        for node_id in node_ids:
            output = self._host.node_output(self.flow, node_id)
            version = output.version if output is not None else 0
            if version != self._versions.get(node_id, 0):
                self._versions[node_id] = version
                changed[node_id] = None
        return changed

    # -- telling

    def batch(self, news: News, seq: int) -> tuple[Message, News]:
        """Compose one batch.

        Args:
            news: what the view has not been told.
            seq: the batch's number.

        Returns:
            The batch, and what did not fit into it and has to follow.
        """
        batch: Message = {"kind": "batch", "flow": self.flow.name, "seq": seq, "rev": self.revision}
        later = News()
        if news.all and self._canvas is not None:
            canvas = {**self._canvas, "nodes": list(self._cards.values()), "edges": self._edges, "seq": next_seq()}
            batch["canvas"] = fit_canvas(cast("Canvas", canvas), max_bytes=MAX_CANVAS_BYTES, is_live=True)
        else:
            self._add_changes(batch, news)
        if news.document and self._document is not None and len(self._document) <= MAX_DOCUMENT_CHARS:
            batch["document"] = self._document
        if news.cell:
            batch["cell"] = self._small_cell()
        self._add_trace(batch, later, news)
        room = MAX_OUTPUTS_BYTES
        for node_id in news.nodes:
            room = self._add_node(batch, later, node_id, room)
        for key in news.outputs:
            room = self._add_output(batch, later, key, room)
        return batch, later

    def _add_changes(self, batch: Message, news: News) -> None:
        cards = [entry for node_id, entry in self._cards.items() if node_id in news.cards]
        if cards:
            batch["cards"] = cards
        if news.edges:
            batch["edges"] = self._edges
        if news.run:
            batch["run"] = self._run

    def _add_trace(self, batch: Message, later: News, news: News) -> None:
        known = [run_id for run_id in news.runs if run_id in self._runs]
        if known:
            batch["trace"] = fit_trace(self._runs[known[0]].trace.to_json())
        later.runs = dict.fromkeys(known[1:])

    def _small_cell(self) -> CellNews:
        if len(self._document or "") <= MAX_DOCUMENT_CHARS and len(self.cell["text"] or "") <= MAX_DOCUMENT_CHARS:
            return self.cell
        return {"id": self.cell["id"], "text": None, "due": False}

    def _add_node(self, batch: Message, later: News, node_id: str, room: int) -> int:
        if room <= 0:
            later.nodes[node_id] = None
            return room
        output = self._host.node_output(self.flow, node_id)
        data = output.live_bundle() if output is not None else None
        if data is None:
            return room
        entry: Message = {**data[_SMALL_MIMES[0]], "data": data}
        if node_id in self._cards:
            entry.update({key: self._cards[node_id][key] for key in ("status", "stamp", "reason")})
        size_bytes = sendable(entry)[1]
        if size_bytes > MAX_OUTPUT_BYTES:
            entry["data"] = {mime: content for mime, content in data.items() if mime in _SMALL_MIMES}
            entry["data"]["text/plain"] = str(data.get("text/plain", ""))[:10_000]
            entry["shrunk"] = True
            size_bytes = sendable(entry)[1]
        batch.setdefault("nodes", []).append(entry)
        return room - size_bytes

    def _add_output(self, batch: Message, later: News, key: str, room: int) -> int:
        if room <= 0:
            later.outputs[key] = None
            return room
        data = self._stored.get(key)
        size_bytes = sendable(data)[1] if data is not None else 0
        if data is None or size_bytes > MAX_OUTPUT_BYTES:
            return room
        batch.setdefault("outputs", []).append(
            {"kind": "trace" if key else "canvas", "runId": key or None, "data": data}
        )
        return room - size_bytes


def said_by(run: Run) -> int:
    """Say how much the nodes of a run have printed and displayed so far."""
    return sum(span.effects.extent for span in run.trace.spans if span.effects is not None)


def _frame(canvas: Canvas) -> tuple[Any, ...]:
    """What only a whole canvas can tell: which cards there are, and what stands around them."""
    return ([entry["id"] for entry in canvas["nodes"]], canvas["groups"], canvas["notes"])


def _in_place_of(before: Card, now: Card) -> Card:
    """Put a card where it was, and leave ports connected that a notebook value feeds."""
    fed = {port["name"] for port in before["inputs"] if port["connected"]}
    inputs = [{**port, "connected": port["connected"] or port["name"] in fed} for port in now["inputs"]]
    place = {"x": before["x"], "y": before["y"], "w": before["w"], "h": before["h"]}
    return cast("Card", {**now, **place, "inputs": inputs})


def _gist(data: Mapping[str, Any] | None) -> Any:
    """What of an output is worth being written again: numbers, stamps and their reasons change by themselves."""
    if data is None:
        return None
    bundle: dict[str, Any] = next(
        (content for mime, content in data.items() if mime.startswith("application/vnd.flowbook")), {}
    )
    passing = ("stamp", "reason")
    return {
        key: [{name: part for name, part in entry.items() if name not in passing} for entry in value]
        if key in ("nodes", "spans")
        else value
        for key, value in bundle.items()
        if key not in ("seq", "at")
    }
