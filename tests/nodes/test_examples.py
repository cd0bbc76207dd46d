"""The standard library does what its examples say, and says of itself what a palette needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import flowbook as fb
from flowbook.session import session

if TYPE_CHECKING:
    from flowbook.registry.folders import NodeFolder
    from flowbook.registry.schema_file import Example

FOLDERS = session.registry.folders()
EXAMPLES = [
    pytest.param(folder, example, id=f"{folder.schema.type_id}: {example.title}")
    for folder in FOLDERS
    for example in folder.schema.examples
]
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.schema.type_id)


@pytest.mark.parametrize(("folder", "example"), EXAMPLES)
def test_an_example_holds(
    folder: NodeFolder, example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in example.files.items():
        Path(name).write_text(text, encoding="utf-8")
    flow = fb.Flow("example")
    flow.add(folder.node_type, "it", **example.settings)
    inputs = {name: given(folder, name, value) for name, value in example.inputs.items()}
    run = flow.run_sync(inputs=inputs, raise_errors=False)
    if example.fails:
        (error,) = run.errors
        assert error.code == example.fails
        assert error.hint
        return
    assert run.errors == []
    for port in folder.schema.outputs:
        value = run[f"it.{port.name}"] if len(folder.schema.outputs) > 1 else run["it"]
        assert plain(value) == example.outputs[port.name]


def given(folder: NodeFolder, name: str, value: Any) -> Any:
    port = folder.node_type.input(name)
    assert port is not None
    return pl.DataFrame(value) if port.type == "table" else value


def plain(value: Any) -> Any:
    frame = value.collect() if isinstance(value, pl.LazyFrame) else value
    return frame.to_dict(as_series=False) if isinstance(frame, pl.DataFrame) else frame


def test_no_folder_of_the_library_is_broken() -> None:
    assert session.registry.problems() == []


@each_folder
def test_a_type_is_shown_by_example(folder: NodeFolder) -> None:
    assert folder.schema.examples


@each_folder
def test_logic_is_what_schema_json_says(folder: NodeFolder) -> None:
    assert folder.node_type.load is not None
    folder.node_type.load()


@each_folder
def test_a_type_is_named_for_its_folder(folder: NodeFolder) -> None:
    category, name = folder.path.parent.name, folder.path.name
    assert folder.schema.type_id in (f"{category}.{name}", name)
    assert folder.schema.category.lower() == category


@each_folder
def test_a_palette_has_something_to_show(folder: NodeFolder) -> None:
    assert folder.schema.icon
    assert folder.schema.color
    assert folder.schema.doc.endswith(".")
    assert all((spec.label != spec.name and spec.help) or spec.options for spec in folder.schema.settings)
