"""The law of renaming: every input reads what it read, and the old name brings the old flow back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st

from flowbook.core.wiring import resolve
from tests.runtime.random_flows import live
from tests.strategies import EDITS, NAMES, Shape, Step, examples, histories

if TYPE_CHECKING:
    import flowbook as fb

Ends = tuple[str, str | None, str, str]


def _ends(flow: fb.Flow, other: dict[str, str]) -> set[Ends]:
    return {
        (other.get(link.source, link.source), link.source_port, other.get(link.target, link.target), link.target_port)
        for link in resolve(flow.data).links.values()
    }


@given(histories, st.integers(0, 23), st.sampled_from([*NAMES, "right", "nobodys", "u"]))
# The new name is that of an output which another node reads, and the old one that of an output.
@example(([Shape(0, 0, 2), Shape(0, 0, 1), Shape(0, 0, 1), Shape(0, 0, 1), Shape(4, 0, 1)], []), 1, "nobodys")
@examples(150, soak=20_000)
def test_every_input_reads_what_it_read_and_the_old_name_brings_the_old_flow_back(
    history: tuple[list[Shape], list[Step]], which: int, new: str
) -> None:
    shapes, steps = history
    flow = live(NAMES, shapes, [step for step in steps if step.kind in EDITS and step.kind != "give"]).flow
    if not len(flow) or new in flow:
        return
    old = list(flow)[which % len(flow)]
    before, wired, values = flow.document_text(), _ends(flow, {}), _ends(flow, {old: new})
    flow.rename(old, new)
    gained = _ends(flow, {}) - values
    assert values <= _ends(flow, {})
    assert all(port == new for *_, port in gained), "only inputs that waited for the name read more"
    assert flow.wiring == resolve(flow.data)
    flow.rename(new, old)
    assert wired <= _ends(flow, {})
    if new == "nobodys":
        assert flow.document_text() == before
