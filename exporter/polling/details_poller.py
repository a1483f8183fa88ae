"""Asks for what `model` of the configuration names, for each set or subscription in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import structlog

from exporter.azure.errors import AzureError, Forbidden, NoAnswer, NotSent
from exporter.azure.operation import (
    GET_ROLLING_UPGRADE,
    GET_SERVICES,
    LIST_AUTOSCALE,
    LIST_LIFECYCLE_HOOKS,
    LIST_STANDBY_POOLS,
    Operation,
)
from exporter.configuration import Model
from exporter.model.details import (
    Autoscale,
    LifecycleHook,
    RollingUpgrade,
    Service,
    StandbyCount,
)
from exporter.model.scale_set import ScaleSetId
from exporter.polling.outage import INTERNAL
from exporter.polling.publisher import Publisher
from exporter.polling.retention import Retention
from exporter.polling.target_state import DetailsSnapshot, TargetState
from exporter.polling.targets import Targets
from exporter.runtime.clock import Clock

AT_A_TIME = 4
"""Calls that are under way at a time: the polls have slots of their own."""

FORBIDDEN_PAUSE = 3600.0
"""Seconds for which a kind is not asked for of a set or a subscription that does not allow it."""

EMPTY_PAUSE = 5.0
"""Seconds until it looks again for targets where there is none, as before they are found."""

Kind = Literal["services", "rolling_upgrade", "lifecycle_hooks", "standby_pool", "autoscale"]
OF_SETS: tuple[Kind, ...] = ("services", "rolling_upgrade", "lifecycle_hooks")
OF_SUBSCRIPTIONS: tuple[Kind, ...] = ("standby_pool", "autoscale")
OPERATIONS: Mapping[Kind, Operation] = {
    "services": GET_SERVICES,
    "rolling_upgrade": GET_ROLLING_UPGRADE,
    "lifecycle_hooks": LIST_LIFECYCLE_HOOKS,
    "standby_pool": LIST_STANDBY_POOLS,
    "autoscale": LIST_AUTOSCALE,
}
"""The call that begins to ask for a kind."""

Key = tuple[str, str, str]


class _Asked(NamedTuple):
    """Of what something is asked for: of a set by its key, or of a subscription."""

    credential: str
    kind: Kind
    key: tuple[str, ...]

    @property
    def alike(self) -> tuple[str, Kind, str]:
        """The same for all sets of a subscription: what fails for many is one line of the log."""
        return self.credential, self.kind, self.key[0]


class Failure(NamedTuple):
    """Why something could not be read, since it was last asked for.

    Attributes:
        key: of the set, or of the subscription.
        of: that for people.
        reason: as `poll_failures_total` has it.
        message: what failed and what to do, for people.
    """

    kind: Kind
    key: tuple[str, ...]
    of: str
    reason: str
    message: str


_log = structlog.get_logger(__name__)


def kinds_of(settings: Model) -> frozenset[Kind]:
    """What `model` of the configuration asks for."""
    wanted: Mapping[Kind, bool] = {
        "services": settings.services,
        "rolling_upgrade": settings.rolling_upgrades,
        "lifecycle_hooks": settings.lifecycle_hooks,
        "standby_pool": settings.standby_pools,
        "autoscale": settings.autoscale,
    }
    return frozenset(kind for kind, asked in wanted.items() if asked)


class DetailsSource(Protocol):
    """Where the answers come from: the Azure client, or a stand-in of a test."""

    async def services(self, scale_set: ScaleSetId, location: str) -> tuple[Service, ...]:
        """Get the orchestration services of a Uniform set; raises AzureError."""
        ...

    async def rolling_upgrade(self, scale_set: ScaleSetId, location: str) -> RollingUpgrade | None:
        """Get the latest rolling upgrade of a set, if any; raises AzureError."""
        ...

    async def lifecycle_hooks(
        self, scale_set: ScaleSetId, location: str
    ) -> tuple[LifecycleHook, ...]:
        """List the events of lifecycle hooks that wait; raises AzureError."""
        ...

    async def standby_pools(
        self, subscription_id: str, wanted: Callable[[ScaleSetId], bool]
    ) -> Mapping[Key, tuple[StandbyCount, ...] | NoAnswer]:
        """Count the instances of a subscription's standby pools; raises AzureError.

        In place of the counts of one pool there may be the error that its call has raised.
        """
        ...

    async def autoscale(self, subscription_id: str) -> Mapping[Key, Autoscale]:
        """List the limits of a subscription's autoscale settings; raises AzureError."""
        ...


