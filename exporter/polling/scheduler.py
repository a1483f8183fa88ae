"""When periodic work is done: one loop per target and job, and none can delay or end another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from typing import NamedTuple

import structlog

from exporter.azure.errors import NoAnswer, NotSent
from exporter.azure.operation import LIST_INSTANCES
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.azure.ratelimit.usage import Reservation
from exporter.model.scale_set import ScaleSetId, Target
from exporter.polling.concurrency import Slots
from exporter.polling.jobs import Job
from exporter.polling.schedule import START_SPACING, Backoff, first_due, next_due, phase_of
from exporter.polling.target_state import TargetState
from exporter.polling.targets import Observer
from exporter.runtime.clock import Clock
from exporter.runtime.overdue import Overdue

RESUME_JITTER = 60.0

LOOK_AGAIN = (5.0, 60.0)
"""At least and at most so many seconds pass until a loop that waits looks at its interval again; a
quarter of it where that lies between them."""

CLOSE_LIMIT = 10.0
"""Seconds for polls under way at a reload that changes how they are made; Azure takes one or two.
Longer ones begin anew."""

TASKS_AT_A_TIME = 50
"""Sets that begin, or tasks that end, at a time: some milliseconds of work."""

_log = structlog.get_logger(__name__)


class _Run(NamedTuple):
    """One run of a job: when it began, as Unix time, and why it failed or was not done."""

    begun: float
    error: NoAnswer | None


class Scheduler(Observer):
    """Runs the jobs of every target when they are due.

    Args:
        targets: the scale sets that are polled; those that come or go are passed to `added`
            and `removed`.
        jobs: what is done for each of them, in the order in which it is done once.
        expiry: what removes data that are too old, until it is cancelled.
        gate: until when Azure asked to wait.
        slots: how many jobs run at a time.
        budget: what may be spent of Azure's limits.
    """

    def __init__(
        self,
        *,
        targets: Iterable[TargetState],
        jobs: tuple[Job, ...],
        expiry: Callable[[], Awaitable[None]],
        gate: RetryAfterGate,
        slots: Slots,
        clock: Clock,
        budget: Budget,
        overdue: Overdue,
    ) -> None:
        self._targets = targets
        self._jobs = jobs
        self._expiry = expiry
        self._gate = gate
        self._slots = slots
        self._clock = clock
        self._budget = budget
        self._overdue = overdue
        # Unix time as it was at the start, carried on by the monotonic clock: a wall clock that
        # is set forward or back must neither hold polls back nor make them bunch up.
        self._epoch = clock.now() - clock.monotonic()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[TargetState, list[asyncio.Task[None]]] = {}
        # When the first run of the target that came last may begin, as Unix time.
        self._last_first = 0.0
        # Those that a job runs for, once for each job.
        self._running: list[TargetState] = []
        self._run_ended = asyncio.Event()
        self._closed = False
        self.begun = asyncio.Event()
        """Set while every loop runs: not before all have started."""

    async def run(self) -> None:
        """Run until cancelled. A loop that ends by itself is a fault and ends the others.

        After a cancellation it may run again, and continues where it was.
        """
        self._closed = False
        async with asyncio.TaskGroup() as group:
            expiry = group.create_task(_until_cancelled(self._expiry), name="expiry")
            try:
                self._tasks.clear()
                self._group = group
                await self._start_all()
                self.begun.set()
                # Until the cancellation, or until a crashed loop makes the group cancel it.
                await asyncio.Event().wait()
            finally:
                self._group = None
                self.begun.clear()
                expiry.cancel()
                for number, state in enumerate(tuple(self._tasks)):
                    await _pause(number)
                    self._stop(state)

    def added(self, state: TargetState) -> None:
        """Run the jobs of a target from now on.

        Those that come together begin one after the other, as those that are there at a start do.
        """
        if self._group is not None:
            self._last_first = max(self._time(), self._last_first + START_SPACING)
            self._start(state, at=self._last_first, together=1)

    def updated(self, state: TargetState, before: Target) -> None:
        """Begin anew with a target whose labels or spelling are others: its data are gone."""
        if state.target.has_series_of(before):
            for job in self._jobs:
                job.interval(state)
            return
        self.removed(state)
        state.due = {}
        self.added(state)

    def removed(self, state: TargetState) -> None:
        """End the jobs of a target, those under way included."""
        self._stop(state)
        for job in self._jobs:
            self._slots.forget((state, job))

    async def close(self, staying: Collection[ScaleSetId]) -> None:
        """Begin no job any more, and wait for those of some sets that are under way.

        To be called before the cancellation, so that what they have fetched so far counts.

        Args:
            staying: the sets to wait for, but not longer than `CLOSE_LIMIT`.
        """
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT):
                while any(state.target.scale_set in staying for state in self._running):
                    self._run_ended.clear()
                    await self._run_ended.wait()

    async def run_once(self) -> None:
        """Do each job of every target once, and return when all have ended."""
        async with asyncio.TaskGroup() as group:
            for state in self._targets:
                group.create_task(self._once(state))

    async def _once(self, state: TargetState) -> None:
        for job in self._jobs:
            if job.wanted(state):
                await self._do(job, state)

    async def _start_all(self) -> None:
        targets, at = tuple(self._targets), self._time()
        for number, state in enumerate(targets):
            await _pause(number)
            self._start(state, at=at, together=len(targets))

    def _start(self, state: TargetState, *, at: float, together: int) -> None:
        if self._group is None or state in self._tasks or state.removed:
            return
        name = str(state.target.scale_set)
        self._tasks[state] = [
            self._group.create_task(
                self._watched(job, state, at, together), name=f"{job.operation.name} {name}"
            )
            for job in self._jobs
        ]

    def _stop(self, state: TargetState) -> None:
        for task in self._tasks.pop(state, ()):
            task.cancel()
        self._overdue.begins(state)

    async def _watched(self, job: Job, state: TargetState, at: float, together: int) -> None:
        """Make sure that no loop ends unseen, whether by returning or by raising."""
        try:
            await self._loop(job, state, at, together)
        except Exception:
            _log.exception("poll loop crashed", scale_set=str(state.target.scale_set))
            raise
        raise RuntimeError(f"the poll loop of {state.target.scale_set} ended by itself")

    async def _loop(self, job: Job, state: TargetState, at: float, together: int) -> None:
        phase = phase_of(state.target.scale_set)
        interval = job.interval(state)
        due = self._first(job, state, phase=phase, interval=interval, at=at, together=together)
        # The first run is off the schedule, and so is every one while the interval is stretched.
        scheduled: float | None = None
        pause = interval
        backoff, earliest = Backoff(), 0.0
        while True:
            interval = await self._until_due(job, state, due, interval, earliest=earliest)
            if not job.wanted(state):
                due = self._time() + interval
                continue
            await self._until_allowed(state, phase)
            begun, error = await self._do(job, state)
            if isinstance(error, NotSent):
                # Put off by a 429 that came while it waited: it is due when that ends.
                await self._clock.sleep(error.retry_after + _resume_jitter(state, phase))
                due = self._time()
                continue
            before, interval = pause, job.interval(state)
            requested = job.requested(state)
            earliest = self._time() + backoff.after(error)
            pause = interval
            if error is not None and job.retry is not None:
                pause = job.retry * interval / requested
            if interval != requested:
                # Stretched. The budget spreads the sets, so each goes on from where it was.
                due, scheduled = max(earliest, begun + pause), None
                continue
            # Half an interval at least lies between a run off the schedule and the next.
            after = due if scheduled == due and before == pause else begun + pause / 2
            due = scheduled = next_due(max(earliest, after), phase=phase, interval=pause)

    async def _do(self, job: Job, state: TargetState) -> _Run:
        """Run a job once, as soon as the budget allows it and a slot is free."""
        reservation = await self._budget.reserve(
            job.call(state),
            state.scope,
            instances=state.capacity,
            # One that was slow waits for a slot first, maybe for long: see Slots.
            in_advance=not self._slots.is_slow((state, job)),
        )
        try:
            return await self._slots.run(
                (state, job), lambda: self._run_job(job, state, reservation)
            )
        finally:
            self._budget.close(reservation)
            if state.removed:
                self._budget.forget(state.target.scale_set)

    async def _run_job(self, job: Job, state: TargetState, reservation: Reservation) -> _Run:
        if self._closed:
            # It would be cancelled in its midst.
            await asyncio.Event().wait()
        if job.operation == LIST_INSTANCES:
            self._overdue.begins(state)
        begun = self._time()
        self._running.append(state)
        try:
            return _Run(begun, await job.run(state, reservation))
        finally:
            self._running.remove(state)
            self._run_ended.set()

    def _time(self) -> float:
        return self._epoch + self._clock.monotonic()

    def _first(
        self,
        job: Job,
        state: TargetState,
        *,
        phase: float,
        interval: float,
        at: float,
        together: int,
    ) -> float:
        """When a job is due first, as Unix time; one that an earlier scheduler planned goes on."""
        now = self._time()
        planned = state.due.get(job.operation)
        if planned is not None:
            # Not later than after a first run, for the interval may be shorter than it was; and
            # no sooner, or a set that was just polled would be so again.
            latest = next_due(now + interval / 2, phase=phase, interval=interval)
            return min(planned + self._epoch, latest)
        if at - now >= interval:
            return next_due(now, phase=phase, interval=interval)
        at = max(now, at) + job.lead
        return first_due(at, phase=phase, interval=interval, targets=together)

    async def _until_due(
        self, job: Job, state: TargetState, due: float, interval: float, *, earliest: float
    ) -> float:
        """Wait until a job is due; the result is the interval that is in force then.

        When the interval in force changes meanwhile, what is left of the wait changes by the same
        factor, but not to before the earliest time: sets that were spread over the old interval
        are spread over the new one.
        """
        while True:
            state.due[job.operation] = due - self._epoch
            if job.operation == LIST_INSTANCES:
                self._overdue.waits(state, due - self._epoch)
            left = due - self._time()
            if left <= 0:
                # Even one that is late yields to other tasks.
                await self._clock.sleep(0)
                return interval
            shortest, longest = LOOK_AGAIN
            await self._clock.sleep(min(left, max(shortest, min(longest, interval / 4))))
            before, interval = interval, job.interval(state)
            if interval != before:
                now = self._time()
                due = max(earliest, now + (due - now) * interval / before)

    async def _until_allowed(self, state: TargetState, phase: float) -> None:
        """Wait as long as Azure asked to be left alone."""
        subscription_id = state.target.scale_set.subscription_id
        while wait := self._gate.remaining(subscription_id, state.location):
            await self._clock.sleep(wait + _resume_jitter(state, phase))


async def _until_cancelled(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _pause(number: int) -> None:
    """Yield after every `TASKS_AT_A_TIME` of thousands of tasks.

    The loop runs all that are ready before it looks at its sockets: 2,500 sets started in one step
    of 300 ms.
    """
    if number % TASKS_AT_A_TIME == 0:
        await asyncio.sleep(0)


def _resume_jitter(state: TargetState, phase: float) -> float:
    """Seconds that a set waits beyond the end of a `Retry-After`.

    The sets that waited for it start again spread over a minute, the length of Azure's windows:
    all at once they would meet the next 429 together.
    """
    return phase * min(state.target.interval, RESUME_JITTER)
