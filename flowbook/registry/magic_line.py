"""What stands on the line of ``%%node``, ``%%flow`` and ``%flow``.

    %%node [flow.]name[(signature)] [-> outputs] [--define] [policy options]

The text of a line comes in, a frozen record goes out, or an error that shows the offending part and a corrected line.
Brackets, strings, arrows and commas inside a signature are Python's own, so Python's tokenizer and parser read them;
nothing is evaluated here. Options may also stand before the name, and ``# …`` ends the line, as in Python.
"""

from __future__ import annotations

import ast
import difflib
import io
import keyword
import math
import re
import tokenize
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowbook.errors import CellError, DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

PolicyValue = str | int | float | bool

#: Options with one of a few words as value: option -> the words, most usual first.
_CHOICES: dict[str, tuple[str, ...]] = {
    "cache": ("memory", "disk", "off"),
    "on-change": ("auto", "manual", "once"),
    "kind": ("pure", "stateful", "io"),
    "executor": ("main", "thread"),
    "isolation": ("process", "none"),
    "on-item-error": ("skip", "keep", "fail"),
    "fusion": ("auto", "off"),
}
#: Options with a number as value: option -> (key in the policy, an example, what is asked for).
_NUMBERS: dict[str, tuple[str, str, str]] = {
    "retry": ("retry", "3", "a whole number of attempts, 1 or more"),
    "timeout": ("timeout_s", "30", "seconds, more than 0"),
    "priority": ("priority", "1", "a whole number"),
    "max-concurrency": ("max_concurrency", "4", "a whole number of items, 1 or more"),
}
_COUNTS = ("retry", "max-concurrency")
_FLAGS = ("muted", "pinned", "mutable")
_OPTIONS = ("define", *_NUMBERS, *_CHOICES, *_FLAGS)

_NAME = re.compile(r"[A-Za-z_]\w*")
#: What ends an unquoted word; an arrow and a comment need no blank before them only after a name.
_WORD_END = re.compile(r"[\s(#]|->")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineParameter:
    """One parameter of a signature, as text.

    Attributes:
        name: its name.
        annotation: source text after the colon; None when there is none.
        default: source text after the equals sign; None when there is none.
    """

    name: str
    annotation: str | None = None
    default: str | None = None

    def __str__(self) -> str:
        """As it stands in a signature."""
        annotation = f": {self.annotation}" if self.annotation is not None else ""
        default = f" = {self.default}" if self.default is not None else ""
        return f"{self.name}{annotation}{default}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLine:
    """A ``%%node`` line.

    Attributes:
        flow: the flow named before the dot; None: the cell's own or the current one.
        name: the node's name; None: to be inferred from the body.
        parameters: the signature; None when the line has no parentheses, () for empty ones.
        outputs: the names after ``->``; None when there is no arrow.
        define: ``--define``: only define, do not run.
        policy: what the options say; only given ones. Keys: ``retry`` (attempts in all, >= 1), ``timeout_s`` (> 0),
            ``cache`` (memory, disk, off), ``on_change`` (auto, manual, once), ``kind`` (pure, stateful, io),
            ``executor`` (main, thread), ``isolation`` (process, none), ``fusion`` (auto, off), ``priority`` (int),
            ``max_concurrency`` (>= 1), ``on_item_error`` (skip, keep, fail), ``muted`` and ``pinned`` (True).
        text: the line as written, without blanks around it.
    """

    flow: str | None = None
    name: str | None = None
    parameters: tuple[LineParameter, ...] | None = None
    outputs: tuple[str, ...] | None = None
    define: bool = False
    policy: Mapping[str, PolicyValue] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLine:
    """A ``%%flow`` or ``%flow`` line; ``name`` is None only for a bare ``%flow``."""

    name: str | None = None