class DetailsPoller:
    """Asks again and again, spread over the interval.

    Args:
        sources: the Azure clients, by the name of their credential.
        kinds: what is asked for.
        interval: seconds between two calls of a kind.
        retention: how long an answer is served.
    """

    def __init__(
        self,
        *,
        sources: Mapping[str, DetailsSource],
        kinds: Collection[Kind],
        interval: float,
        targets: Targets,
        publisher: Publisher,
        retention: Retention,
        clock: Clock,
    ) -> None:
        self._sources = sources
        self._of_sets = [kind for kind in OF_SETS if kind in kinds]
        self._of_subscriptions = [kind for kind in OF_SUBSCRIPTIONS if kind in kinds]
        self._interval = interval
        self._targets = targets
        self._publisher = publisher
        self._retention = retention
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_A_TIME)
        self._paused: dict[_Asked, float] = {}
        # By what fails alike.
        self._failing: dict[tuple[str, Kind, str], dict[tuple[str, ...], Failure]] = {}

    async def run(self) -> None:
        """Ask for everything in each interval, until cancelled."""
        while self._of_sets or self._of_subscriptions:
            begun, some = self._clock.monotonic(), len(self._targets) > 0
            await self.poll_all(spread=self._interval / 2)
            left = begun + self._interval - self._clock.monotonic()
            await self._clock.sleep(max(1.0, left) if some else EMPTY_PAUSE)
        await asyncio.Event().wait()

    async def poll_all(self, *, spread: float = 0.0) -> None:
        """Ask for everything once.

        Args:
            spread: seconds over which the calls begin.
        """
        states = list(self._targets)
        subscriptions: dict[tuple[str, str], list[TargetState]] = {}
        for state in states:
            subscription = state.target.scale_set.key[0]
            subscriptions.setdefault((state.target.credential, subscription), []).append(state)
        self._forget_others({state.target.scale_set.key for state in states})
        calls: list[Callable[[], Awaitable[None]]] = []
        for kind in self._of_subscriptions:
            calls += [partial(self._of_subscription, kind, its) for its in subscriptions.values()]
        for state in states:
            calls += [partial(self._of_set, kind, state) for kind in self._of_sets]
        async with asyncio.TaskGroup() as group:
            for call in calls:
                await self._slots.acquire()
                group.create_task(self._call(call))
                await self._clock.sleep(spread / len(calls))

    def failures(self) -> list[Failure]:
        """All that could not be read when it was last asked for, in the order of the failures."""
        return [failure for failing in self._failing.values() for failure in failing.values()]

    def _forget_others(self, present: Collection[Key]) -> None:
        """Let go of what is known of the sets that have gone, and of their subscriptions."""
        keys = {*present, *((key[0],) for key in present)}
        self._paused = {one: until for one, until in self._paused.items() if one.key in keys}
        for alike, reasons in list(self._failing.items()):
            self._failing[alike] = {key: why for key, why in reasons.items() if key in keys}

    async def _call(self, call: Callable[[], Awaitable[None]]) -> None:
        try:
            await call()
        except Exception:  # noqa: BLE001 - what is asked for beside the model must not end the polls
            _log.exception("model details crashed")
        finally:
            self._slots.release()

    async def _of_set(self, kind: Kind, state: TargetState) -> None:
        if state.removed or state.data.is_flexible:
            return
        source, scale_set = self._sources[state.target.credential], state.target.scale_set
        ask: Mapping[Kind, Callable[[ScaleSetId, str], Awaitable[object]]] = {
            "services": source.services,
            "rolling_upgrade": source.rolling_upgrade,
            "lifecycle_hooks": source.lifecycle_hooks,
        }
        asked = _Asked(state.target.credential, kind, scale_set.key)
        asking = partial(ask[kind], scale_set, state.location)
        answer = await self._answer(asked, str(scale_set), asking)
        if answer is not _NOTHING:
            self._take(state, kind, answer)

    async def _of_subscription(self, kind: Kind, states: Iterable[TargetState]) -> None:
        known = {state.target.scale_set.key: state for state in states}
        first = next(iter(known.values())).target
        source, subscription = self._sources[first.credential], first.scale_set.subscription_id
        asked = _Asked(first.credential, kind, (subscription.casefold(),))
        asking: Callable[[], Awaitable[object]] = (
            partial(source.autoscale, subscription)
            if kind == "autoscale"
            else partial(source.standby_pools, subscription, lambda one: one.key in known)
        )
        answer = await self._answer(asked, subscription, asking)
        if isinstance(answer, Mapping):
            for key, state in known.items():
                its, one = answer.get(key), _Asked(first.credential, kind, key)
                if isinstance(its, AzureError):
                    self._failed(one, str(state.target.scale_set), its.reason, str(its))
                elif not isinstance(its, NotSent):
                    self._succeeded(one, str(state.target.scale_set))
                    self._take(state, kind, its)
                await self._clock.sleep(0)  # each is rendered: there may be thousands

    async def _answer(
        self, asked: _Asked, what: str, asking: Callable[[], Awaitable[object]]
    ) -> object:
        """The answer, or `_NOTHING`. A failure is logged once until it has passed."""
        if self._paused.get(asked, 0.0) > self._clock.monotonic():
            return _NOTHING
        try:
            answer = await asking()
        except NotSent:
            return _NOTHING
        except AzureError as error:
            if isinstance(error, Forbidden):
                self._paused[asked] = self._clock.monotonic() + FORBIDDEN_PAUSE
            self._failed(asked, what, error.reason, str(error))
            return _NOTHING
        except Exception as error:  # noqa: BLE001 - a fault here must not end the others
            self._failed(asked, what, INTERNAL, type(error).__name__)
            return _NOTHING
        self._succeeded(asked, what)
        return answer

    def _succeeded(self, asked: _Asked, what: str) -> None:
        failing = self._failing.get(asked.alike, {})
        if failing.pop(asked.key, None) is not None and not failing:
            _log.info("model details recovered", kind=asked.kind, of=what)

    def _failed(self, asked: _Asked, what: str, reason: str, message: str) -> None:
        failing = self._failing.setdefault(asked.alike, {})
        if all(failure.reason != reason for failure in failing.values()):
            _log.warning(
                "model details failing", kind=asked.kind, of=what, reason=reason, error=message
            )
        failing[asked.key] = Failure(asked.kind, asked.key, what, reason, message)

    def _take(self, state: TargetState, kind: Kind, answer: object) -> None:
        if state.removed:
            return
        before, now = state.data.details, self._clock.monotonic()
        until = now + self._retention.seconds(self._interval)
        change: dict[str, Any] = {kind: answer}
        state.data.details = DetailsSnapshot(
            replace(before.live(now), **change), {**before.served_until, kind: until}
        )
        self._publisher.publish(state)


_NOTHING = object()
