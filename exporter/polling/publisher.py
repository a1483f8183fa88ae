"""Publishes what is known of each target: renders it, and puts it into the exposition cache."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import inf

from exporter.exposition.cache import ExpositionCache
from exporter.metrics.mapper import Lines, Mapper
from exporter.metrics.transitions import Transitions
from exporter.model.details import NO_DETAILS, SetDetails
from exporter.model.scale_set import ScaleSetModel, Target
from exporter.polling.series_limit import SeriesLimit, Size, Suppressed
from exporter.polling.target_state import TargetState
from exporter.polling.targets import Observer
from exporter.runtime.clock import Clock


@dataclass(slots=True)
class _Published:
    """What is published of one target, and what it was rendered from.

    Attributes:
        place: its place in the cache.
        level: what `metrics.max_series` suppresses of it.
        until: the monotonic time when the first of its lines is to be served no longer.
        model_is_live: whether its model is recent enough to be served.
    """

    place: int
    level: Suppressed = Suppressed.NOTHING
    until: float = inf
    model_is_live: bool = False
    target: Target | None = None
    polls: Lines = field(default_factory=dict)
    model: Lines = field(default_factory=dict)
    model_of: ScaleSetModel | None = None
    details: Lines = field(default_factory=dict)
    details_of: SetDetails = NO_DETAILS
    counters: Lines = field(default_factory=dict)
    counters_of: Transitions | None = None


class Publisher(Observer):
    """Keeps the exposition cache up to date with what is known of each target.

    Args:
        mapper: the catalogue as configured, which renders the lines.
        clock: tells what is too old to be served.
        max_series: the limit on the series about Azure; 0 for none.

    Attributes:
        cache: what is served of all targets.
    """

    def __init__(self, *, mapper: Mapper, clock: Clock, max_series: int = 0) -> None:
        self.cache = ExpositionCache(mapper.families)
        self._mapper = mapper
        self._clock = clock
        self._limit = SeriesLimit(max_series)
        self._published: dict[TargetState, _Published] = {}
        # Those whose series the limit does not know yet.
        self._unlimited: set[TargetState] = set()

    async def fill(self, states: Iterable[TargetState]) -> None:
        """Publish targets that are there already, and let other tasks run in between."""
        for state in states:
            self.added(state)
            await asyncio.sleep(0)
        self.settled()

    def added(self, state: TargetState) -> None:
        """Publish a target from now on."""
        self._published[state] = _Published(self.cache.add())
        self._unlimited.add(state)
        self._render(state)

    def updated(self, state: TargetState, before: Target) -> None:
        """Publish a target whose labels or spelling may be others."""
        del before
        if state in self._published:
            self._unlimited.add(state)
            self._render(state)

    def removed(self, state: TargetState) -> None:
        """Publish a target no more."""
        if (published := self._published.pop(state, None)) is not None:
            self.cache.remove(published.place)
            self._unlimited.discard(state)
            self._limit.forget(state)

    def settled(self) -> None:
        """Keep the page within its limit, once for all targets that have come, changed or gone."""
        changed, self._unlimited = self._unlimited, set()
        self._apply_limit(changed)

    def publish(self, state: TargetState) -> None:
        """Serve what is known of a target now, all of it from this moment on.

        One that is not a target any more is passed over: a poll may end after it was removed.
        """
        if state in self._published:
            self._render(state)
            self._apply_limit((state,))

    def expired(self) -> list[TargetState]:
        """The targets of which something is served that is too old, or has waited long enough."""
        now = self._clock.monotonic()
        return [state for state, published in self._published.items() if published.until <= now]

    def next_expiry(self) -> float:
        """The monotonic time when there will be one; infinite if that is not known."""
        return min((published.until for published in self._published.values()), default=inf)

    def is_suppressed(self, state: TargetState) -> bool:
        """Whether `metrics.max_series` suppresses the instance series of a target."""
        return self._published[state].level > Suppressed.NOTHING

    def lines(self, state: TargetState, *, suppressed: bool = True) -> Iterator[Lines]:
        """All sample lines that are served of a target, part by part.

        Args:
            suppressed: whether without what `metrics.max_series` suppresses.
        """
        published, snapshot = self._published[state], state.data.snapshot
        level = published.level if suppressed else Suppressed.NOTHING
        yield published.polls
        if level < Suppressed.ALL_BUT_POLLS:
            yield published.counters
            if published.model_is_live:
                yield published.model
            yield published.details
            if snapshot:
                yield snapshot.mapped.lines
                if level < Suppressed.OPEN_COUNTS:
                    yield snapshot.mapped.open_lines
                if level < Suppressed.INSTANCES:
                    yield snapshot.mapped.instance_lines

    def _render(self, state: TargetState) -> None:
        published, data, target = self._published[state], state.data, state.target
        now = self._clock.monotonic()
        same_target = published.target == target
        published.target = target
        poll = replace(data.poll, suppressed=published.level > Suppressed.NOTHING)
        published.polls = self._mapper.poll(target, poll)
        model = data.model.model if data.model else None
        if not same_target or model is not published.model_of:
            published.model_of = model
            published.model = self._mapper.model(target, model) if model else {}
        details = data.details.live(now)
        if not same_target or details != published.details_of:
            published.details_of = details
            published.details = self._mapper.details(target, details)
        transitions = data.memory.transitions
        if not same_target or transitions is not published.counters_of:
            published.counters_of = transitions
            published.counters = self._mapper.counters(target, data.memory)
        live = data.live_model(now)
        published.model_is_live = live is not None
        ends = (part.served_until for part in (live, data.snapshot) if part is not None)
        waits = (until for until in data.details.served_until.values() if until > now)
        published.until = min((*ends, *waits, *data.codes_until.values()), default=inf)
        self._put(state)

    def _put(self, state: TargetState) -> None:
        lines: Lines = {}
        for part in self.lines(state):
            lines.update(part)
        self.cache.put(self._published[state].place, lines)

    def _apply_limit(self, changed: Iterable[TargetState]) -> None:
        """Keep the page within its limit."""
        sizes = {state: self._size(state) for state in changed}
        for state, level in self._limit.changes(sizes, self.cache.series):
            self._published[state].level = level
            self._render(state)

    def _size(self, state: TargetState) -> Size:
        published = self._published[state]
        mapped = state.data.snapshot.mapped if state.data.snapshot else None
        instances = mapped.instance_series if mapped else 0
        open_counts = _series(mapped.open_lines) if mapped else 0
        others = mapped.series - instances - open_counts if mapped else 0
        others += _series(published.counters)
        if published.model_is_live:
            others += _series(published.model)
        others += _series(published.details)
        key = state.target.scale_set.key
        return Size(key, published.level, instances, open_counts, others)


def _series(lines: Lines) -> int:
    return sum(block.lines for block in lines.values())
