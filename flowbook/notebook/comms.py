"""The carrier between a notebook's browser and the hub: a comm that the browser opens.

JupyterLab sends messages of a comm it opened itself on a subshell, so they are answered while a cell runs; messages of
comms opened by the kernel wait for the cell. Receiving only enqueues, whatever thread it happens on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbook.canvas.control import Hub

TARGET = "flowbook.control"


def register(shell: Any, hub: Hub) -> None:
    """Answer browsers that open ``flowbook.control``; nothing happens in a shell without a kernel."""
    manager = getattr(getattr(shell, "kernel", None), "comm_manager", None)
    if manager is not None:
        manager.register_target(TARGET, lambda comm, _message: _connect(comm, hub))


def _connect(comm: Any, hub: Hub) -> None:
    channel = hub.connect(comm.send)
    comm.on_msg(lambda message: channel.receive(message["content"]["data"]))
    comm.on_close(lambda _message: channel.close())
