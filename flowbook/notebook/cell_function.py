"""The body of a node cell as a function with the cell's own line numbers.

The function is compiled from the text that tracebacks and the debugger show for it: in place of the magic line a
``def`` that names the inputs, below it the body, indented by one blank. Lines are therefore the cell's, columns and
carets are those of the shown text, and the file name is the one under which the kernel knows the cell, so that a
traceback says ``Cell In[n]`` and breakpoints hit.

Everything the body takes from outside is a keyword-only parameter, modules and functions of the notebook too: what a
name stands for can change without compiling again. The notebook's namespace is the function's globals, for what code
looks up by other ways, and is never written to.
"""

from __future__ import annotations

import ast
import builtins
import copy
import functools
import hashlib
import inspect
import io
import linecache
import tokenize
import warnings
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NoReturn

from flowbook.errors import CellError, DefinitionError
from flowbook.notebook.cell_analysis import analyse, choose_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from flowbook.notebook.cell_analysis import CellAnalysis, Outputs
    from flowbook.registry.magic_line import LineParameter, NodeLine

#: Tokens that may span lines whose indentation is part of the value (f-strings are several tokens since Python 3.12).
_STRING_STARTS = {tokenize.STRING, getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "TSTRING_START", -1)}
_STRING_ENDS = {tokenize.STRING, getattr(tokenize, "FSTRING_END", -1), getattr(tokenize, "TSTRING_END", -1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFunction:
    """A compiled cell.

    Attributes:
        name: the node's name, given or inferred.
        function: takes keywords only: every one of ``free_names``, the signature's parameters (required where they have
            no default), and any of ``optional_names`` and ``builtin_names``. Returns a dict {output port: value}; a
            coroutine function when ``is_async``. It raises what the body raises, or CellError FB530 when an output was
            not bound at run time.
        is_async: the body awaits.
        free_names: names the body reads and does not bind, signature parameters and builtins excluded, in order of
            first read. Each must be passed: an input's value, or the module, class, function or value of the notebook.
        optional_names: names read where only some branch has bound them. Pass those that exist, leave out the rest.
        builtin_names: builtins the body reads. Pass one only if something of the flow bears its name.
        outputs: the output ports in order, at least one.
        parameters: the signature on the magic line: annotation is TEXT (or ``Parameter.empty``), default a value; None
            when there are no parentheses.
        annotations: name -> annotation text, for outputs and inputs written ``name: type [= value]`` in the body.
        doc: the leading string literal of the body.
        source: the body, as written.
        source_hash: 64 hex digits; equal when signature, outputs and code are, whatever comments and blank lines say.
        filename: ``co_filename`` of all its code.
        first_line: line of the cell on which the body starts.
        code: the compiled body, for keys (``function`` itself is a thin shell around it).
        analysis: everything known about its names.
    """

    name: str
    function: Callable[..., Any]
    is_async: bool
    free_names: tuple[str, ...]
    optional_names: tuple[str, ...]
    builtin_names: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: tuple[inspect.Parameter, ...] | None
    annotations: Mapping[str, str]
    doc: str
    source: str
    source_hash: str
    filename: str
    first_line: int
    code: CodeType = field(repr=False)
    analysis: CellAnalysis = field(repr=False)


def build(
    line: NodeLine, body: str, *, filename: str, namespace: dict[str, Any], first_line: int = 2, flags: int = 0
) -> CellFunction:
    """Turn a cell into a function; nothing of the body runs, the signature's defaults are evaluated.

    Args:
        line: the parsed magic line.
        body: the text below it.
        filename: ``ip.compile.get_code_name(raw, raw, ip.execution_count)`` with the raw cell text.
        namespace: the notebook's (``ip.user_ns``); the function's globals, not copied.
        first_line: line of the cell on which the body starts, >= 2: ``line_of_body(raw, body)``.
        flags: ``ip.compile.flags``.

    Raises:
        SyntaxError: with the cell's file name, line and column.
        CellError: FB502, FB510 to FB520.
        DefinitionError: FB521 a default cannot be evaluated (its error is the ``__cause__``).
    """
    analysis = analyse(_with_unix_lines(body), filename=filename, first_line=first_line, flags=flags)
    given = tuple(parameter.name for parameter in line.parameters or ())
    outputs = choose_outputs(analysis, name=line.name, listed=line.outputs, given=given)
    free = tuple(name for name in analysis.reads if name not in given)
    parameters = _evaluate(line, namespace, analysis) if line.parameters is not None else None
    compiled = _CompiledBody(
        analysis=analysis,
        outputs=outputs,
        required=(*given, *free),
        defaults={each.name: each.default for each in parameters or () if each.default is not inspect.Parameter.empty},
        namespace=namespace,
        magic=f"%%node {line.text}".rstrip(),
    )
    linecache.cache[filename] = (
        len(compiled.text),
        None,
        [f"{each}\n" for each in compiled.text.split("\n")],
        filename,
    )
    return CellFunction(
        name=outputs.node_name,
        function=compiled.as_function([*(parameters or ()), *map(_required, free)]),
        is_async=analysis.is_async,
        free_names=free,
        optional_names=tuple(name for name in analysis.optional_reads if name not in given),
        builtin_names=tuple(name for name in analysis.builtins_read if name not in given),
        outputs=outputs.ports,
        parameters=parameters,
        annotations=analysis.annotations,
        doc=analysis.doc,
        source=body,
        source_hash=_hash(analysis, line.parameters, outputs),
        filename=filename,
        first_line=first_line,
        code=compiled.plain.__code__,
        analysis=analysis,
    )


def line_of_body(raw_cell: str, body: str) -> int:
    """Say on which line of ``raw_cell`` the magic's ``body`` starts; blank lines above the magic count."""
    lines = raw_cell.split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    if lines[first].lstrip().startswith("%%"):
        return first + 2
    above = raw_cell.find(body) if body else -1
    return max(raw_cell.count("\n", 0, above) + 1, 2) if above >= 0 else 2


class _CompiledBody:
    """The compiled body and its variants.

    A name that is read where only some branch has bound it is a parameter when it is passed and an ordinary local when
    it is not; so there is one code object for each set of such names. Nearly always that is one.
    """

    def __init__(
        self,
        *,
        analysis: CellAnalysis,
        outputs: Outputs,
        required: tuple[str, ...],
        defaults: Mapping[str, Any],
        namespace: dict[str, Any],
        magic: str,
    ) -> None:
        self.analysis = analysis
        self.outputs = outputs
        self.required = required
        self.namespace = namespace
        self.defaults = dict(defaults)
        self.header_line = analysis.first_line - 1
        optional = (*analysis.optional_reads, *analysis.builtins_read, *analysis.shadowed_builtins)
        self.optional = tuple(name for name in optional if name not in required)
        #: Builtins the body also binds: as locals they would hide the builtin, so it is always passed.
        self.always = {
            name: getattr(builtins, name, None) for name in analysis.shadowed_builtins if name not in required
        }
        define = "async def" if analysis.is_async else "def"
        header = f"{define} {outputs.node_name}({', '.join(required)}):  # {magic}"
        self.text = "\n" * (self.header_line - 1) + header + "\n" + indented(analysis.body)
        self.variants: dict[frozenset[str], FunctionType] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the analysis, which parsed the same text, has warned
            self.tree = ast.parse(self.text, analysis.filename)
        self.plain = self.variant(frozenset(self.always))

    def variant(self, extra: frozenset[str]) -> FunctionType:
        """Return the function that takes the required names and ``extra``."""
        found = self.variants.get(extra)
        if found is None:
            found = self.variants[extra] = self._compile([*self.required, *sorted(extra)])
        return found

    def _compile(self, names: list[str]) -> FunctionType:
        function = self.tree.body[0]
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101 - it is our own header
        module = ast.Module(body=[self._with_ends(function, names)], type_ignores=[])
        flags = self.analysis.flags
        try:
            code = compile(module, self.analysis.filename, "exec", flags, dont_inherit=True)
        except SyntaxError as error:
            self._raise_as_plain_cell(error)
        inner = next(constant for constant in code.co_consts if isinstance(constant, CodeType))
        compiled = FunctionType(inner, self.namespace, self.outputs.node_name)
        compiled.__kwdefaults__ = dict(self.defaults)
        return compiled

    def _with_ends(self, function: ast.FunctionDef | ast.AsyncFunctionDef, names: list[str]) -> ast.stmt:
        """Give the parsed function its parameters and the return of its outputs."""
        made = copy.copy(function)
        arguments = [ast.arg(name) for name in names]
        made.args = ast.arguments(
            posonlyargs=[], args=[], kwonlyargs=arguments, kw_defaults=[None] * len(names), defaults=[]
        )
        last = function.body[-1]
        if self.outputs.is_expression and isinstance(last, ast.Expr):
            value = ast.copy_location(ast.Tuple(elts=[last.value], ctx=ast.Load()), last)
            made.body = [*function.body[:-1], ast.copy_location(ast.Return(value=value), last)]
        else:
            nothing = self.outputs.is_expression
            ports = self.outputs.ports
            values: list[ast.expr] = [ast.Constant(None) if nothing else ast.Name(port, ast.Load()) for port in ports]
            made.body = [*function.body, ast.Return(value=ast.Tuple(elts=values, ctx=ast.Load()))]
            # On the line of the magic, where nothing else is: stepping ends there, no breakpoint of the body is hit by
            # it, and an output that is not bound is told apart from a mistake in the body.
            _place(made.body[-1], self.header_line)
        for argument in arguments:
            _place(argument, self.header_line)
        return made

    def _raise_as_plain_cell(self, error: SyntaxError) -> NoReturn:
        """Raise what a plain cell would: same line, but columns as typed."""
        try:
            mode = self.analysis.flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            compile(self.analysis.tree, self.analysis.filename, "exec", mode, dont_inherit=True)
        except SyntaxError as plain:
            error = plain
        lines = self.analysis.body.split("\n")
        index = (error.lineno or 0) - self.analysis.first_line
        if not error.text and 0 <= index < len(lines):
            error.text = lines[index] + "\n"  # Python looks for it in a file, and there is none
        raise error from None

    # -- calling -----------------------------------------------------------------------------------------------------

    def as_function(self, parameters: Iterable[inspect.Parameter]) -> Callable[..., Any]:
        """Return what is called; a coroutine function when the body awaits."""

        def call(**given: Any) -> dict[str, Any]:
            inner = self._choose(given)
            try:
                values = inner(**given)
            except UnboundLocalError as error:
                explained = self._explained(error, inner)
                if explained is None:
                    raise
                raise explained from None
            return dict(zip(self.outputs.ports, values, strict=True))

        async def call_async(**given: Any) -> dict[str, Any]:
            inner = self._choose(given)
            try:
                values = await inner(**given)
            except UnboundLocalError as error:
                explained = self._explained(error, inner)
                if explained is None:
                    raise
                raise explained from None
            return dict(zip(self.outputs.ports, values, strict=True))

        function: Any = call_async if self.analysis.is_async else call
        functools.update_wrapper(function, self.plain)
        function.__doc__ = self.analysis.doc or None
        function.__signature__ = inspect.Signature(list(parameters))
        made: Callable[..., Any] = function
        return made

    def _choose(self, given: dict[str, Any]) -> FunctionType:
        """Pick the variant for the names in ``given``; completes it with the builtins the body hides."""
        for name, value in self.always.items():
            given.setdefault(name, self.namespace.get(name, value))
        if len(given) == len(self.required):
            return self.plain
        extra = frozenset(given).difference(self.required)
        unknown = extra.difference(self.optional)
        return self.plain if unknown else self.variant(extra)  # which then says what it does not know

    def _explained(self, error: UnboundLocalError, inner: FunctionType) -> CellError | None:
        """Name the outputs that were not bound, if that is what happened."""
        place = error.__traceback__ and error.__traceback__.tb_next
        if place is None or place.tb_frame.f_code is not inner.__code__ or place.tb_lineno != self.header_line:
            return None
        missing = [port for port in self.outputs.ports if port not in place.tb_frame.f_locals]
        return CellError(
            f"output {', '.join(map(repr, missing))} was not assigned in this run",
            code="FB530",
            where=f"node {self.outputs.node_name!r}",
            hint=f"assign it on every path, for example {missing[0]} = None at the top of the cell",
            names=missing,
        )


def _evaluate(line: NodeLine, namespace: dict[str, Any], analysis: CellAnalysis) -> tuple[inspect.Parameter, ...]:
    """Make the signature's parameters; defaults are evaluated now and here, as those of a ``def`` are."""
    return tuple(
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if each.default is None else _default(each, line, namespace, analysis),
            annotation=inspect.Parameter.empty if each.annotation is None else each.annotation,
        )
        for each in line.parameters or ()
    )


def _default(parameter: LineParameter, line: NodeLine, namespace: dict[str, Any], analysis: CellAnalysis) -> Any:
    text = "\n" * (analysis.first_line - 2) + f"({parameter.default})"
    try:
        code = compile(text, analysis.filename, "eval", analysis.flags, dont_inherit=True)
        return eval(code, namespace)  # noqa: S307 - the user's own code, in the user's own kernel
    except Exception as error:
        raise DefinitionError(
            f"the default of {parameter.name!r} cannot be evaluated: {type(error).__name__}: {error}",
            code="FB521",
            where=f"%%node {line.text}",
            hint="a default is evaluated when the cell runs: run the cell that makes its names first",
            name=parameter.name,
        ) from error


def _required(name: str) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)


def _place(node: ast.AST, line: int) -> None:
    for part in ast.walk(node):
        for name, value in (("lineno", line), ("end_lineno", line), ("col_offset", 0), ("end_col_offset", 0)):
            setattr(part, name, value)


def indented(body: str) -> str:
    """Put one blank before every line, except where a string goes on: there it would change the value."""
    inside: set[int] = set()
    starts: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(body).readline):
        if token.type in _STRING_STARTS:
            starts.append(token.start[0])
        if token.type in _STRING_ENDS:
            inside.update(range(starts.pop() + 1, token.end[0] + 1))
    lines = body.rstrip("\n").split("\n")
    return "".join(f"{'' if row in inside else ' '}{line}\n" for row, line in enumerate(lines, start=1))


def _with_unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _hash(analysis: CellAnalysis, parameters: Collection[LineParameter] | None, outputs: Outputs) -> str:
    signature = [(each.name, each.annotation, each.default) for each in parameters or ()]
    code = repr((signature, outputs.ports, outputs.is_expression, analysis.flags)) + ast.dump(analysis.tree)
    return hashlib.sha256(code.encode()).hexdigest()
