"""Laws of the document: nothing gets lost, one flow has one text, and damage is always a DocumentError."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowbook.core.document import canonical_text, dump, from_document, load, to_document
from flowbook.errors import DocumentError
from tests.strategies import any_texts, damaged_documents, documents, examples, json_values


@given(documents())
def test_a_flow_that_is_written_and_read_is_the_same_flow_and_the_same_text(document: dict[str, Any]) -> None:
    flow = from_document(document)
    text = dump(flow)
    assert load(text) == flow
    assert dump(load(text)) == text
    # Absent fields may have become explicit, and defaults absent; nothing else may get lost, at any level.
    assert _lost(document, to_document(flow), "") == []
    _check_lines(text, len(flow.nodes) + len(flow.edges) + len(flow.cuts))


def _check_lines(text: str, entry_count: int) -> None:
    """Every node and edge has a line of its own, with the position at its end: such text diffs and merges well."""
    lines = text.encode("utf-8").decode("utf-8").splitlines()
    entries = [line.rstrip(",") for line in lines if line.startswith('  {"')]
    assert len(entries) >= entry_count
    for line in entries:
        keys = list(json.loads(line))
        assert keys == sorted(set(keys) - {"position"}) + ["position"] * ("position" in keys)


def _lost(before: Any, after: Any, place: str) -> list[str]:
    """Name what is in ``before`` and not in ``after``, save for fields that say the default."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key, value in before.items():
            if key in after:
                found += _lost(value, after[key], f"{place}.{key}")
            elif not _says_nothing(place, key, value):
                found.append(f"{place}.{key}")
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        if place in (".edges", ".cuts"):  # these are sorted
            before, after = sorted(before, key=_ends), sorted(after, key=_ends)
        return [lost for index, value in enumerate(before) for lost in _lost(value, after[index], f"{place}[{index}]")]
    is_same = before == after or (place == ".flowbook" and str(before) == after)
    return [] if is_same else [f"{place}: {before!r} became {after!r}"]


def _ends(entry: dict[str, Any]) -> tuple[str, ...]:
    return (entry["target"], entry["targetPort"], entry["source"])


_FLOW_POLICY = {"maxConcurrency": None, "onError": "continue", "flowAttempts": 1, "stateStorage": "memory"}


def _says_nothing(place: str, key: str, value: Any) -> bool:
    if place == "" and key == "policy":
        return all(_says_nothing(".policy", name, entry) for name, entry in value.items())
    if place == "" and value in ("", {}, []):
        return True
    if place == ".policy":
        return key in _FLOW_POLICY and value == _FLOW_POLICY[key]
    return (key in ("version", "sourcePort") and value == "") or (key in ("settings", "policy") and value == {})


@given(damaged_documents())
@examples(200, soak=10_000)
# A whole number that is larger than any time.
@example({"nodes": [{"id": "a", "policy": {"timeoutS": 10**400}}]})
@example({"nodes": [{"id": "a", "policy": {"retry": {"delayS": 10**400}}}]})
def test_a_damaged_document_gives_a_document_error_or_is_read(document: dict[str, Any]) -> None:
    assert _code_or_round_trip(json.dumps(document)) in {"", "FB301", "FB302", "FB303", "FB304"}


def test_a_node_cannot_stand_where_no_number_reaches() -> None:
    text = json.dumps({"nodes": [{"id": "a", "position": {"x": 10**400, "y": 0}}]})
    assert _code_or_round_trip(text) == "FB303", "nobody could draw it"


@given(json_values)
@examples(200, soak=10_000)
def test_any_json_at_all_gives_a_document_error_or_is_read(value: Any) -> None:
    assert _code_or_round_trip(json.dumps(value)) in {"", "FB301", "FB303"}


def _broken(document: dict[str, Any], place: int) -> str:
    text = dump(from_document(document))
    return text[: place % len(text)] + text[place % len(text) + 1 :]


@given(st.one_of(any_texts, st.builds(_broken, documents(), st.integers(0, 10_000))))
@examples(200, soak=10_000)
@example("[" * 100_000)
@example('{"flowbook": 1' + "0" * 5000 + "}")
@example('{"nodes": [{"id": "a", "position": {"x": 1e999, "y": 0}}]}')
@example('{"flowbook": 1e999}')
@example('{"metadata": {"x": NaN}}')
@example('{"metadata": {"x": -1e999}}')
@example("\ufeff{}")
@example('{"a": "\ud800"}')
@example("{}\x00")
def test_any_text_at_all_gives_a_document_error_or_is_read(text: str) -> None:
    assert _code_or_round_trip(text) in {"", "FB301", "FB302", "FB303", "FB304"}


def _code_or_round_trip(text: str) -> str:
    """Give the code of the DocumentError; empty when the text is read, and then it can be written and read again."""
    try:
        flow = load(text)
    except DocumentError as error:
        return error.code if error.what else "no words"
    assert load(dump(flow)) == flow
    return ""


def test_canonical_text_of_foreign_json_is_canonical_too() -> None:
    text = canonical_text({"b": 1, "a": [{"y": 1, "x": 2}], "c": []})
    assert text == '{\n "a": [\n  {"x": 2, "y": 1}\n ],\n "b": 1,\n "c": []\n}\n'


@pytest.mark.parametrize("name", [None, "flights"])
def test_an_empty_body_is_a_new_flow(name: str | None) -> None:
    assert load(" \n", name=name).id == (name or "main")
