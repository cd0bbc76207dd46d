"""Writes node folders for tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA: dict[str, Any] = {
    "id": "table.limit",
    "version": "1.0.0",
    "category": "Table",
    "name": "First rows",
    "description": "Keeps the first rows.",
    "ports": {"inputs": [{"name": "table", "type": "table"}], "outputs": [{"name": "result", "type": "table"}]},
    "settings": [{"name": "count", "type": "integer", "default": 3, "min": 0, "max": 100}],
}
LOGIC = """
from __future__ import annotations
import polars as pl

def limit(table: pl.LazyFrame, count: int) -> pl.LazyFrame:
    return table.head(count)
"""


def write_node(
    root: Path,
    place: str = "table/limit",
    /,
    *,
    logic: str | None = LOGIC,
    schema: dict[str, Any] | None = SCHEMA,
    **changes: Any,
) -> Path:
    """Write ``root/<category>/<name>/`` and return it; ``changes`` are fields of the schema, None takes one out."""
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    if schema is not None:
        fields = {**schema, **changes}
        text = json.dumps({key: value for key, value in fields.items() if value is not None})
        (folder / "schema.json").write_text(text, encoding="utf-8")
    if logic is not None:
        (folder / "logic.py").write_text(logic, encoding="utf-8")
    return folder
