"""The table of what a run copied: one line per copy of payload bytes, with the hop, the size and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbook.core.interfaces import PayloadCopy
    from flowbook.runtime.execution import Execution
    from flowbook.runtime.plan import Binding, Plan
    from flowbook.runtime.results import NodeResult

_TYPES: dict[str, type] = {"node": str, "input": str, "source": str, "size_bytes": int, "reason": str}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRecord:
    """One copy.

    Attributes:
        node: the node that was given its input.
        input: the input; empty for what brought the outputs of a node back from a process of its own.
        source: ``node.output`` that it came from; empty when it came from the notebook.
        size_bytes: bytes that were copied, > 0.
        reason: why it could not be a reference.
    """

    node: str
    input: str
    source: str
    size_bytes: int
    reason: str


class CopyTable(Sequence[CopyRecord]):
    """The copies of one run, in the order in which its nodes fired; empty when nothing was copied.

    Attributes:
        hop_count: edges over which nodes that fired were given their inputs, copied or not, and copied values of the
            notebook.
    """

    def __init__(self, records: Iterable[CopyRecord], hop_count: int, make_table: Any) -> None:
        self._records = tuple(records)
        self._make_table = make_table
        self.hop_count = hop_count

    @property
    def size_bytes(self) -> int:
        """Bytes of all copies together."""
        return sum(record.size_bytes for record in self._records)

    def table(self) -> Any:
        """Return the same as a polars DataFrame: node, input, source, size_bytes, reason."""
        return self._make_table([asdict(record) for record in self._records], _TYPES)

    @overload
    def __getitem__(self, index: int) -> CopyRecord: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[CopyRecord, ...]: ...
    def __getitem__(self, index: int | slice) -> CopyRecord | tuple[CopyRecord, ...]:
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, CopyTable | list | tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._records)

    def __repr__(self) -> str:
        """Show the sum, then a line per copy."""
        made = f"{len(self)} cop{'y' if len(self) == 1 else 'ies'}"
        size = f", {self.size_bytes:,} bytes" if self else ""
        head = f"{made}{size} in {self.hop_count} hop{'' if self.hop_count == 1 else 's'}"
        hops = [f"{record.source or 'the notebook'} → {_target(record)}" for record in self]
        sizes = [f"{record.size_bytes:,}" for record in self]
        wide, long = max(map(len, hops), default=0), max(map(len, sizes), default=0)
        lines = zip(hops, sizes, self, strict=True)
        return "\n".join([head, *(f"  {hop:<{wide}}  {size:>{long}}  {record.reason}" for hop, size, record in lines)])


def _target(record: CopyRecord) -> str:
    return f"{record.node}.{record.input}" if record.input else "the kernel"


def copies_of(execution: Execution) -> CopyTable:
    """Collect what the nodes that fired in a run, and came to a value, had copied for them."""
    plan = execution.plan
    records: list[CopyRecord] = []
    hop_count = 0
    for node_id in dict.fromkeys(execution.recomputed):
        decision, slot = execution.decisions.get(node_id), plan.slots[plan.index[node_id]]
        result = decision.result if decision is not None else None
        if result is None or result.run_id != execution.trace_id:
            continue
        edges = {binding.name: binding for binding in slot.bindings if binding.kind == "edge"}
        copied = copies_by_input(result)
        hop_count += len(edges.keys() | copied.keys())
        records += [
            CopyRecord(
                node=node_id,
                input=name,
                source=_source(plan, edges.get(name)) if name else node_id,
                size_bytes=copy.size_bytes,
                reason=copy.reason,
            )
            for name, copies in copied.items()
            for copy in copies
        ]
    return CopyTable(records, hop_count, execution.engine.payloads.table)


def copies_by_input(result: NodeResult) -> dict[str, tuple[PayloadCopy, ...]]:
    """Tell which input each copy was made for; inputs that needed none are left out."""
    found, at = {}, 0
    for name, count in result.copies_by_input.items():
        found[name] = result.copies[at : at + count]
        at += count
    return found


def _source(plan: Plan, binding: Binding | None) -> str:
    if binding is None or binding.kind != "edge":
        return ""
    source = plan.slots[binding.source]
    index = source.primary if binding.output is None else binding.output
    if index is None or not 0 <= index < len(source.node_type.outputs):
        return source.node_id
    return f"{source.node_id}.{source.node_type.outputs[index].name}"
