"""What is saved with a notebook: bundles with their static forms, facts rather than stamps, and never code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.notebook.kernel_driver import CANVAS_MIME, NODE_MIME, TRACE_MIME, run_headless
from tests.notebook.markup_watch import MAX_BUNDLE_BYTES, active_parts, problems_in, size_bytes, text_of

if TYPE_CHECKING:
    from tests.notebook.kernel_driver import Cell, Notebook

SCRIPT = "<script>pwned(1)</script>"
IMAGE = "<img src=x onerror=pwned(2)>"
BREAKOUT = "\"'></pre></style></title></svg>--><script>pwned(3)</script>"
HOSTILE = f"{SCRIPT}{IMAGE}{BREAKOUT}"


def card_of(cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = cell.shown.node["card"]
    return found


# -- what is in a bundle


def test_each_kind_of_output_has_its_bundle_beside_html_text_and_where_apt_a_picture(notebook: Notebook) -> None:
    node = notebook.cell("%%node a(n: int = 2)\na = n").outputs[0].data
    card = notebook.cell("%%node b --define\nb = a + 1").outputs[0].data
    run = notebook.cell(f"import flowbook as fb\nflow = fb.flow({notebook.flow!r})\nawait flow.run()").outputs[0].data
    canvas = notebook.cell("flow").outputs[0].data
    assert set(node) == {NODE_MIME, "text/html", "text/plain"}
    assert set(card) == {NODE_MIME, "text/html", "text/plain"}
    assert set(run) == {TRACE_MIME, "text/html", "image/svg+xml", "text/plain"}
    assert set(canvas) == {CANVAS_MIME, "text/html", "image/svg+xml", "text/plain"}
    for bundle, kind in ((node[NODE_MIME], "node"), (run[TRACE_MIME], "trace"), (canvas[CANVAS_MIME], "canvas")):
        assert bundle["flowbook"] == "1"
        assert bundle["kind"] == kind
        assert bundle["flow"] == notebook.flow
        assert re.fullmatch("[0-9a-f]{32}", bundle["runId"])
        assert isinstance(bundle["seq"], int)


def test_a_node_output_holds_the_facts_of_its_value_and_not_the_value(notebook: Notebook) -> None:
    cell = notebook.cell("%%node table\nimport polars as pl\ntable = pl.DataFrame({'column_a': [4711]})")
    bundle = cell.shown.node
    assert set(bundle) == {
        "flowbook", "kind", "flow", "node", "runId", "seq", "status", "stamp", "reason", "at", "key", "tookS"
    }  # fmt: skip
    assert "4711" not in str(bundle)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", bundle["at"])
    assert bundle["key"] == notebook.ask(
        f"__import__('flowbook').flow({notebook.flow!r}).results.state('table').result.effective_key"
    )


def test_a_later_bundle_of_an_output_has_a_higher_seq(notebook: Notebook) -> None:
    cell = notebook.cell("%%node a(n: int = 1)\na = n")
    notebook.cell(
        f"import flowbook as fb\nfb.flow({notebook.flow!r}).set('a', n=2)\nawait fb.flow({notebook.flow!r}).run()"
    )
    seqs = [each[NODE_MIME]["seq"] for each in [*cell.shown.history, cell.shown.data]]
    assert seqs == sorted(set(seqs))


def test_the_trace_and_the_canvas_of_a_run_agree_with_the_run(notebook: Notebook) -> None:
    notebook.cell("%%node a --define\na = 1")
    notebook.cell("%%node b --define\nb = 1 / 0")
    cell = notebook.cell(
        f"import flowbook as fb\nflow = fb.flow({notebook.flow!r})\nrun = flow.run_sync(raise_errors=False)"
    )
    trace = cell.bundles(TRACE_MIME)[0]
    assert trace["runId"] == notebook.ask("run.id")
    assert (trace["status"], trace["final"]) == ("failed", True)
    assert {span["node"]: (span["status"], span["stamp"]) for span in trace["spans"]} == {
        "a": ("ok", "recorded"),
        "b": ("failed", None),
    }
    canvas = notebook.cell("flow").bundles(CANVAS_MIME)[0]
    assert canvas["run"]["id"] == trace["runId"]
    assert canvas["run"]["failed"] == 1
    assert "position" not in str(canvas["document"])


# -- how large


LARGE = {
    "a message": "raise ValueError('x' * 1_000_000)",
    "many prints": "for each in range(30_000): print('line', each)\nn = 1",
    "one long line": "print('x' * 2_000_000)\nn = 1",
    "wide tables": "import polars as pl\n"
    "n = pl.DataFrame({'name ' * 70 + str(each): ['y' * 9_999] for each in range(99)})",
    "a long text": "n = 'z' * 300_000",
    "a picture": "n = __import__('numpy').random.default_rng(1).integers(0, 255, (600, 600, 3), dtype='uint8')",
    "many displays": "for each in range(200): display('w' * 5_000)\nn = 1",
    "a long note": "error = ValueError('v')\nerror.add_note('u' * 500_000)\nraise error",
}


@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE)
def test_no_bundle_is_larger_than_a_quarter_of_a_megabyte(notebook: Notebook, body: str) -> None:
    fails = "raise" in body
    value = notebook.cell(
        f"%%node n\n{body}\nn = n if 'n' in dir() else 0" if not fails else f"%%node n\n{body}", fails=fails
    )
    code = "\n    ".join(body.splitlines())
    card = notebook.cell(f"""
