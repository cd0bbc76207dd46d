"""The flows of a file, put together from what its text says: documents, signatures, names.

A function's ports and settings depend on its signature alone, so a stand-in gets the signature and nothing that could
run: annotations as text, defaults only where they are literals. `flowbook.core` then reads it as it would in a kernel,
with the same words for what is wrong. A node whose cell gives no signature reads the free names of its body.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
from dataclasses import dataclass, field, replace
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from flowbook.core.document import load
from flowbook.core.flow_data import FlowData, NodeInstance
from flowbook.core.node_types import NodeType, Port, PortKind, node_type_of
from flowbook.core.subflows import TYPE_PREFIX, subflow_type
from flowbook.errors import DefinitionError, FlowbookError
from flowbook.headless.scan import FlowCell, NodeCell, NotebookScan, Place, parse_cell
from flowbook.runtime.source_types import type_from_source
from flowbook.session import session
from flowbook.session.flow_handle import complete_types
from flowbook.session.subflows import names_of_subflows, type_from_entry

if TYPE_CHECKING:
    from collections.abc import Callable

_UNKNOWN_DEFAULT = None
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True)
class StaticFlow:
    """One flow of a file.

    Attributes:
        data: its nodes with the types that could be read; a node whose code is elsewhere is a stub.
        places: where a cell defines a node, by node id.
        document_place: the ``%%flow`` cell, or None.
        is_rewired: Python code in the notebook connects or removes something, so that the wiring is not known here.
        problems: what could not be read, each with its place as ``where``.
    """

    data: FlowData
    places: dict[str, Place] = field(default_factory=dict)
    document_place: Place | None = None
    is_rewired: bool = False
    problems: list[FlowbookError] = field(default_factory=list)


def flows_of_notebook(scan: NotebookScan) -> list[StaticFlow]:
    """Put the flows of a notebook together, in the order in which their first cell comes."""
    flows: dict[tuple[str, ...], StaticFlow] = {}
    for cell in scan.flows:
        flows[(cell.flow,)] = _read_flow_cell(cell)
    for node in scan.nodes:
        flow = flows.setdefault(node.flow_key, StaticFlow(FlowData(id=node.flow)))
        _add_node(flow, node)
    for key in scan.rewired & flows.keys():
        flows[key].is_rewired = True
    for name, node_type in read_types(scan)[0].items():
        for flow in flows.values():
            flow.data.types.setdefault(name, node_type)
    for flow in flows.values():
        _add_installed_types(flow)
    by_name = {flow.data.id: flow for flow in flows.values()}
    for flow in flows.values():
        for name in names_of_subflows(flow.data):
            used = by_name.get(name)
            if used is not None and used is not flow:
                with contextlib.suppress(FlowbookError):  # its own findings say what is wrong with it
                    flow.data.types[TYPE_PREFIX + name] = subflow_type(used.data, object())
    return sorted(flows.values(), key=_first_position)


def flow_of_document(text: str, name: str) -> StaticFlow:
    """Read a flow document with the node types it carries in ``types``.

    Args:
        text: JSON.
        name: the flow's name when the text says none.

    Raises:
        DocumentError: it cannot be read.
    """
    flow = StaticFlow(load(text, name=name))
    for entry in flow.data.type_sources:
        if isinstance(entry, dict):
            try:
                is_flow = isinstance(entry.get("flow"), dict)
                node_type = type_from_entry(entry, complete_types) if is_flow else type_from_source(entry)
            except FlowbookError as error:
                flow.problems.append(error)
            else:
                flow.data.types[node_type.type_id] = node_type
    _add_installed_types(flow)
    return flow


def read_types(scan: NotebookScan) -> tuple[dict[str, NodeType], list[FlowbookError]]:
    """Read the reusable node types (``@fb.node``) of a notebook, and what is wrong with the others."""
    types: dict[str, NodeType] = {}
    problems: list[FlowbookError] = []
    for cell in scan.types:
        try:
            types[cell.name] = _node_type(cell)
        except DefinitionError as error:
            if not _is_uncertain(error, cell):
                error.where = str(cell.place)
                problems.append(error)
    return types, problems


def _add_installed_types(flow: StaticFlow) -> None:
    """Give nodes of the standard library, and of folders that the user named, their types."""
    for node in flow.data.nodes.values():
        found = session.registry.type_for(node)
        if found is not None:
            flow.data.types.setdefault(node.type_id, found)


def _first_position(flow: StaticFlow) -> tuple[int, int]:
    places = [*flow.places.values(), *([flow.document_place] if flow.document_place else [])]
    return min(((place.position, place.line) for place in places), default=(0, 0))


def _read_flow_cell(cell: FlowCell) -> StaticFlow:
    try:
        return StaticFlow(load(cell.text, name=cell.flow), document_place=cell.place)
    except FlowbookError as error:
        line, column = error.fields.get("line"), error.fields.get("column")
        here = str(cell.place)
        if isinstance(line, int):  # counted from the document's first line, which is the cell's second
            here = f"{cell.place.at(1 + line)}, column {column}"
            error.what = error.what.removesuffix(f", line {line}, column {column}")
        error.where = ", ".join(part for part in (f"flow {cell.flow!r}", here, error.where) if part)
        return StaticFlow(FlowData(id=cell.flow), document_place=cell.place, problems=[error])


def _add_node(flow: StaticFlow, node: NodeCell) -> None:
    flow.places.setdefault(node.name, node.place)
    instance = flow.data.nodes.setdefault(node.name, NodeInstance(id=node.name, type_id=node.name))
    try:
        node_type = _node_type(node)
    except DefinitionError as error:
        if not _is_uncertain(error, node):
            error.where = f"flow {node.flow!r}, {node.place}"
            flow.problems.append(error)
        return
    named = {edge.source_port for edge in flow.data.edges if edge.source == node.name and edge.source_port}
    flow.data.types[instance.type_id] = _with_outputs(node_type, named)


def _with_outputs(node_type: NodeType, names: set[str]) -> NodeType:
    """Believe the output ports that the document names: a class in the annotation may have them."""
    known = {port.name for port in node_type.outputs}
    return replace(node_type, outputs=(*node_type.outputs, *(Port(name=name) for name in sorted(names - known))))


def _is_uncertain(error: DefinitionError, node: NodeCell) -> bool:
    """Whether only the reading of text failed: ``fb.Setting(max=LIMIT)`` is fine when annotations are objects."""
    return error.code == "FB102" and any(
        isinstance(part, ast.Call) and any(not _is_literal(word.value) for word in part.keywords)
        for argument in (_all_arguments(node.function) if node.function else [])
        for part in ast.walk(argument.annotation or argument)
    )


# -- types


def _node_type(cell: NodeCell) -> NodeType:
    """Read a node's type off its cell.

    Raises:
        DefinitionError: as a kernel would.
    """
    if cell.function is not None:
        found = node_type_of(_stand_in(cell.function), type_id=cell.name, outputs=cell.outputs or None)
        outputs = found.outputs if cell.is_function else _body_outputs(cell)
        return replace(found, doc=cell.doc, outputs=outputs, source=cell.body)
    inputs = tuple(Port(name=name, kind=PortKind(is_ambient=True)) for name in free_names(cell.body))
    return NodeType(
        type_id=cell.name, function=None, inputs=inputs, outputs=_body_outputs(cell), origin="cell", source=cell.body
    )


def _body_outputs(cell: NodeCell) -> tuple[Port, ...]:
    """Outputs of a ``%%node`` cell: the listed ones, else the node's own name, else every public name it assigns."""
    names = cell.outputs
    if not names:
        assigned = sorted(name for name in _names(cell.body, ast.Store) if not name.startswith("_"))
        names = (cell.name,) if cell.name in assigned or not assigned else tuple(assigned)
    return tuple(Port(name=name) for name in names)


