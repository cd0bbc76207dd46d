"""A flow as a person types it: ``fb.flow(name)``, ``fb.Flow``, ``@fb.node``."""

from __future__ import annotations

import builtins
import contextlib
import copy
import dataclasses
import itertools
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, overload

import flowbook
from flowbook.core.atomic_file import replace_file
from flowbook.core.checks import Finding, check
from flowbook.core.document import canonical_text, dump, from_document, load, parse, to_document
from flowbook.core.edits import apply_operations, disconnect, leave_to_name, rename
from flowbook.core.expansion import SEPARATOR, Expansion, expand, whole
from flowbook.core.flow_data import FlowData, NodeInstance
from flowbook.core.node_types import NodeType, default_node_id, node_type_of, stub_type
from flowbook.core.policies import FlowPolicy
from flowbook.core.subflows import TYPE_PREFIX, subflow_type
from flowbook.core.wiring import Wiring, edge_between, resolve, wiring_of
from flowbook.errors import (
    DefinitionError,
    DocumentError,
    DuplicateIdError,
    FlowbookError,
    RunError,
    StoreError,
    UnknownIdError,
    WiringError,
    did_you_mean,
)
from flowbook.observe.event_bus import EventBus, EventHistory, Subscription
from flowbook.observe.traces import Trace
from flowbook.runtime.asking import Wish, make_request
from flowbook.runtime.context import refuse_inside_firing, refuse_inside_flow
from flowbook.runtime.decisions import Request
from flowbook.runtime.execution import Execution
from flowbook.runtime.letters import Letters
from flowbook.runtime.plan import Plan, compile_plan, renewed_plan
from flowbook.runtime.results import FlowResults
from flowbook.runtime.run import Run
from flowbook.runtime.schemas import Schemas, schemas
from flowbook.runtime.self_runs import SelfRuns
from flowbook.runtime.source_types import describe_type, type_from_source
from flowbook.runtime.staleness import stale_reasons
from flowbook.session.flow_cache import FlowCache
from flowbook.session.flow_letters import FlowLetters
from flowbook.session.node_handle import Node
from flowbook.session.parameter_sweep import ParameterSweep
from flowbook.session.process import session, settle
from flowbook.session.subflows import (
    SubflowNode,
    entry_of,
    inner_changes,
    names_of_subflows,
    type_from_entry,
    type_of_flow,
)
from flowbook.stores.memory_letters import MemoryDeadLetters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbook.canvas.widget import FlowCanvas
    from flowbook.core.events import Event
    from flowbook.core.interfaces import DeadLetters
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Slot
    from flowbook.runtime.sweep import Batch

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
NODE_TYPE_ATTRIBUTE = "__flowbook_node_type__"
#: A node whose last firing took longer does not re-run by itself, seconds.
SELF_RUN_LIMIT_S = 2.0


def flow(name: str = "main", *, policy: FlowPolicy | None = None) -> Flow:
    """Get the flow of that name, making it when there is none, as ``logging.getLogger`` does.

    Args:
        name: of the flow.
        policy: how it runs from now on; left as it is when not given.
    """
    with session.lock:
        found = session.flows.get(name)
        is_new = found is None
        if found is None:
            found = session.flows[name] = Flow(name, policy=policy)
    if is_new and session.presenter is not None:
        session.presenter.made(found)
    if policy is not None:
        found.policy = policy
    return found


@overload
def node(function: FunctionT) -> FunctionT: ...
@overload
def node(
    *,
    outputs: Sequence[str] | None = None,
    name: str | None = None,
    mutable: bool | Sequence[str] = (),
    **policy: Any,
) -> Callable[[FunctionT], FunctionT]: ...
def node(
    function: FunctionT | None = None,
    *,
    outputs: Sequence[str] | None = None,
    name: str | None = None,
    mutable: bool | Sequence[str] = (),
    **policy: Any,
) -> FunctionT | Callable[[FunctionT], FunctionT]:
    """Declare a reusable node type; the function stays as it is and can be called.

    Args:
        function: the function, when used without parentheses.
        outputs: names of its outputs when it returns a tuple of several.
        name: id of the type; the function's name when left out.
        mutable: inputs that the function changes in place, by name, or True for all: it gets private copies of them.
        policy: fields of a node's policy: ``retry``, ``timeout_s``, ``kind``, ``cache``, ``on_change``, ``executor`` …

    Raises:
        DefinitionError: FB101 to FB109, the declaration cannot be read.
    """

    def declare(function: FunctionT) -> FunctionT:
        node_type = node_type_of(function, type_id=name, outputs=outputs, mutable=mutable, policy=policy)
        _remember(function, node_type)
        old = session.registry.find(node_type.type_id)
        session.registry.register(node_type)
        if old is not None:
            for member in list(session.members):
                member.renew_type(old, node_type)
        return function

    return declare if function is None else declare(function)


def _remember(function: Callable[..., Any], node_type: NodeType) -> None:
    """Let ``flow.add(function)`` find its declaration; a bound method bears no attributes and is declared anew."""
    if isinstance(function, FunctionType):
        setattr(function, NODE_TYPE_ATTRIBUTE, node_type)
        return
    with contextlib.suppress(AttributeError):
        setattr(function, NODE_TYPE_ATTRIBUTE, node_type)


