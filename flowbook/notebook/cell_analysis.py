"""What the body of a node cell reads, binds and hands on, known before it runs.

Body and position in the cell come in, a ``CellAnalysis`` goes out; ``choose_outputs`` applies the output rule to it.
Nothing is executed, and no notebook value is looked at.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowbook.errors import CellError, did_you_mean
from flowbook.notebook.cell_refusals import refuse_magics, refuse_statements
from flowbook.notebook.name_flow import read_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from flowbook.notebook.name_flow import NameFlow

#: The output port of a cell that assigns nothing: the value of its last expression, or None.
RESULT = "result"

_FUTURE_FLAGS = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})
_LAZY_ANNOTATIONS = __future__.annotations.compiler_flag
#: Names that IPython adds to the builtins, for a body that is looked at where IPython does not run.
_IPYTHON_BUILTINS = frozenset({"display", "get_ipython"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CellAnalysis:
    """The names of one body, each tuple in order of first appearance.

    Attributes:
        body: the text below the magic line.
        filename: what the code objects and errors of this cell bear.
        first_line: line of the cell on which the body starts, >= 2.
        flags: compiler flags of earlier ``from __future__`` imports.
        tree: the parsed body, with the cell's line numbers.
        reads: names read before the body binds them; no builtins. Inputs or environment.
        optional_reads: names read where only some branch has bound them; needed only if they exist. Not in ``reads``.
        builtins_read: builtin names the body reads and does not bind.
        shadowed_builtins: builtin names read where the body has not (or not surely) bound the same name.
        read_lines: name -> line of the cell of its first read, for everything in the four tuples above.
        assigned: names bound by ``=``, ``:=``, ``+=`` and annotated assignment.
        targets: names bound by for, with, except and match.
        defined: names bound by import, def and class.
        deleted: names that no path leaves bound at the end.
        annotations: name -> annotation text of ``name: type`` and ``name: type = value``.
        is_async: the body awaits.
        doc: the leading string literal when more follows; empty otherwise.
        ends_in_expression: the last statement is an expression.
    """

    body: str
    filename: str
    first_line: int
    flags: int
    tree: ast.Module = field(repr=False, compare=False)
    reads: tuple[str, ...]
    optional_reads: tuple[str, ...]
    builtins_read: tuple[str, ...]
    shadowed_builtins: tuple[str, ...]
    read_lines: Mapping[str, int]
    assigned: tuple[str, ...]
    targets: tuple[str, ...]
    defined: tuple[str, ...]
    deleted: frozenset[str]
    annotations: Mapping[str, str]
    is_async: bool
    doc: str
    ends_in_expression: bool

    @property
    def bound(self) -> frozenset[str]:
        """Every name the body binds, by whatever means, and may leave bound."""
        return frozenset((*self.assigned, *self.targets, *self.defined)) - self.deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What a node cell hands on.

    Attributes:
        node_name: the node's name, given or inferred.
        ports: its output ports, at least one.
        is_expression: the only port is no name of the body but its last expression's value; None if it ends in none.
    """

    node_name: str
    ports: tuple[str, ...]
    is_expression: bool = False


def analyse(body: str, *, filename: str, first_line: int = 2, flags: int = 0) -> CellAnalysis:
    """Read ``body`` without running it.

    Args:
        body: the text below the magic line.
        filename: what errors and code objects bear.
        first_line: line of the cell on which ``body`` starts, >= 2.
        flags: compiler flags of the notebook (``ip.compile.flags``): earlier ``from __future__`` imports.

    Raises:
        SyntaxError: the body is not Python; file name, line and column are the cell's.
        CellError: FB510 to FB519, Python that cannot be a node.
    """
    flags &= _FUTURE_FLAGS
    tree = _parse(body, filename, first_line, flags)
    refuse_statements(tree)
    names = read_names((_without_annotations(tree) if flags & _LAZY_ANNOTATIONS else tree).body)
    kinds = names.bindings
    known = frozenset(dir(builtins)) | _IPYTHON_BUILTINS
    read = {name: line for name, (line, _) in sorted({**names.optional_reads, **names.reads}.items(), key=_second)}
    return CellAnalysis(
        body=body,
        filename=filename,
        first_line=first_line,
        flags=flags,
        tree=tree,
        reads=tuple(name for name in read if name in names.reads and name not in known),
        optional_reads=tuple(name for name in read if name not in names.reads and name not in known),
        builtins_read=tuple(name for name in read if name in known and name not in kinds),
        shadowed_builtins=tuple(name for name in read if name in known and name in kinds),
        read_lines=read,
        assigned=tuple(name for name in kinds if "assigned" in kinds[name]),
        targets=tuple(name for name in kinds if "target" in kinds[name]),
        defined=tuple(name for name in kinds if "defined" in kinds[name]),
        deleted=frozenset(kinds) - names.maybe_at_end,
        annotations=_annotation_texts(names),
        is_async=_Awaits.any_in(tree),
        doc=(ast.get_docstring(tree) or "") if len(tree.body) > 1 else "",
        ends_in_expression=isinstance(tree.body[-1], ast.Expr),
    )


