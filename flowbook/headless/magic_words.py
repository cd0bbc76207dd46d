"""The words on a ``%%node`` line, as far as a file is judged by them: flow, name, signature, outputs.

The kernel reads the same line with `flowbook.notebook.magic_line`, a room beside this one, and says in detail what is
wrong with it; a test holds the two together. Here a line is taken apart into the same pieces, and one that has a piece
too many or a broken one is refused with the kernel's code. Values of options are the kernel's business.
"""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass

_BLANKS = re.compile(r"\s*")
_WORD = re.compile(r"(?:(?!->)[^\s(#])+")
_OPTION = re.compile(r"--[^\s=]*(=\S*)?")
_VALUE = re.compile(r"\s+(?!--|->|#)(\S+)")
_OUTPUTS = re.compile(r"->(?P<listed>.*?)(?=\s--|\s?#|->|$)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_FLAGS = frozenset({"--define", "--muted", "--pinned"})
_OPTIONS = _FLAGS | {
    "--retry", "--timeout", "--priority", "--cache", "--on-change", "--kind", "--executor", "--isolation"
}  # fmt: skip


@dataclass(slots=True, kw_only=True)
class MagicWords:
    """What a line says; ``problem`` is empty or ``(code, sentence)`` of the first thing that cannot be right."""

    flow: str | None = None
    name: str | None = None
    function: ast.FunctionDef | None = None
    outputs: tuple[str, ...] | None = None
    problem: tuple[str, str] | None = None


def read_magic_words(line: str) -> MagicWords:
    """Take apart what follows ``%%node``; nothing in it is evaluated."""
    words = MagicWords()
    at = _blanks(line, 0)
    while at < len(line) and line[at] != "#" and words.problem is None:
        if line.startswith("->", at):
            at = _read_outputs(words, line, at)
        elif line.startswith("--", at):
            at = _read_option(words, line, at)
        elif line[at] == "(":
            at = _read_signature(words, line, at)
        else:
            at = _read_name(words, line, at)
        at = _blanks(line, at)
    return words


def _blanks(line: str, at: int) -> int:
    found = _BLANKS.match(line, at)
    return found.end() if found else at


def _read_name(words: MagicWords, line: str, at: int) -> int:
    found = _WORD.match(line, at)
    word = found[0] if found else line[at]
    if words.name is not None or words.function is not None or words.outputs is not None:
        words.problem = ("FB503", f"{word!r} is not expected here")
    flow, dot, name = word.rpartition(".")
    for part in (flow, name) if dot else (name,):
        if keyword.iskeyword(part) or not _NAME.fullmatch(part):
            words.problem = words.problem or ("FB501", f"{part or word!r} cannot name a node or a flow")
    words.flow, words.name = (flow if dot else None), name
    return at + len(word)


def _read_option(words: MagicWords, line: str, at: int) -> int:
    found = _OPTION.match(line, at)
    text = found[0] if found else line[at:]
    option, equals, _ = text.partition("=")
    if option not in _OPTIONS:
        words.problem = ("FB506", f"there is no option {option}")
    value = None if equals or option in _FLAGS else _VALUE.match(line, at + len(text))
    return value.end() if value else at + len(text)


def _read_outputs(words: MagicWords, line: str, at: int) -> int:
    found = _OUTPUTS.match(line, at)
    listed = found["listed"].strip() if found else ""
    if listed.startswith("(") and listed.endswith(")"):
        listed = listed[1:-1].strip()
    names = tuple(name.strip() for name in listed.removesuffix(",").split(","))
    is_list = all(_NAME.fullmatch(name) and not keyword.iskeyword(name) for name in names)
    if words.outputs is not None or not is_list or len(set(names)) < len(names):
        words.problem = ("FB505", f"{listed!r} does not list the names of outputs")
    words.outputs = names
    return found.end() if found else len(line)


def _read_signature(words: MagicWords, line: str, at: int) -> int:
    """Find the bracket that closes the signature: the first with which it is Python's."""
    if words.function is not None or words.outputs is not None:
        words.problem = ("FB503", "a second parenthesis")
        return len(line)
    for end in (match.end() for match in re.finditer(r"\)", line[at:])):
        try:
            function = ast.parse(f"def _{line[at : at + end]}: ...").body[0]
        except (SyntaxError, ValueError):
            continue
        if isinstance(function, ast.FunctionDef):
            words.function = function
            words.problem = _unnamed_problem(function.args)
            return at + end
    words.problem = ("FB504", f"the signature {line[at:]} cannot be read")
    return len(line)


def _unnamed_problem(given: ast.arguments) -> tuple[str, str] | None:
    """Say which parameter does not give its input one name of its own."""
    for star, parameter in (("*", given.vararg), ("**", given.kwarg)):
        if parameter is not None:
            return "FB504", f"{star}{parameter.arg}: a node's inputs are known by name, so name each input"
    if given.posonlyargs:
        return "FB504", f"leave out the / after {given.posonlyargs[-1].arg!r}: inputs are given by name"
    names = [argument.arg for argument in (*given.args, *given.kwonlyargs)]
    return ("FB504", "a parameter stands there twice") if len(set(names)) < len(names) else None