def parse_node_line(line: str) -> NodeLine:
    """Read what follows ``%%node``.

    Raises:
        CellError: FB501 a name that is none; FB503 a bracket that does not close or something unexpected; FB505 the
            outputs; FB506 an unknown option; FB507 an option's value. ``fields`` have ``part`` and ``column`` (offset
            in the line).
        DefinitionError: FB504 a signature that cannot be a node's.
    """
    return _LineReader("%%node", line.strip()).node_line()


def parse_flow_line(line: str, *, needs_name: bool = False) -> FlowLine:
    """Read what follows ``%%flow`` (``needs_name=True``) or ``%flow``.

    Raises:
        CellError: FB501 the name is missing or none; FB503 more than a name.
    """
    return _LineReader("%%flow" if needs_name else "%flow", line.strip()).flow_line(needs_name=needs_name)


def check_name(name: str) -> str:
    """Say what keeps ``name`` from naming a node, port or flow; empty when nothing does."""
    if keyword.iskeyword(name):
        return "is a word of Python"
    if not _NAME.fullmatch(name) or not name.isidentifier():
        return "is not a name: letters, digits and underscores, no digit first"
    return ""


class _LineReader:
    """Reads one line from left to right; ``at`` is the offset of what comes next."""

    def __init__(self, magic: str, text: str) -> None:
        self.magic = magic
        self.text = text
        self.at = 0
        self.flow: str | None = None
        self.name: str | None = None
        self.parameters: tuple[LineParameter, ...] | None = None
        self.outputs: tuple[str, ...] | None = None
        self.define = False
        self.policy: dict[str, PolicyValue] = {}

    def node_line(self) -> NodeLine:
        while self._skip_blanks():
            if self._sees("->"):
                self._read_outputs()
            elif self._sees("--"):
                self._read_option()
            elif self._sees("("):
                self._read_signature()
            else:
                self._read_name()
        return NodeLine(
            flow=self.flow,
            name=self.name,
            parameters=self.parameters,
            outputs=self.outputs,
            define=self.define,
            policy=self.policy,
            text=self.text,
        )

    def flow_line(self, *, needs_name: bool) -> FlowLine:
        if not self._skip_blanks():
            if needs_name:
                self._fail("FB501", "%%flow needs a name", 0, 0, "main")
            return FlowLine()
        start, word = self.at, self._word()
        self._check_name(word, start)
        if self._skip_blanks():
            self._fail("FB503", f"{self.text[self.at :]!r} after the flow's name", self.at, len(self.text), "")
        return FlowLine(name=word)

    # -- the parts ---------------------------------------------------------------------------------------------------

    def _read_name(self) -> None:
        start, word = self.at, self._word()
        if self.name is not None or self.parameters is not None or self.outputs is not None:
            self._fail("FB503", f"{word!r} is not expected here", start, self.at, "")
        if word.endswith((",", "=", ":")):
            hint = "a name stands alone; several outputs: name -> a, b; a signature: name(a: int = 3)"
            self._fail("FB501", f"{word!r} is not a name", start, self.at, hint=hint)
        flow, dot, name = word.rpartition(".")
        if dot:
            if "." in flow:
                self._fail("FB501", f"{word!r} has more than one dot", start, self.at, ".".join(word.split(".")[-2:]))
            self._check_name(flow, start)
            self.flow = flow
        self._check_name(name, start + len(flow) + len(dot))
        self.name = name

    def _read_signature(self) -> None:
        start = self.at
        if self.parameters is not None or self.outputs is not None:
            self._fail("FB503", "a second parenthesis", start, len(self.text))
        self.at = self._closing_bracket(start)
        self.parameters = _parameters(self.text[start : self.at], f"{self.magic} {self.text}")

    def _closing_bracket(self, start: int) -> int:
        depth = 0
        try:
            for token in tokenize.generate_tokens(io.StringIO(self.text[start:]).readline):
                if token.type == tokenize.OP:
                    depth += (token.string in "([{") - (token.string in ")]}")
                    if depth == 0:
                        return start + token.end[1]
        except (tokenize.TokenError, SyntaxError):
            pass
        hint = "the whole signature stands on the magic's line; put longer things into the body"
        raise self._error("FB503", "the parenthesis is not closed", start, len(self.text), hint=hint)

    def _read_outputs(self) -> None:
        arrow = self.at
        if self.outputs is not None:
            self._fail("FB505", "a second arrow", arrow, len(self.text))
        start = arrow + 2
        found = re.compile(r"\s--|\s?#|->|$").search(self.text, start)
        self.at = found.start() if found else len(self.text)
        listed = self.text[start : self.at].strip()
        if listed.startswith("(") and listed.endswith(")"):
            listed = listed[1:-1].strip()
        words = listed.removesuffix(",").split(",")
        names = tuple(word.strip() for word in words)
        if names == ("",):
            self._fail("FB505", "no output after ->", arrow, self.at, "-> result")
        for name in names:
            self._check_output(name, names, arrow)
        self.outputs = names

    def _check_output(self, name: str, names: tuple[str, ...], arrow: int) -> None:
        problem = check_name(name)
        if not problem and names.count(name) == 1:
            return
        if not problem:
            once = "-> " + ", ".join(dict.fromkeys(names))
            self._fail("FB505", f"output {name!r} is listed twice", arrow, self.at, once)
        words = name.split()
        if len(words) > 1 and not any(map(check_name, words)):
            flat = [word for part in names for word in part.split()]
            self._fail("FB505", f"{name!r}: a comma stands between outputs", arrow, self.at, "-> " + ", ".join(flat))
        hint = "after -> stand the names of outputs; a type stands in the body: late: pl.LazyFrame = …"
        self._fail("FB505", f"output {name!r} {problem}", arrow, self.at, hint=hint)

    def _read_option(self) -> None:
        start, word = self.at, self._word(option=True)
        option, equals, value = word[2:].partition("=")
        if option not in _OPTIONS:
            near = _nearest(option, _OPTIONS)
            listed = f"there is --{', --'.join(_OPTIONS)}"
            corrected = f"--{near}" if near else None
            self._fail("FB506", f"no option --{option}", start, self.at, corrected, hint="" if near else listed)
        if option == "define" or option in _FLAGS:
            if equals:
                self._fail("FB507", f"--{option} takes no value", start, self.at, f"--{option}")
            if option == "define":
                self.define = True
            else:
                self._set(option, True, start)
            return
        if not equals:
            end = self.at
            if self._skip_blanks() and not self._sees("--") and not self._sees("->"):
                value = self._word(option=True)
            else:
                self.at = end
        if option in _CHOICES:
            self._set(option.replace("-", "_"), self._choice(option, value, start), start)
        else:
            self._set(_NUMBERS[option][0], self._number(option, value, start), start)

    def _choice(self, option: str, value: str, start: int) -> str:
        words = _CHOICES[option]
        if value not in words:
            what = f"--{option} {value} is unknown" if value else f"--{option} needs a value"
            hint = f"one of {', '.join(words)}"
            self._fail("FB507", what, start, self.at, f"--{option} {_nearest(value, words) or words[0]}", hint=hint)
        return value

    def _number(self, option: str, value: str, start: int) -> int | float:
        _, example, needs = _NUMBERS[option]
        try:
            number = float(value) if option == "timeout" else int(value)
        except ValueError:
            number = math.nan
        is_finite = isinstance(number, int) or math.isfinite(number)  # whole numbers may be larger than any float
        if not is_finite or (option in _COUNTS and number < 1) or (option == "timeout" and number <= 0):
            what = f"--{option} {value}".rstrip() + f": it takes {needs}"
            self._fail("FB507", what, start, self.at, f"--{option} {example}")
        return number

    def _set(self, key: str, value: PolicyValue, start: int) -> None:
        if key in self.policy:
            self._fail("FB507", f"{self.text[start : self.at].split()[0]} stands here twice", start, self.at, "")
        self.policy[key] = value

    # -- reading -----------------------------------------------------------------------------------------------------

    def _skip_blanks(self) -> bool:
        """Go to the next thing; False at the end of the line or before a comment."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.at < len(self.text) and self.text[self.at] != "#"

    def _sees(self, sign: str) -> bool:
        return self.text.startswith(sign, self.at)

    def _word(self, *, option: bool = False) -> str:
        start = self.at
        end = re.compile(r"\s").search(self.text, start) if option else _WORD_END.search(self.text, start + 1)
        self.at = end.start() if end else len(self.text)
        return self.text[start : self.at]

    def _check_name(self, name: str, start: int) -> None:
        problem = check_name(name)
        if not problem:
            return
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        better = re.sub(r"\W+", "_", plain, flags=re.ASCII).strip("_")
        if keyword.iskeyword(better):
            better += "_"
        elif not better or better[0].isdigit():
            better = f"n{better}"
        what = f"{name!r} {problem}" if name else "a name is missing beside the dot"
        self._fail("FB501", what, start, start + len(name), better)

    def _fail(
        self, code: str, what: str, start: int, end: int, instead: str | None = None, *, hint: str = ""
    ) -> NoReturn:
        raise self._error(code, what, start, end, instead, hint=hint)

    def _error(
        self, code: str, what: str, start: int, end: int, instead: str | None = None, *, hint: str = ""
    ) -> CellError:
        """Say what is wrong; ``instead`` replaces the offending part in a corrected line shown as hint."""
        if instead is not None:
            corrected = " ".join(f"{self.magic} {self.text[:start]}{instead}{self.text[end:]}".split())
            hint = f"{corrected}   ({hint})" if hint else corrected
        where = f"{self.magic} {self.text}".rstrip()
        hint = hint or "%%node [flow.]name[(signature)] [-> outputs] [--define] [--retry N …]"
        return CellError(what, code=code, where=where, hint=hint, part=self.text[start:end], column=start)


def _nearest(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return near[0] if near else ""


def _parameters(signature: str, where: str) -> tuple[LineParameter, ...]:
    """Read ``(a, b: int = 3)``."""
    source = f"def _{signature}: ..."
    try:
        function = ast.parse(source).body[0]
    except SyntaxError as error:
        what = f"the signature {signature} is not Python's: {error.msg}"
        hint = "(table, min_rows: int = 10)"
        raise DefinitionError(what, code="FB504", where=where, hint=hint, part=signature) from None
    assert isinstance(function, ast.FunctionDef)  # noqa: S101 - for mypy; nothing else can follow `def`
    given = function.args
    _refuse_unnamed(given, where)
    positional = [None] * (len(given.args) - len(given.defaults)) + list(given.defaults)
    pairs = [*zip(given.args, positional, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return tuple(
        LineParameter(
            name=argument.arg,
            annotation=ast.get_source_segment(source, argument.annotation) if argument.annotation else None,
            default=ast.get_source_segment(source, default) if default else None,
        )
        for argument, default in pairs
    )


def _refuse_unnamed(given: ast.arguments, where: str) -> None:
    """Refuse what does not give every input exactly one name."""
    names = [argument.arg for argument in (*given.args, *given.kwonlyargs)]
    twice = next((name for name in names if names.count(name) > 1), "")
    what = hint = part = ""
    if given.vararg or given.kwarg:
        part = f"*{given.vararg.arg}" if given.vararg else f"**{given.kwarg.arg if given.kwarg else ''}"
        what = f"{part}: a node's inputs are known by name"
        hint = "name each input; a list or dict of values is one input"
    elif given.posonlyargs:
        part, what = "/", "'/': inputs are always given by name"
        hint = f"leave out the / after {given.posonlyargs[-1].arg!r}"
    elif twice:
        part, what, hint = twice, f"parameter {twice!r} stands there twice", "give each input its own name"
    if what:
        raise DefinitionError(what, code="FB504", where=where, hint=hint, part=part)
