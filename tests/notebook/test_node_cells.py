"""What a person sees who runs node cells: the value in the cell, kept true by every later run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.notebook.kernel_driver import NODE_MIME, TRACE_MIME

if TYPE_CHECKING:
    from tests.notebook.kernel_driver import Notebook


# -- %%node shows its value


def test_a_node_cell_shows_its_value_as_jupyter_would_with_its_stamp(notebook: Notebook) -> None:
    cell = notebook.cell("""
        %%node table
        import polars as pl
        table = pl.DataFrame({"column_a": [1, 2, 3]})
    """)
    assert [output.kind for output in cell.outputs] == ["display_data"]
    plain = notebook.cell('import polars as pl\npl.DataFrame({"column_a": [1, 2, 3]})')
    assert plain.outputs[0].html in cell.shown.html
    assert plain.outputs[0].text in cell.shown.text
    assert {"node": "table", "flow": notebook.flow, "status": "ok", "stamp": "recorded"}.items() <= (
        cell.shown.node.items()
    )
    assert "first run" in cell.shown.text
    assert "recorded" in cell.shown.text
    assert cell.shown.node["runId"] == notebook.of_flow("last_run.id")


def test_a_cell_that_changes_its_inputs_says_so_and_gets_copies(notebook: Notebook) -> None:
    notebook.cell("%%node made\nimport numpy as np\nmade = np.zeros(10)")
    refused = notebook.cell("%%node changed\nmade += 1\nchanged = float(made.sum())", fails=True)
    assert "read-only" in refused.error
    cell = notebook.cell("%%node mended --mutable\nmade += 1\nmended = float(made.sum())")
    assert "10.0" in cell.shown.text
    assert notebook.of_flow("last_run.copies[0].reason") == "mutable=True"
    assert notebook.of_flow("__getitem__('made').value.sum().item()") == 0


def test_the_value_is_said_once(notebook: Notebook) -> None:
    cell = notebook.cell("%%node word\nword = 'only' + 'once'")
    assert cell.shown.text.count("onlyonce") == 1
    assert cell.shown.html.count("onlyonce") == 1


def test_a_value_that_is_none_shows_the_strip_alone(notebook: Notebook) -> None:
    cell = notebook.cell("%%node nothing\nnothing = None")
    assert cell.shown.node["status"] == "ok"
    assert "None" not in cell.shown.text


def test_several_outputs_show_as_one_dict(notebook: Notebook) -> None:
    cell = notebook.cell("%%node pair -> left, right\nleft = 1\nright = 'r'")
    assert "{'left': 1, 'right': 'r'}" in cell.shown.text


def test_several_tables_stand_one_below_the_other(notebook: Notebook) -> None:
    cell = notebook.cell("""
        %%node split -> train, test
        import polars as pl
        train, test = pl.DataFrame({"a": [1]}), pl.LazyFrame({"b": [2]})
    """)
    assert "train:\nshape: (1, 1)" in cell.shown.text
    assert "test:\nshape: (1, 1)" in cell.shown.text
    assert cell.shown.html.count("<table") == 2
    assert "" not in cell.shown.data


def test_a_chart_returned_as_the_value_stands_beside_the_node_bundle(notebook: Notebook) -> None:
    cell = notebook.cell("""
        %%node chart
        import altair as alt
        chart = alt.Chart(alt.Data(values=[{"x": 1}])).mark_bar()
    """)
    assert cell.shown.data["image/svg+xml"].startswith("<svg")
    assert 'src="data:image/svg+xml;base64,' in cell.shown.html
    assert NODE_MIME in cell.shown.data
    assert "<script" not in cell.shown.html


def test_what_a_node_printed_stands_above_its_value(notebook: Notebook) -> None:
    cell = notebook.cell("%%node loud\nprint('said', 1)\nloud = 'value'")
    assert cell.printed == ""
    assert cell.shown.text.index("said 1") < cell.shown.text.index("value")
    assert cell.shown.html.index("said 1") < cell.shown.html.index("&#x27;value&#x27;</pre>")


def test_only_what_is_stale_upstream_runs(notebook: Notebook) -> None:
    notebook.cell("%%node a --define\na = 1")
    notebook.cell("%%node b --define\nb = a + 1")
    notebook.cell("%%node other --define\nother = a + 2")
    notebook.cell("%%node c\nc = b + 1")
    assert notebook.of_flow("last_run.recomputed") == ["a", "b", "c"]
    notebook.cell("%%node d\nd = b + c")
    assert notebook.of_flow("last_run.recomputed") == ["d"]
    assert notebook.of_flow("stale()") == {}


def test_define_only_defines(notebook: Notebook) -> None:
    cell = notebook.cell("%%node lazy --define\nlazy = 1 / 0")
    assert notebook.of_flow("last_run") is None
    assert cell.shown.node["status"] == "idle"
    assert cell.shown.node["stamp"] is None


def test_the_same_cell_again_reuses_its_value(notebook: Notebook) -> None:
    cell = notebook.cell("%%node a\na = 1")
    first = cell.shown.node
    notebook.again(cell)
    assert notebook.of_flow("last_run.recomputed") == []
    assert cell.shown.node["stamp"] == "cached"
    assert cell.shown.node["runId"] == first["runId"], "the value is still that of the first run"


def test_a_lazy_table_that_a_later_run_did_not_collect_shows_its_columns(notebook: Notebook) -> None:
    """Only leaves and targets are collected: showing a value costs no computation that nobody asked for."""
    cell = notebook.cell("""
        %%node rows(n: int = 1)
        import polars as pl
        rows = pl.LazyFrame({"number": [n], "word": ["w"]})
    """)
    assert "│ 1 " in cell.shown.text, "its own cell asked for it"
    notebook.cell("%%node count\ncount = rows.collect().height")
    flow = f"__import__('flowbook').flow({notebook.flow!r})"
    notebook.cell(f"{flow}.set('rows', n=2)\nawait {flow}.run()")
    assert "number: int64\nword: string\nnot collected" in cell.shown.text
    assert "0x" not in cell.shown.text
    assert "number: int64" in cell.shown.html
    notebook.cell(f"await {flow}.run(to='rows')")
    assert "│ 2 " in cell.shown.text


# -- failures


def test_its_own_failure_raises_with_the_cells_own_line_and_no_frame_of_flowbook(notebook: Notebook) -> None:
    cell = notebook.cell("%%node ratio\nx = 0\n\nratio = 1 / x", fails=True)
    assert "ZeroDivisionError" in cell.error
    assert f"Cell In[{cell.execution_count}], line 4" in cell.error
    assert "flowbook" not in cell.error
    assert cell.error.count(", line ") == 1
    assert cell.shown.node["status"] == "failed"
    assert cell.shown.node["stamp"] is None


def test_a_failure_upstream_says_skipped_and_does_not_raise_again(notebook: Notebook) -> None:
    notebook.cell("%%node bad\nbad = 1 / 0", fails=True)
    below = notebook.cell("%%node below\nbelow = bad + 1")
    assert "skipped: bad failed" in below.shown.text
    assert "skipped: bad failed" in below.shown.html
    assert below.shown.node["status"] == "skipped"
    further = notebook.cell("%%node further\nfurther = below + 1")
    assert "skipped: bad failed" in further.shown.text


def test_a_failure_leaves_the_rest_of_the_flow_usable(notebook: Notebook) -> None:
    bad = notebook.cell("%%node bad\nbad = 1 / 0", fails=True)
    below = notebook.cell("%%node below\nbelow = bad + 1")
    notebook.cell("%%node bad\nbad = 1", bad)
    notebook.cell(f"await __import__('flowbook').flow({notebook.flow!r}).run()")
    assert "2" in below.shown.text.splitlines()
    assert below.shown.node["status"] == "ok"


def test_a_failed_node_that_had_a_value_shows_the_error_not_the_old_value(notebook: Notebook) -> None:
    cell = notebook.cell("%%node a\na = 'first value'")
    notebook.cell("%%node a\na = [][1]", cell, fails=True)
    assert "first value" not in cell.shown.text
    assert "IndexError" in cell.shown.text


ERRORS = {
    "await run": ("await flow.run()", "FB401"),
    "run_sync": ("flow.run_sync()", "FB401"),
    "add": ("flow.add('nowhere.at_all', 'x')", "FB2"),
    "connect": ("flow.connect('boom', 'nothing.x')", "FB201"),
    "disconnect": ("flow.disconnect('boom', 'fine.boom')", "FB209"),
    "subscript": ("flow['nothing']", "FB201"),
    "no value": ("flow['boom'].value", "FB408"),
    "value": ("flow.run_sync(raise_errors=False)\nflow['boom'].value", "FB402"),
    "result": ("run = flow.run_sync(raise_errors=False)\nrun['boom']", "FB402"),
    "scope": ("await flow.run(to='boom', only='boom')", "FB410"),
    "setting": ("flow.set('fine', n='many')", "FB10"),
    "settings": ("flow['fine'].settings['n'] = 'many'", "FB10"),
    "unknown setting": ("await flow.run(settings={'fine.m': 1})", "FB201"),
    "varargs": ("@flow.node\ndef f(*args): ...", "FB10"),
    "loop": ("flow.connect('after', 'fine.first')", "FB203"),
    "types": ("flow.connect('word', 'counts.n')", "FB207"),
    "twice": ("flow.add(boom, 'fine')", "FB202"),
    "no name": ("flow.add(boom, 'not a name')", "FB205"),
    "rename": ("flow.rename('boom', 'fine')", "FB202"),
    "remove": ("flow.remove('nothing')", "FB201"),
    "given": ("await flow.run(inputs={'nothing': 1})", "FB201"),
    "overrides": ("await flow.run(overrides={'nothing': 1})", "FB201"),
    "policy": ("flow.set_policy('fine', retries=3)", "FB101"),
    "unwritable": ("flow.save('/nowhere/at/all.flow.json')", "FB305"),
    "document": ("flow.replace_document('{')", "FB301"),
    "open": ("fb.Flow.open('nowhere.flow.json')", "FB306"),
}


@pytest.mark.parametrize(("code", "error"), ERRORS.values(), ids=ERRORS)
def test_no_error_of_flowbook_shows_flowbooks_frames(notebook: Notebook, code: str, error: str) -> None:
    notebook.cell(f"""
        import flowbook as fb
        flow = fb.flow({notebook.flow!r})
        @flow.node
        def boom() -> int:
            return 1 / 0
        @flow.node
        def fine(n: int = 3, first: object = None) -> int:
            return n
        @flow.node
        def after(fine: int) -> int:
            return fine
        @flow.node
        def word() -> str:
            return "w"
        @flow.node
        def counts(n: int) -> int:
            return n
        flow.connect("fine", "counts.n")
    """)
    before = notebook.of_flow("document()")
    cell = notebook.cell(code, fails=True)
    assert notebook.of_flow("document()") == before
    assert f"[{error}" in cell.error
    assert "/flowbook/" not in cell.error.replace("~", ""), cell.error
    assert "asyncio" not in cell.error
    assert "hint" in cell.error
    assert f"Cell In[{cell.execution_count}]" in cell.error


# -- later runs


def test_later_runs_update_earlier_and_later_outputs_in_place(notebook: Notebook) -> None:
    a = notebook.cell("%%node a(n: int = 1)\na = n")
    driver = notebook.cell(f"import flowbook as fb\nflow = fb.flow({notebook.flow!r})")
    b = notebook.cell("%%node b\nb = f'b is {a}'")
    html = b.shown.html
    notebook.cell("flow.set('a', n=41)\nawait flow.run()", driver)
    assert a.shown.text.splitlines()[-1] == "41"
    assert b.shown.text.splitlines()[-1] == "'b is 41'"
    assert "b is 41" in b.shown.html
    assert "b is 1" in html
    assert "b is 1&" not in b.shown.html
    assert [output.kind for output in driver.outputs] == ["display_data"]
    assert TRACE_MIME in driver.outputs[0].data


def test_one_node_has_one_output_however_often_its_cell_runs(notebook: Notebook) -> None:
    """The output of the cell's earlier run is gone; what updates it is the latest display."""
    a = notebook.cell("%%node a(n: int = 1)\na = n")
    notebook.again(a)
    updates = a.shown.updates
    notebook.cell(
        f"import flowbook as fb\nfb.flow({notebook.flow!r}).set('a', n=2)\nawait fb.flow({notebook.flow!r}).run()"
    )
    assert a.shown.updates > updates
    assert a.shown.text.splitlines()[-1] == "2"


