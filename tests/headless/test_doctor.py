"""`flowbook doctor` says what is here, what is missing, and what to type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from flowbook.headless import doctor
from flowbook.headless.doctor import Finding, kernel_finding, requirement_finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.headless.notebooks import Finished


def test_on_a_machine_where_everything_works_it_exits_0(flowbook: Callable[..., Finished]) -> None:
    done = flowbook("doctor")

    assert done.code == 0, done.out
    for name in ("python", "machine", "flowbook", "polars", "numpy", "jupyterlab", "ipykernel", "nbclient", "kernel"):
        assert f"✓ {name} " in done.out
    assert "starts and loads flowbook in" in done.out


@pytest.mark.parametrize(
    ("requirement", "text", "hint"),
    [
        ("polars>=999", "but flowbook needs >=999", "pip install --upgrade 'polars>=999'"),
        ("no-such-package>=1", "is not installed", "pip install --upgrade 'no-such-package>=1'"),
    ],
)
def test_what_is_too_old_or_absent_comes_with_the_command_that_helps(requirement: str, text: str, hint: str) -> None:
    finding = requirement_finding(Requirement(requirement))

    assert finding.state == "missing"
    assert text in finding.text
    assert finding.hint == hint


def test_one_missing_thing_makes_the_exit_code_1_and_a_missing_extra_does_not(
    flowbook: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "kernel_finding", lambda: Finding(name="kernel", state="ok", text="starts"))
    needed, extra = [Requirement("polars>=2.1")], {"charts": [Requirement("no-such-package")]}
    monkeypatch.setattr(doctor, "_declared", lambda: (needed, extra))

    done = flowbook("doctor")
    assert done.code == 0
    assert "· charts        optional, without no-such-package\n  hint  pip install 'flowbook[charts]'\n" in done.out

    needed.append(Requirement("no-such-package"))
    assert flowbook("doctor").code == 1


def test_a_kernel_that_cannot_load_flowbook_is_told_with_the_reason() -> None:
    finding = kernel_finding("raise ImportError('no polars')")

    assert finding.state == "missing"
    assert "ImportError: no polars" in finding.text
