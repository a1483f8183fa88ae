"""The periodic work on a target: its instances are listed, and its model is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from exporter.azure.errors import NoAnswer, NotSent
from exporter.azure.operation import GET_SCALE_SET, LIST_INSTANCES, Operation
from exporter.azure.ratelimit.usage import Reservation
from exporter.polling.intervals import Intervals
from exporter.polling.poller import Poller
from exporter.polling.target_state import MODEL_INTERVAL, TargetState

MODEL_RETRY = 60.0
"""Seconds until a failed GET of a model is tried again, if the interval is not stretched."""

MODEL_LEAD = 0.5
"""Seconds by which a set's model comes before its first list: it tells the region and the size,
which the budget goes by."""

_SAME_INTERVAL = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One kind of periodic work on a target; intervals are seconds.

    Attributes:
        operation: what it calls; of several that do the same, the one that names the job.
        call: what it calls for a target.
        run: does it once; the result is why it failed or was not done, or None.
        requested: the interval that is asked for.
        planned: the interval that the budget allows at this moment.
        in_force: the interval that is shown and that data are kept by.
        put_in_force: changes that.
        wanted: whether it is to be done, once it is due.
        lead: by how much the first run may come after that of the other jobs.
        retry: the interval after a failure; None for the usual one.
    """

    operation: Operation
    call: Callable[[TargetState], Operation]
    run: Callable[[TargetState, Reservation], Awaitable[NoAnswer | None]]
    requested: Callable[[TargetState], float]
    planned: Callable[[TargetState], float]
    in_force: Callable[[TargetState], float]
    put_in_force: Callable[[TargetState, float], None]
    wanted: Callable[[TargetState], bool] = lambda _: True
    lead: float = 0.0
    retry: float | None = None

    def interval(self, state: TargetState) -> float:
        """The interval in force, brought up to date with the plan."""
        planned, in_force = self.planned(state), self.in_force(state)
        stretched = planned != self.requested(state)
        if not stretched or abs(planned - in_force) > _SAME_INTERVAL * in_force:
            self.put_in_force(state, planned)
        return self.in_force(state)


def jobs_of(poller: Poller, intervals: Intervals) -> tuple[Job, ...]:
    """The jobs of every target, in the order in which they are done once."""

    async def list_instances(state: TargetState, reservation: Reservation) -> NoAnswer | None:
        error = await poller.poll(state, reservation)
        if not isinstance(error, NotSent):
            intervals.polled(state, error)
        return error

    # The model first: it tells a Flexible set, and the location that limits are counted by.
    return (
        Job(
            operation=GET_SCALE_SET,
            call=lambda _: GET_SCALE_SET,
            run=poller.poll_model,
            requested=lambda _: MODEL_INTERVAL,
            planned=intervals.of_model,
            in_force=lambda state: state.data.model_interval,
            put_in_force=poller.set_model_interval,
            wanted=poller.model_is_due,
            retry=MODEL_RETRY,
        ),
        Job(
            operation=LIST_INSTANCES,
            call=lambda state: state.data.list_operation,
            run=list_instances,
            requested=intervals.requested,
            planned=intervals.of,
            in_force=lambda state: state.data.poll.interval,
            put_in_force=poller.set_interval,
            lead=MODEL_LEAD,
        ),
    )
