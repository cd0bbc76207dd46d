"""What a cell's body reads, binds and hands on."""

from __future__ import annotations
import __future__

import textwrap

import pytest

from flowbook.errors import CellError
from flowbook.notebook.cell_analysis import CellAnalysis, Outputs, analyse, choose_outputs


def look_at(body: str) -> CellAnalysis:
    return analyse(textwrap.dedent(body), filename="cell.py", first_line=2)


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: body, names read from outside, names read from outside only if they exist.
READS = {
    "a plain name": ("y = x + 1", "x", ""),
    "in order of appearance": ("y = b(a) + c + a", "b a c", ""),
    "own names are not read": ("x = 1\ny = x", "", ""),
    "read before the cell binds it": ("x = x + 1\ny = x", "x", ""),
    "augmented assignment reads": ("total += 1", "total", ""),
    "augmented assignment of an own name": ("total = 0\ntotal += 1", "", ""),
    "an item or attribute is no binding": ("x[i] = 1\ny.z = 2\nw.v += 1", "x i y w", ""),
    "tuple targets": ("(a, [b, *c]), d.e = pairs\nr = a, b, c", "d pairs", ""),
    "the value comes before the target": ("x = y = x", "x", ""),
    "a builtin": ("n = len(str(x))", "x", ""),
    "one branch": ("if c:\n    y = 1\nz = y", "c", "y"),
    "both branches": ("if c:\n    y = 1\nelse:\n    y = 2\nz = y", "c", ""),
    "all of three branches": ("if c:\n    y = 1\nelif d:\n    y = 2\nelse:\n    y = 3\nz = y", "c d", ""),
    "two of three branches": ("if c:\n    y = 1\nelif d:\n    y = 2\nz = y", "c d", "y"),
    "a branch that raises does not count": ("if c:\n    y = 1\nelse:\n    raise ValueError(m)\nz = y", "c m", ""),
    "the branch itself binds first": ("if c:\n    y = 1\n    z = y", "c", ""),
    "a surely outer name stays one": ("z = y\nif c:\n    y = 1\nw = y", "y c", ""),
    "for binds its target": ("for i in items:\n    f(i)", "items f", ""),
    "a loop is taken to run": ("for i in items:\n    last = i\nr = last, i", "items", ""),
    "the first round reads": ("for i in items:\n    total = total + i", "items total", ""),
    "loop else": ("for i in items:\n    if i: break\nelse:\n    i = d\nr = i", "items d", ""),
    "break before binding": ("for i in items:\n    if i: break\n    y = i\nr = y", "items", "y"),
    "continue before binding": ("for i in items:\n    if i: continue\n    y = i\nr = y", "items", "y"),
    "a loop for ever ends by break": ("while True:\n    y = f()\n    if y: break\nz = y", "f", ""),
    "while": ("while x < 3:\n    x = f(x)", "x f", ""),
    "nothing is read after a loop for ever": ("while True:\n    f()\nz = y", "f", ""),
    "with": ("with open(p) as f, g(f) as (a, b):\n    y = f.read()\nz = y, a, b", "p g", ""),
    "except target": ("try:\n    y = f()\nexcept E as e:\n    y = g(e)\nz = y", "f E g", ""),
    "the except target is gone afterwards": ("try:\n    f()\nexcept E as e:\n    pass\nz = e", "f E e", ""),
    "try may stop anywhere": ("try:\n    y = f()\nexcept E:\n    h(y)", "f E h", "y"),
    "an except that passes": ("try:\n    y = f()\nexcept E:\n    pass\nz = y", "f E", "y"),
    "an except that raises": ("try:\n    y = f()\nexcept E:\n    raise\nz = y", "f E", ""),
    "try else": ("try:\n    y = f()\nexcept E:\n    y = 0\nelse:\n    w = y\nz = y", "f E", ""),
    "finally reads": ("try:\n    y = f()\nfinally:\n    g(y)", "f g", "y"),
    "finally binds": ("try:\n    f()\nfinally:\n    y = 1\nz = y", "f", ""),
    "except star": ("try:\n    y = f()\nexcept* E as e:\n    y = e\nz = y", "f E", ""),
    "import": ("import os.path, a.b as c\nfrom d import e as f\ny = os, c, f, a, d", "a d", ""),
    "a fallback import": ("try:\n    import q\nexcept ImportError:\n    q = None\ny = q", "", ""),
    "a function reads when called": (
        "def f(a, *b, c=d, **e):\n    g = a + h\n    return g, b, c, e\ny = f(1)",
        "d h",
        "",
    ),
    "a function may be defined below": ("def f():\n    return g()\ndef g():\n    return f()\ny = f()", "", ""),
    "a function binds for itself": ("def f():\n    x = 1\n    return x\ny = x", "x", ""),
    "a recursive function": ("def f(n):\n    return f(n - 1) if n else z\ny = f(3)", "z", ""),
    "a value bound below a lambda": ("f = lambda r: w[r]\nw = 3", "", "w"),
    "a value bound above a lambda": ("w = 3\nf = lambda r: w[r]", "", ""),
    "a lambda's parameters and defaults": ("f = lambda a, b=c: a + b + d", "c d", ""),
    "annotations and decorators of a def": ("@deco(x)\ndef f(a: T, *r: S) -> R: ...\n", "deco x T S R", ""),
    "an inner function of a function": ("def f(a):\n    def g():\n        return a + b\n    return g\n", "b", ""),
    "nonlocal between inner functions": (
        "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += k\n    return g",
        "k",
        "",
    ),
    "nonlocal of a name of the cell": ("n = 0\ndef g():\n    nonlocal n\n    n += k", "k", ""),
    "an async function inside": ("async def f():\n    return await g(x)\n", "g x", ""),
    "class body and methods": (
        "class A(B, metaclass=M):\n    n = k\n    m = n\n    def f(self):\n        return n, z",
        "B M k n z",
        "",
    ),
    "a class reads an outer name it binds": ("class A:\n    date: date = date(1)", "date", ""),
    "a class in a class": ("class A:\n    n = 1\n    class B:\n        m = n", "n", ""),
    "a class in a function": (
        "def f():\n    class A:\n        n = k\n        def g(self): return n\n    return A",
        "k n",
        "",
    ),
    "a comprehension's own names": ("y = [x + k for x in xs if x > low]", "k xs low", ""),
    "the first iterable is outside": ("y = [x for x in x]", "x", ""),
    "later iterables are inside": ("y = [b for a in xs for b in a]", "xs", ""),
    "dict, set, generator": ("y = {k: v for k, v in a}, {s for s in b}, sum(g for g in c)", "a b c", ""),
    "a lambda in a comprehension": ("y = [lambda: i + j for i in xs]", "j xs", ""),
    "walrus": ("if (m := f(x)) and m.ok:\n    y = m", "f x", ""),
    "walrus in a comprehension binds in the cell": ("y = [z for x in xs if (z := f(x))]\nw = z", "xs f", ""),
    "match": (
        "match p:\n    case Point(x=0, y=b) if b > lim:\n        r = b\n    case [a, *rest] | {'k': a, **rest}:\n"
        "        r = a, rest\n    case _:\n        r = None\nz = r",
        "p Point lim",
        "",
    ),
    "a match that may not match": ("match p:\n    case 1:\n        r = 1\nz = r", "p", "r"),
    "a match on a constant of a module": ("match p:\n    case m.X:\n        r = 1", "p m", ""),
    "del unbinds": ("x = 1\ndel x\ny = x", "x", ""),
    "del of an outer name": ("y = x\ndel x", "x", ""),
    "del in one branch": ("x = 1\nif c:\n    del x\ny = x", "c", "x"),
    "del of an item": ("del x[i]", "x i", ""),
    "an annotation of a variable is not evaluated": ("y: pl.DataFrame = x\nz: T", "x", ""),
    "f-strings": ('y = f"{a:>{w}} {b!r} {{c}}"', "a w b", ""),
    "a string is no code": ('y = "x + 1"\n"""z"""', "", ""),
    "slices, stars, keywords": ("y = f(*a, **b)[c:d, ...](e=g)", "f a b c d g", ""),
    "conditional expression": ("y = a if c else b", "a c b", ""),
    "await": ("y = await f(x)", "f x", ""),
    "async for and with": ("async with s() as t:\n    async for r in t:\n        y = r", "s", ""),
    "raise and assert": ("assert a, b\nraise E from c", "a b E c", ""),
    "names of IPython": ("display(x)\nget_ipython()", "x", ""),
    "a builtin the cell hides": ("id = id(x)", "x", ""),
}


