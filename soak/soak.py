"""The soak itself: the exporter polls for days of simulated time, and every poll is checked."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import structlog

from exporter.azure.auth.token_cache import CredentialTokens
from exporter.azure.errors import NoAnswer, NotFound, NotSent
from exporter.polling.confirmation import NOT_FOUND_ANSWERS
from exporter.polling.retention import EXPIRY_CHECKS
from exporter.polling.target_state import TargetState
from exporter.runtime.clock import Clock
from exporter.simulator.fleet import Fleet
from exporter.simulator.server import SimulatedAzure
from soak import serving
from soak.growth import Growth, memory
from soak.tokens import TokenDesk
from soak.troubles import Troubles
from soak.truth import Facts, Key, Truth, WatchedFaults
from soak.world import World, new_world

HOUR, DAY = 3600.0, 86_400.0
REFRESH = 600.0
"""Seconds between two searches for scale sets."""

PAGE_SIZE = 120
_SHOWN = 10

FLEET = """\
page_size: 120
limits: {policies: {HighCostGetVMScaleSetSubscriptionMaximum: {capacity: 24, refill: 8}}}
scale_sets:
  - {name: web, size: 20, repeat: 3, pace: 3, extensions: [HealthExtension, CustomScript]}
  - {name: api, size: 20, repeat: 2, pace: 2, page_size: 7, extensions: [CustomScript]}
  - {name: spot, size: 20, repeat: 2, pace: 5, priority: spot, eviction_policy: Delete}
  - {name: office, size: 20, pace: 2, os: windows, encrypted: true, extensions: [BGInfo]}
  - {name: zoned, size: 20, pace: 1, zones: ["1", "2", "3"], health: true}
  - {name: still, size: 20}
  - {name: loose, size: 20, repeat: 2, pace: 3, orchestration: flexible, extensions: [CustomScript]}
  - {name: apart, size: 20, pace: 2, orchestration: flexible, zones: ["1", "2"], page_size: 7,
     subscription_id: 11111111-1111-1111-1111-111111111111}
"""
"""Thirteen sets of twenty instances, of both kinds, in two subscriptions.

