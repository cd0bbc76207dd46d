"""Collects, per firing, what node code displays and draws in a notebook.

``display(...)``, ``clear_output()``, IPython's rich objects and altair charts all end in the shell's display publisher,
which is wrapped; so is ``sys.displayhook`` as IPython sets it for a cell. A formatter that fails would send its
traceback to whatever cell is running, as an error of that cell: it becomes text of the firing. Figures that pyplot
holds are collected at the end of the firing, formatted as the notebook formats figures, and closed.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython

from flowbook.notebook.pyplot_figures import FIGURES
from flowbook.notebook.static_bundles import json_bundle, stilled
from flowbook.runtime.capture import StreamCapture
from flowbook.runtime.firing_sink import sink_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from flowbook.core.interfaces import Effects
    from flowbook.runtime.firing_sink import FiringSink


class NotebookCapture(StreamCapture):
    """The Capture of a notebook: text does not pass through to any cell; displays and pyplot figures are collected.

    Args:
        on_late: told, on the writing thread, when something is recorded for a firing that has ended.
    """

    def __init__(self, *, on_late: Callable[[Effects], None] | None = None) -> None:
        super().__init__(passes_through=False, on_late=on_late)
        self._shell: Any = None
        self._undo: list[Callable[[], None]] = []

    def install(self, ip: InteractiveShell | None = None) -> None:
        """Hook the process and the shell ``ip`` (default: the running one, if there is one); calls nest."""
        super().install()
        if self._install_count > 1:
            return
        self._shell = ip or get_ipython()
        FIGURES.install()
        if self._shell is not None:
            self._undo = [
                *_wrap_publisher(self._shell.display_pub),
                _wrap_displayhook(self._shell),
                _wrap_formatter(self._shell.display_formatter),
                _wrap_traceback(self._shell),
            ]

    def uninstall(self) -> None:
        """Undo one ``install``; the last one puts everything back."""
        if self._install_count == 1:
            FIGURES.uninstall()
            for undo in self._undo:
                undo()
            self._undo = []
            self._shell = None
        super().uninstall()

    def begin(self) -> None:
        """Wrap the publisher that is in force now: ``%%capture`` swaps it for the time of its cell."""
        super().begin()
        if self._shell is not None:
            _wrap_publisher(self._shell.display_pub)

    def end(self, sink: FiringSink) -> None:
        """Collect the figures the firing left open."""
        try:
            FIGURES.collect(sink, self._show_figure)
        except Exception as error:  # a figure that cannot be drawn must not undo what the node computed
            sink.note("warning", f"a figure could not be drawn: {type(error).__name__}: {error}")

    def claim(self, value: object) -> None:
        """Close a figure that the firing returns as its value, so that it is not shown a second time."""
        sink = sink_here()
        if sink is not None:
            FIGURES.close(sink, value)

    def _show_figure(self, figure: Any) -> None:
        sink = sink_here()
        if sink is None:
            return
        data: dict[str, Any] = {"text/plain": repr(figure)}
        metadata: dict[str, Any] = {}
        if self._shell is not None:
            data, metadata = self._shell.display_formatter.format(figure)
        if not any(mime.startswith("image/") for mime in data):  # the inline backend, which adds formats, is not on
            png = io.BytesIO()
            figure.savefig(png, format="png", bbox_inches="tight")
            data["image/png"] = png.getvalue()
        sink.show(json_bundle(data), metadata)


def _replace(owner: Any, name: str, ours: Any) -> Callable[[], None]:
    """Set an attribute of one object; what comes back puts it as it was, unless somebody else changed it since."""
    had_own = name in vars(owner)
    before = getattr(owner, name)
    setattr(owner, name, ours)

    def undo() -> None:
        if getattr(owner, name) is ours:
            if had_own:
                setattr(owner, name, before)
            else:
                delattr(owner, name)

    return undo


def _wrap_publisher(publisher: Any) -> list[Callable[[], None]]:
    if getattr(publisher.publish, "__name__", "") == "flowbook_publish":
        return []
    publish, clear_output = publisher.publish, publisher.clear_output

    def flowbook_publish(
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *args: Any,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **kwargs: Any,
    ) -> None:
        sink = sink_here()
        if sink is None:
            publish(data, metadata, *args, transient=transient, update=update, **kwargs)
        else:
            display_id = (transient or {}).get("display_id")
            sink.show(json_bundle(data), dict(metadata or {}), display_id=display_id, updates=update)

    def flowbook_clear_output(wait: bool = False) -> None:
        sink = sink_here()
        if sink is None:
            clear_output(wait)
        else:
            sink.clear(wait=wait)

    return [
        _replace(publisher, "publish", flowbook_publish),
        _replace(publisher, "clear_output", flowbook_clear_output),
    ]


def _wrap_displayhook(shell: Any) -> Callable[[], None]:
    hook = shell.display_trap.hook

    def flowbook_displayhook(value: object = None) -> None:
        sink = sink_here()
        if sink is None:
            hook(value)
        elif value is not None:
            data, metadata = shell.display_formatter.format(value)
            sink.show(json_bundle(data), metadata)

    trap = shell.display_trap

    def undo() -> None:  # a trait: it cannot be deleted, only set
        if trap.hook is flowbook_displayhook:
            trap.hook = hook

    trap.hook = flowbook_displayhook
    return undo


def _wrap_formatter(formatter: Any) -> Callable[[], None]:
    """Draw in a firing what would be a script: only the object itself can be drawn, not what is published of it."""
    format_ = formatter.format

    def flowbook_format(value: object, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = format_(value, *args, **kwargs)
        return (data if sink_here() is None else stilled(value, data)), metadata

    return _replace(formatter, "format", flowbook_format)


def _wrap_traceback(shell: Any) -> Callable[[], None]:
    show = shell._showtraceback  # noqa: SLF001  (kernels override it; there is no public name)

    def flowbook_showtraceback(kind: type, value: BaseException, lines: list[str]) -> None:
        sink = sink_here()
        if sink is None:
            show(kind, value, lines)
        else:
            sink.note("stderr", "\n".join(lines) + "\n")

    return _replace(shell, "_showtraceback", flowbook_showtraceback)
