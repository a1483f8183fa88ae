"""When polls happen: one beat per scale set, and none that can delay or end another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress

import structlog

from exporter.azure.errors import NoAnswer, NotSent
from exporter.azure.operation import GET_SCALE_SET, LIST_INSTANCES, Operation, Scope
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.azure.ratelimit.usage import Reservation
from exporter.model.scale_set import ScaleSetId, Target
from exporter.polling.concurrency import Slots
from exporter.polling.intervals import Intervals
from exporter.polling.poller import Poller
from exporter.polling.schedule import Backoff, first_due, next_due, phase_of
from exporter.polling.target_state import MODEL_INTERVAL, TargetState
from exporter.runtime.clock import Clock

MODEL_RETRY = 60.0
"""Seconds until a failed GET of a set's facts is tried again, if the interval is not stretched."""

RESUME_JITTER = 60.0

MODEL_LEAD = 0.5
"""Seconds by which a set's facts come before its first poll: they tell the region and the size,
which the budget goes by."""

LOOK_AGAIN = (5.0, 60.0)
"""At least and at most so many seconds pass until a set that waits looks at its interval again; a
quarter of it where that lies between them."""

CLOSE_LIMIT = 10.0
"""Seconds for polls under way at a reload that changes something; Azure takes one or two. Longer
ones begin anew."""

TASKS_AT_A_TIME = 50
"""Sets that begin, or tasks that end, at a time: some milliseconds of work."""

_SAME_INTERVAL = 0.01

_log = structlog.get_logger(__name__)

Poll = Callable[[TargetState, Reservation], Awaitable[object]]


