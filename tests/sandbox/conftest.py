"""Worker processes as the tests use them: one pool for all that leave it whole, or one of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbook.data.packing import TablePacking
from flowbook.sandbox.process_pool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shared_pool() -> Iterator[ProcessPool]:
    pool = ProcessPool(["polars", "numpy", "flowbook.data.packing"], most_workers=2, packing=TablePacking())
    yield pool
    pool.close()


@pytest.fixture
def pool(shared_pool: ProcessPool) -> ProcessPool:
    return shared_pool