def test_a_reused_node_is_not_touched(notebook: Notebook) -> None:
    """An update would mark the notebook as changed, although nothing in it did."""
    a = notebook.cell("%%node a\na = 1")
    b = notebook.cell("%%node b\nb = a + 1")
    before = (a.shown.updates, b.shown.updates)
    mark = len(notebook.messages)
    for _ in range(2):
        notebook.cell(f"await __import__('flowbook').flow({notebook.flow!r}).run()")
    notebook.cell("%%node c\nc = a + b")
    assert (a.shown.updates, b.shown.updates) == before
    ids = {a.shown.display_id, b.shown.display_id}
    assert not [
        each for each in notebook.sent_since(mark) if each["content"].get("transient", {}).get("display_id") in ids
    ]


@pytest.mark.parametrize("scope", ["settings={'a.n': 99}", "overrides={'a': 99}"])
def test_a_private_run_does_not_touch_the_cells(notebook: Notebook, scope: str) -> None:
    a = notebook.cell("%%node a(n: int = 1)\na = n")
    b = notebook.cell("%%node b\nb = a + 1")
    before = [(a.shown.data, a.shown.updates), (b.shown.data, b.shown.updates)]
    cell = notebook.cell(f"import flowbook as fb\nrun = await fb.flow({notebook.flow!r}).run({scope})\nprint(run['b'])")
    assert cell.printed == "100\n"
    assert [(a.shown.data, a.shown.updates), (b.shown.data, b.shown.updates)] == before
    assert notebook.of_flow("stale()") == {}
    assert notebook.of_flow("document()['nodes']") == [{"id": "a", "typeId": "a"}, {"id": "b", "typeId": "b"}]