@pytest.mark.parametrize(("body", "reads", "optional"), READS.values(), ids=READS)
def test_a_name_is_read_from_outside_unless_bound_where_it_is_read(body: str, reads: str, optional: str) -> None:
    analysis = look_at(body)
    assert analysis.reads == words(reads)
    assert analysis.optional_reads == words(optional)


def test_builtins_are_reported_apart_with_those_the_cell_hides() -> None:
    analysis = look_at("n = len(x)\nid = id(n)\nif n:\n    max = 3\ny = max")
    assert analysis.reads == ("x",)
    assert analysis.builtins_read == ("len",)
    assert analysis.shadowed_builtins == ("id", "max")


def test_each_name_read_knows_its_line_of_the_cell() -> None:
    analysis = look_at("\ny = a + len(b)\nif c:\n    d = 1\nz = d + a")
    assert analysis.read_lines == {"a": 3, "len": 3, "b": 3, "c": 4, "d": 6}


def test_names_are_sorted_by_how_they_are_bound() -> None:
    analysis = look_at(
        """
        import os
        total, (rest) = f()
        for i, j in rest:
            with g() as h: k = 1
        def d(): inner = 1
        class C: n = 1
        try: pass
        except E as e: pass
        total += (w := 1)
        del k
        """
    )
    assert analysis.assigned == ("total", "rest", "k", "w")
    assert analysis.targets == ("i", "j", "h", "e")
    assert analysis.defined == ("os", "d", "C")
    assert analysis.deleted == {"k", "e"}


