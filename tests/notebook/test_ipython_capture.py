"""In a real kernel: what firings print, log, warn of, display and draw lands on them, and in no cell."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.blocking.client import BlockingKernelClient

PREPARE = """
import asyncio, json, logging, sys, threading, warnings
from flowbook.core.interfaces import Effects
from flowbook.notebook.ipython_capture import NotebookCapture

capture = NotebookCapture()
capture.install()
warnings.simplefilter("always")

def fire(*nodes):
    "Run the nodes at once, each on a thread as a firing; give their effects."
    effects = [Effects() for _ in nodes]
    errors = []
    def run(node, kept):
        try:
            with capture.firing(kept):
                node()
        except Exception as error:
            errors.append(repr(error))
    threads = [threading.Thread(target=run, args=pair) for pair in zip(nodes, effects)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not errors, errors
    return effects

def tell(effects):
    "Print effects as JSON, for the test."
    print(json.dumps([{"entries": each.entries, "displays": each.displays} for each in effects]))
"""


@dataclass
class Cell:
    """What one cell sent on iopub."""

    outputs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def printed(self) -> str:
        return "".join(content["text"] for kind, content in self.outputs if kind == "stream")


class Kernel:
    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def run(self, code: str) -> Cell:
        """Execute a cell and give every output that arrived until it was idle, whomever it names as its parent."""
        cell = Cell()
        code = textwrap.dedent(code)
        if "plt." in code and "import matplotlib" not in code:
            code = "import matplotlib.pyplot as plt\n" + code
        asked = self._client.execute(code)
        while True:
            message = self._client.get_iopub_msg(timeout=60)
            kind, content = message["msg_type"], message["content"]
            is_own = message["parent_header"].get("msg_id") == asked
            if kind == "status" and content["execution_state"] == "idle" and is_own:
                return cell
            if kind == "error":
                pytest.fail("\n".join(content["traceback"]))
            if kind not in {"status", "execute_input"}:
                cell.outputs.append((kind, content))

    def effects(self, code: str) -> list[dict[str, Any]]:
        """Run a cell that must show nothing and leaves effects in ``kept``; give them."""
        assert self.run(code).outputs == []
        told: list[dict[str, Any]] = json.loads(self.run("tell(kept)").printed)
        return told


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """One kernel for all: what a test leaves behind would show in the next one."""
    manager, client = start_new_kernel()
    try:
        kernel = Kernel(client)
        kernel.run(PREPARE)
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def texts(effects: dict[str, Any], stream: str) -> list[str]:
    return [text for each, text in effects["entries"] if each == stream]


def images(effects: dict[str, Any]) -> list[str]:
    return [data["image/png"] for data, _ in effects["displays"] if "image/png" in data]


def test_eight_nodes_at_once_keep_everything_to_themselves(kernel: Kernel) -> None:
    """Matplotlib is imported for the first time inside the nodes."""
    kept = kernel.effects("""
        everybody = threading.Barrier(8)
        titles = {}
        def node(number):
            def body():
                import altair as alt
                import matplotlib.pyplot as plt
                from IPython.display import HTML, display
                everybody.wait()
                print("print", number)
                logging.getLogger(f"node{number}").error("log %d", number)
                warnings.warn(f"warning {number}")
                display(HTML(f"<b>{number}</b>"))
                display(alt.Chart(alt.Data(values=[{"x": number}])).mark_point().encode(x="x:Q"))
                plt.plot([number, number + 1])
                plt.title(f"node {number}")
                plt.xlabel(r"$10^{%d}$" % number)
                titles[number] = [axes.get_title() for axes in plt.gcf().axes], plt.get_fignums()
                if number % 4 == 0:
                    plt.figure()
                    plt.semilogy([1, 10 ** (number + 1)])
            return body
        assert "matplotlib" not in sys.modules
        kept = fire(*[node(number) for number in range(8)])
        assert titles == {number: ([f"node {number}"], [1]) for number in range(8)}, titles
    """)
    all_images = [image for effects in kept for image in images(effects)]
    assert len(set(all_images)) == 10  # none is another's, none is empty
    for number, effects in enumerate(kept):
        assert texts(effects, "stdout") == [f"print {number}\n"]
        assert texts(effects, "log") == [f"ERROR node{number}: log {number}"]
        assert texts(effects, "warning") == [f"UserWarning: warning {number}"]
        assert texts(effects, "stderr") == []
        assert len(images(effects)) == (2 if number % 4 == 0 else 1)
        html, chart = effects["displays"][0][0], effects["displays"][1][0]
        assert html["text/html"] == f"<b>{number}</b>"
        assert f'"values": [{{"x": {number}}}]' in chart["text/html"]
        assert len(effects["displays"]) == 2 + len(images(effects))


def test_the_figures_of_a_cell_are_its_own_while_nodes_draw(kernel: Kernel) -> None:
    cell = kernel.run("""
        import matplotlib.pyplot as plt
        plt.figure()
        plt.title("the cell's")
        [before] = fire(lambda: (plt.plot([1, 2]), plt.title("the node's")))
        titles = [axes.get_title() for axes in plt.gcf().axes]
        numbers = plt.get_fignums()
    """)
    assert [kind for kind, _ in cell.outputs] == ["display_data"]
    assert "image/png" in cell.outputs[0][1]["data"]
    assert kernel.run("print(titles, numbers, len(before.displays))").printed == '["the cell\'s"] [1] 1\n'


def test_plt_show_in_a_node_shows_on_the_node_once(kernel: Kernel) -> None:
    [effects] = kernel.effects("""
        def node():
            plt.plot([1, 2])
            plt.show()
        kept = fire(node)
    """)
    assert len(images(effects)) == len(effects["displays"]) == 1


def test_a_figure_that_is_the_value_is_not_an_effect_too(kernel: Kernel) -> None:
    [effects] = kernel.effects("""
        def node():
            figure, axes = plt.subplots()
            axes.plot([1, 2])
            capture.claim(figure)
            values.append(figure)
        values = []
        kept = fire(node)
    """)
    assert effects["displays"] == []
    cell = kernel.run("values[0]")
    assert "image/png" in cell.outputs[0][1]["data"]


def test_an_empty_figure_shows_nothing_and_one_that_fails_is_a_warning(kernel: Kernel) -> None:
    empty, broken = kernel.effects("""
        from matplotlib.artist import Artist
        class Broken(Artist):
            def draw(self, renderer):
                raise RuntimeError("cannot draw")
        kept = fire(plt.figure, lambda: plt.gca().add_artist(Broken()))
    """)
    assert empty["displays"] == []
    assert "cannot draw" in "".join(text for _, text in broken["entries"])
    [after] = kernel.effects("kept = fire(lambda: plt.plot([1]))")
    assert len(images(after)) == 1


def test_drawing_does_not_wait_for_itself(kernel: Kernel) -> None:
    """A firing in a firing, and two coroutines that take turns on one loop, would wait for ever."""
    kept = kernel.effects("""
        import time
        inner, first, second = Effects(), Effects(), Effects()
        def nested():
            plt.plot([1])
            with capture.firing(inner):
                plt.plot([2])
        async def draw(effects, number):
            with capture.firing(effects):
                plt.plot([number])
                await asyncio.sleep(0)
                plt.title(str(number))
                await asyncio.sleep(0)
        async def both():
            await asyncio.gather(draw(first, 3), draw(second, 4))
        began = time.monotonic()
        [outer] = fire(nested)
        fire(lambda: asyncio.run(both()))
        assert time.monotonic() - began < 15
        kept = [outer, inner, first, second]
    """)
    assert [len(images(effects)) for effects in kept] == [1, 1, 1, 1]
    assert len({image for effects in kept for image in images(effects)}) == 4


def test_one_that_never_ends_does_not_stop_the_others_from_drawing(kernel: Kernel) -> None:
    kept = kernel.effects("""
        import flowbook.notebook.pyplot_figures as figures
        figures._PATIENCE_S = 0.2
        goes_on, has_turn = threading.Event(), threading.Event()
        def deaf():
            plt.plot([1])
            has_turn.set()
            goes_on.wait()
        def run_deaf():
            with capture.firing(Effects()):
                deaf()
        thread = threading.Thread(target=run_deaf)
        thread.start()
        has_turn.wait()
        kept = fire(lambda: plt.plot([1, 2]))
        goes_on.set()
        thread.join()
        figures._PATIENCE_S = 20.0
    """)
    assert len(images(kept[0])) == 1


def test_displays_are_updated_and_cleared_on_their_node(kernel: Kernel) -> None:
    updated, cleared, waited = kernel.effects("""
        from IPython.display import clear_output, display
        def updates():
            handle = display("one", display_id=True)
            display("between")
            handle.update("two")
        def clears():
            print("old")
            display("old")
            logging.getLogger("stays").error("stays")
            clear_output()
            print("new")
        def waits():
            display("old")
            clear_output(wait=True)
            display("new")
        kept = fire(updates, clears, waits)
    """)
    assert [data["text/plain"] for data, _ in updated["displays"]] == ["'two'", "'between'"]
    assert cleared["displays"] == []
    assert cleared["entries"] == [["log", "ERROR stays: stays"], ["stdout", "new\n"]]
    assert [data["text/plain"] for data, _ in waited["displays"]] == ["'new'"]


def test_a_formatter_that_fails_is_no_error_of_a_cell(kernel: Kernel) -> None:
    [effects] = kernel.effects("""
        class Bad:
            def _repr_html_(self):
                raise ValueError("no html")
        kept = fire(lambda: display(Bad()))
    """)
    assert "no html" in "".join(texts(effects, "stderr"))


def test_widgets_and_pictures_are_json(kernel: Kernel) -> None:
    [effects] = kernel.effects("""
        import ipywidgets
        class Picture:
            def _repr_png_(self):
                return b"\\x89PNG\\r\\n"
        kept = fire(lambda: display(Picture()))
    """)
    assert images(effects) == ["iVBORw0K"]


def test_a_cell_still_does_what_cells_do(kernel: Kernel) -> None:
    cell = kernel.run("""
        from IPython.display import clear_output
        print("out")
        print("err", file=sys.stderr)
        display("shown")
        clear_output()
        "value"
    """)
    assert [kind for kind, _ in cell.outputs] == ["stream", "stream", "display_data", "clear_output", "execute_result"]


def test_a_capturing_cell_does_not_get_what_nodes_show(kernel: Kernel) -> None:
    kernel.run("""
        from IPython.utils.capture import capture_output
        with capture_output() as caught:
            print("cell's")
            display("cell's")
            [effects] = fire(lambda: (print("node's"), display("node's")))
    """)
    assert kernel.run("print(caught.stdout, len(caught.outputs), len(effects.displays))").printed == "cell's\n 1 1\n"


def test_nodes_on_the_loop_of_an_awaiting_cell_keep_apart_too(kernel: Kernel) -> None:
    kept = kernel.effects("""
        kept = [Effects(), Effects(), Effects()]
        async def node(effects, number):
            with capture.firing(effects):
                print("start", number)
                await asyncio.sleep(0)
                display(number)
                await asyncio.to_thread(print, "thread", number)
                plt.plot([1, number])
        done = await asyncio.gather(*[node(effects, number) for number, effects in enumerate(kept)])
    """)
    for number, effects in enumerate(kept):
        assert texts(effects, "stdout") == [f"start {number}\n", f"thread {number}\n"]
        assert effects["displays"][0][0]["text/plain"] == str(number)
        assert len(images(effects)) == 1


def test_uninstalling_puts_everything_back(kernel: Kernel) -> None:
    cell = kernel.run("""
        from matplotlib._pylab_helpers import Gcf
        ip = get_ipython()
        capture.uninstall()
        print(type(sys.stdout).__name__, type(Gcf.figs).__name__, "publish" in vars(ip.display_pub),
              ip.display_trap.hook is ip.displayhook, ip._showtraceback.__name__)
        capture.install()
    """)
    assert cell.printed == "OutStream OrderedDict False True _showtraceback\n"
    [effects] = kernel.effects("kept = fire(lambda: (print('again'), plt.plot([1])))")
    assert texts(effects, "stdout") == ["again\n"]
    assert len(images(effects)) == 1