Half of the limit is a little more than they need: whenever a neighbour takes its part, or polls
are tried again, intervals stretch, and come back after it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One soak.

    Attributes:
        days: simulated days.
        interval: simulated seconds between two polls of a set.
        seed: of the fleet's life, of the latencies and of the troubles.
        warm_up: simulated seconds before growth is watched.
        sample_every: simulated seconds between two samples of growth, and looks at the page.
        tell: gets a line for people now and then.
    """

    days: float
    interval: float
    seed: int
    warm_up: float = DAY
    sample_every: float = HOUR
    tell: Callable[[str], None] = lambda _: None


@dataclass(slots=True)
class Outcome:
    """What a soak found.

    Attributes:
        breaches: what should not have been; the first of each kind in full.
        figures: names and values for people.
    """

    breaches: list[str] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)


class Checker:
    """Compares what is served with what Azure held at each set's last good poll."""

    def __init__(self, world: World, truth: Truth) -> None:
        self.polls = 0
        self.failures: Counter[str] = Counter()
        self.compared = 0
        self.breaches: Counter[str] = Counter()
        self.examples: list[str] = []
        self._world = world
        self._truth = truth
        self.longest = 0.0
        self._expected: dict[Key, dict[str, Facts]] = {}
        self._since: dict[Key, float] = {}
        self._until: dict[Key, float] = {}
        self._states: dict[Key, TargetState] = {}
        self._unknown: set[Key] = set()
        self.uncertain = 0

    def interval_changed(self, state: TargetState, interval: float) -> None:
        """Data that is still served is kept as the longest interval since its poll asks."""
        key, now = state.target.scale_set.key, self._world.clock.monotonic()
        self.longest = max(self.longest, interval)
        if now < self._until.get(key, now):
            self._until[key] = max(self._until[key], self._since[key] + self._kept(interval))

    def _kept(self, interval: float) -> float:
        polling = self._world.exporter.configuration.polling
        return max(polling.keep_for, 2 * interval + polling.deadline)

    def poll_ended(self, state: TargetState, error: NoAnswer | None, is_new: bool) -> None:  # noqa: FBT001 - a callback's
        """Check a state after its poll, whether it brought something new or not."""
        key = self._key_of(state)
        if state.removed:
            return  # It went while it was polled: nothing of it is served.
        self.polls += 1
        if error is not None:
            self.failures["not sent" if isinstance(error, NotSent) else error.reason] += 1
        if is_new:
            taken = self._truth.take(key)
            self.uncertain += taken is None
            self._unknown.discard(key)
            if taken is None:
                self._unknown.add(key)
            self._expected[key] = taken or {}
            self._since[key] = now = self._world.clock.monotonic()
            self._until[key] = now + self._kept(state.data.poll.interval)
            if state.data.poll.last_success != self._world.clock.now():
                self.breach("time", f"{key[2]}: the last success is not now")
        elif error is None:
            self.breach("lost poll", f"{key[2]}: no error and nothing new")
        if state.data.snapshot is None and key in self._expected:
            confirmed = self._truth.not_found.get(key, 0) >= NOT_FOUND_ANSWERS
            is_over = self._world.clock.monotonic() >= self._until[key]
            if not is_over and not (confirmed and isinstance(error, NotFound)):
                self.breach("dropped", f"{key[2]}: dropped too soon")
            del self._expected[key]
        self._compare(state, serving.of_state(self._world.exporter.publisher, state))

    async def look(self, states: tuple[TargetState, ...]) -> None:
        """Check the whole page."""
        await self._world.poller.expire()
        page = serving.of_page(self._world.exporter.publisher)
        for state in states:
            self._compare(state, page.get(state.target.scale_set.key, {}))

    def breach(self, kind: str, text: str) -> None:
        """Note what should not have been."""
        self.breaches[kind] += 1
        if self.breaches[kind] <= _SHOWN:
            self.examples.append(f"{kind}: day {self._world.clock.monotonic() / DAY:.2f}: {text}")

    def all_are_polled(self, fleet: Fleet) -> None:
        """Check that just what Azure holds is polled, some refreshes after the last trouble."""
        there = {scale_set.identity.key for scale_set in fleet.scale_sets}
        polled = {state.target.scale_set.key for state in self._world.exporter.targets}
        for key in sorted(there ^ polled):
            self.breach("discovery", f"{key[2]}: {'not polled' if key in there else 'gone'}")

    def _key_of(self, state: TargetState) -> Key:
        """The key of a set, forgetting what was served of one of its name that has gone."""
        key = state.target.scale_set.key
        if self._states.get(key) is not state and not state.removed:
            self._states[key] = state
            self._expected.pop(key, None)
            self._until.pop(key, None)
        return key

    def _compare(self, state: TargetState, served: dict[str, Facts]) -> None:
        key = self._key_of(state)
        over = self._world.clock.monotonic() - self._until.get(key, 0.0)
        # What is too old goes with the next look for it.
        is_live = over < (0.0 if state.data.snapshot is None else EXPIRY_CHECKS[1])
        expected = self._expected.get(key, {}) if is_live else {}
        if key in self._unknown and is_live:
            return
        self.compared += len(expected)
        if served == expected:
            return
        for identifier in sorted(served.keys() | expected.keys()):
            mine, wanted = served.get(identifier), expected.get(identifier)
            if mine != wanted:
                self.breach(
                    "served",
                    f"{key[2]}/{identifier}: wrong {sorted((mine or set()) - (wanted or set()))},"
                    f" missing {sorted((wanted or set()) - (mine or set()))}",
                )


async def soak(plan: Plan) -> Outcome:
    """Run a soak to its end, on a `TimelapseLoop`."""
    desks: list[TokenDesk] = []
    started, worked = time.monotonic(), time.process_time()

    def tokens(azure: SimulatedAzure, clock: Clock) -> CredentialTokens:
        desks.append(TokenDesk(azure, clock))
        return CredentialTokens(desks[0].credential, scope="soak", clock=clock)

    fleet = Fleet.from_yaml(f"seed: {plan.seed}\n{FLEET}")
    settings = {
        "polling": {"interval": f"{plan.interval:g}s"},
        "discovery": [{"subscriptions": ["all"], "refresh": f"{REFRESH:g}s"}],
    }
    truth = Truth(fleet, page_size=PAGE_SIZE)
    growth = Growth(ALLOWED_GROWTH)
    async with new_world(fleet, tokens=tokens, settings=settings, seed=plan.seed) as world:
        world.azure.faults = WatchedFaults([])
        world.azure.requests = deque(maxlen=100)  # thousands of old ones would look like growth
        world.session.seen = truth.see
        checker = Checker(world, truth)
        world.poller.ended = checker.poll_ended
        world.poller.stretched = checker.interval_changed
        troubles = Troubles(world.azure, desks[0], world.clock, seed=plan.seed)
        with _faults_of_the_program(checker):
            await _run(plan, world, checker, troubles, growth)
    found = growth.breaches()
    if found:
        checker.breaches["growth"] = len(found)
    internal = world.telemetry.registry.get_sample_value(
        "azure_vmss_exporter_poll_failures_total", {"reason": "internal"}
    )
    if internal:
        checker.breach("internal", f"{internal:.0f} polls failed by a fault of the exporter")
    figures = [
        ("simulated days", f"{plan.days:g}"),
        ("interval", f"{plan.interval:g} s"),
        ("seed", str(plan.seed)),
        ("took", f"{time.monotonic() - started:.0f} s"),
        ("processor time", f"{time.process_time() - worked:.0f} s"),
        ("polls", f"{checker.polls:,}"),
        ("failed polls", _counts(checker.failures)),
        ("troubles", _counts(troubles.happened)),
        ("longest interval", f"{checker.longest:,.0f} s"),
        ("tokens", f"{desks[0].given:,}"),
        ("walks of which the truth is not certain", f"{checker.uncertain:,}"),
        ("instances compared", f"{checker.compared:,}"),
        *growth.rows(),
        ("breaches", _counts(checker.breaches) or "none"),
    ]
    return Outcome([*checker.examples, *(f"growth: {text}" for text in found)], figures)


