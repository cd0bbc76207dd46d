"""Random documents, flows, graphs and edits, for the laws that must hold for all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

#: Few names, so that they meet: nodes, ports and inputs are drawn from the same ones.
NAMES = ("a", "b", "c", "d", "e", "f", "g", "h")

names = st.sampled_from(NAMES)


def examples(count: int, soak: int = 5000) -> settings:
    """Try so many examples, and so many when the tests are run to look for what nobody has thought of."""
    is_soak = settings.default is not None and settings.default.max_examples >= 5000
    return settings(max_examples=soak if is_soak else count)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
#: Text as JSON may write it, with half of a surrogate pair ("\\ud800" is legal JSON).
any_texts = st.one_of(texts, st.text(max_size=4))
plain_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), any_texts
)
json_values = st.recursive(
    plain_scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(any_texts, inner, max_size=3)),
    max_leaves=3,
)
#: Fields of a version to come: their names are none of ours.
unknown_fields = st.one_of(
    st.just({}), st.fixed_dictionaries({"xFuture": json_values}, optional={"z Ä": st.just([{"position": {"x": 1}}])})
)

_RETRIES = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"maxAttempts": st.integers(1, 9)},
        optional={"delayS": st.floats(0, 10), "multiplier": st.integers(1, 3), "jitter": st.booleans()},
    ),
)
node_policies = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["pure", "stateful", "io"]),
        "retry": _RETRIES,
        "timeoutS": st.one_of(st.none(), st.floats(0.001, 1e6)),
        "cache": st.sampled_from(["memory", "off"]),
        "onChange": st.sampled_from(["auto", "manual", "once"]),
        "executor": st.sampled_from(["thread", "main"]),
        "priority": st.integers(-5, 5),
        "muted": st.booleans(),
        "bypassed": st.booleans(),
        "pinned": st.booleans(),
        "maxConcurrency": st.one_of(st.none(), st.integers(1, 64)),
        "onItemError": st.sampled_from(["fail", "skip", "keep"]),
        "each": st.lists(names, unique=True, max_size=2),
    },
)
flow_policies = st.fixed_dictionaries(
    {},
    optional={
        "maxConcurrency": st.one_of(st.none(), st.integers(1, 64)),
        "onError": st.sampled_from(["continue", "stop", "retry_flow"]),
        "flowAttempts": st.integers(1, 5),
        "stateStorage": st.sampled_from(["memory", "elsewhere"]),
    },
)


def extended(entries: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that may bear fields of a version to come."""
    return st.builds(lambda entry, extra: {**extra, **entry}, entries, unknown_fields)


positions = extended(st.fixed_dictionaries({"x": st.integers(-5000, 5000), "y": st.integers(-5000, 5000)}))


def _nodes(node_id: str) -> st.SearchStrategy[dict[str, Any]]:
    return extended(
        st.fixed_dictionaries(
            {"id": st.just(node_id)},
            optional={
                "typeId": st.sampled_from([node_id, "table.filter", "fetch"]),
                "version": texts,
                "settings": st.dictionaries(any_texts, json_values, max_size=3),
                "policy": extended(node_policies),
                "position": positions,
            },
        )
    )


edges = extended(
    st.fixed_dictionaries(
        {"source": names, "target": names, "targetPort": st.one_of(names, texts.filter(bool))},
        optional={
            "sourcePort": names,
            "capacity": st.integers(1, 9),
            "overflow": st.sampled_from(["block", "fail"]),
            "transform": texts,
        },
    )
)
cuts = extended(st.fixed_dictionaries({"source": names, "target": names, "targetPort": names}))


def _wiring_key(entry: dict[str, Any]) -> tuple[Any, ...]:
    return (entry["target"], entry["targetPort"], entry.get("source"))


_FORMATS: dict[str, st.SearchStrategy[Any]] = {"flowbook": st.sampled_from(["1", 1])}
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": any_texts,
    "version": texts,
    "metadata": st.dictionaries(any_texts, json_values, max_size=3),
    "policy": extended(flow_policies),
    "edges": st.lists(edges, max_size=4, unique_by=_wiring_key),
    "cuts": st.lists(cuts, max_size=3, unique_by=_wiring_key),
    "notes": st.lists(json_values, max_size=2),
    "groups": st.lists(json_values, max_size=2),
    "types": st.lists(json_values, max_size=2),
}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents as a person, a newer version or a merge may have left them; every field is of the right shape."""
    node_ids = draw(st.lists(st.one_of(names, st.just("b_ä2")), unique=True, max_size=5))
    entry = draw(st.fixed_dictionaries(_FORMATS, optional=_FIELDS))
    extra = draw(unknown_fields)
    nodes = [draw(_nodes(node_id)) for node_id in node_ids]
    return {**extra, **entry, "nodes": nodes} if nodes else {**extra, **entry}


@st.composite
def damaged_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents in which one value, anywhere, was replaced by another, or one entry was dropped or doubled."""
    document: dict[str, Any] = json.loads(json.dumps(draw(documents())))
    places = list(_places(document))
    holder, key = draw(st.sampled_from(places))
    action = draw(st.sampled_from(["replace", "drop", "double"]))
    if action == "drop":
        del holder[key]
    elif action == "double" and isinstance(holder, list):
        holder.append(holder[key])
    else:
        holder[key] = draw(st.one_of(json_values, st.sampled_from([[], {}, "", 0, -1, 1e308, 10**400, [[]], "2"])))
    return document


def _places(value: Any) -> Any:
    """Every ``(holder, key)`` inside a JSON value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


# ------------------------------------------------------------------------------------- flows that are edited and run

#: What may be done to a flow, and how often relative to each other; ``tests.runtime.random_flows`` does it.
EDITS = (
    ["set"] * 4
    + ["connect"] * 3
    + ["redefine"] * 3
    + ["add", "disconnect", "constant", "rename", "remove", "mute", "bypass", "kind", "pin", "cache", "give"]
)
RUNS = ["run", "run", "run to", "run after", "run only", "run privately", "run with overrides", "force"]
#: A run that goes on during the next steps, and one that is cancelled somewhere on its way.
LOOSE_RUNS = ["start", "start and cancel"]


@dataclass(frozen=True)
class Step:
    """One edit or run; ``first``, ``second`` and ``third`` pick nodes, ports and values, modulo how many there are."""

    kind: str
    first: int
    second: int
    third: int


_picks = st.integers(0, 23)
steps = st.builds(Step, st.sampled_from([*EDITS, *RUNS, *LOOSE_RUNS]), _picks, _picks, _picks)


@dataclass(frozen=True)
class Shape:
    """A node as it is first added: bits say which inputs it has, ``variant`` is its code."""

    ports: int
    variant: int
    output_count: int


shapes = st.builds(Shape, st.integers(0, 63), st.integers(0, 7), st.sampled_from([1, 1, 1, 2]))
#: A flow of up to seven nodes and what happens to it.
histories = st.tuples(st.lists(shapes, min_size=2, max_size=7), st.lists(steps, min_size=1, max_size=16))
