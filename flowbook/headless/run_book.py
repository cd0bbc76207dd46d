"""What is known of the runs of a notebook, from the bundles that its cells show.

Bundles come in any order and number; they are data from a file or a kernel, so that nothing in them is relied on to
have the right shape. An absent key means its default (`flowbook.canvas.protocol`).
"""

from __future__ import annotations

import re
from typing import Any

_FINISHED = frozenset({"ok", "failed", "skipped", "muted", "unresponsive", "cancelled"})
#: A node cell shows its own node only; this is how it says that one above it failed.
_SKIPPED_BY = re.compile(r"skipped: ([\w/]+) (?:failed|did not answer)")
#: How the span of an item of a mapped node ends: ``clean[3]``.
_ITEM = re.compile(r"\w\[\d+\]$")


class RunBook:
    """The newest trace bundle of every run seen, in the order in which the runs first appeared."""

    def __init__(self) -> None:
        self._bundles: dict[tuple[str, str], dict[str, Any]] = {}
        self._expected: set[tuple[str, str]] = set()
        self._finished: set[tuple[str, str, str, int]] = set()
        self._notes: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._ended: set[tuple[str, str]] = set()
        self._told_notes: set[tuple[str, str, str]] = set()
        self._known_nodes: set[tuple[str, str]] = set()

    def take(self, bundle: dict[str, Any], *, is_expected: bool = False) -> list[dict[str, Any]]:
        """Note a bundle and return the spans that are finished in it and were not before.

        Args:
            bundle: a trace bundle; one that is older than what is known changes nothing.
            is_expected: failures in this run are meant to happen.
        """
        key = (str(bundle.get("flow", "")), str(bundle.get("runId", "")))
        known = self._bundles.get(key)
        if known is not None and _sequence(bundle) <= _sequence(known):
            return []
        if known is None and is_expected:
            self._expected.add(key)
        self._bundles[key] = bundle
        fresh = []
        for span in nodes_of(bundle):
            node = str(span.get("node", ""))
            attempt = (*key, node, whole(span.get("attempt")))
            if status_of(span) in _FINISHED and attempt not in self._finished:
                self._finished.add(attempt)
                if not self._is_old_news(key[0], node, span):
                    fresh.append(span)
        return fresh

    def is_first_end(self, bundle: dict[str, Any]) -> bool:
        """Whether a run was not known to be over before this bundle; remembers that it is."""
        key = (str(bundle.get("flow", "")), str(bundle.get("runId", "")))
        is_first = key not in self._ended
        self._ended.add(key)
        return is_first

    def take_note(self, bundle: dict[str, Any], *, is_expected: bool = False) -> None:
        """Note a node bundle: what a ``%%node`` cell shows of a run whose trace is not shown."""
        key = (str(bundle.get("flow", "")), str(bundle.get("runId", "")), str(bundle.get("node", "")))
        known = self._notes.get(key)
        if status_of(bundle) in _FINISHED and (known is None or _sequence(bundle) > _sequence(known)):
            self._notes[key] = {**bundle, "is_expected": is_expected if known is None else known["is_expected"]}

    def untold_notes(self) -> list[dict[str, Any]]:
        """The noted nodes, as spans, that no trace has told of so far; each once."""
        traced = {(flow, run, str(span.get("node", ""))) for flow, run, span in self._traced()}
        fresh = [key for key in self._notes if key not in traced and key not in self._told_notes]
        self._told_notes.update(fresh)
        return [_span_of(self._notes[key]) for key in fresh if not self._is_old_news(key[0], key[2], self._notes[key])]

    def _traced(self) -> list[tuple[str, str, dict[str, Any]]]:
        return [(*key, span) for key, bundle in self._bundles.items() for span in _last_attempts(bundle)]

    def bundles(self) -> list[dict[str, Any]]:
        """The newest bundle of each run."""
        return list(self._bundles.values())

    def failed_spans(self) -> list[tuple[str, dict[str, Any]]]:
        """Flow name and span of every node that failed in a run and was not meant to."""
        traced = [(flow, run, span) for flow, run, span in self._traced() if (flow, run) not in self._expected]
        found = {(flow, run, str(span.get("node", ""))): span for flow, run, span in traced if _has_failed(span)}
        for (flow, run, node), note in self._notes.items():
            if not note["is_expected"] and _has_failed(note) and (flow, run) not in self._bundles:
                found[flow, run, node] = _span_of(note)
            culprit = _SKIPPED_BY.fullmatch(str(note.get("reason"))) if status_of(note) == "skipped" else None
            if culprit and not note["is_expected"] and (flow, run) not in self._bundles:
                found.setdefault((flow, run, culprit[1]), {"node": culprit[1], "status": "failed"})
        return [(flow, span) for (flow, _, _), span in found.items()]

    def has_failed(self) -> bool:
        """Whether a node failed, or a run whose spans were left out for their number."""
        return bool(self.failed_spans()) or any(
            bundle.get("status") == "failed" for key, bundle in self._bundles.items() if key not in self._expected
        )

    def counts(self) -> dict[str, int]:
        """Sum what the runs did: how many nodes ran and how many were cached, over all runs."""
        found = [as_object(bundle.get("counts")) for bundle in self._bundles.values()]
        counts = {name: sum(whole(entry.get(name)) for entry in found) for name in ("ran", "cached")}
        untraced = [note for (flow, run, _), note in self._notes.items() if (flow, run) not in self._bundles]
        counts["ran"] += sum(status_of(note) in ("ok", "failed") and note.get("stamp") != "cached" for note in untraced)
        return counts

    def _is_old_news(self, flow: str, node: str, span: dict[str, Any]) -> bool:
        """Whether a cached node was reported with its value before: every later cell of a notebook reads it again."""
        is_known = (flow, node) in self._known_nodes
        self._known_nodes.add((flow, node))
        return is_known and span.get("stamp") == "cached"


