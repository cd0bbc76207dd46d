"""What one process shares: one engine, one registry, the named flows, the presenter, the hub of live views."""

from __future__ import annotations

import os
import threading
import weakref
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flowbook
from flowbook import nodes
from flowbook.canvas.control import Hub
from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.data.packing import TablePacking
from flowbook.data.payloads import TablePayloads
from flowbook.registry.registry import Registry
from flowbook.runtime.capture import StreamCapture
from flowbook.runtime.engine import Engine
from flowbook.runtime.run import Run
from flowbook.sandbox.process_pool import ProcessPool
from flowbook.session.subflows import SubflowTypes
from flowbook.stores.disk_cache import DiskCache
from flowbook.stores.folders import cache_folder, state_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbook.core.interfaces import ValueWatch
    from flowbook.session.flow_handle import Flow
    from flowbook.session.presenter import Presenter
    from flowbook.stores.dead_letters import SqliteDeadLetters

#: Environment variable that names further folders of node types.
NODE_FOLDERS_VARIABLE = "FLOWBOOK_NODES"
#: Environment variable that switches the search for changed values on.
WATCH_VARIABLE = "FLOWBOOK_WATCH"


class Session:
    """Everything one process shares: the engine, the registry, the named flows, the presenter, the hub of live views.

    For the hub it is where flows and node types are found (``canvas.control.Flows``).
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        named = os.environ.get(NODE_FOLDERS_VARIABLE, "").split(os.pathsep)
        self.registry = Registry(
            [Path(nodes.__file__).parent, *(Path(name) for name in named if name)], runtime=flowbook.__version__
        )
        self.flows: dict[str, Flow] = {}
        #: Every flow there is, the nameless ones too.
        self.members: weakref.WeakSet[Flow] = weakref.WeakSet()
        self.presenter: Presenter | None = None
        #: ``to=`` of every run that names no scope itself; set by the command line.
        self.default_targets: tuple[str, ...] = ()
        #: Runs fire nothing: a notebook is read for its nodes; set by the command line.
        self.only_defines = False
        #: What is run is run once, and nobody looks at it afterwards; set by the command line.
        self.runs_once = False
        #: Tells live views what happens to flows.
        self.hub = Hub(self)
        #: Tells flows what happens to the flows they use as nodes.
        self.subflows = SubflowTypes(self.find_flow)
        self._engine: Engine | None = None
        self._letter_stores: dict[Path, SqliteDeadLetters] = {}

    @property
    def letter_store(self) -> SqliteDeadLetters:
        """Dead letters on this machine's disk, opened at first use.

        Raises:
            StoreError: FB901, FB903, FB906: the file cannot be used.
        """
        from flowbook.stores.dead_letters import FILE_NAME, SqliteDeadLetters  # noqa: PLC0415 -- loads sqlite

        path = state_folder() / FILE_NAME
        with self.lock:
            if path not in self._letter_stores:
                self._letter_stores[path] = SqliteDeadLetters(path, LastingCodecs())
            return self._letter_stores[path]

    def find_flow(self, name: str) -> Flow | None:
        """Return the flow of that name, or None."""
        return self.flows.get(name)

    def flow_names(self) -> list[str]:
        """Return the names of all flows that have one of their own."""
        with self.lock:
            return list(self.flows)

    def type_list(self) -> list[dict[str, Any]]:
        """Return the node types that can be added to any flow, as a palette lists them."""
        return [
            {
                "typeId": entry.node_type.type_id,
                "label": entry.label,
                "doc": entry.node_type.doc,
                "category": entry.category,
                "icon": entry.icon,
                "color": entry.color,
                "inputs": [
                    {"name": port.name, "type": port.type, "required": port.is_required}
                    for port in entry.node_type.inputs
                ],
                "outputs": [{"name": port.name, "type": port.type} for port in entry.node_type.outputs],
            }
            for entry in self.registry.palette()
        ]

    @property
    def engine(self) -> Engine:
        """The engine, made at first use."""
        with self.lock:
            if self._engine is None:
                capture = StreamCapture()
                capture.install()
                versions = f"flowbook {flowbook.__version__}, polars {metadata.version('polars')}"
                self._engine = Engine(
                    payloads=TablePayloads(),
                    capture=capture,
                    versions=versions,
                    disk=DiskCache(cache_folder(), LastingCodecs()),
                    isolation=ProcessPool(["polars", "numpy", "flowbook.data.packing"], packing=TablePacking()),
                )
                if os.environ.get(WATCH_VARIABLE, "0") not in {"", "0"}:
                    self._engine.watch = _new_watch()
            return self._engine


session = Session()


def watch_mutations(is_on: bool = True) -> None:
    """Switch the debug mode on or off that finds values which were changed after they were given away.

    After every firing all present values are hashed again, and a node whose firing changed one of them fails with
    FB608, which names it and the node that made the value. What was made before it was switched on is not watched. The
    environment variable ``FLOWBOOK_WATCH=1`` does the same from the start.
    """
    session.engine.watch = _new_watch() if is_on else None


def _new_watch() -> ValueWatch:
    from flowbook.data.mutations import MutationWatch  # noqa: PLC0415 -- nothing of it is loaded without debug mode

    return MutationWatch()


def headless_defaults(*, to: Sequence[str] = (), only_defines: bool = False, runs_once: bool = False) -> None:
    """Say what the command line wants of the runs of this process.

    Args:
        to: the target of every run that does not name its own scope.
        only_defines: no run fires anything.
        runs_once: nobody looks at values afterwards but at those that the runs were for.
    """
    session.default_targets = tuple(to)
    session.only_defines = only_defines
    session.runs_once = runs_once


def drain(timeout_s: float | None = None) -> None:
    """Wait until no run is under way or queued, so that a process or a notebook does not end in the middle of one."""
    while active := session.engine.active():
        if not Run(active[0], None).wait(timeout_s):
            return
    settle()


def settle() -> None:
    """Who waited for a run sees its last state: a headless notebook reads no update after its last cell."""
    if session.presenter is not None:
        session.presenter.settle()