def test_an_edit_from_python_sends_nothing_to_the_node_cells(notebook: Notebook) -> None:
    """Stale is for views to say, not for the stored notebook."""
    a = notebook.cell("%%node a(n: int = 1)\na = n")
    before = a.shown.updates
    notebook.cell(f"__import__('flowbook').flow({notebook.flow!r}).set('a', n=2)")
    notebook.drain()
    assert a.shown.updates == before


def test_a_run_is_shown_once_in_its_cell_and_again_where_it_is_looked_at(notebook: Notebook) -> None:
    notebook.cell("%%node a --define\na = 1")
    first = notebook.cell(f"run = await __import__('flowbook').flow({notebook.flow!r}).run()\nrun")
    second = notebook.cell("run")
    assert [TRACE_MIME in output.data for output in first.outputs] == [True]
    assert [output.data[TRACE_MIME]["spans"] for output in second.outputs] == [first.bundles(TRACE_MIME)[0]["spans"]]


def test_a_loop_of_runs_does_not_fill_the_notebook_and_its_last_run_is_shown(notebook: Notebook) -> None:
    notebook.cell("%%node a(n: int = 1) --define\na = n")
    cell = notebook.cell(f"""
        flow = __import__('flowbook').flow({notebook.flow!r})
        for n in range(40):
            flow.set("a", n=n)
            run = await flow.run()
    """)
    assert len(cell.outputs) <= 12
    assert cell.bundles(TRACE_MIME)[-1]["runId"] == notebook.ask("run.id")
    assert all(each["final"] for each in cell.bundles(TRACE_MIME))


