"""The cell magics: ``%%node``, ``%%flow`` and ``%flow``."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from IPython.core.magic import no_var_expand

from flowbook.core.annotations import read_annotation
from flowbook.core.node_types import NodeType, Port, PortKind, node_type_of
from flowbook.errors import CellError, FlowbookError
from flowbook.notebook.cell_book import is_upper_half
from flowbook.notebook.cell_function import CellFunction, build, line_of_body
from flowbook.notebook.cell_source import function_text
from flowbook.notebook.flow_cells import FlowCells
from flowbook.notebook.tracebacks import as_cell_error
from flowbook.registry.magic_line import NodeLine, parse_flow_line, parse_node_line
from flowbook.session import flow as named_flow
from flowbook.session import session

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from flowbook.notebook.presenter import NotebookPresenter
    from flowbook.runtime.run import Run
    from flowbook.session import Flow


#: Options of a magic line that say something else than how the node runs, or say it by a field of its own.
_NO_POLICY = frozenset({"muted", "pinned", "mutable"})


class Magics:
    """Binds the magics to a shell.

    Args:
        shell: the running shell.
        presenter: shows what they make.
    """

    def __init__(self, shell: InteractiveShell, presenter: NotebookPresenter) -> None:
        self.shell = shell
        self.presenter = presenter
        self.flow_cells = FlowCells(presenter)
        self._filenames: list[str] = []

    def register(self) -> None:
        """Make the magics known to the shell."""
        register: Any = self.shell.register_magic_function
        register(self._node_magic(), "cell", "node")
        register(self._flow_cell_magic(), "cell", "flow")
        register(self._flow_line_magic(), "line", "flow")

    # -- %%node

    def _node_magic(self) -> Any:
        @no_var_expand
        def node(line: str, cell: str) -> None:
            """Define a node from this cell, run the flow to it, and show its value here.

                %%node [flow.]name[(signature)] [-> outputs] [--define] [policy options]

            The body is the node. A name it reads and does not assign is, in this order: a node or output port of the
            flow; a module, class or function of the notebook; any other variable of the notebook; an input that waits.
            With a signature, ``%%node late(flights, minutes: int = 15)``, defaults are settings.

            Outputs are the names after ``->``; else the node's own name if the body assigns it; else all assigned names
            without a leading underscore. Without a name, the one assigned name is the node's.

            ``--define`` defines without running. Policies: ``--retry N``, ``--timeout S``, ``--kind pure|stateful|io``,
            ``--cache memory|disk|off``, ``--on-change auto|manual|once``, ``--executor thread|main``,
            ``--isolation none|process``, ``--fusion auto|off``, ``--priority N``,
            ``--max-concurrency N`` and ``--on-item-error fail|skip|keep`` (of ``fb.each``), ``--muted``,
            ``--pinned``, ``--mutable`` (it changes its inputs in place and gets copies of them).
            """
            try:
                self.node(line, cell)
            except (SyntaxError, FlowbookError) as error:
                raise as_cell_error(error, self.shell, self._filenames) from error.__cause__

        return node

    def node(self, line: str, body: str) -> None:
        """Run a ``%%node`` cell."""
        parsed = parse_node_line(line)
        cell = self._compile(parsed, body)
        flow = self._flow_for(parsed, cell.name)
        node_type = node_type_of_cell(cell, parsed, flow)
        with self.presenter.quiet():
            self.presenter.check(flow, cell.name)
            self._rename_if_same_cell(flow, cell.name)
            flow.define(node_type)
        self.presenter.show_node(flow, cell.name, shows_value=not parsed.define)
        if parsed.define:
            return
        run = self.presenter.start(flow, cell.name)
        run.wait()
        self.presenter.refresh(flow, cell.name)
        self._raise_own_failure(run, cell)

    def _compile(self, parsed: NodeLine, body: str) -> CellFunction:
        raw = self.presenter.cell.text if self.presenter.cell is not None else f"%%node {parsed.text}\n{body}"
        compiler: Any = self.shell.compile
        count = self.shell.execution_count
        filename = compiler.get_code_name(raw, raw, count)
        self._filenames = [filename]
        return build(
            parsed,
            body,
            filename=filename,
            namespace=self.shell.user_ns,
            first_line=line_of_body(raw, body),
            flags=compiler.flags,
        )

    def _flow_for(self, parsed: NodeLine, name: str) -> Flow:
        """Return the flow that the line names, else that of this cell, else the current one.

        Raises:
            CellError: FB541, the current flow has no such node and another one has, and it cannot be told whether this
                is the cell of that one, edited.
        """
        if parsed.flow is not None:
            return named_flow(parsed.flow)
        cell, current = self.presenter.cell, self.presenter.current_flow
        known = self.presenter.flow_of_cell.get(cell.cell_id) if cell is not None and cell.cell_id else None
        if known is not None or cell is None:
            return named_flow(known or current)
        with session.lock:
            flows = {each: flow for each, flow in session.flows.items() if name in flow.data.nodes}
        if current in flows:
            return flows[current]
        before = {each: self.presenter.book(flow).by_node.get(name) for each, flow in flows.items()}
        halves = [each for each, other in before.items() if other is not None and is_upper_half(cell.text, other.text)]
        if len(halves) == 1:
            return flows[halves[0]]
        # Who runs a notebook from the top runs each cell once, so this is another one.
        unknown = [each for each, other in before.items() if other is not None and other.cell_id is None]
        if unknown and cell.cell_id is None and cell.is_attended:
            raise CellError(
                f"{name!r} is a node of the flow {unknown[0]!r}, and the current flow is {current!r}",
                code="FB541",
                where=f"cell {cell.label}",
                hint=f"say which of the two is meant: %%node {unknown[0]}.{name} or %%node {current}.{name}",
                flows=[*unknown, current],
            )
        return named_flow(current)

    def _rename_if_same_cell(self, flow: Flow, name: str) -> None:
        """The same cell under another name: explicit edges, settings and position follow."""
        cell = self.presenter.cell
        if cell is None:
            return
        book = self.presenter.book(flow)
        before = [node_id for node_id in book.names_of(cell) if node_id in flow.data.nodes]
        if len(before) != 1 or before[0] == name or name in flow.data.nodes:
            return
        flow.rename_with_cell(before[0], name)

    def _raise_own_failure(self, run: Run, cell: CellFunction) -> None:
        own = next((error for error in run.errors if error.node_id == cell.name), None)
        if own is not None:
            cause = own.cause if own.cause is not None else CellError(own.message, code=own.code, hint=own.hint)
            if own.hint and not isinstance(cause, FlowbookError) and own.hint not in getattr(cause, "__notes__", ()):
                cause.add_note(own.hint)
            raise as_cell_error(cause, self.shell, self._filenames)

    # -- %%flow and %flow

    def _flow_cell_magic(self) -> Any:
        @no_var_expand
        def flow(line: str, cell: str) -> None:
            """Hold a flow's document in this cell, and show its canvas.

                %%flow name
                {…}

            The text is the document: nodes with their settings, policy and position, edges, cuts. Empty text is a new
            flow. Code stays in the node cells. Running the cell merges its text with what was edited elsewhere.
            """
            try:
                self.flow_cells.run(parse_flow_line(line, needs_name=True).name or "main", cell)
            except FlowbookError as error:
                raise as_cell_error(error, self.shell) from None

        return flow

    def _flow_line_magic(self) -> Any:
        @no_var_expand
        def flow(line: str) -> None:
            """List the flows and mark the current one; ``%flow name`` makes a flow current."""
            name = parse_flow_line(line).name
            if name is not None:
                named_flow(name)
                self.presenter.current_flow = name
            with session.lock:
                flows = dict(session.flows)
            if not flows:
                print("no flow yet: run a %%node cell, or fb.flow('name')")  # noqa: T201 -- a line magic's answer
            for known, found in flows.items():
                mark = "→" if known == self.presenter.current_flow else " "
                stale = len(found.stale())
                note = f", {stale} stale" if stale else ""
                count = len(found)
                print(f"{mark} {known}  {count} node{'s' if count != 1 else ''}{note}")  # noqa: T201 -- see above

        return flow


def node_type_of_cell(cell: CellFunction, line: NodeLine, flow: Flow) -> NodeType:
    """Make the node type of a compiled cell.

    Args:
        cell: the compiled body.
        line: the magic line, for its policy.
        flow: builtins that the body reads are inputs only if something of this flow bears their name.

    Raises:
        DefinitionError: the signature or a policy cannot be read.
    """
    policy = {name: value for name, value in line.policy.items() if name not in _NO_POLICY}
    flags = {name: True for name in ("muted", "pinned") if line.policy.get(name)}
    given = cell.parameters or ()
    read = node_type_of(cell.function, type_id=cell.name, outputs=cell.outputs, policy={**policy, **flags})
    named = {parameter.name for parameter in given}
    inputs = [port if port.name in named else _ambient(port.name, cell) for port in read.inputs]
    inputs += [_ambient(name, cell, is_required=False) for name in cell.optional_names]
    if line.policy.get("mutable"):
        inputs = [port.but(is_mutable=True) for port in inputs]
    borne = set(flow.data.nodes) | {port.name for each in flow.data.nodes for port in flow.data.type_of(each).outputs}
    inputs += [
        Port(name=name, kind=PortKind(is_required=False, has_default=True))
        for name in cell.builtin_names
        if name in borne
    ]
    return dataclasses.replace(
        read,
        inputs=tuple(inputs),
        outputs=tuple(_output(name, cell) for name in cell.outputs),
        doc=inspect.cleandoc(cell.doc).split("\n\n")[0],
        is_async=cell.is_async,
        origin="cell",
        source=function_text(cell, line),
        place=(cell.filename, cell.first_line),
    )


def _ambient(name: str, cell: CellFunction, *, is_required: bool = True) -> Port:
    meaning = read_annotation(cell.annotations[name], {}) if name in cell.annotations else None
    kind = PortKind(
        type=meaning.port_type if meaning is not None else "any",
        form=meaning.form if meaning is not None else "",
        is_required=is_required,
        has_default=not is_required,
        is_ambient=True,
        annotation=cell.annotations.get(name, ""),
    )
    return Port(name=name, kind=kind)


def _output(name: str, cell: CellFunction) -> Port:
    if name not in cell.annotations:
        return Port(name=name)
    meaning = read_annotation(cell.annotations[name], {})
    kind = PortKind(type=meaning.port_type, form=meaning.form, annotation=cell.annotations[name])
    return Port(name=name, kind=kind)
