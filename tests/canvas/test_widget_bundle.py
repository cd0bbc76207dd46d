"""The canvas as one ES module for ipyreact: it asks for React and nothing else, from nobody."""

from __future__ import annotations

import re

import pytest

from tests.house.source_tree import PACKAGE

BUNDLE = PACKAGE / "canvas" / "static" / "canvas.js"

pytestmark = pytest.mark.skipif(not BUNDLE.exists(), reason="the browser side is not built: make extension")


def test_the_bundle_imports_react_and_nothing_else() -> None:
    """Whatever else it imported, a front end would have to fetch from somewhere."""
    code = BUNDLE.read_text(encoding="utf-8")
    asked = set(re.findall(r"""(?:^|[;}\n])import[^"'`;()]*?["']([^"']+)["']""", code))
    assert asked == {"react", "react-dom", "react/jsx-runtime"}
    assert not re.search(r"""\bimport\(|\brequire\(["']""", code)
    assert not re.search(r"@import\s+url|url\(\s*[\"']?https?:", code)


def test_the_bundle_is_small_enough_to_travel_with_a_notebook_server() -> None:
    """Kernels send it to every browser that shows a canvas."""
    assert BUNDLE.stat().st_size < 600_000
