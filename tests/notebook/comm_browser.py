"""A page in a browser as the kernel hears it: a comm that it opens, spoken to on a subshell of its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tests.notebook.kernel_driver import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.notebook.kernel_driver import Notebook

_numbers = itertools.count(1)


class CommBrowser:
    """One page.

    Args:
        notebook: whose kernel it talks to.
        has_subshell: speak on a subshell, as JupyterLab does, so that messages do not wait for a running cell.
    """

    def __init__(self, notebook: Notebook, *, has_subshell: bool = True) -> None:
        self.notebook = notebook
        self.comm_id = f"page-{next(_numbers)}"
        self.subshell = self._make_subshell() if has_subshell else None
        self._mark = len(notebook.messages)
        self._send("comm_open", {"target_name": "flowbook.control", "data": {}})
        self.say("hello", protocol=1)

    def _make_subshell(self) -> str:
        client = self.notebook.client
        client.control_channel.send(client.session.msg("create_subshell_request", {}))
        while True:
            reply = client.get_control_msg(timeout=DEADLINE_S)
            if reply["msg_type"] == "create_subshell_reply":
                return str(reply["content"]["subshell_id"])

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        client = self.notebook.client
        message = client.session.msg(kind, {"comm_id": self.comm_id, **content})
        if self.subshell is not None:
            message["header"]["subshell_id"] = self.subshell
        client.shell_channel.send(message)

    def say(self, kind: str, **fields: Any) -> None:
        """Send a message."""
        self._send("comm_msg", {"data": {"kind": kind, **fields}})

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        cid = f"c{next(_numbers)}"
        self.say(kind, cid=cid, **fields)
        return self.until(lambda message: message.get("cid") == cid)

    def close(self) -> None:
        """Leave as a page that says goodbye."""
        self._send("comm_close", {"data": {}})

    @property
    def told(self) -> list[dict[str, Any]]:
        """Everything it was told."""
        return [
            message["content"]["data"]
            for message in self.notebook.messages[self._mark :]
            if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == self.comm_id
        ]

    @property
    def batches(self) -> list[dict[str, Any]]:
        """The batches it was told."""
        return [message for message in self.told if message["kind"] == "batch"]

    def until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read until it is told something that fits."""
        self.notebook.until(lambda: any(fits(message) for message in self.told))
        return next(message for message in self.told if fits(message))

    def subscribe(self, flow: str, **fields: Any) -> dict[str, Any]:
        """Subscribe, and wait for the whole canvas."""
        self.say("subscribe", flow=flow, **fields)
        return self.until(lambda message: "canvas" in message and message["flow"] == flow)

    def cards(self) -> dict[str, dict[str, Any]]:
        """The cards as it shows them now."""
        cards: dict[str, dict[str, Any]] = {}
        for batch in self.batches:
            if "canvas" in batch:
                cards = {}
            for card in [*batch.get("canvas", {}).get("nodes", []), *batch.get("cards", [])]:
                cards[card["id"]] = card
        return cards

    def last(self, key: str) -> Any:
        """The last of what batches told under a key."""
        return next((batch[key] for batch in reversed(self.batches) if key in batch), None)

    def until_cards(self, **expected: tuple[str, str | None]) -> None:
        """Read until cards have these statuses and stamps."""

        def is_so() -> bool:
            cards = self.cards()
            return all((cards[name]["status"], cards[name]["stamp"]) == look for name, look in expected.items())

        self.notebook.until(is_so)
