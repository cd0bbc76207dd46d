"""What the plain nodes of a flow came to, in columns: one list per kind of fact, one place per slot of the plan.

A *plain* node is called with values that cannot be changed (numbers, text, nothing) and gives such a value; nothing has
to be guarded, converted, timed out or waited for, so that all that a run has to remember of it fits into a few lists.
Objects that people and other rooms ask for (``NodeState``, ``NodeResult``, events, keys) are made from the columns when
somebody asks. A version stands for each value: a slot whose own key and whose inputs' versions are what they were when
it fired is *clean* and is not even looked at; every other one is *dirty*.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from types import FunctionType, NoneType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flowbook.errors import FlowbookError
from flowbook.runtime.code_checks import Watch
from flowbook.runtime.inputs import names_given
from flowbook.runtime.keys import KeyMaker
from flowbook.runtime.results import NodeResult, key_of_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from flowbook.runtime.code_keys import CodeKey, MadeKey
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Plan, Slot
    from flowbook.runtime.results import FlowResults, KeyParts
    from flowbook.runtime.sweep import Batch

#: Types whose values nobody can change.
PLAIN: Final = frozenset({int, float, complex, bool, str, bytes, NoneType})
#: Settings of these types say all there is to say by their value.
_PLAIN_SETTINGS: Final = frozenset({"int", "float", "number", "bool", "str", "literal"})
#: How a slot is called: without arguments, with one, with two or several in order, with several by name.
NONE, ONE, TWO, SEVERAL, BY_NAME = range(5)

#: What is called, how, from which slots, and the token of the slot's own part of the key (``token_of``).
Step = tuple[Any, int, Any, bytes]
#: What a value was made from: the token of the slot's own part of the key, and the version that each input read.
Seen = tuple[Any, ...]
#: Inputs that read another node, and which one, in the order of the versions in ``Seen``.
Reads = tuple[tuple[str, str], ...]


class Was(NamedTuple):
    """What a slot was when its value was made: its own part of the key, what it read, and the token of its own part."""

    own: KeyParts
    reads: Reads
    token: bytes


class Kept(NamedTuple):
    """A value of a plain node that the memory cache keeps."""

    version: int
    value: Any
    trace_id: str
    at: float
    took_s: float


class Columns:
    """See the module's docstring. All access under the lock of the flow's results, save by the run that sweeps.

    Args:
        plan: whose slots these are.
        results: of the flow; results of earlier plans are taken over from there.
        engine: code keys and payloads.
        old: the columns of the plan before, whose values stay where a node is what it was.

    Attributes:
        front: 1 where a slot is plain and reads, directly and indirectly, plain slots alone.
        dirty: 1 where a slot may have to fire.
        values: present values of plain slots; replaced, never changed, once a run keeps them.
        versions: of the values; 0 without one.
        seen: own digest and input versions that the value was made from; a batch knows them of what it made.
        commits: counts what was entered that no sweep made.
        made: who made the value: a batch, a result or what the cache kept.
        code: the key of a slot's code.
        steps: how it is called.
    """

    def __init__(self, plan: Plan, results: FlowResults, engine: Engine, old: Columns | None) -> None:
        size = len(plan.slots)
        self.plan = plan
        self.results = results
        self.engine = engine
        self.given_count = results.given_count
        self.readers = [slot.successors for slot in plan.slots]
        self.steps: list[Step | None] = [None] * size
        self.values: list[Any] = [None] * size
        self.versions = [0] * size
        self.seen: list[Seen | Batch | None] = [None] * size
        self.commits = 0
        self.made: list[Batch | NodeResult | Kept | None] = [None] * size
        self.code: list[MadeKey | None] = [None] * size
        #: Names that were given away; whoever bears one now is another node, and the value went with the old one.
        self.given_away: set[str] = set()
        #: What a slot was when its value was made, where it was edited since.
        self.was: dict[int, Was] = {}
        #: Digests of what values were made from, as far as somebody asked.
        self.effective: dict[int, str | None] = {}
        self.dirty = bytearray(b"\1" * size)
        self.pending = bytearray(size)
        self.front = bytearray(size)
        self.cover: Batch | None = None
        self.watch = Watch()
        self._is_shared = self._has_shared_steps = False
        self._find_front()
        if old is not None:
            self._take_over(old)
        for slot in plan.slots:
            if self.front[slot.index] and self.code[slot.index] is None:
                self._read_code(slot)
        self._import_results()
        self.long = {plan.index[node_id] for node_id in results.long if node_id in plan.index}
        self.has_only_front = not self.front.count(0)

    # -- which slots are plain

    def _find_front(self) -> None:
        front, odd, slots = self.front, self.results.odd, self.plan.slots
        if self.plan.policy.max_concurrency == 1 or any(slot.policy.priority for slot in slots):
            return  # somebody cares for the order
        for slot in slots:
            if slot.node_id in odd or slot.node_id in self.plan.looped:
                continue
            step = step_of(slot, slots, self.results.given)
            if step is not None and all(map(front.__getitem__, slot.predecessors)):
                self.steps[slot.index] = step
                front[slot.index] = 1

    def leave_front(self, index: int) -> None:
        """A slot turned out not to be plain: it, and what reads it, is run with all care from now on."""
        self.results.odd.add(self.plan.slots[index].node_id)
        waiting = [index]
        while waiting:
            place = waiting.pop()
            if self.front[place]:
                self.bring_up(self.plan.slots[place].node_id)
                self.front[place] = 0
                waiting.extend(self.readers[place])
        self.has_only_front = False

    def covered(self, scope: Set[int], *, is_whole: bool) -> bytes:
        """Mark the plain slots of a scope."""
        if is_whole:
            return bytes(self.front)
        return self.covered_of(sorted(scope), set())

    def without_long(self, covered: bytes, *, is_forced: bool) -> bytes:
        """Leave out the slots that take long and may have to fire, and what reads them."""
        reach = bytearray(len(covered))
        kept = bytearray(covered)
        for index, is_covered in enumerate(covered):
            if not is_covered:
                continue
            sources = self.plan.slots[index].predecessors
            may_fire = is_forced or self.dirty[index] or any(reach[source] for source in sources)
            reach[index] = bool(may_fire)
            is_behind = any(covered[source] and not kept[source] for source in sources)
            if (may_fire and index in self.long) or is_behind:
                kept[index] = 0
        return bytes(kept)

    def covered_of(self, left: list[int], failed: set[int]) -> bytes:
        """Mark the slots among those ``left`` that can be swept: what they read is there, or marked too."""
        covered, waiting = bytearray(len(self.front)), failed.union(left)
        for index in left:
            if self.front[index]:
                covered[index] = all(
                    covered[source] or (source not in waiting and self.made[source] is not None)
                    for source in self.plan.slots[index].predecessors
                )
        return bytes(covered)

    def own_key(self, index: int) -> KeyParts | None:
        """Make the part of a slot's key that is its own; None when the slot was never plain."""
        code = self.code[index]
        return None if code is None else self._own_key(self.plan.slots[index], code.key)

    def _own_key(self, slot: Slot, code: CodeKey) -> KeyParts:
        maker = KeyMaker(self.engine.payloads.content_key, self.engine.identities)
        for name, plain in slot.settings.items():
            maker.add_setting(name, plain)
        for binding in slot.bindings:
            if binding.kind == "edge":
                maker.add_read(binding.name)
            elif binding.kind == "constant":
                maker.add_setting(binding.name, binding.value)
        return maker.finish(code, self.engine.versions)

    def present_key(self, index: int) -> KeyParts | None:
        """Make the key that the slot would fire under now."""
        own = self.own_key(index)
        if own is None:
            return None
        maker = self._maker_with(own)
        for name, node_id in reads_of(self.plan, index):
            maker.add_edge(name, node_id, f"{self.effective_key(self.plan.index[node_id])}.0")
        return maker.finish(own.code, self.engine.versions)

    def _maker_with(self, own: KeyParts) -> KeyMaker:
        maker = KeyMaker(self.engine.payloads.content_key, self.engine.identities)
        maker.parts, maker.shown = dict(own.parts), dict(own.shown)
        return maker

    # -- what a slot is, and whether that changed

    def _take_over(self, old: Columns) -> None:
        if old.plan.node_ids != self.plan.node_ids or old.given_away:
            # What was swept is written down by place, and the places are others now.
            for slot in old.plan.slots:
                old.bring_up(slot.node_id)
                old.result(slot.index)
            old.cover = None
        for slot in self.plan.slots:
            earlier = old.plan.index.get(slot.node_id)
            if earlier is not None and slot.node_id not in old.given_away:
                self.versions[slot.index] = old.versions[earlier]
                self._take_slot(old, earlier, slot)
        self.cover = old.cover
        if not old.watch.holds(self.engine.code_keys.holds):
            self.watch.expire()  # what was taken over may be out of date; ``look`` sees to it

    def _take_slot(self, old: Columns, earlier: int, slot: Slot) -> None:
        index = slot.index
        if not old.front[earlier] or not self.front[index]:
            old.bring_up(slot.node_id)
            return
        for column in ("values", "versions", "made"):
            getattr(self, column)[index] = getattr(old, column)[earlier]
        self.effective[index] = old.effective.get(earlier)
        self.seen[index] = old.seen_of(earlier)
        self.pending[index] = old.pending[earlier]
        if earlier in old.was:
            self.was[index] = old.was[earlier]
        code = old.code[earlier]
        if _is_same(old.plan.slots[earlier], slot, old.plan.slots, self.plan.slots):
            self.dirty[index] = old.dirty[earlier]
            if code is not None:
                self._take_code(slot, code)
        elif code is not None and earlier not in old.was:
            own = self._own_key(old.plan.slots[earlier], code.key)
            self.was[index] = Was(own, reads_of(old.plan, earlier), old.token(earlier))

    def take_plan(self, plan: Plan) -> bool:
        """Go over to another plan of the same family; False: a slot became plain, or is no longer."""
        before = self.plan
        changed = [index for index in plan.changed | before.changed if plan.slots[index] is not before.slots[index]]
        steps = {}
        for index in sorted(changed):
            slot = plan.slots[index]
            step = None if slot.node_id in self.results.odd else step_of(slot, plan.slots, self.results.given)
            if (step is not None and all(self.front[source] for source in slot.predecessors)) != self.front[index]:
                return False
            steps[index] = step
        if plan.policy != before.policy or any(
            slots[index].policy.priority for slots in (plan.slots, before.slots) for index in changed
        ):
            return False
        self.plan = plan
        for index, step in steps.items():
            slot, earlier = plan.slots[index], before.slots[index]
            self.readers[index] = slot.successors
            if not self.front[index]:
                continue
            code, token = self.code[index], self.token(index)
            self._own_steps()[index] = step
            if code is not None and _differ_in_settings(slot, earlier):
                self._take_code(slot, code)  # whether that is another is seen by ``look``
            else:
                self._read_code(slot)
            self._note_edit(index, token, earlier, code, reads_of(before, index))
            if self.front[index] and self.seen_of(index) != self.due(index):
                self.dirty[index] = 1  # it reads something else
        return True

    def is_as_before(self, index: int, seen: Seen | None, due: Seen) -> bool:
        """Whether a slot that reads other nodes than before reads values that were made from the same things."""
        if index not in self.was or seen is None or seen[0] != due[0]:
            return False
        key = self.present_key(index)
        return key is not None and key.digest == self.effective_key(index)

    def settle(self, index: int, due: Seen) -> None:
        """The value of a slot is what would be made from what it reads now."""
        self.dirty[index], self.seen[index] = 0, due
        self.was.pop(index, None)

    def _note_edit(self, index: int, token: bytes, earlier: Slot, code: MadeKey | None, reads: Reads) -> None:
        """A slot's own part may be another, and so may be what it reads; keep what it was if so.

        Args:
            index: the slot.
            token: of its own part before.
            earlier: the slot as it was.
            code: its code as it was; None when that was not read.
            reads: what it read.
        """
        is_same = code is not None and self.code[index] is not None and token == self.token(index)
        if not is_same:
            self.dirty[index] = 1
        if code is not None and index not in self.was and not (is_same and reads == reads_of(self.plan, index)):
            self.was[index] = Was(self._own_key(earlier, code.key), reads, token)

    def _read_code(self, slot: Slot) -> None:
        function = slot.node_type.function
        assert function is not None  # noqa: S101 -- else it were not plain
        try:
            code = self.engine.code_keys.made(function, skip=names_given(slot), last=self.code[slot.index])
        except FlowbookError:
            code = None  # whoever runs it with care says what is wrong
        if code is None or code.paths:
            self.leave_front(slot.index)
        else:
            self._take_code(slot, code)

    def _take_code(self, slot: Slot, code: MadeKey) -> None:
        """Enter the code of a slot, to be watched from now on."""
        index, step = slot.index, self.steps[slot.index]
        self.code[index] = code
        self.watch.add(code.checks, slot.node_type.function)
        if step is not None:
            token = token_of(slot, self._own_key(slot, code.key))
            self._own_steps()[index] = (*step[:3], code.digest if token == code.digest else token)

    def token(self, index: int) -> bytes:
        """Give the token of the slot's own part of the key; empty when it was never plain."""
        step = self.steps[index]
        return b"" if step is None else step[3]

    def share_steps(self) -> list[Step | None]:
        """Hand out the steps as they are now."""
        self._has_shared_steps = True
        return self.steps

    def _own_steps(self) -> list[Step | None]:
        if self._has_shared_steps:
            self.steps, self._has_shared_steps = self.steps.copy(), False
        return self.steps

    def look(self) -> None:
        """See whether code, or what it reads by name, changed since the last look; O(names read) when it has not."""
        if self.watch.holds(self.engine.code_keys.holds):
            return
        self.watch = Watch()
        for slot in self.plan.slots:
            index = slot.index
            if not self.front[index]:
                continue
            token, code = self.token(index), self.code[index]
            self._read_code(slot)
            self._note_edit(index, token, slot, code, reads_of(self.plan, index))

    def _import_results(self) -> None:
        """Take over values that were computed with care, or under another name."""
        states = self.results.states
        for slot in self.plan.slots:
            index = slot.index
            state = states.get(slot.node_id)
            if not self.front[index] or self.made[index] is not None or state is None or state.result is None:
                continue
            result = state.result
            if len(result.outputs) == 1 and type(result.outputs[0]) in PLAIN and state.error is None:
                self._enter(index, result)
                # Everything above has been entered: whether this is what would be computed now can be told.
                self.effective[index], self.seen[index] = None, self.due(index)
                key = self.made_key(index)
                self.dirty[index] = key is None or key.digest != result.key.digest
                self.effective[index] = result.effective_key
                if self.dirty[index]:
                    self.seen[index] = None
            elif len(result.outputs) == 1 and state.error is None:
                self.leave_front(index)  # what it gives needs care, and is no reason to compute it again

    def _enter(self, index: int, result: NodeResult) -> None:
        self.own_values()
        self.values[index] = result.outputs[0]
        self.versions[index] = result.version
        self.made[index] = result
        self.effective[index] = result.effective_key
        self.seen[index] = None

    def seen_of(self, index: int) -> Seen | None:
        """What the present value was made from."""
        seen = self.seen[index]
        return seen if seen is None or isinstance(seen, tuple) else seen.due(index)

    def due(self, index: int) -> Seen | None:
        """What the value would be made from now."""
        if self.code[index] is None:
            return None
        versions = self.versions
        edges = [binding.source for binding in self.plan.slots[index].bindings if binding.kind == "edge"]
        return (self.token(index), *[versions[source] for source in edges])

    # -- values

    def own_values(self) -> None:
        """Make the values this object's own again, after a run was given them to keep."""
        if self._is_shared:
            self.values, self._is_shared = self.values.copy(), False

    def enter_swept(self, batch: Batch, new: list[int], *, is_undisturbed: bool) -> None:
        """Enter what a sweep computed.

        Args:
            batch: what it did.
            new: slots of which it made another value.
            is_undisturbed: nobody else entered anything meanwhile; else what was made is looked at once more.
        """
        size, versions = len(self.versions), batch.versions
        if len(new) == size:
            self.versions[:], self.seen, self.effective = versions, [batch] * size, {}
            if is_undisturbed:
                self.dirty[:] = bytes(size)
        else:
            known, seen, effective, dirty = self.versions, self.seen, self.effective, self.dirty
            for index in new:
                known[index], seen[index], effective[index] = versions[index], batch, None
                if is_undisturbed:
                    dirty[index] = 0
        for index, kept in batch.reused.items():
            self.versions[index] = kept.version

    def replace_values(self, values: list[Any]) -> None:
        """Take a run's values as the present ones; the run keeps them too."""
        self.values, self._is_shared = values, True

    def commit(self, index: int, result: NodeResult | None, *, is_for_this_plan: bool) -> None:
        """Enter what a slot came to that was run with care; None: it failed or was skipped."""
        self.commits += 1
        if result is None:
            self.dirty[index] = 1
        else:
            is_new = self.versions[index] != result.version
            is_plain = len(result.outputs) == 1 and type(result.outputs[0]) in PLAIN
            if self.front[index] and not is_plain:
                self.leave_front(index)
            if self.front[index]:
                self._enter(index, result)
                self.seen[index] = self.due(index) if is_for_this_plan else None
                self.dirty[index] = not is_for_this_plan
                self.pending[index] = 0
                self.was.pop(index, None)
            self.versions[index] = result.version
            if not is_new:
                return
        for reader in self.readers[index]:
            self.dirty[reader] = 1

    # -- keys, when somebody asks

    def effective_key(self, index: int) -> str:
        """Digest what the present value was made from."""
        waiting = [index]
        while waiting:
            place = waiting[-1]
            if self.effective.get(place) is None:
                missing = [source for source in self._sources(place) if self.effective.get(source) is None]
                if missing:
                    waiting.extend(missing)
                    continue
                key = self._made_key(place)
                # What it was made from may no longer be there to be digested; then nothing else is equal to it.
                self.effective[place] = key_of_version(self.versions[place]) if key is None else key.digest
            waiting.pop()
        return self.effective[index] or ""

    def made_key(self, index: int) -> KeyParts | None:
        """Make the key that the present value was made under; None when that is no longer known."""
        self.effective_key(index)
        return self._made_key(index)

    def _maker_of(self, index: int) -> Was | None:
        """What the slot was when its present value was made; None when that is no longer known."""
        seen, was = self.seen_of(index), self.was.get(index)
        if was is None or seen == self.due(index):  # what holds the same values now may bear other names
            was = self.now(index)
        return was if was is not None and seen is not None and seen[0] == was.token else None

    def now(self, index: int) -> Was | None:
        """What the slot is; None when it was never plain."""
        own = self.own_key(index)
        return None if own is None else Was(own, reads_of(self.plan, index), self.token(index))

    def _sources(self, index: int) -> list[int]:
        """The slots that a value was made from and that still hold what it was made from."""
        was, seen = self._maker_of(index), self.seen_of(index)
        if was is None or seen is None:
            return []
        pairs = zip(was.reads, seen[1:], strict=True)
        return [self.plan.index[node_id] for (_, node_id), version in pairs if self._holds(node_id, version)]

    def _holds(self, node_id: str, version: int) -> bool:
        index = self.plan.index.get(node_id)
        return index is not None and self.versions[index] == version

    def _made_key(self, index: int) -> KeyParts | None:
        was, seen = self._maker_of(index), self.seen_of(index)
        if was is None or seen is None:
            return None
        maker = self._maker_with(was.own)
        for (name, node_id), version in zip(was.reads, seen[1:], strict=True):
            is_there = self._holds(node_id, version)
            key = self.effective[self.plan.index[node_id]] if is_there else key_of_version(version)
            maker.add_edge(name, node_id, f"{key}.0")
        return maker.finish(was.own.code, self.engine.versions)

    # -- objects, when somebody asks

    def result(self, index: int) -> NodeResult | None:
        """Return the present result of a slot."""
        with self.results.lock:  # whoever looks at a run asks, while the next one may be entering what it made
            made = self.made[index]
            if made is None or isinstance(made, NodeResult):
                return made
            version = self.versions[index]
            if isinstance(made, Kept):
                result = result_of(self, index, self.values[index], made.trace_id, made.at, made.took_s, version)
            else:
                place = made.places[index]
                at, took_s = made.time_of(place)
                result = result_of(self, index, self.values[index], made.trace_id, at + took_s, took_s, version)
                result.effects = made.effects_of(index)
            self.made[index] = result
            return result

    def forget(self, node_id: str) -> None:
        """A node is gone, and its value with it."""
        index = self.plan.index.get(node_id)
        if index is not None and self.front[index]:
            self.own_values()
            self.values[index] = self.made[index] = self.seen[index] = None
            self.versions[index], self.pending[index], self.dirty[index] = 0, 0, 1
            self.was.pop(index, None)

    def bring_up(self, node_id: str) -> None:
        """Write what is known of a node into its ``NodeState``."""
        index = self.plan.index.get(node_id)
        if index is None or not self.pending[index] or self.cover is None:
            return
        self.pending[index] = 0
        self.cover.enter(index, self.results.own_state(node_id), self.result(index))


