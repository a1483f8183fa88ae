"""One poll of one scale set: fetch, decode, map, swap; and what a failure leaves in place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import replace

import structlog

from exporter.azure.errors import (
    REASONS,
    AzureError,
    FlexibleNotSupported,
    NoAnswer,
    NotSent,
    Throttled,
)
from exporter.azure.ratelimit.usage import Reservation
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.mapper import MappedInstances, Mapper
from exporter.metrics.transitions import Transitions
from exporter.model.poll import PollState
from exporter.model.scale_set import Target
from exporter.polling.counters import count_codes, update_waiting_codes
from exporter.polling.listing import Listing
from exporter.polling.model_poller import ModelPoller
from exporter.polling.outage import INTERNAL, describe
from exporter.polling.publisher import Publisher
from exporter.polling.retention import Retention
from exporter.polling.saved import Saved
from exporter.polling.source import Sources, TargetStore
from exporter.polling.target_state import (
    NO_ANSWERS,
    Snapshot,
    TargetData,
    TargetState,
)
from exporter.runtime.clock import Clock
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.telemetry import Telemetry

PUT_OFF = (
    "the data are too old: no poll was possible for {:.0f} s, as the budget or Azure's Retry-After "
    "put it off; poll less often, lower polling.budget_share, or spread the sets over subscriptions"
)

_log = structlog.get_logger(__name__)


class Poller(ModelPoller):
    """Polls targets and writes what was found into their states; knows nothing of when.

    Args:
        mapper: the catalogue as configured.
        publisher: serves what is known of each target.
        telemetry: the exporter's own metrics.
        retention: how long answers are kept.
        cooperative: where mapping yields to other tasks.
        store: saves states, so that they outlive a restart; None for a process that saves none.
    """

    def __init__(
        self,
        *,
        sources: Sources,
        mapper: Mapper,
        publisher: Publisher,
        telemetry: Telemetry,
        clock: Clock,
        retention: Retention,
        cooperative: CooperativeScheduler | None = None,
        store: TargetStore | None = None,
    ) -> None:
        super().__init__(
            sources=sources,
            mapper=mapper,
            publisher=publisher,
            telemetry=telemetry,
            clock=clock,
            retention=retention,
            store=store,
        )
        self._cooperative = cooperative or CooperativeScheduler()
        self._listing = Listing(sources, mapper, self._cooperative, clock=clock)
        # Counters start at 0 for every label set that can be known, or increase() misses the
        # first failure.
        for result in ("success", "failure"):
            telemetry.counter("polls_total", result=result)
        for reason in (*REASONS, INTERNAL):
            telemetry.counter("poll_failures_total", reason=reason)
        for family in CATALOGUE:
            if any(family.source):
                telemetry.counter("mapping_errors_total", family=family.name)

    def adopt(self, state: TargetState) -> None:
        """Continue with what the poller of another configuration has found.

        A fault is logged and passed over: the next poll writes all of it anew.
        """
        try:
            self._adopt(state.data)
        except Exception:  # noqa: BLE001 - see above
            _log.exception("target not adopted", scale_set=str(state.target.scale_set))

    def _adopt(self, data: TargetData) -> None:
        if data.snapshot and not self._mapper.messages:
            # Nothing may show the messages that were kept until now.
            mapped = replace(data.snapshot.mapped, details=b"")
            data.snapshot = replace(data.snapshot, mapped=mapped)
        update_waiting_codes(data, self._mapper, self._clock.monotonic())

    def removed(self, state: TargetState) -> None:
        """Let go of what polls have found; one that is under way finds nothing any more."""
        state.data = TargetData(poll=PollState(interval=state.target.interval))

    def updated(self, state: TargetState, before: Target) -> None:
        """Drop what was rendered with other labels or in another spelling; counters go on."""
        if state.target.has_series_of(before):
            return
        old = state.data
        poll = PollState(interval=state.target.interval, last_success=old.poll.last_success)
        state.data = TargetData(
            poll=replace(poll, model_last_success=old.poll.model_last_success),
            model=old.model,
            model_interval=old.model_interval,
            details=old.details,
            memory=old.memory,
            codes_until=old.codes_until,
        )

    def set_interval(self, state: TargetState, interval: float) -> None:
        """Show the seconds between two polls that are in force, and keep the data as they ask."""
        data = state.data
        if interval == data.poll.interval:
            return
        # What is gone stays gone.
        if data.snapshot:
            data.snapshot = self._retention.prolonged(data.snapshot, interval)
        self._publish(state, replace(data.poll, interval=interval))

    async def restore(self, found: AsyncIterable[tuple[TargetState, Saved]]) -> None:
        """Serve what an earlier process saved, as old as it is: `azure_vmss_up` stays 0."""
        async for state, saved in found:
            if state.is_new:
                self._restore(state, saved)

    async def keep_expiring(self) -> None:
        """Serve no longer what becomes too old, whether anything is polled or not."""
        while True:
            await self.expire()
            left = self._publisher.next_expiry() - self._clock.monotonic()
            await self._clock.sleep(self._retention.next_check(left))

    async def expire(self) -> None:
        """Serve no longer what is too old by now, and count the failure codes that have waited."""
        now = self._clock.monotonic()
        for state in self._publisher.expired():
            if not state.removed:
                self._expire(state, now)
            # In an outage all sets expire at nearly the same time, at 0.3 ms each.
            await asyncio.sleep(0)

    async def poll(
        self, state: TargetState, reservation: Reservation | None = None
    ) -> NoAnswer | None:
        """Poll the instances of one target and swap its snapshot.

        Returns the error that made the poll fail, or why it was not made, for the scheduler to act
        on; None after a success, or after a fault of the exporter itself. What is found of a set
        that was removed, or got other labels, in the meantime is dropped.
        """
        begun, data = self._clock.monotonic(), state.data
        error: NoAnswer | None = None
        try:
            mapped = await self._walk(state, reservation)
        except NotSent as not_sent:
            error = not_sent
        except AzureError as failure:
            error = failure
            if state.data is not data:
                return error
            if state.data.confirmation.failed(failure, self._clock.monotonic()):
                self._remove_data(state)
            self._failed(state, failure, begun)
        except Exception:  # noqa: BLE001 - see the comment
            # The one broad catch: a fault in one set's mapping must not end the other sets'
            # polls. The traceback is logged and the last good snapshot stays.
            if not state.outage.knows(INTERNAL):
                _log.exception("poll crashed", scale_set=str(state.target.scale_set))
            if state.data is not data:
                return None
            state.data.confirmation.failed(None, self._clock.monotonic())
            self._failed(state, None, begun)
        else:
            if state.data is data:
                self._succeeded(state, mapped, begun)
        return error

    def _restore(self, state: TargetState, saved: Saved) -> None:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        data = state.data
        poll = data.poll
        data.memory = saved.memory
        data.memory.transitions = Transitions.from_state(saved.transitions)
        update_waiting_codes(data, self._mapper, monotonic)
        if saved.last_success is not None:
            poll = replace(poll, last_success=saved.last_success)
            since = monotonic - (now - saved.last_success)
            until = since + self._retention.seconds(poll.interval)
            if saved.mapped is not None and until > monotonic:
                data.snapshot = Snapshot(mapped=saved.mapped, since=since, served_until=until)
        if saved.model_fetched is not None:
            poll = replace(poll, model_last_success=saved.model_fetched)
            if saved.model is not None:
                since = monotonic - (now - saved.model_fetched)
                model = self._model_snapshot(data, saved.model, since)
                data.model = model if model.served_until > monotonic else None
        self._publish(state, poll)

    async def _walk(self, state: TargetState, reservation: Reservation | None) -> MappedInstances:
        data, memory = state.data, state.data.memory
        mapping = None
        if not data.is_flexible:
            try:
                mapping = await self._listing.walk(state, reservation, flexible=False)
            except FlexibleNotSupported:
                _log.info("scale set is flexible", scale_set=str(state.target.scale_set))
                data.listed_as_flexible, reservation = True, None
        if mapping is None:
            mapping = await self._listing.walk(state, reservation, flexible=True)
        data.confirmation.check(
            instances=mapping.instances,
            lost=mapping.lost,
            capacity=state.capacity,
            last_walk=memory.instances,
        )
        async with self._cooperative.chunk():
            return mapping.finish()

    def _succeeded(self, state: TargetState, mapped: MappedInstances, begun: float) -> None:
        now, data = self._clock.monotonic(), state.data
        duration = now - begun
        kept = self._retention.seconds(data.poll.interval)
        data.snapshot = Snapshot(mapped=mapped, since=now, served_until=now + kept)
        data.confirmation.succeeded(instances=mapped.instances)
        update_waiting_codes(data, self._mapper, now)
        self._publish(
            state,
            replace(
                data.poll,
                up=True,
                tried=True,
                reason=None,
                message=None,
                last_success=self._clock.now(),
                duration=duration,
            ),
        )
        self._count("success", duration)
        for family, count in mapped.mapping_errors.items():
            self._telemetry.counter("mapping_errors_total", family=family).inc(count)
        self._telemetry.counter("unknown_status_codes_total").inc(mapped.unknown_codes)
        state.outage.ended(state.target.scale_set, now)
        self._save(state)
        _log.debug(
            "polled",
            scale_set=str(state.target.scale_set),
            instances=mapped.instances,
            seconds=round(duration, 3),
        )

    def _failed(self, state: TargetState, error: AzureError | None, begun: float) -> None:
        """Record a failed poll; None is a fault of the exporter."""
        now = self._clock.monotonic()
        duration = now - begun
        reason, message, logged = describe(error, messages=self._mapper.messages)
        state.outage.failing(state.target.scale_set, reason, logged, now)
        state.outage.poll_failed()
        self._publish(
            state,
            replace(
                state.data.poll,
                up=False,
                tried=True,
                reason=reason,
                message=message,
                duration=duration,
            ),
        )
        self._count("failure", duration)
        self._telemetry.counter("poll_failures_total", reason=reason).inc()

    def _remove_data(self, state: TargetState) -> None:
        """Remove the data of a set that does not exist any more."""
        if state.data.snapshot or state.data.model:
            state.data.snapshot = state.data.model = None
            state.data.details = NO_ANSWERS
            self._save(state)

    def _expire(self, state: TargetState, now: float) -> None:
        data = state.data
        if over := [code for code, until in data.codes_until.items() if until <= now]:
            count_codes(data, over, self._mapper, now)
            # Or the next process would count the same once more.
            self._save(state)
        poll, snapshot = data.poll, data.snapshot
        if snapshot and snapshot.served_until <= now:
            data.snapshot = None
            if poll.up:
                # No poll has failed, but without data the set is not up.
                message = PUT_OFF.format(now - snapshot.since)
                state.outage.failing(state.target.scale_set, Throttled.reason, message, now)
                poll = replace(poll, up=False, reason=Throttled.reason, message=message)
        self._publish(state, poll)

    def _count(self, result: str, duration: float) -> None:
        self._telemetry.counter("polls_total", result=result).inc()
        self._telemetry.histogram("poll_duration_seconds").observe(duration)