ALLOWED_GROWTH: Mapping[str, float] = {
    "resident memory, MiB": 4.0,
    "allocated blocks": 20_000.0,
    "tracked objects": 1_000.0,
    "tasks": 3.0,
    "exchanges open": 3.0,
    "series about Azure": 1_000.0,
    "series of the exporter": 60.0,
}
"""From the end of the warm-up to the end of the soak, along the trend."""


async def _run(
    plan: Plan, world: World, checker: Checker, troubles: Troubles, growth: Growth
) -> None:
    polling = asyncio.create_task(world.exporter.run(), name="scheduler")
    striking = asyncio.create_task(troubles.run(), name="troubles")
    end, day = plan.days * DAY, 0
    while world.clock.monotonic() < end and not (polling.done() or striking.done()):
        await world.clock.sleep(min(plan.sample_every, end - world.clock.monotonic()))
        await checker.look(tuple(world.exporter.targets))
        if world.clock.monotonic() >= plan.warm_up:
            growth.add(world.clock.monotonic(), _figures(world))
        if world.clock.monotonic() >= (day + 1) * DAY:
            day += 1
            plan.tell(
                f"day {day}: {checker.polls:,} polls, {checker.failures.total():,} failed, "
                f"{checker.breaches.total()} breaches"
            )
    striking.cancel()
    await asyncio.wait({striking})
    troubles.end()
    await world.clock.sleep(6 * REFRESH)
    checker.all_are_polled(world.azure.fleet)
    for task in (polling, striking):
        if task.done() and not task.cancelled():
            checker.breach("ended", f"{task.get_name()} ended by itself: {task.exception()!r}")
        task.cancel()
    await asyncio.gather(polling, striking, return_exceptions=True)
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    # A token's renewal belongs to nobody who could be cancelled.
    left = {task for task in left if task.get_name() != "azure token"}
    if left:
        checker.breach("left behind", ", ".join(sorted(task.get_name() for task in left)))
    if world.session.open:
        checker.breach("left behind", f"{world.session.open} exchanges")


def _figures(world: World) -> dict[str, float]:
    own = sum(len(metric.samples) for metric in world.telemetry.registry.collect())
    return {
        **memory(),
        "tasks": float(len(asyncio.all_tasks())),
        "exchanges open": float(world.session.open),
        "series about Azure": float(world.exporter.publisher.cache.page().series),
        "series of the exporter": float(own),
    }


@contextmanager
def _faults_of_the_program(checker: Checker) -> Iterator[None]:
    """Note what Python and the logs tell of faults: lost exceptions, errors."""
    loop = asyncio.get_running_loop()
    settings = structlog.get_config()
    hook = sys.unraisablehook

    def drop(_: Any, level: str, event: MutableMapping[str, Any]) -> NoReturn:
        if level in ("error", "critical", "exception"):
            checker.breach("logged", f"{event.get('event')}: {event.get('scale_set', '')}")
        raise structlog.DropEvent

    def lost(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        checker.breach("unretrieved", f"{context.get('message')}: {context.get('exception')!r}")

    loop.set_exception_handler(lost)
    sys.unraisablehook = lambda found: checker.breach("unraisable", repr(found.exc_value))
    structlog.configure(processors=[drop], cache_logger_on_first_use=False)
    try:
        yield
        gc.collect()
    finally:
        loop.set_exception_handler(None)
        sys.unraisablehook = hook
        structlog.configure(**settings)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common())