def test_a_node_that_is_looked_at_shows_its_card_as_it_stands(notebook: Notebook) -> None:
    own = notebook.cell("%%node a(n: int = 1)\na = n")
    looked = notebook.cell(f"flow = __import__('flowbook').flow({notebook.flow!r})\nflow['a']")
    assert looked.shown.node["card"]["settings"][0]["name"] == "n"
    notebook.cell("flow.set('a', n=5)\nawait flow.run()")
    assert own.shown.text.splitlines()[-1] == "5", "its own cell is still the one that is kept up"
    assert looked.shown.updates == 0


# -- @flow.node cells


def test_a_cell_of_functions_shows_a_card_each_and_runs_nothing(notebook: Notebook) -> None:
    cell = notebook.cell(f"""
        import flowbook as fb
        flow = fb.flow({notebook.flow!r})
        @flow.node
        def one(n: int = 1) -> int:
            "The first."
            return n
        @flow.node
        def two(one: int) -> int:
            return one + 1
    """)
    assert [output.node["node"] for output in cell.outputs] == ["one", "two"]
    assert [output.node["status"] for output in cell.outputs] == ["idle", "idle"]
    assert cell.outputs[0].node["card"]["settings"][0]["name"] == "n"
    assert notebook.of_flow("last_run") is None
    notebook.cell("await flow.run()")
    assert [output.node["status"] for output in cell.outputs] == ["ok", "ok"]
    assert cell.card_of("two").node["card"]["preview"]["text"] == "2"