class Scheduler:
    """Keeps the beat of every target.

    Args:
        records: the targets, each with what is known of it.
        poller: what polls them.
        gate: until when Azure asked to wait.
        lanes: how many polls run at a time.
        clock: the time.
        budget: what may be spent of Azure's limits.
    """

    def __init__(
        self,
        *,
        records: Iterable[TargetState],
        poller: Poller,
        gate: RetryAfterGate,
        lanes: Slots,
        clock: Clock,
        budget: Budget,
    ) -> None:
        self.records = tuple(records)
        self._budget = budget
        self._intervals = Intervals(self.records, budget=budget, clock=clock)
        self._poller = poller
        self._gate = gate
        self._lanes = lanes
        self._clock = clock
        # Unix time as it was at the start, carried on by the monotonic clock: a wall clock that
        # is set forward or back must neither hold polls back nor make them bunch up.
        self._epoch = clock.now() - clock.monotonic()
        self._due: dict[Target, float] = {}
        self._polling: set[TargetState] = set()
        self._poll_ended = asyncio.Event()
        self._closed = False
        self.begun = asyncio.Event()
        """Set while every poll loop runs: not before all have started."""

    async def run(self) -> None:
        """Poll until cancelled. A poll loop that ends by itself is a fault and ends the others.

        After a cancellation it may run again, and continues where it was.
        """
        self._closed = False
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._poller.keep_expiring(), name="expiry")]
            try:
                for number, record in enumerate(self.records):
                    await _pause(number)
                    name = str(record.target.scale_set)
                    for kind, beat in (("poll", self._beat), ("facts", self._model_loop)):
                        work = self._watched(beat, record)
                        tasks.append(group.create_task(work, name=f"{kind} {name}"))
                self.begun.set()
                # Until the cancellation, or until a crashed poll loop makes the group cancel it.
                await asyncio.Event().wait()
            finally:
                self.begun.clear()
                for number, task in enumerate(tasks):
                    await _pause(number)
                    task.cancel()
                # A cancelled group is a cycle with this frame, which would keep all poll loops.
                tasks.clear()

    async def close(self, staying: Collection[ScaleSetId]) -> None:
        """Begin no poll any more, and wait for those of some sets that are under way.

        To be called before the cancellation, so that what they have fetched so far counts.

        Args:
            staying: the sets to wait for, but not longer than `CLOSE_LIMIT`.
        """
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT):
                while any(record.target.scale_set in staying for record in self._polling):
                    self._poll_ended.clear()
                    await self._poll_ended.wait()

    async def poll_once(self) -> None:
        """Poll every target once, facts included, and return when all have ended."""
        async with asyncio.TaskGroup() as group:
            for record in self.records:
                group.create_task(self._once(record))

    def lag(self) -> float:
        """The largest delay, in seconds, of a poll that is due and has not begun."""
        now = self._time()
        return max((0.0, *(now - due for due in self._due.values())))

    def _time(self) -> float:
        return self._epoch + self._clock.monotonic()

    async def _once(self, record: TargetState) -> None:
        # First the facts: they tell a Flexible set and the location that limits are counted by.
        slow = 0
        for operation, poll in (
            (GET_SCALE_SET, self._poller.poll_model),
            (LIST_INSTANCES, self._poller.poll),
        ):
            reservation = await self._reserve(record, operation, slow=slow)

            async def work(poll: Poll = poll, reservation: Reservation = reservation) -> None:
                await poll(record, reservation)

            slow = await self._lanes.run(work, slow=slow)
            self._budget.close(reservation)

    async def _watched(
        self, beat: Callable[[TargetState], Awaitable[None]], record: TargetState
    ) -> None:
        """Make sure that no beat ends unseen, whether by returning or by raising."""
        try:
            await beat(record)
        except Exception:
            _log.exception("poll loop crashed", scale_set=str(record.target.scale_set))
            raise
        raise RuntimeError(f"the beat of {record.target.scale_set} ended by itself")

    async def _beat(self, record: TargetState) -> None:
        target = record.target
        phase = phase_of(target.scale_set)
        interval = self._interval(record)
        due = self._first(record.due, phase, interval, lead=MODEL_LEAD)
        # The first poll is off the beat, and so is every one while the interval is stretched.
        beat: float | None = None
        begun = due
        slow = 0
        backoff, earliest = Backoff(), 0.0
        error: NoAnswer | None = None

        async def poll() -> None:
            nonlocal error, begun
            if self._closed:
                # It would be cancelled in its midst.
                self._ended(record)
                await asyncio.Event().wait()
            self._due.pop(target, None)
            begun = self._time()
            self._polling.add(record)
            error = await self._poller.poll(record, reservation)

        while True:
            interval = await self._until_due(record, due, interval, earliest=earliest)
            await self._until_allowed(record, phase)
            reservation = await self._reserve(record, LIST_INSTANCES, slow=slow)
            try:
                slow = await self._lanes.run(poll, slow=slow)
            finally:
                self._budget.close(reservation)
            if isinstance(error, NotSent):
                self._ended(record)
                # Put off by a hold that came while it waited: it is due when that ends.
                await self._clock.sleep(error.retry_after + _resume_jitter(record, phase))
                self._due[target] = due = self._time()
                continue
            self._intervals.polled(record, error)
            before, interval = interval, self._interval(record)
            earliest = self._time() + backoff.after(error)
            if interval != self._intervals.requested(record):
                # Stretched. The budget spreads the sets, so each goes on from where it was.
                due, beat = max(earliest, begun + interval), None
                continue
            # Half an interval at least lies between a poll off the beat and the next.
            after = due if beat == due and before == interval else begun + interval / 2
            due = beat = next_due(max(earliest, after), phase=phase, interval=interval)

    def _first(
        self, planned: float | None, phase: float, interval: float, *, lead: float = 0.0
    ) -> float:
        """When a set is due first, as Unix time; one that an earlier scheduler planned goes on."""
        now = self._time()
        if planned is not None:
            # Not later than after a first poll, for the interval may be shorter than it was; and
            # no sooner, or a set that was just polled would be so again.
            latest = next_due(now + interval / 2, phase=phase, interval=interval)
            return min(planned + self._epoch, latest)
        return first_due(now + lead, phase=phase, interval=interval, targets=len(self.records))

    async def _until_due(
        self, record: TargetState, due: float, interval: float, *, earliest: float
    ) -> float:
        """Wait until a poll is due; the result is the interval that is in force then.

        When the interval in force changes meanwhile, what is left of the wait changes by the same
        factor, but not to before the earliest time: sets that were spread over the old interval
        are spread over the new one.
        """
        while True:
            self._due[record.target] = due
            record.due = due - self._epoch
            self._ended(record)
            left = due - self._time()
            if left <= 0:
                # Even a beat that is late lets everybody else have their turn.
                await self._clock.sleep(0)
                return interval
            shortest, longest = LOOK_AGAIN
            await self._clock.sleep(min(left, max(shortest, min(longest, interval / 4))))
            before, interval = interval, self._interval(record)
            if interval != before:
                now = self._time()
                due = max(earliest, now + (due - now) * interval / before)

    def _ended(self, record: TargetState) -> None:
        """Forget a poll: it has ended, and the record holds when the next one is due."""
        self._polling.discard(record)
        self._poll_ended.set()

    def _interval(self, record: TargetState) -> float:
        """The interval in force, which is shown from now on."""
        interval = self._intervals.of(record)
        shown = record.poll.interval
        stretched = interval != self._intervals.requested(record)
        if not stretched or abs(interval - shown) > _SAME_INTERVAL * shown:
            self._poller.set_interval(record, interval)
        return record.poll.interval

    async def _until_allowed(self, record: TargetState, phase: float) -> None:
        """Wait as long as Azure asked to be left alone."""
        while wait := self._wait(record):
            await self._clock.sleep(wait + _resume_jitter(record, phase))

    async def _reserve(
        self, record: TargetState, operation: Operation, *, slow: int
    ) -> Reservation:
        """Wait until the budget allows the call."""
        return await self._budget.reserve(
            operation,
            Scope.of(record.target.scale_set, record.location),
            instances=record.capacity,
            # One that was slow waits for a slot first, maybe for long: see Slots.
            hold=not slow,
        )

    async def _model_loop(self, record: TargetState) -> None:
        target = record.target
        phase = phase_of(target.scale_set)
        interval = self._model_interval(record)
        due = self._first(record.model_due, phase, interval)
        begun = due
        slow = 0
        backoff = Backoff()
        error: NoAnswer | None = None

        async def poll() -> None:
            nonlocal error, begun
            begun = self._time()
            error = await self._poller.poll_model(record, reservation)

        while True:
            await self._until_model_due(record, due)
            await self._until_allowed(record, phase)
            reservation = await self._reserve(record, GET_SCALE_SET, slow=slow)
            try:
                slow = await self._lanes.run(poll, slow=slow)
            finally:
                self._budget.close(reservation)
            if isinstance(error, NotSent):
                await self._clock.sleep(error.retry_after + _resume_jitter(record, phase))
                continue
            interval = self._model_interval(record)
            stretch = interval / MODEL_INTERVAL
            earliest = self._time() + backoff.after(error)
            if error is not None:
                interval = max(MODEL_RETRY * stretch, earliest - self._time())
            if stretch > 1:
                # As for the lists: the pacing spreads the sets.
                due = max(earliest, begun + interval)
            else:
                after = max(self._time(), due) + interval / 2
                due = next_due(max(earliest, after), phase=phase, interval=interval)

    async def _until_model_due(self, record: TargetState, due: float) -> None:
        """Wait until a GET is due, longer or shorter where the interval in force changes."""
        interval = self._model_interval(record)
        while True:
            record.model_due = due - self._epoch
            left = due - self._time()
            if left <= 0:
                return
            await self._clock.sleep(min(left, LOOK_AGAIN[1]))
            before, interval = interval, self._model_interval(record)
            if interval != before:
                now = self._time()
                due = now + (due - now) * interval / before

    def _model_interval(self, record: TargetState) -> float:
        """The interval between two GETs in force, which the facts are kept by from now on."""
        interval = self._intervals.of_model(record)
        known = record.model_interval
        if interval == MODEL_INTERVAL or abs(interval - known) > _SAME_INTERVAL * known:
            self._poller.set_model_interval(record, interval)
        return record.model_interval

    def _wait(self, record: TargetState) -> float:
        return self._gate.remaining(record.target.scale_set.subscription_id, record.location)


async def _pause(number: int) -> None:
    """Yield after every `TASKS_AT_A_TIME` of thousands of tasks.

    The loop runs all that are ready before it looks at its sockets: 2,500 sets started in one step
    of 300 ms.
    """
    if number % TASKS_AT_A_TIME == 0:
        await asyncio.sleep(0)


def _resume_jitter(record: TargetState, phase: float) -> float:
    """Seconds that a set waits beyond a hold's end.

    The sets of a hold start again spread over a minute, the length of Azure's windows: all at
    once they would meet the next hold together.
    """
    return phase * min(record.target.interval, RESUME_JITTER)
