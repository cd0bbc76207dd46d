"""A flow that browsers watch: when it is looked at, and who is told what.

One look serves all views. Looking takes time that node code could use, so a large flow is looked at as a whole only as
often as keeps this below a quarter of a core; in between only the nodes that something happened to are looked at.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from flowbook.canvas.leases import WriterLease
from flowbook.canvas.live_view import LiveView, News
from flowbook.core.events import NodeFinished, NodeStarted, RunFinished, RunStarted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbook.canvas.channels import Channel
    from flowbook.canvas.live_view import Host, LiveFlow
    from flowbook.core.events import Event
    from flowbook.core.interfaces import Clock
    from flowbook.runtime.run import Run

#: The share of a core for looking at one flow as a whole.
LOOK_SHARE: Final = 0.25
#: Between two looks at what running nodes print, seconds: no event tells of it.
GLANCE_S: Final = 0.5
#: How long a flow has to rest before browsers are told what to store, seconds.
REST_S: Final = 0.4
#: After a look that failed because somebody changed what was looked at, seconds.
RETRY_S: Final = 0.25
#: How long the holder of a writer lease may take to write what is due, seconds.
WRITE_S: Final = 2.0
NEVER: Final = float("inf")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Marks:
    """What happened to a flow since it was looked at; filled by any thread, under the hub's lock."""

    all: bool = False
    nodes: set[str] = field(default_factory=set)
    runs: dict[str, Run] = field(default_factory=dict)
    over: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.all or self.nodes or self.runs or self.over)

    def enter(self, run: Run, event: Event, *, is_private: bool, within: str = "") -> None:
        """Mark what an event changes for who sees the nodes whose names begin so; a private run changes no node."""
        self.runs[run.id] = run
        if isinstance(event, NodeStarted | NodeFinished) and not is_private and event.node_id.startswith(within):
            self.nodes.add(event.node_id.removeprefix(within).partition("/")[0])  # the card that shows it
        if isinstance(event, RunStarted | RunFinished):
            self.all = True
        if isinstance(event, RunFinished):
            self.over.append(run.id)

    def add(self, other: Marks) -> None:
        """Add marks that could not be used."""
        self.all = self.all or other.all
        self.nodes |= other.nodes
        self.runs = {**other.runs, **self.runs}
        self.over += other.over


@dataclass(slots=True)
class _Subscription:
    """What one channel has been told."""

    news: News = field(default_factory=News)
    runs: tuple[str, ...] = ()
    seq: int = 0
    is_new: bool = True
    is_holder: bool | None = None


