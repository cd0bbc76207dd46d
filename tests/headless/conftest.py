"""The command line as a function, and the watch that no kernel is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbook.headless.cli import main
from tests.headless.notebooks import Finished, kernels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def flowbook(capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """The command line, in this process."""

    def run(*arguments: object) -> Finished:
        result = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Finished(result, captured.out, captured.err)

    return run


@pytest.fixture(autouse=True)
def no_kernel_is_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test did, no kernel outlives it."""
    yield
    assert kernels_of(tmp_path) == []