def free_names(body: str) -> list[str]:
    """Names that a body reads and binds nowhere, builtins excepted, in alphabetical order."""
    tree = parse_cell(body)
    if tree is None:
        return []
    bound = _names(body, ast.Store) | _names(body, ast.Del)
    for node in ast.walk(tree):
        if isinstance(node, _Function | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            bound.add(node.name)
    return sorted(name for name in _names(body, ast.Load) - bound if not hasattr(builtins, name))


def _names(body: str, context: type[ast.expr_context]) -> set[str]:
    tree = parse_cell(body)
    nodes = ast.walk(tree) if tree else ()
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, context)}


def _stand_in(function: _Function) -> Callable[..., Any]:
    """Make a function that has the same signature and does nothing; nothing of the original is evaluated."""

    def stand_in() -> None:
        """Never called."""

    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args]
    defaults = [*[None] * (len(named) - len(arguments.defaults)), *arguments.defaults]
    kinds = [Parameter.POSITIONAL_ONLY] * len(arguments.posonlyargs) + [Parameter.POSITIONAL_OR_KEYWORD] * len(
        arguments.args
    )
    parameters = [_parameter(*entry) for entry in zip(named, kinds, defaults, strict=True)]
    if arguments.vararg:
        parameters.append(_parameter(arguments.vararg, Parameter.VAR_POSITIONAL, None))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        parameters.append(_parameter(argument, Parameter.KEYWORD_ONLY, default))
    if arguments.kwarg:
        parameters.append(_parameter(arguments.kwarg, Parameter.VAR_KEYWORD, None))
    returns = Signature.empty if function.returns is None else ast.unparse(function.returns)
    described: Any = stand_in
    described.__name__ = function.name
    described.__signature__ = Signature(parameters, return_annotation=returns)
    return stand_in


def _parameter(argument: ast.arg, kind: Any, default: ast.expr | None) -> Parameter:
    annotation = Parameter.empty if argument.annotation is None else ast.unparse(argument.annotation)
    value: Any = Parameter.empty
    if default is not None:
        value = ast.literal_eval(default) if _is_literal(default) else _UNKNOWN_DEFAULT
    return Parameter(argument.arg, kind, default=value, annotation=annotation)


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _all_arguments(function: _Function) -> list[ast.arg]:
    arguments = function.args
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
