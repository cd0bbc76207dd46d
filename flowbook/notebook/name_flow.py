"""Which names a cell's body reads before it binds them.

A cell is read like the notebook would run it: from top to bottom. A name that is bound at the point where it is read
is the cell's own; every other name comes from outside. Branches are joined, and a name that only some of them bind is
*optional*: the notebook would take the outer one if there is one. Four simplifications, all in favour of what people
mean:

- the body of a loop counts as having run at least once, so that ``for f in files: table = read(f)`` binds ``table``;
- ``with`` does not swallow exceptions;
- ``a and (b := c)`` binds ``b``;
- functions and lambdas are called after the body has bound what it defines: a function may read one defined below it.

Annotations of plain variables are not reads: a function's body does not evaluate them (Python reference, 7.2.2).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from flowbook.errors import CellError
from flowbook.notebook.scope_names import (
    FunctionNode,
    Position,
    names_used_when_called,
    names_used_where_it_stands,
    pattern_names,
    scope_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BindingKind = Literal["assigned", "target", "defined"]


@dataclass(slots=True)
class _Bindings:
    """What is bound at one point: on every path, and on some path (which includes the former)."""

    sure: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()

    def with_names(self, names: Iterable[str]) -> _Bindings:
        added = frozenset(names)
        return _Bindings(self.sure | added, self.maybe | added)

    def without(self, name: str) -> _Bindings:
        return _Bindings(self.sure - {name}, self.maybe - {name})


def _join(*ends: _Bindings | None) -> _Bindings | None:
    """Meet of several paths; None stands for a path that does not get here."""
    reached = [end for end in ends if end is not None]
    if not reached:
        return None
    return _Bindings(
        frozenset.intersection(*(end.sure for end in reached)), frozenset.union(*(end.maybe for end in reached))
    )


@dataclass(slots=True)
class NameFlow:
    """What ``read_names`` found; positions are (line, column) of the first occurrence.

    Attributes:
        reads: names read where no path has bound them.
        optional_reads: names read where only some path has bound them; may overlap ``reads``.
        bindings: name -> the ways it is bound, in order of first binding.
        sure_at_end: names bound on every path through the body.
        maybe_at_end: names bound on some path.
        annotations: name -> its annotation.
    """

    reads: dict[str, Position] = field(default_factory=dict)
    optional_reads: dict[str, Position] = field(default_factory=dict)
    bindings: dict[str, set[BindingKind]] = field(default_factory=dict)
    sure_at_end: frozenset[str] = frozenset()
    maybe_at_end: frozenset[str] = frozenset()
    annotations: dict[str, ast.expr] = field(default_factory=dict)


def read_names(body: Sequence[ast.stmt]) -> NameFlow:
    """Follow the names through ``body``.

    Raises:
        CellError: FB516 a class reads a name of the cell that it also binds.
    """
    walk = _Walk()
    walk.run(body)
    return walk.finish()


class _Walk(ast.NodeVisitor):
    """One pass over statements in the order of execution; ``state`` is None where nothing gets to."""

    def __init__(self) -> None:
        self.found = NameFlow()
        self.state: _Bindings | None = _Bindings()
        self.breaks: list[list[_Bindings | None]] = []
        self.continues: list[list[_Bindings | None]] = []
        self.deferred: list[tuple[str, Position, _Bindings]] = []
        self.around: _Walk = self  # where a class body looks for names that are not its own

    def run(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            if self.state is None:
                return
            self.visit(statement)

    def run_from(self, state: _Bindings | None, body: Sequence[ast.stmt]) -> _Bindings | None:
        """Run ``body`` from ``state``; returns the state at its end."""
        self.state = state
        self.run(body)
        return self.state

    def finish(self) -> NameFlow:
        bindings = self.found.bindings
        for name, position, then in self.deferred:
            if name in then.sure or "defined" in bindings.get(name, ()):
                continue
            _note(self.found.optional_reads if name in bindings else self.found.reads, name, position)
        end = self.state or _Bindings(maybe=frozenset(bindings))
        self.found.sure_at_end, self.found.maybe_at_end = end.sure, end.maybe
        return self.found

    # -- one name ----------------------------------------------------------------------------------------------------

    def read(self, name: str, position: Position) -> None:
        if self.state is None or name in self.state.sure:
            return
        _note(self.found.optional_reads if name in self.state.maybe else self.found.reads, name, position)

    def read_later(self, names: Mapping[str, Position]) -> None:
        if self.state is not None:
            self.deferred.extend((name, position, self.state) for name, position in names.items())

    def bind(self, name: str, kind: BindingKind) -> None:
        self.found.bindings.setdefault(name, set()).add(kind)
        if self.state is not None:
            self.state = self.state.with_names([name])

    def unbind(self, name: str) -> None:
        if self.state is not None:
            self.state = self.state.without(name)

    def bind_target(self, target: ast.expr, kind: BindingKind) -> None:
        """Bind the names of ``a``, ``(a, *b)``; read those of ``a.x`` and ``a[i]``."""
        if isinstance(target, ast.Name):
            self.bind(target.id, kind)
        elif isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self.bind_target(part, kind)
        elif isinstance(target, ast.Starred):
            self.bind_target(target.value, kind)
        else:
            self.visit(target)

    # -- expressions -------------------------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> None:
        self.read(node.id, (node.lineno, node.col_offset))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.bind_target(node.target, "assigned")

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        names = scope_names([node])
        for name, position in names.reads.items():
            self.read(name, position)
        for name in sorted(names.bound):  # by := inside; it binds in the cell
            self.bind(name, "assigned")

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # noqa: N815

    # -- bindings ----------------------------------------------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.bind_target(target, "assigned")

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.target)
        self.visit(node.value)
        if isinstance(node.target, ast.Name):
            self.bind(node.target.id, "assigned")

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.found.annotations.setdefault(node.target.id, node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self.bind_target(node.target, "assigned")

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self.visit(target)
            for part in ast.walk(target):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Del):
                    self.unbind(part.id)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self.bind(alias.asname or alias.name.partition(".")[0], "defined")

    visit_ImportFrom = visit_Import  # noqa: N815

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._function(node)
        self.bind(node.name, "defined")

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_TypeAlias(self, node: ast.AST) -> None:  # Python 3.12
        self.read_later(names_used_when_called(node))
        name = getattr(node, "name", None)
        if isinstance(name, ast.Name):
            self.bind(name.id, "defined")

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        inside = _ClassWalk(self.around, node)
        inside.run(node.body)
        self.bind(node.name, "defined")

    def _function(self, node: FunctionNode) -> None:
        for name, position in names_used_where_it_stands(node).items():
            self.read(name, position)
        self.read_later(names_used_when_called(node))

    # -- branches ----------------------------------------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        before = self.state
        self.state = _join(self.run_from(before, node.body), self.run_from(before, node.orelse))

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        before = self.state
        self.bind_target(node.target, "target")
        self._loop(node, before)

    visit_AsyncFor = visit_For  # noqa: N815

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        for_ever = isinstance(node.test, ast.Constant) and bool(node.test.value)
        self._loop(node, None if for_ever else self.state, for_ever=for_ever)

    def _loop(
        self, node: ast.For | ast.AsyncFor | ast.While, before: _Bindings | None, *, for_ever: bool = False
    ) -> None:
        self.breaks.append([])
        self.continues.append([])
        self.run(node.body)
        breaks, continues = self.breaks.pop(), self.continues.pop()
        ended = None if for_ever else _join(self.state, *continues)
        if ended is None and not breaks:
            ended = before  # it never ends in an orderly way, so it is right only if it never begins
        self.state = _join(self.run_from(ended, node.orelse), *breaks)

    def visit_Break(self, _: ast.Break) -> None:
        if self.breaks:  # else it stands in no loop, and the compiler will say so
            self.breaks[-1].append(self.state)
            self.state = None

    def visit_Continue(self, _: ast.Continue) -> None:
        if self.continues:  # else it stands in no loop, and the compiler will say so
            self.continues[-1].append(self.state)
            self.state = None

    def visit_Raise(self, node: ast.Raise) -> None:
        self.generic_visit(node)
        self.state = None

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self.bind_target(item.optional_vars, "target")
        self.run(node.body)

    visit_AsyncWith = visit_With  # noqa: N815

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        before = self.state or _Bindings()
        self.run(node.body)
        ends = [self.run_from(self.state, node.orelse)]
        failed = _anywhere_in(node.body, before)
        ends.extend(self._handler(handler, failed) for handler in node.handlers)
        if node.finalbody:
            # Twice: as reached by an exception, for its reads, and as reached by falling through, for what follows.
            failed = _anywhere_in([*node.body, *node.orelse, *node.handlers], before)
            if self.run_from(failed, node.finalbody) is None:
                return
        self.state = self.run_from(_join(*ends), node.finalbody)

    visit_TryStar = visit_Try  # noqa: N815

    def _handler(self, handler: ast.ExceptHandler, failed: _Bindings) -> _Bindings | None:
        self.state = failed
        if handler.type is not None:
            self.visit(handler.type)
        if handler.name:
            self.bind(handler.name, "target")
        self.run(handler.body)
        if handler.name:
            self.unbind(handler.name)
        return self.state

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        before = self.state
        ends = [self._case(case, before) for case in node.cases]
        matches_all = any(case.guard is None and _matches_anything(case.pattern) for case in node.cases)
        self.state = _join(*ends) if matches_all else _join(before, *ends)

    def _case(self, case: ast.match_case, before: _Bindings | None) -> _Bindings | None:
        self.state = before
        self.visit(case.pattern)
        for name in pattern_names(case.pattern):
            self.bind(name, "target")
        if case.guard is not None:
            self.visit(case.guard)
        return self.run_from(self.state, case.body)


class _ClassWalk(_Walk):
    """The body of a class: runs at once, but its names are its own.

    Python looks a name that a class body both reads and binds up in the class, then in the notebook's globals, never
    in the function around it. That would miss the cell's own value, so it is refused.
    """

    def __init__(self, around: _Walk, node: ast.ClassDef) -> None:
        super().__init__()
        self.around = around
        self.node = node
        self.own = scope_names(node.body).bound

    def read(self, name: str, position: Position) -> None:
        if self.state is None or name in self.state.sure:
            return
        if name in self.own and self.around.state is not None and name in self.around.state.maybe:
            raise CellError(
                f"class {self.node.name} binds {name!r} and reads the cell's {name!r}",
                code="FB516",
                where=f"line {position[0]} of the cell",
                hint=f"give one of the two another name: a class body does not see {name!r} of the cell then",
                line=position[0],
                name=name,
            )
        self.around.read(name, position)

    def read_later(self, names: Mapping[str, Position]) -> None:
        self.around.read_later(names)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self.bind_target(node.target, "assigned")


def _note(where: dict[str, Position], name: str, position: Position) -> None:
    where[name] = min(position, where.get(name, position))


def _anywhere_in(part: Sequence[ast.AST], before: _Bindings) -> _Bindings:
    """State after an exception somewhere in ``part``: what it binds is bound perhaps, what it deletes too."""
    names = scope_names(part)
    return replace(before, sure=before.sure - names.deleted, maybe=before.maybe | names.bound)


def _matches_anything(pattern: ast.pattern) -> bool:
    if isinstance(pattern, ast.MatchOr):
        return any(map(_matches_anything, pattern.patterns))
    return isinstance(pattern, ast.MatchAs) and (pattern.pattern is None or _matches_anything(pattern.pattern))
