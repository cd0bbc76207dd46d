"""Laws of wiring by name, for random nodes, edges, cuts and constants."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flowbook.core.checks import check
from flowbook.core.edge_book import Edge, EdgeBook
from flowbook.core.flow_data import FlowData, NodeInstance
from flowbook.core.node_types import NodeType, Port, stub_type
from flowbook.core.wiring import Wiring, resolve
from tests.strategies import names


@st.composite
def node_types(draw: st.DrawFn, node_id: str) -> NodeType:
    """Node types whose ports are named like nodes, or not."""
    if draw(st.integers(0, 9)) == 0:
        return stub_type(node_id)
    inputs = draw(st.lists(names, unique=True, max_size=4))
    outputs = draw(st.one_of(st.just(["result"]), st.lists(names, unique=True, min_size=1, max_size=2)))
    return NodeType(
        type_id=node_id,
        function=print,
        inputs=tuple(Port(name=name) for name in inputs),
        outputs=tuple(Port(name=name) for name in outputs),
    )


@st.composite
def flows(draw: st.DrawFn) -> FlowData:
    """Flows as documents may hold them: edges and cuts may name what is not there."""
    flow = FlowData(id="random")
    for node_id in draw(st.lists(names, unique=True, min_size=1, max_size=6)):
        node_type = draw(node_types(node_id))
        known = [port.name for port in node_type.inputs]
        constants = draw(st.dictionaries(st.sampled_from(known), st.just(0), max_size=1)) if known else {}
        flow.nodes[node_id] = NodeInstance(id=node_id, type_id=node_id, settings=constants)
        flow.types[node_id] = node_type
    flow.edges = EdgeBook(
        Edge(source=a, source_port=port, target=b, target_port=name)
        for a, port, b, name in draw(st.lists(st.tuples(names, st.none(), names, names), max_size=4))
    )
    flow.cuts = {cut: {} for cut in draw(st.sets(st.tuples(names, names, names), max_size=6))}
    return flow


def _inputs(flow: FlowData) -> list[tuple[str, str]]:
    return [(node_id, port.name) for node_id in flow.nodes for port in flow.type_of(node_id).inputs]


@given(flows())
def test_explicit_edges_win_cuts_hold_and_nothing_reads_itself_by_name(flow: FlowData) -> None:
    wiring = resolve(flow)
    explicit = {(edge.target, edge.target_port): edge.source for edge in flow.edges if _is_whole(flow, edge)}
    for key, source in explicit.items():
        assert not wiring.links[key].is_implicit
        assert wiring.links[key].source == source
    for key, link in wiring.links.items():
        assert key == (link.target, link.target_port)
        if link.is_implicit:
            assert key not in explicit
            assert link.source != link.target
            assert (link.source, *key) not in flow.cuts
            assert link.target_port not in flow.nodes[link.target].settings
            assert link.target_port in (link.source, link.source_port)


def _is_whole(flow: FlowData, edge: Edge) -> bool:
    return edge.source in flow.nodes and edge.target in flow.nodes


@given(flows())
def test_an_open_input_named_like_a_node_or_one_port_is_connected(flow: FlowData) -> None:
    wiring = resolve(flow)
    explicit = {(edge.target, edge.target_port) for edge in flow.edges if _is_whole(flow, edge)}
    for target, name in _inputs(flow):
        if (target, name) in explicit or name in flow.nodes[target].settings:
            continue
        if name in flow.nodes and name != target:
            bearers = [name]
        else:
            bearers = [other for other in flow.nodes if other != target and _bears(flow, other, name)]
        bearers = [other for other in bearers if (other, target, name) not in flow.cuts]
        link = wiring.links.get((target, name))
        if not bearers:
            assert link is None
            assert (target, name) not in wiring.ambiguous
        elif (target, name) in wiring.ambiguous:
            candidates = wiring.ambiguous[target, name]
            assert link is None
            assert len(candidates) > 1
            assert {candidate.partition(".")[0] for candidate in candidates} == set(bearers)
        else:
            assert link is not None
            assert [link.source] == bearers


def _bears(flow: FlowData, node_id: str, name: str) -> bool:
    node_type = flow.type_of(node_id)
    return name != "result" and any(port.name == name for port in node_type.outputs)


@given(flows(), st.randoms(use_true_random=False))
def test_the_order_of_nodes_edges_and_cuts_decides_nothing(flow: FlowData, chance: Any) -> None:
    """Among two explicit edges into one input, which only a merged document has, the order of the text decides."""
    shuffled = FlowData(id=flow.id, edges=flow.edges, cuts=dict(flow.cuts), types=flow.types)
    node_ids = list(flow.nodes)
    chance.shuffle(node_ids)
    shuffled.nodes = {node_id: flow.nodes[node_id] for node_id in node_ids}
    one, two = resolve(flow), resolve(shuffled)
    assert one.links == two.links
    assert _as_sets(one) == _as_sets(two)


def _as_sets(wiring: Wiring) -> Any:
    ambiguous = {key: frozenset(candidates) for key, candidates in wiring.ambiguous.items()}
    return ambiguous, {node_id: sorted(readers) for node_id, readers in wiring.successors.items()}


@given(flows())
def test_check_never_raises_and_reports_ambiguity_only_to_readers(flow: FlowData) -> None:
    wiring = resolve(flow)
    findings = check(flow)
    ambiguous = {(found.node_id, found.port) for found in findings if found.code == "FB204"}
    assert ambiguous == set(wiring.ambiguous)
    for found in findings:
        assert found.message
        assert found.node_id is None or found.node_id in flow.nodes
        assert found.code.startswith("FB")