class Flow:
    """A flow: nodes, edges, their values, and runs. ``fb.flow(name)`` gets a shared one, ``fb.Flow(name)`` makes one.

    Args:
        name: shown everywhere; the document's id.
        policy: how it runs.
    """

    def __init__(self, name: str = "main", *, policy: FlowPolicy | None = None) -> None:
        _join_notebook()
        self._data = FlowData(id=name, policy=policy or FlowPolicy())
        self._results = FlowResults()
        self._lock = threading.RLock()
        self._bus = EventBus()
        self._expansion: Expansion | None = None
        #: The same object in every type that is made of this flow.
        self.origin = object()
        #: Whether a type of its nodes may be a flow: looked for only then.
        self._may_nest = False
        self._plan: Plan | None = None
        self._last_run: Run | None = None
        self._self_runs: SelfRuns | None = None
        self._memory_letters = MemoryDeadLetters()
        #: Ids of nodes that code of this flow defines; their types are not for others to be made from.
        self._own: dict[str, None] = {}  # half of the memory of a set
        self._edit_count = 0
        self._listeners: list[Callable[[], None]] = []
        session.members.add(self)
        #: Links of settings to traits, by node id; made when asked for.
        self.traits: dict[str, Any] = {}

    # -- what it is

    @property
    def name(self) -> str:
        """The flow's name."""
        return self._data.id

    @property
    def policy(self) -> FlowPolicy:
        """How it runs; set another one with ``flow.policy = fb.FlowPolicy(…)``."""
        return self._data.policy

    @policy.setter
    def policy(self, policy: FlowPolicy) -> None:
        with self._edit():
            self._data.set_flow_policy(policy)
        self._letters()  # whoever asks for a disk learns now that it refuses

    @property
    def data(self) -> FlowData:
        """Nodes, edges and settings as data; for the rooms that draw and store them."""
        return self._data

    def data_around(self, node_id: str) -> FlowData:
        """The data in which a node stands: of the flow, or of the flow without its subflows for a node in one."""
        return self._expanded if SEPARATOR in node_id else self._data

    @property
    def results(self) -> FlowResults:
        """The present values and states; for the rooms that show them."""
        for execution in self._executions():
            execution.show()
        return self._results

    @property
    def bus(self) -> EventBus:
        """Tells who observes the flow."""
        return self._bus

    @property
    def last_run(self) -> Run | None:
        """The run that was asked for last."""
        return self._last_run

    @property
    def engine(self) -> Engine:
        """What runs it."""
        return session.engine

    @property
    def lock(self) -> threading.RLock:
        """Held during every edit; whoever holds it sees a flow that does not change."""
        return self._lock

    @property
    def edit_count(self) -> int:
        """How often somebody edited it; running a cell that defines nodes is no edit."""
        return self._edit_count

    @property
    def coded(self) -> frozenset[str]:
        """The nodes that code defines: they exist whether or not a document names them."""
        return frozenset(
            node.id
            for node in self._data.nodes.values()
            if node.is_own_type and node.id in self._own and self._data.type_of(node.id).origin != "stub"
        )

    def ahead(self) -> builtins.set[str]:
        """Name the nodes that runs under way, or queued, cover and have not come to."""
        for execution in self._executions():
            execution.show()
        return {
            node_id
            for execution in self._executions()
            if not execution.request.is_private
            for node_id in execution.node_ids
            if node_id not in execution.decisions
        }

    def _executions(self) -> list[Execution]:
        return [execution for execution in self.engine.active() if execution.results is self._results]

    @property
    def wiring(self) -> Wiring:
        """Every resolved edge, explicit and implicit."""
        with self._lock:
            wiring = wiring_of(self._data)
            wiring.is_shared = True
            return wiring

    @property
    def _expanded(self) -> FlowData:
        """The flow without its subflows."""
        with self._lock:
            plan = self.plan
            return self._expansion.data if self._expansion is not None and plan.nesting.types else self._data

    @property
    def plan(self) -> Plan:
        """The flow compiled for running."""
        with self._lock:
            data = self._data
            if self._plan is None or self._plan.revision != data.revision:
                wiring = wiring_of(data)
                if self._may_nest and any(node_type.body is not None for node_type in data.types.values()):
                    self._expansion = expand(data, wiring)
                    self._plan = compile_plan(self._expansion.data, self._expansion.wiring)
                    self._plan.nesting = self._expansion.nesting
                else:
                    known = self._plan if self._plan is not None and self._expansion is None else None
                    self._expansion = None
                    self._plan = renewed_plan(known, data, wiring)
                wiring.stirred = set()
            return self._plan

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of the nodes."""
        return iter(list(self._data.nodes))

    def __len__(self) -> int:
        """Count the nodes."""
        return len(self._data.nodes)

    def __contains__(self, node_id: object) -> bool:
        """Whether there is a node of that id; ``"sub/inner"`` is one in a subflow."""
        if SEPARATOR not in str(node_id):
            return node_id in self._data.nodes
        return node_id in self.plan.index or node_id in self.plan.nesting.types

    def __getitem__(self, node_id: str) -> Node:
        """Return a node; ``"sub/inner"`` is a node in a subflow.

        Raises:
            UnknownIdError: a KeyError.
        """
        if SEPARATOR in node_id and node_id in self:
            return SubflowNode(self, node_id) if node_id in self.plan.nesting.types else Node(self, node_id)
        self._data.node(node_id)
        return SubflowNode(self, node_id) if self._data.type_of(node_id).body is not None else Node(self, node_id)

    def __repr__(self) -> str:
        """Show the name and the number of nodes and edges."""
        count = len(self._data.nodes)
        return f"<flow {self.name}: {count} node{'s' if count != 1 else ''}, {len(self.wiring.links)} edges>"

    # -- building

    @overload
    def node(self, function: FunctionT) -> FunctionT: ...
    @overload
    def node(
        self,
        *,
        outputs: Sequence[str] | None = None,
        name: str | None = None,
        mutable: bool | Sequence[str] = (),
        **policy: Any,
    ) -> Callable[[FunctionT], FunctionT]: ...
    def node(
        self,
        function: FunctionT | None = None,
        *,
        outputs: Sequence[str] | None = None,
        name: str | None = None,
        mutable: bool | Sequence[str] = (),
        **policy: Any,
    ) -> FunctionT | Callable[[FunctionT], FunctionT]:
        """Declare a node type and put one node of it, named like the function, into this flow.

        Declaring it again puts the new code in place of the old; edges, settings and position stay. The arguments are
        those of ``fb.node``.
        """

        def declare(function: FunctionT) -> FunctionT:
            node_type = node_type_of(function, type_id=name, outputs=outputs, mutable=mutable, policy=policy)
            _remember(function, node_type)
            self.define(node_type)
            return function

        return declare if function is None else declare(function)

    def define(self, node_type: NodeType) -> None:
        """Put a node type and its node, both of one name, into the flow; used by decorators and cells.

        A node of that name that waits for its code adopts it with edges, settings and position.

        Raises:
            DuplicateIdError: FB202, a node of that name is made from another type.
        """
        node_id = node_type.type_id
        if session.presenter is not None:
            session.presenter.defining(self, node_id)
        with self._edit(is_by_person=False):
            existing = self._data.nodes.get(node_id)
            if existing is not None and not existing.is_own_type:
                # The id belongs to a node of a reusable type; the function or cell must find another name.
                self._data._check_new_id(node_id)  # noqa: SLF001 -- raises the flow's own error
            self._data.refuse_type_in_use(node_id)
            old = self._data.types.get(node_id)
            self._data.set_type(node_type)
            self._own[node_id] = None
            if existing is None:
                self._data.add_node(node_id, node_type)
        if old is not None and old.source != node_type.source:
            self._let_go(node_id)
        if session.presenter is not None:
            session.presenter.defined(self, node_id, is_new=existing is None)

    def renew_type(self, old: NodeType, new: NodeType) -> None:
        """Put new code of a reusable type in place of the old, wherever this flow uses it."""
        if self._data.types.get(old.type_id) is old:
            with self._edit():
                self._data.set_type(new)
            for node_id in [node.id for node in self._data.nodes.values() if node.type_id == old.type_id]:
                self._let_go(node_id)

    def undefine(self, node_id: str) -> None:
        """Take a node's code away, its cell is gone; edges, settings and position wait for a cell of that name."""
        with self._edit(is_by_person=False):
            self._data.set_type(stub_type(self._data.node(node_id).type_id))
        self._let_go(node_id)

    def adopt(self, old: str, new: str) -> None:
        """Let node ``new``, just defined, take the place of ``old``: edges, settings and position follow."""
        with self._edit():
            node_type = self._data.type_of(new)
            self._data.remove_node(new)
            self._data.rename_node(old, new)
            self._data.set_node_type(new, new)
            self._data.drop_type(old)
            self._own.pop(old, None)
            self._data.set_type(node_type)
            leave_to_name(self._data, new)
            self._values_follow([(old, new)])
        if session.presenter is not None:
            session.presenter.renamed(self, old, new)

    def take_subflow(self, node_type: NodeType) -> None:
        """Put a flow's present form in place of an earlier one, or of what waits for it; used by its edits."""
        old = self._data.types.get(node_type.type_id)
        with self._edit(is_by_person=False):
            self._may_nest = True
            self._data.set_type(node_type)
            groups = [node.id for node in self._data.nodes.values() if node.type_id == node_type.type_id]
            gone, changed = inner_changes(old, node_type)
            self._values_follow((whole(group, name), None) for group in groups for name in gone)
        for group in groups:
            for name in changed:
                self._let_go(whole(group, name))

    def inner_became(self, origin: object, became: Sequence[tuple[str, str | None]]) -> None:
        """Let what is known of nodes in a subflow follow them; used by the edits of the flow it is made from.

        Args:
            origin: of that flow.
            became: ``(old id, new id)`` there, or None for a node that is gone.
        """
        bodies = {node.id: self._data.type_of(node.id).body for node in list(self._data.nodes.values())}
        groups = [node_id for node_id, body in bodies.items() if body is not None and body.origin is origin]
        self._values_follow(
            (whole(group, old), None if new is None else whole(group, new)) for group in groups for old, new in became
        )

    def declare_ports(
        self, *, inputs: Mapping[str, str] | None = None, outputs: Mapping[str, str] | None = None
    ) -> None:
        """Say what this flow shows as its own ports where it is used as a node.

        Args:
            inputs: port -> ``"node.port"`` that it feeds; of the other unconnected inputs only the required ones show.
                None: every unconnected input, by its name.
            outputs: port -> ``"node"`` or ``"node.port"`` that gives it. None: the outputs of the leaves.

        Raises:
            UnknownIdError: FB201, there is no such port; nothing has changed.
        """
        before = self._data.ports
        with self._edit():
            self._data.ports = {"inputs": dict(inputs or {}), "outputs": dict(outputs or {})}
            try:
                subflow_type(self._data, self.origin)
            except FlowbookError:
                self._data.ports = before
                raise
            self._data.revision += 1

    def add(
        self, node_type: Callable[..., Any] | NodeType | Flow | str, node_id: str | None = None, /, **values: Any
    ) -> Node:
        """Add a node.

        Args:
            node_type: a function declared with ``@fb.node`` (or any function), a node type, or the id of one; or a
                flow, which becomes one node with ports of its own and stays in step with later edits of it.
            node_id: the node's id; the last part of the type's when left out.
            values: a setting's value, or an input port's constant (an edge overrules it). Of a flow,
                ``each="path"`` names the input, or a list of inputs, that takes a list: the flow is run for each item,
                and its outputs give lists, as with ``fb.each`` in a function.

        Raises:
            DuplicateIdError, UnknownIdError, DefinitionError, WiringError: nothing was added.
        """
        found = self._find_type(node_type)
        policy = {}
        if found.body is not None and "each" in values and "each" not in found.parameter_names:
            policy["each"] = values.pop("each")
        if found.type_id in self._own and self._data.types.get(found.type_id) is not found:
            raise DuplicateIdError(
                f"node {found.type_id!r} has code of its own; no other node type can bear its name",
                where=self._data.where,
                hint=f"give the type another name: @fb.node(name={found.type_id + '_type'!r})",
                node=found.type_id,
            )
        with self._edit():
            added = self._data.add_node(node_id or default_node_id(found.type_id), found, values, policy)
            if self._data.types[found.type_id] is not found:
                self._data.set_type(found)
        return self[added.id]

    def _find_type(self, node_type: Callable[..., Any] | NodeType | Flow | str) -> NodeType:
        if isinstance(node_type, NodeType):
            self._may_nest = self._may_nest or node_type.body is not None
            return node_type
        if isinstance(node_type, str) and node_type not in self._data.types and node_type.startswith(TYPE_PREFIX):
            node_type = session.find_flow(node_type.removeprefix(TYPE_PREFIX)) or node_type
        if isinstance(node_type, Flow):
            known = self._data.types.get(TYPE_PREFIX + node_type.name)
            if known is not None and known.body is not None and known.body.origin is not node_type.origin:
                raise DuplicateIdError(
                    f"another flow of the name {node_type.name!r} is used here already",
                    where=self._data.where,
                    hint="give one of the two flows another name",
                )
            found, self._may_nest = type_of_flow(node_type, self), True
            session.subflows.use(node_type.name, self)
            return found
        if isinstance(node_type, str):
            return self._data.types.get(node_type) or session.registry.get(node_type)
        declared = getattr(node_type, NODE_TYPE_ATTRIBUTE, None)
        return declared if isinstance(declared, NodeType) else node_type_of(node_type)

    def connect(self, source: str, target: str) -> None:
        """Connect ``"node"`` or ``"node.port"`` to ``"node.port"`` (or to ``"node"`` when it has one input).

        Raises:
            UnknownIdError, WiringError, CycleError: nothing was connected.
        """
        with self._edit():
            self._data.add_edge(edge_between(self._data, source, target))

    def disconnect(self, source: str, target: str) -> None:
        """Take an edge away; for one that follows from names, a cut is stored so that it stays away.

        Raises:
            WiringError: FB209, there is no such edge.
        """
        with self._edit():
            disconnect(self._data, source, target)

    def remove(self, node_id: str) -> None:
        """Remove a node with its explicit edges and its value."""
        with self._edit():
            self._data.remove_node(node_id)
            self._values_follow([(node_id, None)])

    def rename(self, old: str, new: str) -> None:
        """Give a node another id; edges, settings, position and value follow.

        What read it by its name goes on reading it, by an explicit edge; an input that waits for the new name reads it
        from now on. Renaming it back leaves such edges to the names again.

        Raises:
            UnknownIdError, DuplicateIdError, WiringError: nothing has changed.
        """
        self._rename(old, new, names_follow=True)

    def rename_with_cell(self, old: str, new: str) -> None:
        """The same, where its cell gives it the other name: explicit edges follow, and other cells mean what they say.

        Whoever runs the cells from the top gets the same flow then.
        """
        self._rename(old, new, names_follow=False)

    def _rename(self, old: str, new: str, *, names_follow: bool) -> None:
        with self._edit():
            if old == new:
                self._data.node(old)
                return
            rename(self._data, old, new, names_follow=names_follow)
            self._values_follow([(old, new)])
        if session.presenter is not None:
            session.presenter.renamed(self, old, new)

    def move(self, node_id: str, x: int, y: int) -> None:
        """Place a node on the canvas, its left top corner, pixels; without it the layout decides."""
        self.apply([{"op": "move", "node": node_id, "x": x, "y": y}])

    def apply(self, operations: Sequence[Mapping[str, Any]]) -> None:
        """Apply operations as a canvas sends them (``core.edits``): all of them, or none.

        A setting that was moved this way is a person's: what is below it re-runs by itself if it is quick.

        Raises:
            FlowbookError: one of them cannot be carried out; nothing has changed.
        """
        with self._edit():
            applied = apply_operations(self._data, operations, self)
            self._data = applied.data
            self._values_follow(applied.became)
        for old, new in applied.became:
            if new is not None and session.presenter is not None:
                session.presenter.renamed(self, old, new)
        if applied.moved:
            self._rerun_soon(applied.moved)

    def _values_follow(self, became: Iterable[tuple[str, str | None]]) -> None:
        """Let what is known of nodes follow them: ``(old id, new id)``, or None for a node that is gone."""
        became = list(became)
        for old, new in became:
            for known in (old, *sorted(self._known_within(old))):
                if new is None:
                    self._results.forget(known)
                    self._memory_letters.forget(known)
                    continue
                name = new + known.removeprefix(old)
                self._results.rename(known, name)
                if self._results.letters is not None:
                    self._results.letters.renamed(known, name)
            if new is None:
                self._own.pop(old, None)
                continue
            if old in self._own:
                del self._own[old]
                self._own[new] = None
            if self._self_runs is not None:
                self._self_runs.renamed(old, new)
            link = self.traits.pop(old, None)
            if link is not None:
                link.node_id = new
                self.traits[new] = link
        session.subflows.became(self, became)

    def _known_within(self, group: str) -> builtins.set[str]:
        """Name the nodes in a subflow of which anything is known, by the names that it is known under."""
        if not self._may_nest:  # an edit of one node does not look at all of them
            return builtins.set()
        letters = {letter.error.node_id for letter in self._memory_letters.letters()}
        if self._results.letters is not None:
            letters |= self._results.letters.open_works.keys()
        return self._results.within(group) | {name for name in letters if name.startswith(group + SEPARATOR)}

    def find_type(self, type_id: str) -> NodeType:
        """Return a node type that every flow may use, or that of another flow.

        Raises:
            UnknownIdError: FB212.
        """
        flow = session.find_flow(type_id.removeprefix(TYPE_PREFIX)) if type_id.startswith(TYPE_PREFIX) else None
        if flow is not None:
            return self._find_type(flow)
        return session.registry.get(type_id)

    def read_document(self, text: str, current: FlowData) -> FlowData:
        """Return the flow that a text describes, with the code that is known here; nodes that code defines stay.

        Args:
            text: a document; empty text says nothing of any node.
            current: the flow as it is.

        Raises:
            DocumentError: the text is no document.
        """
        incoming = self._read(text, current)
        self._find_subflows(incoming)
        incoming.id = current.id  # under which views and cells know it
        for node_id in current.nodes:
            if node_id in self.coded and node_id not in incoming.nodes:
                incoming.nodes[node_id] = NodeInstance(id=node_id, type_id=node_id)
        return incoming

    @staticmethod
    def _read(text: str, current: FlowData) -> FlowData:
        incoming = load(text, name=current.id) if not text.strip() else from_document(parse(text), name=current.id)
        incoming.types = dict(current.types)
        for node in incoming.nodes.values():
            found = session.registry.type_for(node)
            if found is not None:
                incoming.types.setdefault(node.type_id, found)
        _compile_lazily(incoming)
        return incoming

    def _find_subflows(self, incoming: FlowData) -> None:
        """Give the nodes of a document that stand for flows the flows of those names."""
        for name in names_of_subflows(incoming):
            self._may_nest = True
            session.subflows.use(name, self)
            known, flow = incoming.types.get(TYPE_PREFIX + name), session.find_flow(name)
            if (known is None or known.body is None) and flow is not None and flow is not self:
                with contextlib.suppress(WiringError):  # it would contain itself: the node waits
                    incoming.types[TYPE_PREFIX + name] = type_of_flow(flow, self)

    def _edit(self, *, is_by_person: bool = True) -> _Edit:
        return _Edit(self, is_by_person=is_by_person)

    def _end_edit(self, before: int | None, *, is_by_person: bool) -> None:
        """Leave the lock and tell of what changed since that revision; None: the edit was refused."""
        changed = before is not None and self._data.revision != before
        self._edit_count += changed and is_by_person
        self._lock.release()
        if before is not None:
            self._leave_due()
        if changed:
            self._changed()

    def _let_go(self, node_id: str) -> None:
        """Leave what a node holds on to: it is another, or gone."""
        self._results.let_go(node_id)
        self._leave_due()

    def _leave_due(self) -> None:
        """Have what was let go left, by code of the user's that may want the flow's lock: never under that lock."""
        resources = self._results.resources
        if resources is None or not resources.has_due:
            return
        if self._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001 -- of an edit around this one
            self.engine.pool.submit(resources.leave_due)
        else:
            resources.leave_due()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after every edit that changed something, on the thread that edited."""
        self._listeners.append(callback)

    def _changed(self) -> None:
        for callback in list(self._listeners):
            callback()
        session.subflows.changed(self)
        session.hub.flow_changed(self)
        if session.presenter is not None:
            session.presenter.changed(self)

    def set(self, node_id: str, /, *unnamed: object, **values: Any) -> None:
        """Set settings or constants of a node: ``flow.set("delays", min_minutes=60)``.

        Its value and those below it turn stale. A constant of an input takes the place of the edge that names imply,
        and waits behind one that somebody drew: ``check`` says which. To take it back:
        ``del flow["delays"].settings["flights"]``.

        Args:
            node_id: the node.
            unnamed: nothing; a value needs the name of its setting.
            values: by setting or input.

        Raises:
            UnknownIdError, DefinitionError: nothing was set.
        """
        if unnamed or "." in node_id:
            raise _unnamed_value(self._data, node_id, unnamed)
        with self._edit():
            node_id, values = self._outermost(node_id, values)
            for name, value in values.items():  # all are checked before any is set
                self._data.checked_value(node_id, name, value)
            for name, value in values.items():
                self._data.set_value(node_id, name, value)

    def reset(self, node_id: str, name: str) -> None:
        """Give a setting its default again, or take back the constant of an input.

        Raises:
            UnknownIdError: a KeyError: FB201, there is no such setting, and no constant.
        """
        with self._edit():
            node_id, values = self._outermost(node_id, {name: None})
            (name,) = values
            known = self._data.node(node_id).settings
            if name not in known and self._data.type_of(node_id).setting(name) is None:
                raise UnknownIdError(
                    f"nothing is set for {name!r} of {node_id!r}",
                    where=self._data.where,
                    hint=did_you_mean(name, known),
                    node=node_id,
                )
            self._data.clear_value(node_id, name)

    def _outermost(self, node_id: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Say of a subflow what is said of a node in it: of ``sub/inner`` its ``n``, of ``sub`` then ``inner.n``."""
        outer, _, inner = node_id.partition(SEPARATOR)
        if not inner:
            return node_id, values
        return outer, {f"{inner.replace(SEPARATOR, '.')}.{name}": value for name, value in values.items()}

    def set_policy(self, node_id: str, **policy: Any) -> None:
        """Override policy fields of one node: ``muted=True``, ``pinned=True``, ``timeout_s=5``.

        Raises:
            UnknownIdError, DefinitionError: nothing was set.
        """
        if SEPARATOR in node_id and node_id in self:
            outer, _, inner = node_id.rpartition(SEPARATOR)
            name = self[outer].node_type.type_id.removeprefix(TYPE_PREFIX)
            raise DefinitionError(
                f"{node_id!r} has the policy that its own flow gives it",
                code="FB101",
                where=self._data.where,
                hint=f'fb.flow("{name}").set_policy("{inner}", …)',
            )
        with self._edit():
            self._data.set_policy(node_id, policy)

    # -- showing

    def canvas(self, height: int = 480) -> FlowCanvas:
        """Make the flow's canvas as a widget: it fits into a ``VBox``, can be linked, and closed.

        Args:
            height: pixels, >= 120.

        Raises:
            CanvasError: FB805, flowbook was installed without its browser part.
        """
        from flowbook.canvas.widget import FlowCanvas  # noqa: PLC0415 -- loads ipywidgets

        return FlowCanvas(self, session.hub, height=height)

    # -- looking

    def check(self) -> list[Finding]:
        """List what is wrong, or will be when somebody needs it; never raises, runs nothing."""
        return check(self._data, self.wiring, is_given=self._is_given)

    def _is_given(self, node_id: str, port: str) -> bool:
        if f"{node_id}.{port}" in self._results.given or port in self._results.given:
            return True
        entry = self._data.type_of(node_id).input(port)
        return entry is not None and entry.is_ambient and self.engine.namespace.lookup(port)[0]

    def schemas(self) -> Schemas:
        """Say which columns every table has, before anything is computed.

        The functions of nodes that give lazy tables are called, which builds their plans; nothing is collected and
        nothing of it is kept. ``.errors`` lists the nodes whose steps cannot work, ``.unknown`` those of which nothing
        can be said before a run.

        Returns:
            Schemas by ``"node"``, or ``"node.port"`` where there are several outputs.
        """
        refuse_inside_firing("flow.schemas()")
        return schemas(self.plan, self._results, self.engine)

    def stale(self) -> dict[str, str]:
        """Say for every node whose value is no longer current why it is not; runs nothing."""
        plan = self.plan
        stale = stale_reasons(plan, self._results, self.engine)
        for group, members in plan.nesting.members.items():
            inner = next((name for name in members if name in stale), None)
            if inner is not None:
                stale[group] = f"{inner.removeprefix(group + SEPARATOR)}: {stale[inner]}"
        return stale

    def document(self) -> dict[str, Any]:
        """Return the flow's document as JSON values (contract of ``.flow.json`` and of ``%%flow`` cells)."""
        return copy.deepcopy(to_document(self._data))

    def document_text(self) -> str:
        """Return the document in canonical form: one node or edge a line."""
        return dump(self._data)

    def save(self, path: str | Path) -> Path:
        """Write the document with the source of its cell-defined types, atomically.

        Raises:
            DocumentError: FB305, the file cannot be written; an earlier one is unchanged.
        """
        target = Path(path)
        text = canonical_text(to_document(self._data, types=self._type_sources()))
        try:
            replace_file(target, text.encode())
        except OSError as error:
            raise DocumentError(
                f"{target.name} cannot be written: {error.strerror}",
                code="FB305",
                hint="choose a folder that exists and may be written",
            ) from error
        return target

    def _type_sources(self) -> list[dict[str, Any]]:
        return self._sources_of(self._data)

    def _sources_of(self, data: FlowData) -> list[dict[str, Any]]:
        used = {node.type_id for node in data.nodes.values()}
        described = {
            str(entry["id"]): entry for entry in data.type_sources if isinstance(entry, dict) and "id" in entry
        }
        for type_id in sorted(used):
            node_type = data.types.get(type_id)
            if node_type is not None and node_type.body is not None:
                described[type_id] = entry_of(node_type, self._sources_of)
                continue
            if node_type is None or (node_type.origin == "document" and type_id in described):
                continue
            entry = describe_type(node_type, self._environment_of(data, type_id))
            if entry["source"]:  # of other code the file keeps what the node is called and set to
                described[type_id] = entry
        return [described[type_id] for type_id in sorted(described) if type_id in used]

    def _environment_of(self, data: FlowData, type_id: str) -> Callable[[str], tuple[bool, Any]]:
        """Look names up in the notebook, save those that edges feed: a node wins over a function of its name."""
        wiring = self.wiring if data is self._data else resolve(data)
        fed = {port for node_id, port in wiring.links if data.nodes[node_id].type_id == type_id}
        lookup = self.engine.namespace.lookup
        return lambda name: (False, None) if name in fed else lookup(name)

    @classmethod
    def open(cls, path: str | Path) -> Flow:
        """Read a ``.flow.json`` file into a new flow. Code in it is compiled when a node first needs it, not here.

        Raises:
            DocumentError: FB306 the file cannot be read; FB301 to FB304 it is not a document.
        """
        source = Path(path)
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise DocumentError(
                f"{source.name} cannot be read: {reason}", code="FB306", hint="give the path of a .flow.json file"
            ) from error
        opened = cls(source.name.removesuffix(".json").removesuffix(".flow"))
        opened.replace_document(text)
        return opened

    def replace_document(self, text: str, *, is_by_person: bool = True) -> None:
        """Put a document in place of the flow's own; node types that are known keep their code.

        Args:
            text: the document.
            is_by_person: somebody edits the flow; False: its own text is read again.

        Raises:
            DocumentError: the flow stays as it was.
        """
        with self._edit(is_by_person=is_by_person):
            incoming = self._read(text, self._data)
            self._find_subflows(incoming)
            self._values_follow((node_id, None) for node_id in self._data.nodes if node_id not in incoming.nodes)
            incoming.revision = self._data.revision + 1
            self._data = incoming

    @property
    def dead_letters(self) -> FlowLetters:
        """Failures that nobody took, with what their nodes were given: a list, ``replay()`` and ``drop()``.

        Nothing of them is written to disk, and of each node only the newest is kept, unless the flow's policy says
        ``state_storage="sqlite"``.

        Raises:
            StoreError: FB901, FB903, FB906: the file of the letters cannot be used.
        """
        return FlowLetters(self, self._letters(), self._submit)

    def letter_counts(self) -> dict[str, int]:
        """Count the dead letters of nodes that have some, as far as this process knows; for views, which ask often.

        Those of a node in a subflow count for the subflow, too.
        """
        letters = self._results.letters
        if letters is None or not letters.open_works:
            return {}
        counts: Counter[str] = Counter()
        with contextlib.suppress(StoreError):  # who asks for the letters themselves is told
            for letter in letters.store.letters(self.name):
                counts.update(itertools.accumulate(letter.error.node_id.split(SEPARATOR), "{}/{}".format))
        return counts

    def letters_changed(self) -> None:
        """Dead letters were dropped: views show how many there are."""
        session.hub.flow_changed(self)

    @property
    def cache(self) -> FlowCache:
        """How much memory results of earlier settings hold, and may hold: ``flow.cache.budget_bytes = 2**30``."""
        return FlowCache(self._results)

    def _letters(self) -> Letters:
        """Return the letters, where the flow's policy keeps them."""
        with self._lock:
            known = self._results.letters
            is_lasting = self._data.policy.state_storage == "sqlite"
            store: DeadLetters = session.letter_store if is_lasting else self._memory_letters
            if known is not None and known.is_of(store, self.name):
                return known
            letters = Letters(store, self.name)
            if is_lasting:
                letters.take_over(self._memory_letters)
            self._results.letters = letters
            return letters

    def observe(self, handler: Callable[[Event], None]) -> Subscription:
        """Call ``handler`` with every event of every run, on a thread of its own, until the returned one is closed."""
        return self._bus.observe(handler)

    # -- running

    async def run(
        self,
        *,
        to: str | Sequence[str] | None = None,
        after: str | Sequence[str] | None = None,
        only: str | Sequence[str] | None = None,
        force: bool = False,
        settings: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Run:
        """Run what is stale and wait; ``await flow.run()`` in a notebook cell.

        Args:
            to: these nodes and what they need.
            after: these nodes and what depends on them; what they need must have a value.
            only: these nodes alone; what they need must have a value.
            force: fire even what did not change.
            settings: ``{"node.setting": value}`` for this run alone.
            inputs: ``{"port": value}`` or ``{"node.port": value}`` for unconnected inputs; remembered.
            overrides: ``{"node": value}``: the value stands in for the node, in this run alone.

        Raises:
            FlowFailedError: FB401, a node failed; everything else was finished. ``.run`` holds the run.
            FlowbookError: the run cannot begin: a loop, an unknown id.
        """
        refuse_inside_firing("flow.run()")
        return await self.start(
            to=to, after=after, only=only, force=force, settings=settings, inputs=inputs, overrides=overrides
        )

    def run_sync(self, *, raise_errors: bool = True, timeout_s: float | None = None, **scope: Any) -> Run:
        """Run and wait, blocking. Takes the arguments of ``run``.

        Args:
            raise_errors: raise ``FlowFailedError`` when a node failed; False returns the run whatever happened.
            timeout_s: longest wait, seconds; the run is cancelled then.
            scope: see ``run``.

        Raises:
            RunError: FB409, the time was over.
        """
        refuse_inside_firing("flow.run_sync()")
        run = self.start(**scope)
        if not run.wait(timeout_s):
            run.cancel()
            run.wait()
            raise RunError(
                f"the run took longer than {timeout_s:g} s and was cancelled",
                code="FB409",
                where=self._data.where,
                hint="raise timeout_s, or use flow.start()",
            )
        if raise_errors:
            run.raise_errors()
        return run

    def start(
        self,
        *,
        to: str | Sequence[str] | None = None,
        after: str | Sequence[str] | None = None,
        only: str | Sequence[str] | None = None,
        force: bool = False,
        settings: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
        supersedes: str | None = None,
    ) -> Run:
        """Start a run and return at once; ``await run``, ``run.wait(timeout_s=…)``, ``run.cancel()``.

        The arguments are those of ``run``; ``supersedes`` names a node whose earlier firing gives way to this run.
        """
        refuse_inside_flow("flow.start()", self.name)
        with self._lock:
            if to is None and after is None and only is None:
                to = [node_id for node_id in session.default_targets if node_id in self._data.nodes] or None
            wish = Wish(
                to=to,
                after=after,
                only=only,
                force=force,
                settings=settings or {},
                inputs=inputs or {},
                overrides=overrides or {},
            )
            plan = self.plan
            request = make_request(self._expanded, plan, wish)
            if not request.is_private:
                self._results.remember(request.inputs)
            if session.only_defines:
                request = Request(scope=frozenset())
            elif session.runs_once:
                request = dataclasses.replace(request, is_the_last=True)
            return self._submit(plan, request, supersedes=supersedes)

    def sweep(
        self,
        settings: Mapping[str | tuple[str, str], Iterable[Any]],
        *,
        outputs: str | Sequence[str] | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> ParameterSweep:
        """Run once for each combination of settings: ``sweep = await flow.sweep({"delays.min_minutes": [15, 60]})``.

        What the settings do not change is computed once, and the flow keeps its own settings and values. Returns at
        once, as ``start`` does: ``await`` it, ``wait()``, iterate over its rows, ``cancel()``; then ``table()``.

        Args:
            settings: ``{"node.setting": values}``, or ``(node, setting)`` as key; several make all combinations, the
                last one moving fastest. An input's value is its constant.
            outputs: the values wanted, ``"node"`` or ``"node.port"``; the leaves below the settings when left out.
            inputs: as in ``run``.

        Raises:
            FlowbookError: an unknown name, a value that does not fit, no value at all; nothing has run.
        """
        refuse_inside_flow("flow.sweep()", self.name)
        with self._lock:
            sweep = ParameterSweep(self, settings, outputs=outputs, inputs=inputs)
        return sweep.begin()

    def _submit(self, plan: Plan, request: Request, *, supersedes: str | None = None, is_shown: bool = True) -> Run:
        engine = self.engine
        self._letters()
        teller = _Teller(self, is_private=request.is_private)
        execution = Execution(plan, request, self._results, engine, teller)
        asked_at = engine.clock.time()
        trace = Trace(self.name, execution.trace_id, engine.payloads.table, asked_at=asked_at, look=execution.show)
        run = teller.run = Run(execution, trace, teller.history, settle=settle)
        self._last_run = run
        if session.presenter is not None and is_shown:
            session.presenter.run_started(self, run)
        engine.submit(execution, supersedes=supersedes)
        return run

    # -- running by itself

    def setting_moved(self, node_id: str, name: str, value: Any) -> None:
        """Set a setting as a person moves it: the node and those below that have a value re-run soon, if quick."""
        with self._edit():
            node_id, values = self._outermost(node_id, {name: value})
            ((name, value),) = values.items()
            is_other = self._data.set_value(node_id, name, value)
        if is_other:
            self._rerun_soon([node_id])

    def _rerun_soon(self, node_ids: Iterable[str]) -> None:
        with self._lock:
            if self._self_runs is None:
                self._self_runs = SelfRuns(
                    clock=self.engine.clock,
                    call_later=self._call_later,
                    begin=self._run_moved,
                    wait_for_others=self._wait_for_others,
                )
        self._self_runs.moved(node_ids)

    def _call_later(self, delay_s: float, job: Callable[[], None]) -> Callable[[], None]:
        pool = self.engine.pool
        if delay_s > 0:
            return self.engine.timers.call_later(delay_s, lambda: pool.submit(job))
        pool.submit(job)  # somebody waits, and a timer's thread takes its time to wake up
        return lambda: None

    def _wait_for_others(self, job: Callable[[], None]) -> bool:
        """Call the job when a run that somebody asked for is over; False when none goes on."""
        other = next((execution for execution in self._executions() if execution.request.is_explicit), None)
        if other is None:
            return False
        other.on_done(lambda: self.engine.pool.submit(job))
        return True

    def cancel(self) -> None:
        """Cancel every run of this flow, queued ones too, and forget what would have run by itself."""
        if self._self_runs is not None:
            self._self_runs.forget()
        for execution in reversed(self._executions()):  # the queued ones first: the end of one starts the next
            execution.cancel()

    def _run_moved(self, moved: Set[str]) -> Run | None:
        with self._lock:
            plan = self.plan
            still = {
                leaf
                for node_id in moved
                if node_id in self._data.nodes
                for leaf in plan.nesting.members.get(node_id, (node_id,))
                if leaf == node_id or leaf in self.stale()
            }
            below = plan.downstream(sorted(still))
            scope: builtins.set[int] = builtins.set()
            for slot in plan.slots:  # in topological order
                # A node above that stays stale keeps what is below it stale too.
                is_fed = all(source in scope or source not in below for source in slot.predecessors)
                if slot.index in below and self._runs_by_itself(slot) and (is_fed or slot.node_id in still):
                    scope.add(slot.index)
            if not scope or (plan.cycle and any(plan.slots[index].node_id in plan.looped for index in scope)):
                return None
            return self._submit(plan, Request(scope=frozenset(scope), is_explicit=False), is_shown=False)

    def _runs_by_itself(self, slot: Slot) -> bool:
        state = self._results.state(slot.node_id)
        is_quick = state.cost_s is None or state.cost_s <= SELF_RUN_LIMIT_S
        return state.result is not None and is_quick and slot.policy.on_change == "auto"


class _Edit:
    """A block in which a flow is edited, under its lock; whoever listens is told once, after it."""

    __slots__ = ("_before", "_flow", "_is_by_person")

    def __init__(self, flow: Flow, *, is_by_person: bool) -> None:
        self._flow = flow
        self._is_by_person = is_by_person
        self._before = 0

    def __enter__(self) -> None:
        self._flow.lock.acquire()
        self._before = self._flow.data.revision

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        before = self._before if failed is None else None
        self._flow._end_edit(before, is_by_person=self._is_by_person)  # noqa: SLF001 -- it is the flow's own


class _Teller:
    """Tells of one run: its trace and its history, which are read later, and whoever listens while it goes on."""

    def __init__(self, flow: Flow, *, is_private: bool) -> None:
        self._flow = flow
        self._is_private = is_private
        self.history = EventHistory()
        self.run: Run  # who makes the run needs who tells of it

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self.run.trace.take(event)
        self.history.put(event)
        self.push(event)

    def is_heard(self) -> bool:
        """Whether somebody listens."""
        flow = self._flow
        return bool(flow.bus.subscription_count or session.presenter is not None or session.hub.watches(flow))

    def later(self, batch: Batch, told: int) -> None:
        """Take what a sweep did; whoever listens has heard of the slots up to ``told``."""
        self.run.trace.take_later(batch.events)
        self.history.put(batch.events)
        if self.is_heard():
            for event in batch.events(told):
                self.push(event)

    def push(self, event: Event) -> None:
        """Tell whoever listens."""
        flow = self._flow
        flow.bus.publish(event)
        session.hub.event(flow, self.run, event, is_private=self._is_private)
        if session.presenter is not None:
            session.presenter.event(flow, self.run, event, is_private=self._is_private)


def _unnamed_value(data: FlowData, node_id: str, unnamed: Sequence[object]) -> DefinitionError:
    """Make the error of a value whose setting is not named by a keyword: ``flow.set("delays.min_minutes", 60)``."""
    outer, _, name = node_id.partition(".")
    known = data.type_of(outer).parameter_names if outer in data.nodes else []
    if not name and len(unnamed) > 1 and isinstance(unnamed[0], str):
        name, unnamed = unnamed[0], unnamed[1:]
    shown = repr(unnamed[0])[:40] if unnamed else "…"
    named = name if name.isidentifier() else known[0] if len(known) == 1 else "name"
    hint = f'flow.set("{outer}", {named}={shown})'
    if name.isidentifier() and known and name not in known:
        hint += f"; {did_you_mean(name, known)}"
    return DefinitionError(
        f"flow.set takes a node, and its settings as keywords, not {node_id!r}"
        if "." in node_id
        else "flow.set takes settings by name",
        code="FB115",
        where=data.where,
        hint=hint,
    )


def _join_notebook() -> None:
    """Making a flow in a notebook loads the extension, so that a forgotten ``%load_ext`` costs nothing."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive is not None else None
    if shell is not None and session.presenter is None:
        flowbook.load_ipython_extension(shell)


def complete_types(data: FlowData) -> None:
    """Look up the node types of a flow that a document carries."""
    for node in data.nodes.values():
        found = session.registry.type_for(node)
        if found is not None:
            data.types.setdefault(node.type_id, found)
    _compile_lazily(data)


def _compile_lazily(data: FlowData) -> None:
    """Give nodes whose code is in the document's ``types`` a type that compiles at its first firing."""
    for entry in data.type_sources:
        if isinstance(entry, dict) and isinstance(entry.get("flow"), dict) and isinstance(entry.get("id"), str):
            data.types.setdefault(entry["id"], type_from_entry(entry, complete_types))
        elif isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"] not in data.types:
            data.types[entry["id"]] = type_from_source(entry)
