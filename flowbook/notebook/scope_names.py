"""Which names a function, lambda, class or comprehension takes from around it.

Python decides this per scope, not per line: a name bound anywhere in a function is the function's own. The order of
statements matters only in the body of the cell itself (``name_flow``).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Line and column of a name in the parsed text.
Position = tuple[int, int]
#: What has parameters and a body of its own.
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeNames:
    """The names of some statements or expressions that share a scope.

    Attributes:
        reads: name -> its first read, in this scope or in one inside it that takes the name from here.
        bound: names bound here.
        deleted: names deleted here; among ``bound``, as Python counts.
    """

    reads: Mapping[str, Position]
    bound: frozenset[str]
    deleted: frozenset[str]


def scope_names(parts: Iterable[ast.AST]) -> ScopeNames:
    """Collect what ``parts`` read and bind, taken together as one scope, in no particular order."""
    found = _Collector()
    for part in parts:
        found.visit(part)
    return ScopeNames(reads=found.reads, bound=frozenset(found.bound), deleted=frozenset(found.deleted))


def names_used_where_it_stands(function: FunctionNode) -> Mapping[str, Position]:
    """Name what defaults and annotations of ``function`` read; they are evaluated by its definition."""
    found = _Collector()
    found.visit_signature(function)
    return found.reads


def names_used_when_called(function: ast.AST) -> Mapping[str, Position]:
    """Name what the body of a function, lambda or type alias reads from around it."""
    found = _Collector()
    found.enter(function)
    return found.free()


def pattern_names(pattern: ast.pattern) -> Iterator[str]:
    """Name what a ``case`` pattern captures."""
    for part in ast.walk(pattern):
        if isinstance(part, ast.MatchAs | ast.MatchStar) and part.name:
            yield part.name
        elif isinstance(part, ast.MatchMapping) and part.rest:
            yield part.rest


def type_parameter_names(node: ast.AST) -> Iterator[str]:
    """Name the ``T`` of ``def f[T]`` and ``class C[T]`` (Python 3.12)."""
    return (parameter.name for parameter in getattr(node, "type_params", ()))


class _Collector(ast.NodeVisitor):
    """One scope while it is being read."""

    def __init__(self) -> None:
        self.reads: dict[str, Position] = {}
        self.bound: set[str] = set()
        self.deleted: set[str] = set()
        self.nonlocals: set[str] = set()

    def take(self, names: Mapping[str, Position]) -> None:
        for name, position in names.items():
            self.reads.setdefault(name, position)

    def free(self) -> dict[str, Position]:
        own = self.bound - self.nonlocals
        return {name: position for name, position in self.reads.items() if name not in own}

    # -- reads and bindings ------------------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.take({node.id: (node.lineno, node.col_offset)})
        else:
            self.bound.add(node.id)
            if isinstance(node.ctx, ast.Del):
                self.deleted.add(node.id)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.take({node.target.id: (node.lineno, node.col_offset)})
        self.generic_visit(node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.nonlocals.update(node.names)
        self.take(dict.fromkeys(node.names, (node.lineno, node.col_offset)))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.simple:
            self.visit_local_annotation(node)
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_local_annotation(self, node: ast.AnnAssign) -> None:
        """Nothing: a function does not evaluate the annotations of its variables."""

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)

    visit_ImportFrom = visit_Import  # noqa: N815

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.bound.add(node.name)
        self.generic_visit(node)

    def visit_Match(self, node: ast.Match) -> None:
        for case in node.cases:
            self.bound.update(pattern_names(case.pattern))
        self.generic_visit(node)

    # -- scopes inside this one --------------------------------------------------------------------------------------

    def enter(self, node: ast.AST) -> None:
        """Read the inside of ``node``; its parameters are this scope's."""
        self.bound.update(type_parameter_names(node))
        if not isinstance(node, FunctionNode):
            self.generic_visit(node)
            return
        self.bound.update(argument.arg for argument in _arguments(node))
        for part in [node.body] if isinstance(node, ast.Lambda) else node.body:
            self.visit(part)

    def visit_signature(self, node: FunctionNode) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        if isinstance(node, ast.Lambda):
            return
        annotations = [argument.annotation for argument in _arguments(node)]
        inside = _Collector()
        inside.bound.update(type_parameter_names(node))
        for annotation in (*annotations, node.returns):
            if annotation is not None:
                inside.visit(annotation)
        self.take(inside.free())

    def visit_function(self, node: FunctionNode) -> None:
        self.visit_signature(node)
        self.take(names_used_when_called(node))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self.visit_function(node)
        self.bound.add(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit_function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        inside = _ClassCollector()
        inside.bound.update(type_parameter_names(node))
        for statement in node.body:
            inside.visit(statement)
        self.take(inside.free())
        self.take(inside.read_by_methods)
        self.bound.add(node.name)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        first, *others = node.generators
        self.visit(first.iter)  # evaluated before the comprehension's own scope begins
        inside = _Collector()
        for generator in node.generators:
            inside.visit(generator.target)
        targets = set(inside.bound)
        for part in (*first.ifs, *others, *_results(node)):
            inside.visit(part)
        self.take(inside.free())
        self.bound.update(inside.bound - targets)  # by :=, which binds outside

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # noqa: N815


class _ClassCollector(_Collector):
    """A class body: its functions do not see its names, and its annotations are evaluated."""

    def __init__(self) -> None:
        super().__init__()
        self.read_by_methods: dict[str, Position] = {}

    def visit_function(self, node: FunctionNode) -> None:
        self.visit_signature(node)
        self.read_by_methods.update(names_used_when_called(node))

    def visit_local_annotation(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)


def _arguments(node: FunctionNode) -> list[ast.arg]:
    given = node.args
    listed = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
    return [argument for argument in listed if argument is not None]


def _results(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> list[ast.expr]:
    return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