def result_of(
    columns: Columns, index: int, value: Any, trace_id: str, at: float, took_s: float, version: int
) -> NodeResult:
    """Make the result object of a plain value; its key is made when somebody asks."""
    payloads = columns.engine.payloads

    def key() -> tuple[KeyParts, str] | None:
        with columns.results.lock:
            made = columns.made_key(index) if columns.versions[index] == version else None
            return None if made is None else (made, columns.effective_key(index))

    return NodeResult(
        outputs=(value,),
        lazy_key=key,
        version=version,
        run_id=trace_id,
        at=at,
        took_s=took_s,
        shape=payloads.shape(value),
        size_bytes=payloads.size_bytes(value),
    )


def reads_of(plan: Plan, index: int) -> Reads:
    """Say which inputs of a slot read another node, and which one."""
    slots = plan.slots
    edges = [binding for binding in slots[index].bindings if binding.kind == "edge"]
    return tuple((binding.name, slots[binding.source].node_id) for binding in edges)


def token_of(slot: Slot, own: KeyParts) -> bytes:
    """Make what tells the own part of a slot's key from those that it had at other times.

    Where code is all there is to it, and what every input reads, that is the digest of the code, which is there anyway.
    """
    is_code = not own.parts and len(own.code.parts) == 1 and all(binding.kind == "edge" for binding in slot.bindings)
    return bytes.fromhex(next(iter(own.code.parts.values())) if is_code else own.digest)