class WatchedFlow:
    """See the module's docstring. Belongs to the hub's thread, save for ``marks``.

    Args:
        flow: what is watched.
        host: the notebook around it.
        clock: tells when.
        within: what the names of its nodes begin with in the flow that runs: they are inside a subflow, which is looked
            at and never written.

    Attributes:
        marks: what happened since the last look; taken with ``take_marks`` under the hub's lock.
    """

    def __init__(self, flow: LiveFlow, host: Host, clock: Clock, *, within: str = "") -> None:
        self.flow = flow
        self.within = within
        self.marks = Marks(all=True)
        self._clock = clock
        self._view = LiveView(flow, host)
        self._subscriptions: dict[Channel, _Subscription] = {}
        self._lease: WriterLease[Channel] = WriterLease()
        #: When a look at everything is allowed again.
        self._look_at = 0.0
        self._glance_at = NEVER
        self._said: dict[str, int] = {}
        self._rest_at = NEVER
        self._write_by = NEVER
        self._lapses_left = 0

    # -- who watches

    @property
    def is_watched(self) -> bool:
        """Whether anybody is left."""
        return bool(self._subscriptions)

    def subscribe(self, channel: Channel, runs: Iterable[str]) -> None:
        """Tell a channel everything with the next batch, and from then on what changes.

        Args:
            channel: who asks; may be subscribed already.
            runs: ids of runs whose traces it shows.
        """
        subscription = self._subscriptions.setdefault(channel, _Subscription())
        subscription.is_new, subscription.is_holder = True, None
        subscription.runs = tuple(dict.fromkeys((*subscription.runs, *runs)))
        self._rest_at = min(self._rest_at, self._clock.monotonic() + REST_S)
        if channel.can_write and not self.within:
            self._lease.join(channel)
        self._tell_leases()

    def leave(self, channel: Channel) -> None:
        """Forget a channel."""
        self._subscriptions.pop(channel, None)
        self._lease.leave(channel)
        self._tell_leases()

    # -- who writes

    def edited_by(self, channel: Channel) -> None:
        """A channel edited the flow: if it can, it writes the cell from now on."""
        if channel in self._subscriptions:
            self._lease.edited(channel)
            self._tell_leases()

    def settle_lease(self, channel: Channel, *, wants: bool) -> None:
        """A channel asks to write, or says that it cannot; it is answered in any case."""
        if channel not in self._subscriptions:
            return
        if wants:
            self._lease.take(channel)
        else:
            self._lease.decline(channel)
        self._subscriptions[channel].is_holder = None
        self._tell_leases()

    def _tell_leases(self) -> None:
        """Tell whom it concerns; first who lost the lease, so that never two believe to hold it."""
        holder = self._lease.holder
        for channel, subscription in sorted(self._subscriptions.items(), key=lambda item: item[0] is holder):
            is_holder = channel is holder
            if channel.can_write and not self.within and subscription.is_holder != is_holder:
                subscription.is_holder = is_holder
                channel.tell({"kind": "lease", "flow": self.flow.name, "held": is_holder})

    def _watch_writing(self, now: float, *, is_news: bool) -> None:
        """Pass the lease on when its holder does not write what is due."""
        if not self._view.cell["due"]:
            self._write_by = NEVER
        elif is_news:
            self._write_by, self._lapses_left = now + WRITE_S, self._lease.turns
        elif now >= self._write_by and self._lapses_left <= 0:
            self._write_by = NEVER  # everybody had a turn, and the one that held it first has it again
        elif now >= self._write_by:
            self._write_by, self._lapses_left = now + WRITE_S, self._lapses_left - 1
            self._lease.lapse()
            self._tell_leases()

    # -- when

    def due_at(self) -> float:
        """Say when there may be something to do next, in the clock's seconds; ``NEVER`` is possible."""
        if any(subscription.news or subscription.is_new for subscription in self._subscriptions.values()):
            return 0.0
        marked = NEVER
        if self.marks:
            only_whole = not (self.marks.nodes or self.marks.runs or self.marks.over)
            marked = self._look_at if only_whole else 0.0
        return min(marked, self._glance_at, self._rest_at, self._write_by)

    # -- looking and telling

    def turn(self, marks: Marks) -> Marks:
        """Look at what is marked, and tell every channel what it does not know.

        Returns:
            Marks that have to wait for another turn.
        """
        now = self._clock.monotonic()
        try:
            news, later = self._look(marks, now)
        except Exception as error:
            # Whatever a flow under change, or a value's own methods, may raise.
            logger.debug("flowbook looks again at flow %s: %r", self.flow.name, error, exc_info=True)
            self._look_at = now + RETRY_S
            return Marks(all=True, runs=marks.runs, over=marks.over)
        self._watch_writing(now, is_news=news.document or news.cell)
        for channel, subscription in list(self._subscriptions.items()):
            self._tell(channel, subscription, news, now)
        return later

    def _look(self, marks: Marks, now: float) -> tuple[News, Marks]:
        view, news, later = self._view, News(), Marks()
        nodes, runs = set(marks.nodes), dict(marks.runs)
        if now >= self._glance_at and view.said != self._said:
            self._said = view.said
            nodes |= {span.node for run in view.open_runs for span in run.trace.spans if span.status == "running"}
            runs |= {run.id: run for run in view.open_runs}
        wants_all, may_look = marks.all, now >= self._look_at
        if nodes and not (wants_all and may_look):
            found, is_tight = view.look_at_nodes(nodes)
            news.add(found)
            wants_all = wants_all or is_tight
        if wants_all and may_look:
            news.add(view.look())
            self._look_at = now + (self._clock.monotonic() - now) / LOOK_SHARE
        later.all = wants_all and not may_look
        news.add(view.look_at_runs(runs.values()))
        self._glance_at = now + GLANCE_S if view.open_runs else NEVER
        news.add(self._look_at_outputs(marks.over, now, is_news=bool(news)))
        return news, later

    def _look_at_outputs(self, over: list[str], now: float, *, is_news: bool) -> News:
        """Look at what browsers store, if one of them does: runs that are over, and a canvas at rest."""
        is_at_rest = now >= self._rest_at and not is_news
        if self._view.open_runs or is_at_rest:
            self._rest_at = NEVER
        elif is_news:
            self._rest_at = now + REST_S
        if not (over or is_at_rest) or not any(channel.can_write for channel in self._subscriptions):
            return News()
        asked = [run_id for subscription in self._subscriptions.values() for run_id in subscription.runs]
        return self._view.look_at_outputs([*over, *asked] if is_at_rest else over, with_canvas=is_at_rest)

    def _tell(self, channel: Channel, subscription: _Subscription, news: News, now: float) -> None:
        subscription.news.add(news)
        if subscription.is_new:
            subscription.is_new = False
            subscription.news = self._view.everything(subscription.runs)
        if not channel.can_write:
            subscription.news.outputs.clear()
        if not subscription.news or not channel.still_listens(now):
            return
        told, subscription.seq = subscription.news, subscription.seq + 1
        batch, subscription.news = self._view.batch(told, subscription.seq)
        if not channel.tell(batch) and not told.all:
            # So many changes at once do not fit; everything does, for the canvas as a whole has a bound.
            told = self._view.everything(subscription.runs)
            batch, subscription.news = self._view.batch(told, subscription.seq)
            channel.tell(batch)