def spans_of(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The spans of a bundle; whatever is not one is left out."""
    spans = bundle.get("spans", [])
    return [span for span in spans if isinstance(span, dict)] if isinstance(spans, list) else []


def nodes_of(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The spans of nodes: those of a mapped node's items, and the sums of subflows, are told by the nodes' own.

    What is inside of an item belongs to it.
    """
    spans = spans_of(bundle)
    parts = [str(span.get("node", "")).split("/") for span in spans]
    groups = {"/".join(names[:depth]) for names in parts for depth in range(1, len(names))}
    return [
        span
        for span, names in zip(spans, parts, strict=True)
        if not any(map(_ITEM.search, names)) and "/".join(names) not in groups
    ]


def status_of(span: dict[str, Any]) -> str:
    """The status of a span."""
    return str(span.get("status", "ok"))


def _last_attempts(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """One span per node: a failed attempt that a later one made good is no failure."""
    last: dict[str, dict[str, Any]] = {}
    for span in nodes_of(bundle):
        node = str(span.get("node", ""))
        if node not in last or whole(span.get("attempt")) >= whole(last[node].get("attempt")):
            last[node] = span
    return list(last.values())


def _has_failed(span: dict[str, Any]) -> bool:
    return status_of(span) in ("failed", "unresponsive")


def _span_of(note: dict[str, Any]) -> dict[str, Any]:
    """Show a node bundle as a trace would show the node."""
    card = as_object(note.get("card"))
    outputs = card.get("outputs")
    first = as_object(outputs[0]) if isinstance(outputs, list) and outputs else {}
    return {**note, "error": card.get("error"), "shape": first.get("shape")}


def as_object(value: object) -> dict[str, Any]:
    """The value, if it is a JSON object; else an empty one."""
    return value if isinstance(value, dict) else {}


def as_number(value: object) -> float | None:
    """The value, if it is a JSON number; else None."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(number: object) -> int:
    """The value, if it is a whole number; else 0."""
    return number if isinstance(number, int) else 0


def _sequence(bundle: dict[str, Any]) -> float:
    number = bundle.get("seq", 0)
    # The final word of a run is never overruled by a late update that bears the same number.
    return (number if isinstance(number, int | float) else 0) + (0.5 if bundle.get("final") else 0)