def _is_same(before: Slot, now: Slot, slots_before: list[Slot], slots_now: list[Slot]) -> bool:
    """Whether a node is what it was, and reads what it read."""
    if before is now:
        return True
    if before.node_type is not now.node_type or before.policy != now.policy or before.settings != now.settings:
        return False
    return len(before.bindings) == len(now.bindings) and all(
        one.name == other.name
        and one.kind == other.kind
        and one.output == other.output
        and one.value == other.value
        and type(one.value) is type(other.value)
        and (one.kind != "edge" or slots_before[one.source].node_id == slots_now[other.source].node_id)
        for one, other in zip(before.bindings, now.bindings, strict=True)
    )


def _differ_in_settings(one: Slot, other: Slot) -> bool:
    """Whether two slots of one node differ in settings alone, none of which names files."""
    return (
        one.node_type is other.node_type
        and one.bindings == other.bindings
        and all(binding.port is not None for binding in one.bindings)
        and all(spec.value_type in _PLAIN_SETTINGS for spec in one.node_type.settings)
    )


def step_of(slot: Slot, slots: list[Slot], given: Mapping[str, Any]) -> Step | None:
    """Say how a plain slot is called, or None when it needs more care than that."""
    node_type, policy = slot.node_type, slot.policy
    function: Any = node_type.function
    needs_care = (
        type(function) is not FunctionType
        or node_type.origin != "code"
        or node_type.is_async
        or node_type.context_name is not None
        or bool(node_type.packet_names)
        or bool(node_type.each_names)
        or node_type.load is not None
        or len(node_type.outputs) != 1
        or node_type.is_tuple_result
        or (policy.kind, policy.cache, policy.on_change, policy.executor) != ("pure", "memory", "auto", "thread")
        or policy.isolation != "none"
        or policy.timeout_s is not None
        or policy.muted
        or policy.bypassed
        or policy.retry is not None
    )
    if needs_care:
        return None
    fixed = _fixed_values(slot, given)
    edges = _edges(slot, slots)
    if fixed is None or edges is None:
        return None
    names, sources = edges
    code = function.__code__
    call = partial(function, **fixed) if fixed else function
    if not names:
        return call, NONE, None, b""
    is_in_order = names == list(code.co_varnames[: len(names)]) and code.co_argcount >= len(names)
    if not is_in_order or hasattr(function, "__wrapped__"):
        return call, BY_NAME, (tuple(names), tuple(sources)), b""
    if len(sources) == 1:
        return call, ONE, sources[0], b""
    return (call, TWO, tuple(sources), b"") if len(sources) == 2 else (call, SEVERAL, itemgetter(*sources), b"")