#: body, name on the line, outputs on the line -> node name, ports, value of the last expression.
OUTPUTS: dict[str, tuple[str, str | None, str | None, str, str, bool]] = {
    "the list": ("a = 1\nb = 2", "n", "b", "n", "b", False),
    "the list names anything bound": ("import os\nfor i in x:\n    def f(): ...", "n", "os i f", "n", "os i f", False),
    "the list may hand on what was read": ("x.sort()", "n", "x", "n", "x", False),
    "the node's own name": ("tmp = 1\nn = 2", "n", None, "n", "n", False),
    "the node's own name, an import": ("import n\nx = 1", "n", None, "n", "n", False),
    "the node's own name, a def": ("def n(): ...\nx = 1", "n", None, "n", "n", False),
    "the node's own name, a loop": ("for n in x:\n    if n: break", "n", None, "n", "n", False),
    "all assigned": ("a = 1\nb: int = 2\na += 1\n(c := 3)", "n", None, "n", "a b c", False),
    "no underscore": ("_a = 1\nb = _a\n__c = 1", "n", None, "n", "b", False),
    "no loop, with, except, match": (
        "for i in x: a = i\nwith y as f: pass\ntry: pass\nexcept E as e: pass\nmatch x:\n    case [q]: b = q",
        "n",
        None,
        "n",
        "a b",
        False,
    ),
    "no import, def, class": ("import os\ndef f(): ...\nclass C: ...\na = 1", "n", None, "n", "a", False),
    "no fallback import": ("try:\n    import q\nexcept ImportError:\n    q = None\na = q", "n", None, "n", "a", False),
    "nothing deleted": ("t = 1\na = t\ndel t", "n", None, "n", "a", False),
    "not what an inner function assigns": ("def f():\n    x = 1\na = f()", "n", None, "n", "a", False),
    "the last expression": ("table.head()", "n", None, "n", "result", True),
    "the last expression after helpers": ("import m\n_t = m.f()\n_t.head()", "n", None, "n", "result", True),
    "an assigned name goes before the last expression": ("a = 1\na + 1", "n", None, "n", "a", False),
    "the last expression under a listed name": ("table.head()", "n", "top", "n", "top", True),
    "nothing at all": ("for i in x:\n    print(i)", "n", None, "n", "result", True),
    "the one assigned name": ("late = x", None, None, "late", "late", False),
    "the one assigned name that is no helper": ("_t = x\nlate = _t", None, None, "late", "late", False),
    "the one listed name": ("a = 1\nb = 2", None, "b", "b", "b", False),
}


