"""The type of a node that runs a flow once for each item of a list.

It is made from the type of the flow and the node's policy ``each``: the inputs named there take lists, every output
gives a list. Such a node is not taken apart as other subflows are: to the flow around it, it is one node.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.annotations import Meaning
from flowbook.core.node_types import NodeType, Port, PortKind
from flowbook.core.policies import Kind, Policy
from flowbook.errors import DefinitionError, UnknownIdError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: What is said of code, and a flow is none.
_OF_CODE: Final = frozenset({"isolation", "memory_bytes", "executor", "fusion"})


def mapped_type(node_type: NodeType, each: Sequence[str]) -> NodeType:
    """Return the type of a node that runs the flow of ``node_type`` for each item; the same one every time.

    Args:
        node_type: of a flow.
        each: the inputs that take lists. One that is not there any more stays an input, so that whoever checks the
            flow, or runs it, finds out.
    """
    body = node_type.body
    assert body is not None  # noqa: S101 -- asked before
    names = tuple(each)
    made = body.mapped.get(names)
    if made is None:
        missing = [Port(name=name) for name in names if node_type.input(name) is None]
        made = NodeType(
            type_id=f"{node_type.type_id}[{', '.join(names)}]",
            function=node_type.function,
            inputs=tuple(_each(port) if port.name in names else port for port in (*node_type.inputs, *missing)),
            outputs=node_type.outputs,
            settings=node_type.settings,
            doc=node_type.doc,
            policy=Policy(kind=_kind(node_type)),
            is_async=True,
            is_tuple_result=True,
            origin="flow",
            mapped=node_type,
        )
    return body.mapped.setdefault(names, made)  # another thread may have been first


def _each(port: Port) -> Port:
    """Make the input that takes a list of what ``port`` takes."""
    meaning = port.meaning
    is_plain = meaning is not None and bool(meaning.value_type) and meaning.value_type != "none"
    item = dataclasses.replace(meaning, setting=None) if meaning is not None and is_plain else None
    kind = PortKind(
        meaning=Meaning(value_type="list", items=item, container="list") if item is not None else None,
        is_each=True,
        container="list",
        item_type=port.type,
        item_form=port.form,
        annotation=port.annotation,
    )
    return Port(name=port.name, kind=kind)


def _kind(node_type: NodeType) -> Kind:
    """A flow is as pure as the least pure of its nodes."""
    assert node_type.body is not None  # noqa: S101 -- asked before
    inner = node_type.body.expansion.data
    kinds = {node.policy.get("kind", inner.type_of(node_id).policy.kind) for node_id, node in inner.nodes.items()}
    return "io" if "io" in kinds else "stateful" if "stateful" in kinds else "pure"


def refuse_each(node_id: str, node_type: NodeType, policy: Mapping[str, Any], where: str) -> None:
    """Refuse a policy of a mapped flow that it cannot have.

    Args:
        node_id: the node.
        node_type: what it is made from: a flow, mapped or not, or something else.
        policy: checked fields.
        where: what is said of where that is.

    Raises:
        DefinitionError: FB114, only a flow is mapped by its policy; FB101, a field that holds for code alone.
        UnknownIdError: FB201, the flow has no such input.
    """
    flow_type = node_type.mapped or node_type
    if policy.get("each") and flow_type.body is None and flow_type.origin != "stub":
        name = policy["each"][0]
        raise DefinitionError(
            f"{node_id!r} is a function, which says itself what it takes one by one",
            code="FB114",
            where=where,
            hint=f"annotate the input: {name}: fb.each[…]",
            node=node_id,
        )
    names = [port.name for port in flow_type.inputs]
    for name in policy.get("each", ()) if flow_type.body is not None else ():
        if name not in names:
            hint = did_you_mean(name, names) or no_inputs(node_id)
            raise UnknownIdError(f"{node_id!r} has no input {name!r}", where=where, hint=hint, node=node_id)
    of_code = sorted(_OF_CODE & policy.keys()) if flow_type.body is not None else []
    if of_code:
        raise DefinitionError(
            f"{node_id!r} is a flow, which has no {', '.join(of_code)} of its own",
            code="FB101",
            where=where,
            hint="say it of the nodes in that flow",
            policy=of_code[0],
        )


def no_inputs(node_id: str) -> str:
    """Say what to do about a mapped flow without inputs."""
    return f'its flow has no inputs: let a node in it take one, or flow.set_policy("{node_id}", each=[])'


def inside_mapped(node_id: str, type_of: Callable[[str], NodeType | None], where: str) -> UnknownIdError | None:
    """Make the error of a name that is one of a node inside a mapped flow; None when it is not.

    Args:
        node_id: as it was asked for.
        type_of: the types of the nodes there are, None for other names.
        where: what is said of where that is.
    """
    parts = node_id.split("/")
    for depth in range(1, len(parts)):
        name, inner = "/".join(parts[:depth]), "/".join(parts[depth:]).partition(".")[0]
        found = type_of(name)
        if found is not None and found.mapped is not None:
            return UnknownIdError(
                f"{name!r} is run for each item of a list, so {node_id!r} is no node with one value",
                where=where,
                hint=f'run["{name}"] is the list of what it gives, run.trace.items("{name}") tells of each item, and '
                f"run.trace.to_json() has the nodes inside: {name}[0]/{inner}",
                node=node_id,
            )
    return None
