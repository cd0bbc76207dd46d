"""Whatever happens to a flow while it is shown: nothing fails behind the scenes, and the last state is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.notebook.kernel_driver import CANVAS_MIME, NODE_MIME, TRACE_MIME

if TYPE_CHECKING:
    from tests.notebook.kernel_driver import Cell, Notebook


def flow_with_outputs(notebook: Notebook) -> dict[str, Cell]:
    """Cards, values, a canvas and a ``%%flow`` cell of one flow ``a -> b -> c``, ``d``."""
    return {
        "canvas": notebook.cell(f"%%flow {notebook.flow}"),
        "a": notebook.cell("%%node a(n: int = 1)\na = n"),
        "b": notebook.cell("%%node b\nb = a + 1"),
        "functions": notebook.cell(f"""
            import random, threading
            import flowbook as fb
            flow = fb.flow({notebook.flow!r})
            @flow.node
            def c(b: int, k: int = 2) -> int:
                return b * k
            @flow.node
            def d(c: int = 0) -> str:
                return "x" * c
        """),
        "picture": notebook.cell("flow"),
        "run": notebook.cell("await flow.run()"),
    }


def test_edits_runs_renames_and_removals_at_random_never_fail_behind_the_scenes(notebook: Notebook) -> None:
    """The publisher draws on a thread of its own while all of this goes on; failures there fail the test."""
    notebook.has_ids = False  # other cells define its functions anew
    cells = flow_with_outputs(notebook)
    notebook.cell("""
        chance = random.Random(7)
        def disturb(count):
            for turn in range(count):
                ids = list(flow)
                step = chance.randrange(9)
                node = chance.choice(ids) if ids else None
                if step < 2 and "a" in ids:
                    flow.set("a", n=chance.randrange(50))
                elif step == 2 and "c" in ids:
                    flow["c"].traits().k = chance.randrange(9)
                elif step == 3:
                    flow.start()
                elif step == 4 and node in "bd":
                    flow.rename(node, f"{node}_{turn}")
                    flow.start()
                    flow.rename(f"{node}_{turn}", node)
                elif step == 5 and "d" in ids:
                    flow.remove("d")
                elif step == 6:
                    flow.node(d)
                elif step == 7 and node is not None:
                    flow.undefine("c") if "c" in ids else None
                    flow.node(c)
                else:
                    flow.start(force=True).cancel()
    """)
    for _ in range(3):
        notebook.cell("disturb(60)")
    notebook.cell("flow.node(c)\nflow.node(d)")
    notebook.cell("await flow.run()")
    notebook.drain()
    assert notebook.of_flow("stale()") == {}
    assert cells["a"].shown.text.splitlines()[-1] == str(notebook.of_flow("__getitem__('a').value"))
    assert cells["b"].shown.text.splitlines()[-1] == str(notebook.of_flow("__getitem__('b').value"))
    for cell in (cells["canvas"], cells["picture"]):
        canvas = cell.bundles(CANVAS_MIME)[0]
        assert {card["id"]: card["status"] for card in canvas["nodes"]} == dict.fromkeys("abcd", "ok")


def test_a_flow_that_cannot_be_run_can_still_be_shown(notebook: Notebook) -> None:
    """A loop, types that cannot meet, an ambiguous name, a missing input, a stub: each is drawn, none raises."""
    notebook.cell(f"""
        import flowbook as fb, polars as pl
        flow = fb.flow({notebook.flow!r})
        @flow.node
        def first(second: int) -> int:
            return second
        @flow.node
        def second(first: int) -> int:
            return first
        @flow.node(outputs=("part", "rest"))
        def one() -> tuple[int, int]:
            return 1, 2
        @flow.node(outputs=("part", "other"))
        def two() -> tuple[int, int]:
            return 1, 2
        @flow.node
        def reader(part: int, nowhere: int) -> pl.DataFrame:
            return part
        @flow.node
        def texts(reader: str) -> str:
            return reader
    """)
    edge = '{"source": "gone", "target": "reader", "targetPort": "nowhere"}'
    cell = notebook.cell(f'%%flow {notebook.flow}\n{{"nodes": [{{"id": "stub"}}], "edges": [{edge}]}}')
    canvas = cell.bundles(CANVAS_MIME)[0]
    assert {card["id"] for card in canvas["nodes"]} >= {"first", "second", "one", "two", "reader", "texts", "stub"}
    assert set(notebook.ask("[each.code for each in flow.check()]")) >= {"FB203", "FB204", "FB201"}
    notebook.cell("await flow.run()", fails=True)
    notebook.cell("flow.remove('first')\nrun = flow.run_sync(raise_errors=False)")
    notebook.drain()
    assert {card["id"]: card["status"] for card in cell.bundles(CANVAS_MIME)[0]["nodes"]}["one"] == "ok"


def test_an_output_of_a_removed_node_stays_as_it_was(notebook: Notebook) -> None:
    cells = flow_with_outputs(notebook)
    before = cells["b"].shown.data
    notebook.cell("flow.remove('b')\nawait flow.run()", fails=True)
    assert cells["b"].shown.data == before


def test_many_runs_become_few_updates_and_the_last_value_is_shown(notebook: Notebook) -> None:
    """Many changes between two rounds of the publisher become one update."""
    cells = flow_with_outputs(notebook)
    notebook.cell("for n in range(10):\n    flow.set('a', n=n)\n    flow.run_sync(to='a')")
    assert cells["a"].shown.text.splitlines()[-1] == "9"
    mark = len(notebook.messages)
    notebook.cell("for n in range(100):\n    flow.set('a', n=n)\n    run = flow.start(to='a')\nawait run")
    notebook.drain()
    assert cells["a"].shown.text.splitlines()[-1] == "99"
    own = [
        each
        for each in notebook.sent_since(mark)
        if each["content"].get("data", {}).get(NODE_MIME, {}).get("node") == "a"
    ]
    assert len(own) < 60


def test_all_outputs_agree_on_the_run_they_show(notebook: Notebook) -> None:
    cells = flow_with_outputs(notebook)
    notebook.cell("flow.set('a', n=5)")
    run = notebook.cell("await flow.run()")
    run_id = run.bundles(TRACE_MIME)[0]["runId"]
    assert {
        cells["a"].shown.node["runId"],
        cells["b"].shown.node["runId"],
        cells["functions"].card_of("c").node["runId"],
    } == {run_id}
    assert cells["canvas"].bundles(CANVAS_MIME)[0]["runId"] == run_id
    assert cells["picture"].bundles(CANVAS_MIME)[0]["runId"] == run_id