@pytest.mark.parametrize(("body", "name", "listed", "node", "ports", "is_expression"), OUTPUTS.values(), ids=OUTPUTS)
def test_outputs_are_the_list_or_the_own_name_or_all_assigned_or_the_last_expression(
    body: str, name: str | None, listed: str | None, node: str, ports: str, is_expression: bool
) -> None:
    outputs = choose_outputs(look_at(body), name=name, listed=words(listed) if listed else None)
    assert outputs == Outputs(node_name=node, ports=words(ports), is_expression=is_expression)


def test_a_parameter_of_the_signature_may_be_handed_on() -> None:
    assert choose_outputs(look_at("print(1)"), name="n", listed=("x",), given=("x",)).ports == ("x",)


@pytest.mark.parametrize(
    ("body", "name", "listed", "code", "said"),
    [
        ("a = 1\nb = 2", None, None, "FB502", "2 outputs, a, b"),
        ("a = 1\nb = 2", None, None, "FB502", "%%node b "),
        ("a = 1\nb = 2", None, "a b", "FB502", "-> a, b"),
        ("print(x)", None, None, "FB502", "%%node name"),
        ("def late(x): ...", None, None, "FB502", "%%node late"),
        ("late = 1", "n", "laet", "FB520", "did you mean 'late'?"),
        ("late = 1", "n", "late x", "FB520", "'x' is never assigned"),
        ("late = 1\ndel late", "n", "late", "FB520", "'late' is deleted"),
        ("late = 1\nlate + 1", "n", "total", "FB520", "'total' is never assigned"),
    ],
)
def test_outputs_that_cannot_be_told_are_asked_for(
    body: str, name: str | None, listed: str | None, code: str, said: str
) -> None:
    with pytest.raises(CellError) as caught:
        choose_outputs(look_at(body), name=name, listed=words(listed) if listed else None)
    assert caught.value.code == code
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("body", "code", "line", "said"),
    [
        ("", "FB517", 1, "no code"),
        ("# only a comment\n", "FB517", 1, "no code"),
        ("x = 1\n!ls -l", "FB510", 3, "!ls cannot stand in a node"),
        ("x = !ls", "FB510", 2, "subprocess.run"),
        ("x, *y = !!ls", "FB510", 2, "!!ls"),
        ("%time f()", "FB510", 2, "leave it out"),
        ("x = %timeit -o f()", "FB510", 2, "%timeit"),
        ("if c:\n    %matplotlib inline", "FB510", 3, "a plain cell above"),
        ("%%bash\nls", "FB510", 2, "%%bash"),
        ("x = 1\n%%node other\ny = 2", "FB510", 3, "start a new cell"),
        ("x?", "FB510", 2, "ask in a cell of its own"),
        ("x = 1\nx.head??\ny = 1", "FB510", 3, "question mark"),
        ("?x", "FB510", 2, "question mark"),
        ("%time?", "FB510", 2, "question mark"),
        ("!echo it's", "FB510", 2, "!echo"),
        ("x = 1\nreturn x", "FB511", 3, "name = x"),
        ("if x:\n    return", "FB511", 3, "name = None"),
        ("yield x", "FB512", 2, "@flow.node"),
        ("y = yield from x", "FB512", 2, "@flow.node"),
        ("global x\nx = 1", "FB513", 2, "output"),
        ("def f():\n    global x\n    x = 1", "FB513", 3, "global x"),
        ("nonlocal x", "FB513", 2, "leave the line out"),
        ("from math import *", "FB514", 2, "from math import …"),
        ("from __future__ import annotations", "FB515", 2, "plain cell"),
        ("x = 1\nclass A:\n    x = x", "FB516", 4, "another name"),
    ],
)
def test_what_cannot_be_a_node_is_refused_with_its_line_and_what_to_write(
    body: str, code: str, line: int, said: str
) -> None:
    with pytest.raises(CellError) as caught:
        analyse(body, filename="cell.py", first_line=2)
    assert caught.value.code == code
    assert caught.value.fields["line"] == line
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        'x = """\n!ls\n%time\ny?\n"""',
        "x = (a\n%time)",
        "x = a \\\n% time",
        "def f():\n    return 1\ny = f()",
        "f = lambda: (yield)",
        "async def g():\n    yield 1",
        "x = [1, # !ls\n]",
    ],
)
def test_what_only_looks_like_it_is_not_refused(body: str) -> None:
    look_at(body)


