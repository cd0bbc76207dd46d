"""A hub without a thread for tests of live views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbook.session import session
from tests.canvas.live_kit import Live

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """Live views on a virtual clock; every flow of the test is gone afterwards."""
    live = Live()
    monkeypatch.setattr(session, "flows", {})
    monkeypatch.setattr(session, "hub", live.hub)
    yield live
    for flow in session.flows.values():
        flow.cancel()
