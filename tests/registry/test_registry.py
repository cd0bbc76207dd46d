"""Types are found by id, by name and by what people take for a name."""

from __future__ import annotations

from pathlib import Path

import pytest

import flowbook as fb
from flowbook import nodes
from flowbook.core.flow_data import NodeInstance
from flowbook.core.node_types import NodeType
from flowbook.errors import NodeFolderError, UnknownIdError
from flowbook.registry.name_search import match
from flowbook.registry.registry import OWN_CATEGORY, Registry
from flowbook.session import session
from tests.registry.node_folders import write_node


def own(name: str) -> NodeType:
    return NodeType(type_id=name, function=lambda: None)


def test_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(UnknownIdError, match=r"did you mean 'table\.filter'"):
        session.registry.get("table.filtr")


def test_a_type_whose_folder_is_broken_says_what_is_wrong(tmp_path: Path) -> None:
    write_node(tmp_path, version="one")
    registry = Registry([tmp_path], runtime="1.0.0")
    assert registry.find("table.limit") is None
    for _ in range(2):
        with pytest.raises(NodeFolderError, match='"version" is "one"'):
            registry.get("table.limit")
    assert [error.code for error in registry.problems()] == ["FB231"]


def test_a_type_of_code_wins_over_one_of_a_folder(tmp_path: Path) -> None:
    write_node(tmp_path, id="limit")
    registry = Registry([tmp_path], runtime="1.0.0")
    registry.register(own("limit"))
    assert registry.get("limit").version == ""
    assert [(entry.label, entry.category) for entry in registry.palette()] == [("limit", OWN_CATEGORY)]


def test_a_folder_can_be_named_later_and_read_again(tmp_path: Path) -> None:
    registry = Registry(runtime="1.0.0")
    assert registry.find("table.limit") is None
    write_node(tmp_path)
    assert registry.add_folder(tmp_path) == []
    assert registry.get("table.limit").version == "1.0.0"
    write_node(tmp_path, version="1.1.0")
    write_node(tmp_path, "table/wrong", id=None)
    assert [error.code for error in registry.add_folder(str(tmp_path))] == ["FB231"]
    assert registry.get("table.limit").version == "1.1.0"
    assert len(registry.folders()) == 1


def test_the_palette_lists_by_category_and_label() -> None:
    entries = {entry.node_type.type_id: entry for entry in session.registry.palette()}
    entry = entries["table.filter"]
    assert (entry.label, entry.category, entry.icon) == ("Filter rows", "Table", "filter")
    assert [port.name for port in entry.node_type.inputs] == ["table"]
    assert entry.node_type.doc.startswith("Keeps the rows")
    order = [(entry.category, entry.label) for entry in session.registry.palette()]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("query", "names", "rank"),
    [
        ("filter", ["Filter"], 0),
        ("FIL", ["Filter rows"], 1),
        ("row", ["Filter rows"], 2),
        ("ro fi", ["Filter rows"], 2),
        ("ilte", ["Filter rows"], 3),
        ("fliter", ["Filter rows"], 4),
        ("flrw", ["Filter rows"], 4),
        ("filter", ["Rows", "table.filter", "filter"], 0),
        ("zz", ["Filter rows"], None),
    ],
)
def test_a_name_is_ranked_by_how_well_it_answers(query: str, names: list[str], rank: int | None) -> None:
    found = match(query, names)
    assert (found[0] if found is not None else None) == rank


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("filter", ["table.filter"]),
        ("fil", ["table.filter"]),
        ("table", ["table.read", "table.filter"]),
        ("tble", ["table.filter", "table.read"]),
        ("read t", ["table.read"]),
        ("val", ["value"]),
        ("vlaue", ["value"]),
        ("qqqq", []),
        ("  ", ["value", "table.filter", "table.read"]),
    ],
)
def test_the_best_answer_comes_first_and_guesses_only_without_one(query: str, found: list[str]) -> None:
    registry = Registry([Path(nodes.__file__).parent], runtime=fb.__version__)
    answers = [entry.node_type.type_id for entry in registry.search(query)]
    assert answers == found


@pytest.mark.parametrize(
    ("node", "is_found"),
    [
        (NodeInstance(id="value", type_id="value"), False),
        (NodeInstance(id="value", type_id="value", version="1.0.0"), True),
        (NodeInstance(id="limit", type_id="value"), True),
        (NodeInstance(id="late", type_id="table.filter"), True),
        (NodeInstance(id="late", type_id="late"), False),
    ],
)
def test_a_node_named_like_its_type_waits_for_its_cell_unless_it_says_a_version(
    node: NodeInstance, is_found: bool
) -> None:
    assert (session.registry.type_for(node) is not None) is is_found
