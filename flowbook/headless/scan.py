"""What a notebook file says about its flows, read without running anything.

Three kinds of cells matter: ``%%node`` (one node, named in the magic line), ``%%flow`` (a flow's document) and Python
cells whose functions bear ``@flow.node``. Which flow a name belongs to follows the notebook from top to bottom, as a
fresh kernel would: a ``flow.`` in the magic, else the flow that was last defined in, else ``main``.

The reading is careful rather than clever: only what stands at the top level of a cell counts, and what cannot be known
without running it (a computed name, a flow out of a function) is left out. So a finding is always true, and a kernel
may still find more.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flowbook.errors import HeadlessError
from flowbook.headless.magic_words import read_magic_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

DEFAULT_FLOW = "main"
SKIP_TAG = "skip-execution"  # nbclient does not run such cells

_LINE_MAGIC = re.compile(r"^(\s*)(?:%|!|\?|\w[\w., ]*=\s*[%!]).*$|^(\s*)\S.*[^#\s?]\?{1,2}\s*$")
_CELL_MAGIC = re.compile(r"%%(\w+)[^\S\n]*(.*)")
_FLOW_LINE = re.compile(r"^%flow[^\S\n]+(\S+)\s*$")
_EDITS = frozenset({"add", "connect", "disconnect", "remove", "rename"})
_TRANSPARENT_MAGICS = frozenset({"time", "capture", "prun"})  # their body is plain Python that runs in the notebook


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a notebook something stands.

    Attributes:
        number: the cell's number among the code cells that run, >= 1: on a fresh kernel, the one in its brackets.
        position: its place among all cells, >= 0.
        line: line in the cell, >= 1.
    """

    number: int
    position: int
    line: int = 1

    def __str__(self) -> str:
        """As errors print it: ``cell 4, line 2``; the first line goes without saying."""
        return f"cell {self.number}, line {self.line}" if self.line > 1 else f"cell {self.number}"

    def at(self, line: int) -> Place:
        """The same cell, another line, counted from this one as 1."""
        return replace(self, line=self.line + line - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCell:
    """One node that a cell defines.

    Attributes:
        flow: name of the flow it belongs to; a flow made by ``fb.Flow(...)`` is told from others by ``flow_key``.
        flow_key: equal for two nodes exactly when they certainly belong to the same flow.
        name: the node's id.
        place: the cell, and the line of the magic or of the function.
        function: bears the parameters; None when a ``%%node`` line gives none.
        is_function: a decorated function rather than a ``%%node`` cell.
        body: the Python of a ``%%node`` cell, or of the function.
        outputs: names after ``->`` in the magic line.
        doc: first paragraph of the function's docstring.
    """

    flow: str
    flow_key: tuple[str, ...]
    name: str
    place: Place
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    body: str = ""
    outputs: tuple[str, ...] = ()
    doc: str = ""
    is_function: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowCell:
    """A ``%%flow`` cell: the text of a flow's document, which begins at line 2 of the cell."""

    flow: str
    text: str
    place: Place


@dataclass(slots=True)
class NotebookScan:
    """Everything found, in the order of the notebook.

    Attributes:
        nodes: what cells define.
        types: reusable node types (``@fb.node``), in no flow yet.
        flows: documents.
        rewired: flows that Python code connects, cuts or removes something in.
        problems: magic lines that cannot be right.
    """

    nodes: list[NodeCell] = field(default_factory=list)
    types: list[NodeCell] = field(default_factory=list)
    flows: list[FlowCell] = field(default_factory=list)
    rewired: set[tuple[str, ...]] = field(default_factory=set)
    problems: list[HeadlessError] = field(default_factory=list)

    def duplicates(self) -> list[HeadlessError]:
        """One error for each cell that defines a node which an earlier cell defined already."""
        first: dict[tuple[tuple[str, ...], str], NodeCell] = {}
        found = []
        for node in self.nodes:
            earlier = first.setdefault((node.flow_key, node.name), node)
            if earlier.place.position != node.place.position:
                found.append(_duplicate(earlier, node))
        return found


def read_notebook_cells(notebook: NotebookNode) -> NotebookScan:
    """Scan every code cell that would run."""
    reader = _Reader()
    for number, position, cell in _running_cells(notebook):
        reader.read(cell.source, number, position)
    return reader.scan


def numbered_code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """List the code cells that run with their numbers, counted from 1; empty ones run nothing and have none."""
    return [(number, cell) for number, _, cell in _running_cells(notebook)]


def running_positions(notebook: NotebookNode) -> list[int]:
    """List the places, among all cells, of the code cells that run: the n-th one is cell number n."""
    return [position for _, position, _ in _running_cells(notebook)]


def cell_tags(cell: NotebookNode) -> list[str]:
    """Return the cell's tags; anything malformed counts as none."""
    tags = cell.get("metadata", {}).get("tags", [])
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def assigned_names(source: str) -> set[str]:
    """Name what a Python cell assigns, outside functions and classes; empty when it is not Python."""
    tree = parse_cell(source)
    if tree is None:
        return set()
    names: set[str] = set()
    for node in _walk_outside_functions(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _running_cells(notebook: NotebookNode) -> Iterator[tuple[int, int, NotebookNode]]:
    number = 0
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and cell.source.strip() and SKIP_TAG not in cell_tags(cell):
            number += 1
            yield number, position, cell


def _duplicate(earlier: NodeCell, later: NodeCell) -> HeadlessError:
    return HeadlessError(
        f"two cells define the node {later.name!r}",
        code="FB710",
        where=f"flow {later.flow!r}, {earlier.place} and {later.place}",
        hint=f"rename one of them, or delete {'the older' if earlier.body != later.body else 'the copied'} cell",
        flow=later.flow,
        node=later.name,
        cells=[earlier.place.number, later.place.number],
    )


class _Reader:
    """Follows the notebook downwards and remembers which flow is the current one and what variables hold flows."""

    def __init__(self) -> None:
        self.scan = NotebookScan()
        self.current: tuple[str, ...] = (DEFAULT_FLOW,)
        self.made: set[tuple[str, ...]] = set()
        self.flow_variables: dict[str, tuple[str, ...]] = {}
        self.modules = {"fb", "flowbook"}
        self.makers: dict[str, str] = {}

    def read(self, source: str, number: int, position: int) -> None:
        blank_lines = len(source) - len(source.lstrip("\n"))  # IPython drops them before it looks for a magic
        text = source[blank_lines:]
        place = Place(number=number, position=position, line=1 + blank_lines)
        magic = _CELL_MAGIC.match(text)
        if magic is None:
            self._read_python(text, place)
            return
        body = text.partition("\n")[2]
        if magic[1] == "node":
            self._read_node_magic(magic[2].strip(), body, place)
        elif magic[1] == "flow":
            self._read_flow_magic(magic[2].strip(), body, place)
        elif magic[1] in _TRANSPARENT_MAGICS:
            self._read_python("\n" + body, place)

    def _turn_to(self, flow: tuple[str, ...]) -> None:
        self.current = flow
        self.made.add(flow)

    # -- magics

    def _read_flow_magic(self, line: str, body: str, place: Place) -> None:
        words = line.split()
        name = words[0] if words else self.current[0]
        self._turn_to((name,))
        self.scan.flows.append(FlowCell(flow=name, text=body, place=place))

    def _read_node_magic(self, line: str, body: str, place: Place) -> None:
        words = read_magic_words(line)
        if words.problem is not None:
            code, what = words.problem
            hint = "%%node [flow.]name[(signature)] [-> outputs] [--define]; %%node? explains"
            self.scan.problems.append(HeadlessError(what, code=code, where=str(place), hint=hint, cell=place.number))
            return
        name = words.name or _only_assigned_name(body)
        if name is None:
            return
        self._turn_to((words.flow,) if words.flow else self.current)
        self.scan.nodes.append(
            NodeCell(
                flow=self.current[0],
                flow_key=self.current,
                name=name,
                place=place,
                function=words.function,
                body=body,
                outputs=words.outputs or (),
            )
        )

    # -- Python cells

    def _read_python(self, source: str, place: Place) -> None:
        tree = parse_cell(source)
        if tree is None:
            return
        switches = {at: match[1] for at, line in enumerate(source.split("\n"), 1) if (match := _FLOW_LINE.match(line))}
        for statement in tree.body:
            if statement.lineno in switches:
                self._turn_to((switches[statement.lineno],))
            self._read_statement(statement, place)
            self._note_rewiring(statement)

    def _read_statement(self, statement: ast.stmt, place: Place) -> None:
        if isinstance(statement, ast.Import):
            self.modules |= {alias.asname or alias.name for alias in statement.names if alias.name == "flowbook"}
        elif isinstance(statement, ast.ImportFrom) and statement.module == "flowbook":
            self.makers |= {alias.asname or alias.name: alias.name for alias in statement.names}
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            self._read_function(statement, place)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets: list[ast.expr] = [*statement.targets] if isinstance(statement, ast.Assign) else [statement.target]
            self._read_assignment(targets, statement.value, place)

    def _read_assignment(self, targets: list[ast.expr], value: ast.expr, place: Place) -> None:
        flow = self._flow_of(value, place)
        if flow is not None and len(flow) == 1 and flow not in self.made:
            self._turn_to(flow)  # a cell that makes a flow turns to it
        for target in targets:
            if isinstance(target, ast.Name):
                self.flow_variables.pop(target.id, None)
                if flow is not None:
                    self.flow_variables[target.id] = flow

    def _read_function(self, function: ast.FunctionDef | ast.AsyncFunctionDef, place: Place) -> None:
        for decorator in function.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            attribute = call.func if call else decorator
            if not isinstance(attribute, ast.Attribute) or attribute.attr != "node":
                continue
            here = place.at(function.lineno)
            is_type = self._names_module(attribute.value)
            flow = ("",) if is_type else self._flow_of(attribute.value, place)
            if flow is None:
                continue
            name = _named(call, function.name)
            if name is None:
                continue  # computed
            found = self.scan.types if is_type else self.scan.nodes
            if not is_type:
                self._turn_to((flow[0],))
            found.append(
                NodeCell(
                    flow=flow[0],
                    flow_key=flow,
                    name=name,
                    place=here,
                    function=function,
                    body=ast.unparse(function),
                    outputs=_literal_outputs(call),
                    doc=(ast.get_docstring(function) or "").split("\n\n")[0],
                    is_function=True,
                )
            )

    def _note_rewiring(self, statement: ast.stmt) -> None:
        for part in ast.walk(statement):
            if isinstance(part, ast.Attribute) and part.attr in _EDITS and isinstance(part.value, ast.Name):
                flow = self.flow_variables.get(part.value.id)
                if flow is not None:
                    self.scan.rewired.add(flow)

    def _flow_of(self, value: ast.expr, place: Place) -> tuple[str, ...] | None:
        """The flow an expression certainly is: a variable, ``fb.flow("x")`` or ``fb.Flow("x")``; else None."""
        if isinstance(value, ast.Name):
            return self.flow_variables.get(value.id)
        if not isinstance(value, ast.Call):
            return None
        name = value.args[0] if value.args else None
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            return None
        maker = self._maker(value.func)
        if maker == "flow":
            return (name.value,)
        if maker == "Flow":  # always a new one, whatever its name
            return (name.value, "new", str(place.position), str(value.lineno))
        return None

    def _maker(self, function: ast.expr) -> str:
        if isinstance(function, ast.Name):
            return self.makers.get(function.id, "")
        if isinstance(function, ast.Attribute) and self._names_module(function.value):
            return function.attr
        return ""

    def _names_module(self, value: ast.expr) -> bool:
        return isinstance(value, ast.Name) and value.id in self.modules and value.id not in self.flow_variables


def _named(call: ast.Call | None, default: str) -> str | None:
    """The ``name=`` of ``@flow.node(name="late")``, or the function's own; None when it is computed."""
    for argument in call.keywords if call else []:
        if argument.arg == "name":
            value = argument.value.value if isinstance(argument.value, ast.Constant) else None
            return value if isinstance(value, str) else None
    return default


def _literal_outputs(call: ast.Call | None) -> tuple[str, ...]:
    """The names in ``@flow.node(outputs=("train", "test"))``."""
    for argument in call.keywords if call else []:
        if argument.arg == "outputs" and isinstance(argument.value, ast.Tuple | ast.List):
            values = [part.value for part in argument.value.elts if isinstance(part, ast.Constant)]
            return tuple(value for value in values if isinstance(value, str))
    return ()


def _only_assigned_name(body: str) -> str | None:
    """The one public name that plain assignments of a body bind, or None when there are none or several."""
    tree = parse_cell(body)
    targets: list[ast.expr] = []
    for statement in tree.body if tree else []:
        if isinstance(statement, ast.Assign):
            targets += statement.targets
        elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
            targets.append(statement.target)
    names = {target.id for target in targets if isinstance(target, ast.Name) and not target.id.startswith("_")}
    return names.pop() if len(names) == 1 else None


def parse_cell(source: str) -> ast.Module | None:
    """Parse a cell as Python, its line magics, shell lines and questions blanked; None when that is not Python."""
    try:
        return ast.parse("\n".join(_LINE_MAGIC.sub(_blank, line) for line in source.split("\n")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    try:
        return ast.parse(source)  # a continuation line that begins with % was blanked by mistake
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _blank(match: re.Match[str]) -> str:
    return f"{match[1] or match[2] or ''}pass"


_OWN_SCOPE = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | ast.comprehension


def _walk_outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, _OWN_SCOPE):
            yield child
            yield from _walk_outside_functions(child)