def choose_outputs(
    analysis: CellAnalysis,
    *,
    name: str | None = None,
    listed: tuple[str, ...] | None = None,
    given: Collection[str] = (),
) -> Outputs:
    """Apply the output rule.

    The names after ``->``; else the node's own name if the body binds it; else all assigned names without a leading
    underscore, except those a loop, with, except or match binds. What import, def and class bind is the cell's tool,
    not its result: it is an output only if listed or bearing the node's name. If nothing is left, the value of the last
    expression is the only output, as Jupyter would show it, on a port called ``result`` (or the one listed name); a
    cell that ends in no expression has None there. Without a name on the line the node bears that of its one output.

    Args:
        analysis: the body.
        name: the name on the magic line, if any.
        listed: the names after ``->``, if any.
        given: the names of the signature's parameters, which may be handed on too.

    Raises:
        CellError: FB502 no name can be inferred; FB520 a listed output is never bound.
    """
    tools = {*analysis.targets, *analysis.defined}
    assigned = tuple(
        each for each in analysis.assigned if each in analysis.bound and each not in tools and each[0] != "_"
    )
    if name is None:
        name = _infer_name(analysis, listed or assigned)
    if listed is None:
        ports = (name,) if name in analysis.bound else assigned
        return Outputs(node_name=name, ports=ports or (RESULT,), is_expression=not ports)
    known = analysis.bound | set(given) | set(analysis.reads)
    missing = [port for port in listed if port not in known]
    if missing and len(listed) == 1 and not assigned and analysis.ends_in_expression:
        return Outputs(node_name=name, ports=listed, is_expression=True)
    if missing:
        deleted = missing[0] in analysis.deleted
        raise CellError(
            f"output {missing[0]!r} is {'deleted' if deleted else 'never assigned'} in the cell",
            code="FB520",
            where=f"node {name!r}",
            hint=did_you_mean(missing[0], analysis.bound) or f"assign it: {missing[0]} = …",
            name=missing[0],
        )
    return Outputs(node_name=name, ports=listed)


def _infer_name(analysis: CellAnalysis, candidates: tuple[str, ...]) -> str:
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(candidates)
        what = f"the cell has {len(candidates)} outputs, {names}: which one names the node?"
        hint = f"%%node {candidates[-1]}   or, to hand on all: %%node name -> {names}"
    else:
        what = "nothing in the cell names the node"
        hint = f"%%node {analysis.defined[-1] if analysis.defined else 'name'}"
    raise CellError(what, code="FB502", where="%%node", hint=hint, candidates=list(candidates))


def _parse(body: str, filename: str, first_line: int, flags: int) -> ast.Module:
    # Empty lines in place of the magic line: errors, warnings and the tree have the cell's line numbers from the start.
    padded = "\n" * (first_line - 1) + body
    mode = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        tree = compile(padded, filename, "exec", flags | mode, dont_inherit=True)
    except SyntaxError as error:
        if error.lineno is None:  # a null byte
            error.filename, error.lineno = filename, first_line
        refuse_magics(body.split("\n"), error.lineno, first_line)
        raise
    assert isinstance(tree, ast.Module)  # noqa: S101 - for mypy
    return tree


def _without_annotations(tree: ast.Module) -> ast.Module:
    """Copy ``tree`` without what ``from __future__ import annotations`` keeps from being evaluated."""
    bare = copy.deepcopy(tree)
    for part in ast.walk(bare):
        if isinstance(part, ast.arg):
            part.annotation = None
        elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            part.returns = None
        elif isinstance(part, ast.ClassDef):
            for inner in ast.walk(part):
                if isinstance(inner, ast.AnnAssign):
                    inner.annotation = ast.copy_location(ast.Constant(value=""), inner.annotation)
    return bare


def _annotation_texts(names: NameFlow) -> dict[str, str]:
    return {name: ast.unparse(annotation) for name, annotation in names.annotations.items()}


def _second(item: tuple[str, tuple[int, int]]) -> tuple[int, int]:
    return item[1]


class _Awaits(ast.NodeVisitor):
    """Looks for what only an async function may do, outside the functions inside."""

    found = False

    @classmethod
    def any_in(cls, tree: ast.AST) -> bool:
        search = cls()
        search.visit(tree)
        return search.found

    def visit_Await(self, node: ast.Await | ast.AsyncFor | ast.AsyncWith) -> None:  # noqa: ARG002
        self.found = True

    visit_AsyncFor = visit_AsyncWith = visit_Await  # noqa: N815

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.found = self.found or bool(node.is_async)
        self.generic_visit(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self.visit(node.generators[0].iter)  # the rest runs when somebody iterates

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(part)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for part in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(part)
