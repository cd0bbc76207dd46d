"""What a compiled piece of code does and reads, whatever its layout.

The digest of a code object follows its instructions from the entry, numbering them as they are reached, so that it
does not depend on line numbers, file names, comments, blank lines or line breaks: the compiler leaves NOPs and jumps
behind for the sake of tracing, and they are seen through. Constants count where an instruction loads them, so a
docstring, which nothing loads, does not count: changing it is no change of behaviour. Nor do annotations of the
function itself or its name. Names of local variables do count.
"""

from __future__ import annotations

import dis
import hashlib
import inspect
import struct
import weakref
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_LEFT_OUT = frozenset({"NOP", "EXTENDED_ARG", "CACHE", "RESUME", "NOT_TAKEN"})
_UNCONDITIONAL = frozenset({"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})
_ENDS = frozenset({"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE"})
_JUMPS = frozenset({*dis.hasjrel, *dis.hasjabs})
_CONSTANTS = frozenset(dis.hasconst)
_FLAGS = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)


class Read(NamedTuple):
    """A name that code reads, with the attributes it takes from it at once: ``geo.distance`` is one read.

    Attributes:
        names: the name, then the attributes.
        scope: ``global``, ``class`` (a class body looks in itself first) or ``local`` (a variable or parameter).
    """

    names: tuple[str, ...]
    scope: str


class Import(NamedTuple):
    """An import statement inside code: ``from ..a import b`` is level 2, module ``a``, names ``("b",)``."""

    module: str
    level: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What is known of a code object and those nested in it.

    Attributes:
        digest: 16 bytes.
        reads: in order of first appearance, each once.
        imports: likewise.
    """

    digest: bytes
    reads: tuple[Read, ...]
    imports: tuple[Import, ...]


class _Known(weakref.ref[CodeType]):
    """A code object that was read, and what is known of it."""

    __slots__ = ("facts", "key")

    key: int
    facts: CodeFacts


_known: dict[int, _Known] = {}


def facts_of(code: CodeType) -> CodeFacts:
    """Read a code object; the second time it costs one look-up (O(number of instructions) the first time)."""
    found = _known.get(id(code))
    if found is not None and found() is code:
        return found.facts
    facts, known = read_facts(code), _Known(code, _forget)
    known.key, known.facts = id(code), facts
    _known[known.key] = known
    return facts


def read_facts(code: CodeType) -> CodeFacts:
    """Read a code object and forget it: for what is asked for once, as the code of a node is, with many nodes."""
    instructions = [each for each in dis.get_instructions(code) if each.opname not in _LEFT_OUT]
    reads, imports = _reads_and_imports(instructions)
    return CodeFacts(_digest(code, instructions), reads, imports)


def _forget(gone: weakref.ref[CodeType]) -> None:
    if isinstance(gone, _Known) and _known.get(gone.key) is gone:
        del _known[gone.key]


def digest(*pieces: bytes | str) -> bytes:
    """Hash pieces so that no two lists of pieces run together; 16 bytes."""
    hasher = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        content = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece
        hasher.update(b"%d:" % len(content))
        hasher.update(content)
    return hasher.digest()


def _float(value: float) -> bytes:
    """Tell -0.0 from 0.0, and find any NaN equal to any other."""
    return struct.pack(">d", value) if value == value else b"nan"  # noqa: PLR0124


#: Exact types whose values are given by a few bytes and never change.
PLAIN: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"",
    type(...): lambda _: b"",
    type(NotImplemented): lambda _: b"",
    bool: lambda value: b"1" if value else b"0",
    int: lambda value: hex(value).encode(),
    float: _float,
    complex: lambda value: _float(value.real) + _float(value.imag),
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: lambda value: value,
}


def _constant(value: object) -> bytes:
    kind = type(value)
    plain = PLAIN.get(kind)
    if plain is not None:
        return digest(kind.__name__, plain(value))
    if isinstance(value, CodeType):
        return digest("code", value.co_name, facts_of(value).digest)
    if isinstance(value, tuple):
        return digest("tuple", *map(_constant, value))
    if isinstance(value, frozenset):
        return digest("frozenset", *sorted(map(_constant, value)))
    return digest(kind.__name__, repr(value))  # slices (Python 3.14)


# ---------------------------------------------------------------------------------------------------------- the digest


def _digest(code: CodeType, instructions: list[dis.Instruction]) -> bytes:
    order = _Order(code, instructions)
    pieces: list[bytes | str] = [
        f"{code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount} {code.co_flags & _FLAGS}",
        "\0".join(code.co_names),
        "\0".join(code.co_varnames),
        "\0".join(code.co_cellvars),
        "\0".join(code.co_freevars),
    ]
    for index in order.reached:
        each = instructions[index]
        name, argument = each.opname, str(each.arg)
        if each.opcode in _JUMPS:
            name = name.replace("_FORWARD", "").replace("_BACKWARD", "")
            argument = ""
        if each.opcode in _CONSTANTS:
            argument = ""
            pieces.append(_constant(each.argval))
        pieces.append(f"{name} {argument} {order.after(index)}")
    return digest(*pieces)


class _Order:
    """The instructions in the order in which they are reached, with where each may go next."""

    def __init__(self, code: CodeType, instructions: list[dis.Instruction]) -> None:
        self._instructions = instructions
        self._offsets = [each.offset for each in instructions]
        self._handlers = list(_exception_table(code.co_exceptiontable))
        self._number: dict[int, int] = {}
        self.reached: list[int] = []
        waiting = [0] if instructions else []
        while waiting:
            index: int | None = self._land(waiting.pop())
            while index is not None and index not in self._number:
                self._number[index] = len(self.reached)
                self.reached.append(index)
                following, jump, handler, _ = self._ways(index)
                waiting.extend(way for way in (handler, jump) if way is not None)
                index = following

    def after(self, index: int) -> str:
        """Say where control may go from an instruction, in numbers of this order."""
        following, jump, handler, depth = self._ways(index)
        numbers = [None if way is None else self._number[way] for way in (following, jump, handler)]
        return f"{numbers} {depth}"

    def _ways(self, index: int) -> tuple[int | None, int | None, int | None, int]:
        """Return the next instruction, the jump's target, the handler of an exception, and that one's stack depth."""
        each = self._instructions[index]
        ends = each.opname in _ENDS or each.opname in _UNCONDITIONAL or index + 1 >= len(self._instructions)
        following = None if ends else self._land(index + 1)
        jump = self._land(self._at(each.argval)) if each.opcode in _JUMPS else None
        for start, end, target, depth in self._handlers:
            if start <= each.offset < end:
                return following, jump, self._land(self._at(target)), depth
        return following, jump, None, 0

    def _at(self, offset: int) -> int:
        """Find the first kept instruction at or after a byte offset."""
        low, high = 0, len(self._offsets)
        while low < high:
            middle = (low + high) // 2
            if self._offsets[middle] < offset:
                low = middle + 1
            else:
                high = middle
        return low

    def _land(self, index: int) -> int:
        """See through unconditional jumps, as far as they do not go round in a circle."""
        passed = set()
        while self._instructions[index].opname in _UNCONDITIONAL and index not in passed:
            passed.add(index)
            index = self._at(self._instructions[index].argval)
        return index


def _exception_table(table: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Decode ``(start, end, target, depth and lasti)``, offsets in bytes.

    Source: CPython, Objects/exception_handling_notes.txt ("Format of the exception table").
    """
    content = iter(table)

    def number() -> int:
        byte = next(content)
        value = byte & 63
        while byte & 64:
            byte = next(content)
            value = value << 6 | byte & 63
        return value

    while True:
        try:
            start = number() * 2
        except StopIteration:
            return
        end = start + number() * 2
        yield start, end, number() * 2, number()


# --------------------------------------------------------------------------------------------------- what code reads


def _reads_and_imports(instructions: list[dis.Instruction]) -> tuple[tuple[Read, ...], tuple[Import, ...]]:
    reads: dict[Read, None] = {}
    imports: dict[Import, None] = {}
    for index, each in enumerate(instructions):
        name = each.opname
        if name == "IMPORT_NAME":
            level, names = (before.argval for before in instructions[index - 2 : index])
            imports[Import(each.argval, level, tuple(names or ()))] = None
        elif name.startswith("LOAD_"):
            scope = _scope(name)
            if scope:
                *whole, last = each.argval if isinstance(each.argval, tuple) else (each.argval,)
                reads.update((Read((one,), scope), None) for one in whole)
                reads[Read((last, *_attributes(instructions, index + 1)), scope)] = None
        if each.opcode in _CONSTANTS and isinstance(each.argval, CodeType):
            nested = facts_of(each.argval)
            imports.update(dict.fromkeys(nested.imports))
            reads.update((read, None) for read in nested.reads if _comes_from_outside(read, each.argval))
    return tuple(reads), tuple(imports)


def _scope(opname: str) -> str:
    if opname == "LOAD_GLOBAL":
        return "global"
    if opname in {"LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}:
        return "class"
    if opname.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")):
        return "local"
    return ""


def _attributes(instructions: list[dis.Instruction], start: int) -> Iterable[str]:
    """Give the attributes taken one after the other from what was just loaded."""
    for each in instructions[start:]:
        if each.opname not in {"LOAD_ATTR", "LOAD_METHOD"}:
            return
        yield each.argval


def _comes_from_outside(read: Read, nested: CodeType) -> bool:
    return read.scope != "local" or read.names[0] in nested.co_freevars