def test_a_decorated_function_stays_a_function(notebook: Notebook) -> None:
    cell = notebook.cell(f"""
        import flowbook as fb
        @fb.flow({notebook.flow!r}).node
        def half(x: float = 1.0) -> float:
            return x / 2
        print(half(3.0), half.__name__)
    """)
    assert cell.printed == "1.5 half\n"


def test_names_of_nodes_stay_out_of_the_namespace_and_a_name_error_says_where_they_are(notebook: Notebook) -> None:
    notebook.cell("%%node total\nhalf = 2\ntotal = half + half")
    assert notebook.ask("[name for name in ('total', 'half') if name in globals()]") == []
    cell = notebook.cell("total + 1", fails=True)
    assert "NameError" in cell.error
    assert f'fb.flow("{notebook.flow}")["total"].value' in cell.error


def test_a_forgotten_await_is_said_in_a_cell_and_in_a_node(notebook: Notebook) -> None:
    notebook.cell("async def load():\n    return [3]")
    cell = notebook.cell("%%node rows\nrows = load()", fails=True)
    assert "[FB650]" in cell.error
    assert "write `await` before the call" in cell.error
    cell = notebook.cell("%%node first\nfirst = load()[0]", fails=True)
    assert "TypeError" in cell.error
    assert cell.error.count("write `await` before the call that made it") == 1
    notebook.cell("%%node first\nfirst = (await load())[0]", cell)
    cell = notebook.cell(f"run = __import__('flowbook').flow({notebook.flow!r}).run()\nrun['first']", fails=True)
    assert "run = await flow.run()" in cell.error
    notebook.cell("run.close()")
    assert notebook.ask(f"__import__('flowbook').flow({notebook.flow!r})['first'].value") == 3


def test_a_free_name_that_nothing_gives_is_told_with_what_it_may_have_meant(notebook: Notebook) -> None:
    notebook.cell("threshold = 3")
    notebook.cell("%%node flights\nflights = [1, 5]")
    cell = notebook.cell("%%node late\nlate = [f for f in flights if f > treshold]", fails=True)
    assert "[FB403]" in cell.error
    assert "did you mean 'threshold'?" in cell.error
    cell = notebook.cell("%%node late\nlate = [f for f in fligths if f > threshold]", cell, fails=True)
    assert "did you mean 'flights'?" in cell.error


def test_a_name_error_on_an_output_says_where_that_is(notebook: Notebook) -> None:
    notebook.cell("%%node split -> train, test\ntrain, test = [1, 2], [3]")
    cell = notebook.cell("train + [1]", fails=True)
    expression = f'fb.flow("{notebook.flow}")["split"].value["train"]'
    assert expression in cell.error
    assert notebook.ask(f"__import__('flowbook').flow({notebook.flow!r})['split'].value['train']") == [1, 2]


def test_a_failed_await_shows_the_line_of_the_node_that_failed(notebook: Notebook) -> None:
    bad = notebook.cell("%%node bad --define\nx = 0\nbad = 1 / x")
    cell = notebook.cell(f"await __import__('flowbook').flow({notebook.flow!r}).run()", fails=True)
    assert f"Cell In[{bad.execution_count}], line 3" in cell.error
    assert "node 'bad', line 3" in cell.error
    assert "[FB401]" in cell.error


def test_a_plain_name_error_has_no_such_hint(notebook: Notebook) -> None:
    cell = notebook.cell("nobody_knows_this", fails=True)
    assert "node" not in cell.error


def test_the_magic_explains_itself(notebook: Notebook) -> None:
    cell = notebook.cell("%%node?")
    assert "--define" in str(cell.payload)
    assert "Outputs are" in str(cell.payload)