def _edges(slot: Slot, slots: list[Slot]) -> tuple[list[str], list[int]] | None:
    names, sources = [], []
    for binding in slot.bindings:
        if binding.kind != "edge":
            continue
        if binding.output != 0 or binding.port is None or binding.port.form:
            return None
        if len(slots[binding.source].node_type.outputs) != 1:
            return None
        names.append(binding.name)
        sources.append(binding.source)
    return names, sources


def _fixed_values(slot: Slot, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Values that stay as they are from run to run, or None when there are others."""
    fixed: dict[str, Any] = {}
    node_type = slot.node_type
    fed = {binding.name for binding in slot.bindings}
    for spec in node_type.settings:
        if spec.name in fed:
            return None
        plain = slot.settings[spec.name]
        if spec.is_required and plain is None:
            return None
        fixed[spec.name] = spec, plain
    for binding in slot.bindings:
        if binding.kind == "constant":
            if binding.port is not None and binding.port.plain is None and binding.port.problem_with(binding.value):
                return None  # a firing says what is wrong with it
            fixed[binding.name] = binding.port.plain if binding.port is not None else None, binding.value
        elif binding.kind == "problem":
            return None
        elif binding.kind == "open":
            is_given = binding.name in given or f"{slot.node_id}.{binding.name}" in given
            if is_given or binding.port is None or binding.port.is_required or binding.port.is_ambient:
                return None
    return _made_plain(fixed)


def _made_plain(fixed: dict[str, Any]) -> dict[str, Any] | None:
    for name, (spec, plain) in fixed.items():
        try:
            value = plain if spec is None else spec.to_python(plain if plain is spec.default else spec.checked(plain))
        except (FlowbookError, ValueError, TypeError, KeyError):
            return None
        if type(value) not in PLAIN:
            return None
        fixed[name] = value
    return fixed
