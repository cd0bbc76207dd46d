"""A notebook that only imports flowbook has all of it; loading it again changes nothing."""

from __future__ import annotations

from tests.notebook.kernel_driver import NODE_MIME, run_headless


def test_making_a_flow_in_a_notebook_loads_the_extension() -> None:
    cells = run_headless(
        [
            "@flow.node\ndef one(n: int = 1) -> int:\n    return n",
            "%%node two\ntwo = one + 1",
            "%load_ext flowbook\n%load_ext flowbook\n%reload_ext flowbook",
            "%%node three\nprint('said')\nthree = two + 1",
            "await flow.run()",
        ],
        prepare="import flowbook as fb\nflow = fb.flow('main')\n@flow.node\ndef zero() -> int:\n    return 0",
    )
    assert [cell.status for cell in cells] == ["ok"] * 5, [cell.error for cell in cells]
    assert cells[0].shown.node["status"] == "ok"
    assert cells[1].shown.text.splitlines()[-1] == "2"
    assert cells[3].printed == ""
    assert cells[3].shown.text.splitlines()[-1] == "3"
    assert len(cells[4].outputs) == 1
    assert all(len(cell.bundles(NODE_MIME)) == 1 for cell in (cells[0], cells[1], cells[3]))


def test_importing_alone_changes_nothing_in_a_notebook() -> None:
    cells = run_headless(
        ["import sys\nprint(type(sys.stdout).__name__, 'flowbook.notebook' in sys.modules)", "%%node a\na = 1"],
        prepare="import flowbook",
    )
    assert cells[0].printed == "OutStream False\n"
    assert "Cell magic `%%node` not found" in cells[1].text
