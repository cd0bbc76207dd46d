"""What the tests of the engine share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def hurried_threads() -> Iterator[None]:
    """Threads take turns so often that every order of events comes up."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(2e-5)
    yield
    sys.setswitchinterval(usual_s)
