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
    _answer_where_asked(comm)
    channel = hub.connect(comm.send, hang_up=comm.close, can_write=True)
    comm.on_msg(lambda message: channel.receive(message["content"]["data"]))
    comm.on_close(lambda _message: channel.close())


def _answer_where_asked(comm: Any) -> None:
    """Have messages of this comm handled on the subshell that the browser sends them to.

    ipykernel 7.4 hands them to the shell from which the comm was last sent something. The hub's thread belongs to no
    shell and counts as the main one, where they would wait for the cell that is to be cancelled.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, asked: asked  # noqa: SLF001 -- there is no public way
