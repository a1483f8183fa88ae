"""One poll of one scale set: fetch, decode, map, swap; and what a failure leaves in place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from contextlib import aclosing
from dataclasses import replace
from math import inf

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
from exporter.azure.scale_sets import Restart
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.mapper import MappedInstances, Mapper, family_of
from exporter.metrics.transitions import Transitions
from exporter.model.poll import PollState
from exporter.model.scale_set import ScaleSetModel, Target
from exporter.polling.counters import count_codes, show_counters
from exporter.polling.retention import Retention
from exporter.polling.saved import Saved
from exporter.polling.series_limit import SeriesLimit
from exporter.polling.served import Served
from exporter.polling.source import ScaleSetSource, TargetStore
from exporter.polling.target_state import ModelSnapshot, Snapshot, Suppressed, TargetState
from exporter.runtime.clock import Clock
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.telemetry import Telemetry

INTERNAL = "internal"
"""The reason of a failure that is the exporter's own fault."""

FAULT = "a fault of the exporter; see its log"

PUT_OFF = (
    "the data are too old: no poll was possible for {:.0f} s, as the budget or Azure's Retry-After "
    "put it off; poll less often, lower polling.budget_share, or spread the sets over subscriptions"
)

_log = structlog.get_logger(__name__)


class Poller:
    """Polls targets and keeps their records; knows nothing of when.

    Args:
        source: the Azure client.
        mapper: the catalogue as configured.
        telemetry: the exporter's own metrics.
        clock: the time.
        retention: how long answers are kept.
        max_series: the limit on the series about Azure; 0 for none.
        cooperative: where mapping yields to other tasks.
        store: who lets the records outlive a restart; None for nobody.
    """

    def __init__(
        self,
        *,
        source: ScaleSetSource,
        mapper: Mapper,
        telemetry: Telemetry,
        clock: Clock,
        retention: Retention,
        max_series: int = 0,
        cooperative: CooperativeScheduler | None = None,
        store: TargetStore | None = None,
    ) -> None:
        self._source = source
        self._mapper = mapper
        self._telemetry = telemetry
        self._clock = clock
        self._retention = retention
        self._limit = SeriesLimit(max_series)
        self._cooperative = cooperative or CooperativeScheduler()
        self._store = store
        self._records: list[TargetState] = []
        self.served = Served(mapper.families)
        """What is served of all records."""
        # Counters start at 0 for every label set that can be known, or increase() misses the
        # first failure.
        for result in ("success", "failure"):
            telemetry.counter("polls_total", result=result)
        for reason in (*REASONS, INTERNAL):
            telemetry.counter("poll_failures_total", reason=reason)
        for family in CATALOGUE:
            if any(family.source):
                telemetry.counter("mapping_errors_total", family=family.name)

    def new_record(self, target: Target) -> TargetState:
        """The record of a target that was never polled: `azure_vmss_up` is 0."""
        poll = PollState(interval=target.interval)
        record = TargetState(target=target, poll=poll, poll_lines=self._mapper.poll(target, poll))
        self._records.append(record)
        self.served.add(record, self._clock.monotonic())
        return record

    def adopt(self, record: TargetState, target: Target, *, details: bool = True) -> None:
        """Go on with a record of the poller before, whose data and counters stay.

        Args:
            record: of the same scale set.
            target: the set as it is configured now.
            details: whether the instances' JSON may still be shown as it was made.
        """
        record.target = target
        snapshot, facts = record.snapshot, record.facts
        if snapshot and not details:
            record.snapshot = replace(snapshot, mapped=replace(snapshot.mapped, details=b""))
        if facts:
            record.facts = replace(facts, lines=self._mapper.facts(target, facts.facts))
        record.suppressed = Suppressed.NOTHING
        record.poll = replace(record.poll, interval=target.interval, suppressed=False)
        record.poll_lines = self._mapper.poll(target, record.poll)
        show_counters(record, self._mapper, self._clock.monotonic())
        self._records.append(record)
        self.served.add(record, self._clock.monotonic())

    def set_interval(self, record: TargetState, interval: float) -> None:
        """Show the seconds between two polls that are in force, and keep the data as they ask."""
        if interval == record.poll.interval:
            return
        # What is gone stays gone.
        if snapshot := record.snapshot:
            record.snapshot = self._retention.prolonged(snapshot, interval)
        self._put(record, replace(record.poll, interval=interval))

    def set_model_interval(self, record: TargetState, interval: float) -> None:
        """Keep the facts as the seconds between two GETs ask that are in force."""
        now = self._clock.monotonic()
        facts = record.live_model(now)
        if facts and interval != record.model_interval:
            record.facts = self._retention.prolonged(facts, interval)
            self.served.show(record, now)
        record.model_interval = interval

    async def restore(self, found: AsyncIterable[tuple[TargetState, Saved]]) -> None:
        """Serve what an earlier process left, as old as it is: `azure_vmss_up` stays 0."""
        async for record, saved in found:
            if record.is_new:
                self._restore(record, saved)

    async def keep_expiring(self) -> None:
        """Serve no longer what becomes too old, whether anything is polled or not."""
        while True:
            await self.expire()
            ends = (record.shown_until for record in self._records)
            left = min(ends, default=inf) - self._clock.monotonic()
            await self._clock.sleep(self._retention.next_check(left))

    async def expire(self) -> None:
        """Serve no longer what is too old by now, and count the failure codes that have waited."""
        now = self._clock.monotonic()
        for record in [record for record in self._records if record.shown_until <= now]:
            self._expire(record, now)
            # In an outage all sets expire at nearly the same time, at 0.3 ms each.
            await asyncio.sleep(0)

    async def poll(
        self, record: TargetState, reservation: Reservation | None = None
    ) -> NoAnswer | None:
        """Poll the instances of one target and swap its snapshot.

        Returns the error that made the poll fail, or why it was not made, for the scheduler to act
        on; None after a success, or after a fault of the exporter itself.
        """
        begun = self._clock.monotonic()
        error: NoAnswer | None = None
        try:
            mapped = await self._walk(record, reservation)
        except NotSent as put_off:
            error = put_off
        except AzureError as failure:
            error = failure
            if record.confirmation.failed(failure, self._clock.monotonic()):
                self._remove(record)
            self._failed(record, failure, begun)
        except Exception:  # noqa: BLE001 - see the comment
            # The one broad catch: a fault in one set's mapping must not end the other sets'
            # polls. The traceback is logged and the last good snapshot stays.
            if not record.outage.knows(INTERNAL):
                _log.exception("poll crashed", scale_set=str(record.target.scale_set))
            record.confirmation.failed(None, self._clock.monotonic())
            self._failed(record, None, begun)
        else:
            self._succeeded(record, mapped, begun)
        return error

    async def poll_model(
        self, record: TargetState, reservation: Reservation | None = None
    ) -> NoAnswer | None:
        """Get the facts of one target; a failure leaves the old ones and is said once."""
        scale_set = record.target.scale_set
        try:
            facts, problems = await self._source.scale_set_model(
                scale_set, location=record.location, reservation=reservation
            )
        except NotSent as put_off:
            return put_off
        except AzureError as error:
            self._model_failed(record, error)
            return error
        except Exception:  # noqa: BLE001 - as in poll: a fault in one set's facts ends no other
            if record.model_reason != INTERNAL:
                _log.exception("facts poll crashed", scale_set=str(scale_set))
            self._model_failed(record, None)
            return None
        if record.model_reason is not None:
            _log.info("facts recovered", scale_set=str(scale_set))
        record.model_reason = record.model_message = None
        for problem in problems:
            family = family_of(problem.path, of_scale_set=True)
            self._telemetry.counter("mapping_errors_total", family=family).inc()
        record.facts = self._model_snapshot(record, facts, self._clock.monotonic())
        self._put(record, replace(record.poll, model_last_success=self._clock.now()))
        self._keep(record)
        return None

    def _restore(self, record: TargetState, saved: Saved) -> None:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        poll = record.poll
        record.memory = saved.memory
        record.memory.transitions = Transitions.from_state(saved.transitions)
        show_counters(record, self._mapper, monotonic)
        if saved.last_success is not None:
            poll = replace(poll, last_success=saved.last_success)
            since = monotonic - (now - saved.last_success)
            until = since + self._retention.seconds(poll.interval)
            if saved.mapped is not None and until > monotonic:
                record.snapshot = Snapshot(mapped=saved.mapped, since=since, served_until=until)
        if saved.facts_fetched is not None:
            poll = replace(poll, model_last_success=saved.facts_fetched)
            if saved.facts is not None:
                since = monotonic - (now - saved.facts_fetched)
                facts = self._model_snapshot(record, saved.facts, since)
                record.facts = facts if facts.served_until > monotonic else None
        self._put(record, poll)

    def _model_snapshot(
        self, record: TargetState, facts: ScaleSetModel, since: float
    ) -> ModelSnapshot:
        return ModelSnapshot(
            facts=facts,
            lines=self._mapper.facts(record.target, facts),
            since=since,
            served_until=since + self._retention.seconds(record.model_interval),
        )

    def _keep(self, record: TargetState) -> None:
        if self._store is not None:
            self._store.keep(record)

    async def _walk(self, record: TargetState, reservation: Reservation | None) -> MappedInstances:
        scale_set = record.target.scale_set
        facts = record.live_model(self._clock.monotonic())
        if facts and facts.facts.is_flexible:
            raise FlexibleNotSupported.of(scale_set)
        mapping = self._mapper.start(record.target, record.memory)
        pages = self._source.instance_pages(
            scale_set, location=record.location, reservation=reservation
        )
        async with aclosing(pages):
            async for page in pages:
                if isinstance(page, Restart):
                    mapping = self._mapper.start(record.target, record.memory)
                    continue
                await self._cooperative.run(mapping.steps(page))
        record.confirmation.check(
            instances=mapping.instances,
            lost=mapping.lost,
            capacity=record.capacity,
            last_walk=record.memory.instances,
        )
        async with self._cooperative.piece():
            return mapping.finish()

    def _succeeded(self, record: TargetState, mapped: MappedInstances, begun: float) -> None:
        now = self._clock.monotonic()
        duration = now - begun
        kept = self._retention.seconds(record.poll.interval)
        record.snapshot = Snapshot(mapped=mapped, since=now, served_until=now + kept)
        record.confirmation.succeeded(instances=mapped.instances)
        show_counters(record, self._mapper, now)
        self._put(
            record,
            replace(
                record.poll,
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
        record.outage.ended(record.target.scale_set, now)
        self._keep(record)
        _log.debug(
            "polled",
            scale_set=str(record.target.scale_set),
            instances=mapped.instances,
            seconds=round(duration, 3),
        )

    def _failed(self, record: TargetState, error: AzureError | None, begun: float) -> None:
        """Note a failed poll; None is a fault of the exporter."""
        now = self._clock.monotonic()
        duration = now - begun
        reason, message, logged = self._told(error)
        record.outage.failing(record.target.scale_set, reason, logged, now)
        record.outage.poll_failed()
        self._put(
            record,
            replace(
                record.poll,
                up=False,
                tried=True,
                reason=reason,
                message=message,
                duration=duration,
            ),
        )
        self._count("failure", duration)
        self._telemetry.counter("poll_failures_total", reason=reason).inc()

    def _model_failed(self, record: TargetState, error: AzureError | None) -> None:
        reason, record.model_message, logged = self._told(error)
        # While the polls fail too, they say so: one trouble is one line.
        if record.poll.up and reason != record.model_reason:
            record.model_reason = reason
            _log.warning(
                "facts failing",
                scale_set=str(record.target.scale_set),
                reason=reason,
                error=logged,
            )

    def _told(self, error: AzureError | None) -> tuple[str, str, str]:
        """The reason of a failure, its message, and what of it is logged."""
        if error is None:
            return INTERNAL, FAULT, FAULT
        # The advice is the exporter's own text, the rest may quote Azure.
        return error.reason, str(error), str(error) if self._mapper.messages else error.advice

    def _remove(self, record: TargetState) -> None:
        """Remove the data of a set that does not exist any more."""
        if record.snapshot or record.facts:
            record.snapshot = record.facts = None
            self._keep(record)

    def _expire(self, record: TargetState, now: float) -> None:
        if over := [code for code, until in record.codes_until.items() if until <= now]:
            count_codes(record, over, self._mapper, now)
            # Or the next process would count the same once more.
            self._keep(record)
        poll, snapshot = record.poll, record.snapshot
        if snapshot and snapshot.served_until <= now:
            record.snapshot = None
            if poll.up:
                # No poll has failed, but without data the set is not up.
                message = PUT_OFF.format(now - snapshot.since)
                record.outage.failing(record.target.scale_set, Throttled.reason, message, now)
                poll = replace(poll, up=False, reason=Throttled.reason, message=message)
        self._put(record, poll)

    def guard(self) -> None:
        """Keep the page within its limit, and log which sets are suppressed."""
        self._guard(self._records)

    def _guard(self, changed: Iterable[TargetState]) -> None:
        for record, level in self._limit.changes(changed, self.served.series):
            record.suppressed = level
            self._show(record, replace(record.poll, suppressed=level > Suppressed.NOTHING))

    def _count(self, result: str, duration: float) -> None:
        self._telemetry.counter("polls_total", result=result).inc()
        self._telemetry.histogram("poll_duration_seconds").observe(duration)

    def _put(self, record: TargetState, poll: PollState) -> None:
        self._show(record, poll)
        self._guard((record,))

    def _show(self, record: TargetState, poll: PollState) -> None:
        record.poll_lines = self._mapper.poll(record.target, poll)
        record.poll = poll
        self.served.show(record, self._clock.monotonic())
