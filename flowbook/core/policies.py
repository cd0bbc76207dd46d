"""How a node or a flow behaves, as values without behaviour."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from flowbook.errors import DefinitionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["pure", "stateful", "io"]
CacheMode = Literal["memory", "disk", "off"]
OnChange = Literal["auto", "manual", "once"]
ExecutorName = Literal["thread", "main"]
IsolationName = Literal["none", "process"]
FusionMode = Literal["auto", "off"]
OnError = Literal["continue", "stop", "retry_flow"]
#: Where a flow may keep what must not be lost.
STATE_STORAGES = ("memory", "sqlite")
OnItemError = Literal["fail", "skip", "keep"]
ON_ERROR: tuple[str, ...] = get_args(OnError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a failed firing is tried again.

    Attributes:
        max_attempts: tries in all, >= 1.
        delay_s: wait before the second try, seconds, >= 0.
        multiplier: the wait grows by this factor from try to try, >= 1.
        cap_s: longest wait, seconds.
        jitter: pick the wait uniformly in ``[0, wait]`` instead of taking it whole.
    """

    max_attempts: int = 3
    delay_s: float = 0.5
    multiplier: float = 2.0
    cap_s: float = 60.0
    jitter: bool = False

    def __post_init__(self) -> None:
        """Refuse values that would never or always retry."""
        given: dict[str, Any] = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        is_good = (
            isinstance(given["jitter"], bool)
            and _is_count(given["max_attempts"])
            and all(_is_number(given[name]) for name in ("delay_s", "multiplier", "cap_s"))
            and self.delay_s >= 0
            and self.multiplier >= 1
            and self.cap_s >= 0
        )
        if not is_good:
            raise DefinitionError(
                f"{self!r} is out of range",
                code="FB101",
                hint="max_attempts: whole number >= 1; delay_s, cap_s >= 0; multiplier >= 1; jitter: True or False",
                policy="retry",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one node is run; a node in a flow may override what its type says.

    Attributes:
        kind: pure (same inputs, same outputs; may be reused), stateful or io (fires at every explicit run).
        retry: what to do when it fails; None: nothing. A node that is retried collects the lazy tables that it gives by
            itself, so that an attempt is over with its rows: it is not fused with others.
        timeout_s: longest time one attempt may take, seconds; None: no limit. In process the thread of an overdue node
            cannot be stopped, only abandoned.
        cache: ``"memory"`` keeps results of earlier settings within the flow's byte budget, ``"disk"`` also beyond the
            life of the kernel (lazy tables are collected for it; what has no form but pickle is not kept), ``"off"``
            does not; when a document is run once from a command line, the value goes after its last use.
        on_change: ``"auto"`` re-runs after a setting was moved, ``"manual"`` only turns stale, ``"once"`` fires only
            while it has no value.
        executor: ``"thread"``, or ``"main"`` for code that needs the interpreter's main thread.
        isolation: ``"process"`` calls the function in a process of its own, which is ended when it overruns its time or
            memory or is cancelled; what it reads and returns is copied. Where that is, ``executor`` says nothing.
        memory_bytes: most memory an isolated node's process may hold, >= 1; None: three quarters of the machine's.
        max_concurrency: items of a mapped node (``fb.each``) at one time, >= 1; None: as many as the flow fires nodes.
            More than the flow's own ``max_concurrency`` are never at work. ``retry`` and ``timeout_s`` hold for an
            item.
        on_item_error: what a mapped node does about an item that failed: ``"fail"`` ends the node, ``"skip"`` leaves
            the item out of the list, ``"keep"`` puts its ``ErrorPacket`` in its place. The next run computes a pure
            node's failed items again, and no others as long as the cache holds these.
        fusion: ``"auto"`` computes lazy tables together with those of the nodes before and after; ``"off"`` collects
            what the node reads, and what it gives, by itself. The values are the same, and so is the order of rows
            where polars promises one (row-wise steps keep it; ``group_by``, ``join``, ``unique`` when told to).
        priority: among nodes that are ready, the larger goes first.
        muted: does not fire; what depends on it is skipped and says so.
        bypassed: does not fire; hands its first input on as its first output.
        pinned: its value is computed and kept even if nothing else needs it.
        each: of a flow that is used as a node: inputs that take lists. The flow is run once for each item, its outputs
            give lists in the same order, and what is said above of mapped nodes holds. Empty: it takes what its own
            nodes take. Nothing in it is kept from item to item: what no item changes belongs outside of it, connected
            to another of its inputs. (A function says it where it names the input: ``path: fb.each[Path]``.)
    """

    kind: Kind = "pure"
    retry: Retry | None = None
    timeout_s: float | None = None
    cache: CacheMode = "memory"
    on_change: OnChange = "auto"
    executor: ExecutorName = "thread"
    isolation: IsolationName = "none"
    memory_bytes: int | None = None
    max_concurrency: int | None = None
    on_item_error: OnItemError = "fail"
    fusion: FusionMode = "auto"
    priority: int = 0
    muted: bool = False
    bypassed: bool = False
    pinned: bool = False
    each: tuple[str, ...] = ()

    def with_overrides(self, overrides: Mapping[str, Any]) -> Policy:
        """Return this policy with some fields replaced.

        Raises:
            DefinitionError: an unknown field, or a value that the field cannot take.
        """
        return replace(self, **checked_policy(overrides)) if overrides else self


_CHOICES: dict[str, tuple[str, ...]] = {
    "kind": ("pure", "stateful", "io"),
    "cache": ("memory", "disk", "off"),
    "on_change": ("auto", "manual", "once"),
    "executor": ("thread", "main"),
    "isolation": ("none", "process"),
    "on_item_error": ("fail", "skip", "keep"),
    "fusion": ("auto", "off"),
}
_FLAGS = ("muted", "bypassed", "pinned")
POLICY_FIELDS = tuple(entry.name for entry in fields(Policy))


#: What is said where a function is declared, and is no policy.
_OF_DECLARATIONS: Final = {
    "mutable": 'say it where the function is declared: @flow.node(mutable=["its input"])',
    "outputs": 'say it where the function is declared: @flow.node(outputs=["one", "other"])',
}


def checked_policy(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check policy fields given by a person and bring them into their Python form.

    ``retry`` may be a ``Retry``, a number of attempts, or a mapping of Retry's fields.

    Raises:
        DefinitionError: FB101, naming the field and what it takes.
    """
    return {name: _checked_field(name, value) for name, value in values.items()}


def _checked_field(name: str, value: Any) -> Any:
    if name not in POLICY_FIELDS:
        raise DefinitionError(
            f"there is no policy {name!r}",
            code="FB101",
            hint=_OF_DECLARATIONS.get(name) or did_you_mean(name, POLICY_FIELDS),
            policy=name,
        )
    if name in _CHOICES and value not in _CHOICES[name]:
        allowed = ", ".join(repr(choice) for choice in _CHOICES[name])
        raise DefinitionError(
            f"{name}={value!r} is not a policy", code="FB101", hint=f"use one of {allowed}", policy=name
        )
    if name in _FLAGS and not isinstance(value, bool):
        raise DefinitionError(f"{name}={value!r} is not a policy", code="FB101", hint="use True or False", policy=name)
    if name == "priority" and (isinstance(value, bool) or not isinstance(value, int)):
        raise DefinitionError(f"priority={value!r} is not a whole number", code="FB101", policy=name)
    if name == "memory_bytes" and value is not None and not _is_count(value):
        raise DefinitionError(f"memory_bytes={value!r} is not a size", code="FB101", hint="bytes, >= 1", policy=name)
    if name == "max_concurrency" and value is not None and not _is_count(value):
        raise DefinitionError(
            f"max_concurrency={value!r} is not a number of items",
            code="FB101",
            hint="a whole number, >= 1",
            policy=name,
        )
    if name == "timeout_s" and value is not None and not (_is_number(value) and value > 0):
        raise DefinitionError(f"timeout_s={value!r} is not a time", code="FB101", hint="seconds, > 0", policy=name)
    if name == "retry":
        return _checked_retry(value)
    return _checked_each(value) if name == "each" else value


def _checked_each(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise DefinitionError(
            f"each={value!r} names no inputs", code="FB101", hint='each="path", or a list of inputs', policy="each"
        )
    return tuple(dict.fromkeys(names))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    # Compared, not converted: JSON knows whole numbers that are no float any more. What is not a number is not less.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _checked_retry(value: Any) -> Retry | None:
    if value is None or isinstance(value, Retry):
        return value
    try:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return Retry(max_attempts=value) if is_number else Retry(**value)
    except TypeError as error:
        raise DefinitionError(
            f"retry={value!r} is not a retry policy",
            code="FB101",
            hint="retry=fb.Retry(max_attempts=3)",
            policy="retry",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPolicy:
    """How a whole flow is run.

    Attributes:
        max_concurrency: firings at one time, >= 1; None: as many as the machine has cores, at least four.
        on_error: ``"continue"`` finishes all that does not depend on the failed node, ``"stop"`` starts nothing more,
            ``"retry_flow"`` runs what failed, and no error port took, again, up to ``flow_attempts`` times in all.
        flow_attempts: see ``on_error``, >= 1.
        state_storage: where what must not be lost is kept, which is dead letters: ``"memory"`` keeps the newest of each
            node until the kernel ends and writes nothing to disk, ``"sqlite"`` keeps all of them, with their inputs, in
            ``$FLOWBOOK_STATE`` or the system's place for state. A document that names another one keeps it; it means
            ``"memory"`` here, and ``check`` says so.
    """

    max_concurrency: int | None = None
    on_error: OnError = "continue"
    flow_attempts: int = 1
    state_storage: str = "memory"

    def __post_init__(self) -> None:
        """Refuse values that no flow can be run by."""
        for name in ("max_concurrency", "flow_attempts"):
            number: Any = getattr(self, name)
            if not _is_count(number) and not (number is None and name == "max_concurrency"):
                raise DefinitionError(
                    f"{name}={number!r} is not a policy", code="FB101", hint="a whole number, >= 1", policy=name
                )
        if self.on_error not in ON_ERROR:
            allowed = ", ".join(repr(choice) for choice in ON_ERROR)
            raise DefinitionError(
                f"on_error={self.on_error!r} is not a policy",
                code="FB101",
                hint=f"use one of {allowed}",
                policy="on_error",
            )
        if self.state_storage not in STATE_STORAGES:
            raise DefinitionError(
                f"state_storage={self.state_storage!r} is not a policy",
                code="FB101",
                hint=did_you_mean(str(self.state_storage), STATE_STORAGES),
                policy="state_storage",
            )