@pytest.mark.parametrize(
    ("body", "line", "column", "text"),
    [
        ("x = = 3", 2, 5, "x = = 3"),
        ("y = 1\nx = (1", 3, 5, "x = (1"),
        ("y = 1\n\n  z = 2", 4, 2, "  z = 2"),
        ("y = 'abc", 2, 5, "y = 'abc"),
        ("y = 1 %%% 2", 2, 8, "y = 1 %%% 2"),
    ],
)
def test_a_syntax_error_has_the_cells_line_column_and_text(body: str, line: int, column: int, text: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        analyse(body, filename="cell.py", first_line=2)
    error = caught.value
    assert (error.filename, error.lineno, error.offset) == ("cell.py", line, column)
    assert (error.text or "").rstrip("\n") == text


def test_a_null_byte_is_a_syntax_error_of_the_cell() -> None:
    with pytest.raises(SyntaxError) as caught:
        analyse("x = '\0'", filename="cell.py", first_line=2)
    assert (caught.value.filename, caught.value.lineno) == ("cell.py", 2)


@pytest.mark.parametrize(
    ("body", "is_async"),
    [
        ("x = await f()", True),
        ("async with a: pass", True),
        ("async for a in b: pass", True),
        ("x = [a async for a in b]", True),
        ("x = [await a for a in b]", True),
        ("x = (a async for a in b)", False),
        ("async def f(): await g()", False),
        ("def f(a=[b async for b in c]): ...", True),
        ("f = lambda: 1", False),
    ],
)
def test_a_body_that_awaits_is_async_whatever_its_functions_do(body: str, is_async: bool) -> None:
    assert look_at(body).is_async is is_async


def test_the_leading_string_is_the_description_unless_it_is_all_there_is() -> None:
    assert look_at('"""Late\n  flights."""\nx = 1').doc == "Late\nflights."
    assert look_at('"""Late flights."""').doc == ""
    assert look_at("x = 1\n'no'").doc == ""


def test_annotations_of_variables_are_kept_as_text() -> None:
    analysis = look_at("flights: pl.LazyFrame\nlate: Annotated[pl.DataFrame, 'x'] = flights.collect()")
    assert analysis.annotations == {"flights": "pl.LazyFrame", "late": "Annotated[pl.DataFrame, 'x']"}
    assert analysis.reads == ("flights",)


def test_annotations_that_are_not_evaluated_are_no_reads() -> None:
    body = "def f(a: T) -> R: ...\nclass A:\n    b: S = c\n    def g(self, *d: U): ...\ny: V = 1"
    assert look_at(body).reads == ("T", "R", "S", "c", "U")
    analysis = analyse(body, filename="cell.py", flags=__future__.annotations.compiler_flag)
    assert analysis.reads == ("c",)
    assert analysis.annotations == {"y": "V"}


def test_a_warning_of_the_parser_points_at_the_cells_line() -> None:
    with pytest.warns((DeprecationWarning, SyntaxWarning)) as caught:
        analyse("x = 1\ny = '\\d'", filename="cell.py", first_line=2)
    assert [(warning.filename, warning.lineno) for warning in caught] == [("cell.py", 3)]
