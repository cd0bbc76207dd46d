"""One kernel a module for the tests that drive cells; every test has its own flows and an empty namespace."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.notebook.kernel_driver import started_notebook, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.notebook.kernel_driver import Notebook


_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def driven_kernel() -> Iterator[Notebook]:
    """A kernel for the module."""
    with started_notebook() as notebook:
        yield notebook


@pytest.fixture
def notebook(driven_kernel: Notebook) -> Iterator[Notebook]:
    """The module's kernel for one test, with a flow of the test's own as the current one."""
    with watched(driven_kernel) as notebook:
        notebook.use_flow(f"flow{next(_numbers)}")
        yield notebook