import flowbook as fb
@fb.flow({notebook.flow + "_card"!r}).node
def n() -> object:
    {code}
    return n if 'n' in dir() else 0
run = fb.flow({notebook.flow + "_card"!r}).run_sync(raise_errors=False)
fb.flow({notebook.flow + "_card"!r})
""")
    notebook.drain()
    for cell in (value, card):
        for output in cell.outputs:
            for mime in (NODE_MIME, TRACE_MIME, CANVAS_MIME):
                assert size_bytes(output.data.get(mime)) <= MAX_BUNDLE_BYTES


def test_a_flow_of_many_nodes_still_fits(notebook: Notebook) -> None:
    notebook.cell(f"""
        import flowbook as fb
        flow = fb.flow({notebook.flow!r})
        @fb.node
        def step(x: object = None, text: str = "t" * 400) -> object:
            print("said " * 100)
            return {{"value": "v" * 500}}
        for number in range(300):
            flow.add(step, f"step_{{number}}", text="s" * 300)
            if number:
                flow.connect(f"step_{{number - 1}}", f"step_{{number}}.x")
    """)
    cell = notebook.cell("await flow.run()\nflow")
    trace, canvas = cell.bundles(TRACE_MIME)[0], cell.bundles(CANVAS_MIME)[0]
    assert trace["counts"]["ran"] == 300
    assert size_bytes(trace) <= MAX_BUNDLE_BYTES
    assert size_bytes(canvas) <= MAX_BUNDLE_BYTES


# -- markup in names, values, logs and errors stays text


def hostile_flow(name: str) -> str:
    """A cell that says hostile things wherever a person can say something."""
    return f"""
import logging, warnings
import polars as pl
import flowbook as fb
from typing import Annotated
from IPython.display import display
hostile = {HOSTILE!r}
flow = fb.flow({name!r})
@flow.node
def table(text: Annotated[str, fb.Setting(label=hostile, unit=hostile, help=hostile)] = hostile) -> pl.DataFrame:
    {HOSTILE!r}
    print(hostile)
    logging.getLogger(hostile).warning(hostile)
    warnings.warn(hostile)
    display(hostile)
    return pl.DataFrame({{hostile: [hostile], "plain": [text]}})
@flow.node
def bad(table: pl.DataFrame) -> int:
    error = ValueError(hostile)
    error.add_note(hostile)
    raise error
