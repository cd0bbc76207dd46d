"""Node cells in a real kernel: tracebacks, syntax errors, await, completion, breakpoints.

The magic below is the least one: it builds the function and calls it on another thread, with what the notebook has.
"""

from __future__ import annotations

import queue
import re
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
from IPython.core.magic import no_var_expand, register_cell_magic
from flowbook.notebook.cell_function import build, line_of_body
from flowbook.registry.magic_line import parse_node_line
from flowbook.notebook.tracebacks import as_cell_error

@register_cell_magic
@no_var_expand
def node(line, cell):
    shell = get_ipython()
    raw = shell.kernel.get_parent()["content"]["code"]
    filename = shell.compile.get_code_name(raw, raw, shell.execution_count)
    first_line = line_of_body(raw, cell)
    names = shell.user_ns
    try:
        made = build(parse_node_line(line), cell, filename=filename, namespace=names, first_line=first_line,
                     flags=shell.compile.flags)
        wanted = (*made.free_names, *made.optional_names)
        given = {name: names[name] for name in wanted if name in names}
        with ThreadPoolExecutor() as pool:
            if made.is_async:
                return pool.submit(lambda: asyncio.run(made.function(**given))).result()
            return pool.submit(made.function, **given).result()
    except Exception as error:
        raise as_cell_error(error, shell, [filename])
