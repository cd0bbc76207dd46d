"""How much memory there is says the machine, or the nearest control group that allows less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbook.sandbox.memory_limits import memory_bytes

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024**2


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/a/b\n", {"a/memory.max": "300", "a/b/memory.max": "max"}, 300),
        ("0::/a/b\n", {"memory.max": "900", "a/memory.max": "300", "a/b/memory.max": "200"}, 200),
        ("0::/elsewhere\n", {"memory.max": "700"}, 700),  # in a container that sees its own group as the root
        ("5:cpu,memory:/a\n", {"memory/a/memory.limit_in_bytes": "400"}, 400),
        ("5:memory:/a\n0::/b\n", {"memory/memory.limit_in_bytes": "500", "b/memory.max": "600"}, 500),
        ("5:memory:/a\n", {"memory/a/memory.limit_in_bytes": str(2**63 // MIB)}, None),
        ("7:cpu:/a\nnonsense\n", {"memory/a/memory.limit_in_bytes": "400"}, None),
        ("0::/a\n", {"a/memory.max": "unreadable"}, None),
        (None, {}, None),
    ],
)
def test_the_least_of_all_limits_counts(
    tmp_path: Path, groups: str | None, files: dict[str, str], expected: int | None
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    if groups is not None:
        (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, mebibytes in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{int(mebibytes) * MIB}\n" if mebibytes.isdigit() else f"{mebibytes}\n")
    everything = memory_bytes(tmp_path / "nowhere")
    assert everything > 900 * MIB
    assert memory_bytes(tmp_path) == (expected * MIB if expected else everything)
