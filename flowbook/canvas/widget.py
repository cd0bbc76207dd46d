"""A flow's canvas as a widget, for every front end that shows ipywidgets; the only file that sees them.

The widget's traits are few and small: which flow, how high, which node is selected, and the flow as it was when it was
last displayed, so that there is something to see at once. Everything that changes comes as messages of
``canvas.messages``, on the same hub as JupyterLab's comm; what a person does goes back the same way.

The program that draws is a module of its own in ipyreact, read from a file; no trait of a canvas holds any of it. Where
cells are run by a program (nbclient, which stores the widgets it hears of) none is sent, so that no notebook holds it;
the widget is a frame with a drawing then, until it is displayed where somebody is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ipyreact
import traitlets

from flowbook.canvas.drawing import canvas_svg, canvas_title
from flowbook.canvas.pages import canvas_html
from flowbook.canvas.plain_text import canvas_text
from flowbook.canvas.protocol import CANVAS_MIME, fit_canvas
from flowbook.canvas.sequence import next_seq
from flowbook.canvas.snapshot import snapshot
from flowbook.errors import CanvasError

if TYPE_CHECKING:
    from flowbook.canvas.channels import Channel
    from flowbook.canvas.control import Hub
    from flowbook.canvas.live_view import LiveFlow
    from flowbook.canvas.messages import Message
    from flowbook.canvas.protocol import Canvas

#: Name under which the drawing module is known to the browser.
MODULE = "flowbook-canvas"
#: Built from js/ when the package is built.
MODULE_FILE = Path(__file__).with_name("static") / "canvas.js"
LEAST_HEIGHT_PX = 120
#: Of a traits' snapshot; a larger one is shrunk.
MAX_SNAPSHOT_BYTES = 128 * 1024
#: Of the drawing that stands for the canvas; there is none of a larger flow.
MAX_DRAWING_CHARS = 128 * 1024
_PAGE = '<!doctype html><meta name="color-scheme" content="light dark"><style>body { margin: 0 }</style>'


class FlowCanvas(ipyreact.Widget):
    """The canvas of one flow. Made by ``flow.canvas()``; fits into any box, can be linked and closed.

    Args:
        flow: what it shows.
        hub: tells it what changes.
        height: pixels, >= 120.

    Attributes:
        flow_name: name of the flow.
        height: of the canvas, pixels.
        selected: id of the node that is selected, or None; follows the mouse, and moves the selection when it is set.
        snapshot: the flow when the widget was made, or last displayed.

    Raises:
        CanvasError: FB805, the package was built without the browser part.
    """

    _module: str | None
    flow_name = traitlets.Unicode(read_only=True).tag(sync=True)
    height = traitlets.Int(480, min=LEAST_HEIGHT_PX).tag(sync=True)
    selected = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    snapshot = traitlets.Dict().tag(sync=True)

    #: Its line to the hub; a widget that could not be made, and is closed all the same, has none.
    _channel: Channel | None = None

    def __init__(self, flow: LiveFlow, hub: Hub, *, height: int = 480) -> None:
        _need_program()
        self._flow = flow
        self._is_named = hub.finds(flow)
        self._channel = hub.connect(self._tell, flow=flow)
        super().__init__(height=height)

    def open(self) -> None:
        """Tell the browser of the widget, with all that its views are drawn from.

        A view that ipyreact is drawing does not hear of changes before the drawing is over, and nobody tells it again:
        it would stay the frame, or the flow without a name, that the widget was for a moment.
        """
        if self.comm is None:
            self.set_trait("flow_name", self._flow.name)
            self._refresh(_drawn(self._flow))
        super().open()

    @traitlets.default("_type")
    def _frame(self) -> str:
        return "iframe"

    def _refresh(self, drawn: Canvas) -> None:
        """Bring what is seen before the first message up to date."""
        with self.hold_sync():
            if self._module is None and _is_headless():
                drawing = canvas_svg(drawn)
                self.props = {
                    "srcDoc": _PAGE + drawing if len(drawing) <= MAX_DRAWING_CHARS else _PAGE,
                    "title": canvas_title(drawn),
                    "sandbox": "",  # nothing may run in there
                    "style": {"width": "100%", "border": "none"},
                }
                return
            self._become_canvas()
            self.snapshot = cast("dict[str, Any]", fit_canvas(drawn, max_bytes=MAX_SNAPSHOT_BYTES))

    def _become_canvas(self) -> None:
        if self._module is None:
            _define_module()
            self._dependencies = [MODULE]  # the browser waits for it
            self._module, self._type = MODULE, None
            # The way to its widget, which ipyreact gives no component: the view of another widget among its props.
            self.props = {"bridge": self.layout}

    def _tell(self, message: Message, buffers: list[bytes] | None = None) -> None:
        self.send({"flowbook": message}, buffers)

    def event_canvas(self, data: Any, buffers: Any = None) -> None:  # noqa: ARG002 -- ipyreact's signature
        """Take a message from the browser."""
        if self._channel is not None:
            self._channel.receive(data)

    def close(self) -> None:
        """Take the canvas off the screen and leave nothing of it behind; the flow stays."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
            self.layout.close()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Show the widget, and beside it the canvas as it stands now for those who have no widgets."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        drawn = _drawn(self._flow)
        self._refresh(drawn)
        data, *metadata = bundle if isinstance(bundle, tuple) else (bundle,)
        shown = {
            **data,
            "text/html": canvas_html(drawn),
            "image/svg+xml": canvas_svg(drawn),
            "text/plain": canvas_text(drawn),
        }
        if self._is_named:  # JupyterLab's own canvas, which it prefers, finds a flow by its name
            shown[CANVAS_MIME] = drawn
        return (shown, *metadata) if metadata else shown


def _drawn(flow: LiveFlow) -> Canvas:
    with flow.lock:
        drawn = snapshot(flow, seq=next_seq())
    return fit_canvas(drawn)


def _need_program() -> None:
    """Complain early when there is no program to send.

    Raises:
        CanvasError: FB805, it was not built.
    """
    if not MODULE_FILE.is_file():
        raise CanvasError(
            "the browser part of flowbook is not built",
            code="FB805",
            hint="in the source tree: cd js && npm ci && npm run build; or install a wheel, which has it",
        )


def _define_module() -> None:
    """Make the drawing module known to the browser, once a kernel."""
    known = ipyreact.module._module_widgets.get(MODULE)  # noqa: SLF001 -- ipyreact tells in no other way
    if known is None or known.comm is None:
        ipyreact.define_module(MODULE, MODULE_FILE)


def _is_headless() -> bool:
    """Whether the cell is run by a program, which says that nobody is there to answer it: nbclient and its like."""
    from IPython import get_ipython  # noqa: PLC0415 -- not everybody who makes a widget has a shell

    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is not None and not kernel.get_parent().get("content", {}).get("allow_stdin", True)