"""
#: The magic stands in for flowbook's own, so its frames are to be cut like those of flowbook.
AS_OURS = f"""
import flowbook.notebook
exec(compile({MAGIC!r}, flowbook.notebook.__path__[0] + "/stand_in.py", "exec"))
"""


class Kernel:
    """A kernel and what it answers."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3")
        self.seq = 0

    def run(self, code: str) -> dict[str, Any]:
        """Execute a cell; returns its reply, with ``shown`` for a traceback's text or a result's repr."""
        asked = self.client.execute(code)
        reply = self.answer_to(asked)
        reply["shown"] = plain("\n".join(reply.get("traceback", ())))
        for content in self.until_idle(asked):
            reply["shown"] += content.get("data", {}).get("text/plain", "")
        return reply

    def until_idle(self, asked: str) -> Iterator[dict[str, Any]]:
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["content"].get("execution_state") == "idle":
                return
            yield message["content"]

    def ask(self, kind: str, **content: Any) -> dict[str, Any]:
        """Send any other request on the shell channel."""
        message = self.client.session.msg(kind, content)
        self.client.shell_channel.send(message)
        return self.answer_to(message["header"]["msg_id"])

    def answer_to(self, asked: str) -> dict[str, Any]:
        while True:
            message = self.client.get_shell_msg(timeout=60)
            if message["parent_header"].get("msg_id") == asked:
                answer: dict[str, Any] = message["content"]
                return answer

    def debug(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request of the debug adapter protocol."""
        self.seq += 1
        request = {"type": "request", "seq": self.seq, "command": command, "arguments": arguments}
        self.client.control_channel.send(self.client.session.msg("debug_request", request))
        answer: dict[str, Any] = self.client.get_control_msg(timeout=60)["content"]
        assert answer.get("success", True), answer
        return answer

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    started = Kernel()
    try:
        assert started.run(AS_OURS)["status"] == "ok"
        yield started
    finally:
        started.close()


def test_a_traceback_shows_the_cells_lines_and_nothing_else(kernel: Kernel) -> None:
    count = kernel.run("x = 0")["execution_count"] + 1
    reply = kernel.run("%%node bad\ntotal = 1\ndef ratio(a):\n    return a / x\nbad = ratio(total)\n")
    assert reply["ename"] == "ZeroDivisionError"
    shown = reply["shown"]
    assert f"Cell In[{count}], line 5, in bad(x)" in shown
    assert f"Cell In[{count}], line 4, in bad.<locals>.ratio(a)" in shown
    assert "----> 5  bad = ratio(total)" in shown
    assert "def bad(x):  # %%node bad" in shown
    assert shown.count("line ") == 2, shown
    for word in ("flowbook", "run_cell_magic", "concurrent", "interactiveshell"):
        assert word not in shown


def test_blank_lines_above_the_magic_keep_the_numbers_right(kernel: Kernel) -> None:
    shown = kernel.run("\n\n%%node bad\ny = 1\nbad = y / 0")["shown"]
    assert ", line 5, in bad()" in shown
    assert "----> 5  bad = y / 0" in shown


def test_the_cause_of_an_error_is_shown_with_its_lines(kernel: Kernel) -> None:
    code = (
        "%%node bad\ndef f():\n    return 1 / 0\ntry:\n    f()\nexcept Exception as e:\n    raise KeyError('k') from e"
    )
    shown = kernel.run(code)["shown"]
    assert "----> 3      return 1 / 0" in shown
    assert "The above exception was the direct cause" in shown
    assert "----> 7      raise KeyError('k') from e" in shown
    assert "flowbook" not in shown


def test_running_the_same_text_again_and_failing_again_shows_the_same(kernel: Kernel) -> None:
    code = "%%node bad\nbad = 1 / 0"
    first, again = (re.sub(r"In\[\d+\]", "In[]", kernel.run(code)["shown"]) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("code", "ename", "line", "text"),
    [
        ("%%node n\ny = 1\ny = = 2\n", "SyntaxError", 3, "y = = 2"),
        ("\n%%node n\ny = (1\n", "SyntaxError", 3, "y = (1"),
        ("%%node n\ny = 1\n    z = 2\n", "IndentationError", 3, "z = 2"),
        ("%%node n\ny = 1\nbreak\n", "SyntaxError", 3, "break"),
    ],
)
def test_a_syntax_error_points_at_the_cells_line(kernel: Kernel, code: str, ename: str, line: int, text: str) -> None:
    reply = kernel.run(code)
    assert reply["ename"] == ename
    head, shown_text, *_ = reply["shown"].strip().splitlines()
    assert re.fullmatch(rf"\s*Cell In\[{reply['execution_count']}\], line {line}", head)
    assert shown_text.strip() == text
    assert "flowbook" not in reply["shown"]
    assert "Traceback" not in reply["shown"]


def test_a_refusal_is_three_short_lines(kernel: Kernel) -> None:
    shown = kernel.run("%%node n\ny = !ls")["shown"]
    assert "[FB510] !ls cannot stand in a node" in shown
    assert "hint subprocess.run" in shown
    assert "line 1" not in shown
    assert "/flowbook/" not in shown


def test_await_works_and_shows_its_lines(kernel: Kernel) -> None:
    assert kernel.run("%%node n\nimport asyncio\nn = await asyncio.sleep(0, 3)")["shown"] == "{'n': 3}"
    shown = kernel.run("%%node n\nimport asyncio\nasync def f():\n    raise ValueError('no')\nn = await f()")["shown"]
    assert ", line 5, in n()" in shown
    assert ", line 4, in n.<locals>.f()" in shown
    assert shown.count(", line ") == 2, shown


def test_future_imports_of_the_notebook_hold_in_nodes(kernel: Kernel) -> None:
    kernel.run("from __future__ import annotations")
    assert (
        kernel.run("%%node n\ndef f(a: Undefined): ...\nn = f.__annotations__")["shown"] == "{'n': {'a': 'Undefined'}}"
    )


def test_modules_and_functions_of_the_notebook_are_at_hand(kernel: Kernel) -> None:
    kernel.run("import math\ndef double(v): return 2 * v\nbase = 3")
    assert kernel.run("%%node n(k = base + 1)\nn = double(math.floor(base + 0.5)) + k")["shown"] == "{'n': 10}"


def test_a_missing_output_is_told_without_frames(kernel: Kernel) -> None:
    shown = kernel.run("%%node n\nif False:\n    n = 1")["shown"]
    assert "[FB530] output 'n' was not assigned in this run" in shown
    assert "line " not in shown


def test_completion_inspection_and_completeness_are_as_in_a_plain_cell(kernel: Kernel) -> None:
    kernel.run("alphabet = 'abc'\nimport math")
    for typed, expected in [("alph", "alphabet"), ("alphabet.upp", "upper"), ("math.sq", "sqrt")]:
        code = f"%%node n\nn = {typed}"
        matches = kernel.ask("complete_request", code=code, cursor_pos=len(code))["matches"]
        assert any(match.endswith(expected) for match in matches), (typed, matches)
    code = "%%node n\nn = math.sqrt"
    assert kernel.ask("inspect_request", code=code, cursor_pos=len(code), detail_level=0)["found"]
    assert kernel.ask("is_complete_request", code="%%node n\nn = 1\n\n")["status"] == "complete"


def test_a_breakpoint_in_a_node_cell_is_hit_on_its_line(kernel: Kernel) -> None:
    kernel.run("x = 20")
    code = "%%node n\ny = x + 1\nz = y * 2\nn = z\n"
    kernel.debug("initialize", clientID="test", adapterID="", pathFormat="path", linesStartAt1=True)
    kernel.debug("attach")
    path = kernel.debug("dumpCell", code=code)["body"]["sourcePath"]
    kernel.debug("setBreakpoints", source={"path": path}, breakpoints=[{"line": 3}], sourceModified=False)
    kernel.debug("configurationDone")
    try:
        asked = kernel.client.execute(code)
        thread = stopped_thread(kernel)
        frame = kernel.debug("stackTrace", threadId=thread)["body"]["stackFrames"][0]
        assert (frame["name"], frame["line"], frame["source"]["path"]) == ("n", 3, path)
        scopes = kernel.debug("scopes", frameId=frame["id"])["body"]["scopes"]
        listed = kernel.debug("variables", variablesReference=scopes[0]["variablesReference"])["body"]["variables"]
        values = {each["name"]: each["value"] for each in listed}
        assert {"x": "20", "y": "21"}.items() <= values.items()
        assert "z" not in values
        kernel.debug("continue", threadId=thread)
        assert kernel.answer_to(asked)["status"] == "ok"
        shown = [content["data"]["text/plain"] for content in kernel.until_idle(asked) if "data" in content]
        assert shown == ["{'n': 42}"]
    finally:
        kernel.debug("disconnect", restart=False, terminateDebuggee=True)


def stopped_thread(kernel: Kernel) -> int:
    """Wait until the debugger says that a thread stands at a breakpoint."""
    while True:
        try:
            message = kernel.client.get_iopub_msg(timeout=30)
        except queue.Empty:
            pytest.fail("the breakpoint was not hit")
        content = message["content"]
        if message["msg_type"] == "debug_event" and content.get("event") == "stopped":
            assert content["body"]["reason"] == "breakpoint"
            thread: int = content["body"]["threadId"]
            return thread