"""


def test_markup_in_names_logs_values_and_errors_stays_text(notebook: Notebook) -> None:
    name = f"{HOSTILE} {notebook.flow}"
    cells = [
        notebook.cell(hostile_flow(name)),
        notebook.cell("run = flow.run_sync(raise_errors=False)"),
        notebook.cell("await flow.run()", fails=True),
        notebook.cell("flow"),
    ]
    notebook.use_flow(name)
    cells += [
        notebook.cell("%%node text\nprint(hostile)\ntext = hostile"),
        notebook.cell("%%node shown\nshown = table"),
        notebook.cell("%%node failing\nraise KeyError(hostile)", fails=True),
        notebook.cell("%%node listed\nlisted = {hostile: [hostile]}"),
    ]
    for cell in cells:
        for output in cell.outputs:
            for mime in ("text/html", "image/svg+xml"):
                assert active_parts(output.data.get(mime, "")) == []
    shown = [cell for cell in cells if cell.outputs and "text/html" in cell.outputs[0].data]
    assert len(shown) == 8
    assert "pwned(1)" in text_of(cells[4].shown.html), "it is to be read"
    assert HOSTILE in cells[4].text


def test_markup_in_a_document_stays_text(notebook: Notebook) -> None:
    document = {
        "metadata": {"description": HOSTILE, "tags": [HOSTILE]},
        "nodes": [{"id": "a", "typeId": HOSTILE, "settings": {HOSTILE: HOSTILE}}],
        "notes": [{"text": HOSTILE, "x": 0, "y": 0}],
        "groups": [{"title": HOSTILE, "nodes": ["a"]}],
        "future": HOSTILE,
    }
    import json

    cell = notebook.cell(f"%%flow {notebook.flow}\n{json.dumps(document)}")
    assert active_parts(cell.outputs[0].html) == []
    assert active_parts(cell.outputs[0].data["image/svg+xml"]) == []


VALUES = {
    "HTML with a script": f"HTML({SCRIPT!r})",
    "HTML with an event": f"HTML({IMAGE!r})",
    "HTML with a javascript link": """HTML('<a href="java\\nscript:pwned(1)">x</a>')""",
    "HTML with a frame": """HTML('<iframe srcdoc="<script>pwned(1)</script>"></iframe>')""",
    "JavaScript": "Javascript('pwned(1)')",
    "SVG with a script": """SVG('<svg xmlns="http://www.w3.org/2000/svg"><script>pwned(1)</script></svg>')""",
    "an interactive chart": "alt.Chart(alt.Data(values=[{'x': 1}])).mark_bar()",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_that_would_run_code_is_shown_without_it(notebook: Notebook, value: str) -> None:
    notebook.cell("import altair as alt\nfrom IPython.display import HTML, Javascript, SVG, display")
    returned = notebook.cell(f"%%node n\nn = {value}")
    displayed = notebook.cell(f"%%node m\ndisplay({value})\nm = 1")
    for cell in (returned, displayed):
        assert active_parts(cell.shown.html) == []
        assert "pwned" not in cell.shown.html
        assert len(text_of(cell.shown.html).strip()) > 10
    assert problems_in(notebook.cells) == []


def test_static_html_of_a_value_is_kept_as_it_is(notebook: Notebook) -> None:
    notebook.cell("from IPython.display import HTML")
    cell = notebook.cell("%%node n\nn = HTML('<b class=\"mine\">bold</b>')")
    assert '<b class="mine">bold</b>' in cell.shown.html


# -- the same notebook without a front end


def test_a_notebook_executed_by_nbclient_stores_final_states_and_no_code() -> None:
    nbformat = pytest.importorskip("nbformat")
    cells = run_headless(
        [
            hostile_flow("main"),
            "%%node text\nprint(hostile)\ntext = hostile",
            "run = flow.start()",
            "%%node late --define\nlate = 1",
            "more = flow.start(to='late')",
            "from flowbook.session import drain\ndrain()",
            "flow",
        ]
    )
    assert [cell.status for cell in cells] == ["ok"] * len(cells), [cell.error for cell in cells]
    assert problems_in(cells) == []
    states = {each["node"]: each["status"] for cell in cells for each in cell.bundles(NODE_MIME)}
    assert states == {"table": "ok", "bad": "failed", "text": "ok", "late": "ok"}
    assert [cell.bundles(TRACE_MIME)[0]["final"] for cell in (cells[2], cells[4])] == [True, True]
    assert {card["status"] for card in cells[6].bundles(CANVAS_MIME)[0]["nodes"]} <= {"ok", "failed"}

    exporter = pytest.importorskip("nbconvert").HTMLExporter()
    stored = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell.code, outputs=_outputs(nbformat, cell)) for cell in cells]
    )
    page, _ = exporter.from_notebook_node(stored)
    assert "pwned(1)" in text_of(page)
    for script in re.findall(r"<script\b[^>]*>(.*?)</script>", page, re.DOTALL):
        assert "pwned" not in script
    assert not re.search(r"<[a-z][^<>]*\son\w+\s*=\s*[\"']?pwned", page)


def _outputs(nbformat: Any, cell: Cell) -> list[Any]:
    """Make the cell's outputs again as a notebook holds them."""
    return [
        nbformat.v4.new_output(output.kind, data=output.data)
        for output in cell.outputs
        if output.kind in ("display_data", "execute_result")
    ]
