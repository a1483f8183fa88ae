"""How long data is served while polls fail: to the second, and what is said meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from exporter.azure.errors import BrokenAnswer, NoAnswer, NotSent, TimedOut
from exporter.model.scale_set import ScaleSetModel
from exporter.polling.retention import EXPIRY_CHECKS
from exporter.polling.target_state import TargetState
from support.answers import instance, samples
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page

OF_DATA = (
    "azure_vmss_instances",
    "azure_vmss_instances_by_power_state",
    "azure_vmss_instance_info",
    "azure_vmss_instance_power_state",
)


class Case:
    """A poller with one set that was polled well once."""

    def __init__(self, clock: FakeClock, *, keep_for: float, deadline: float) -> None:
        self.clock = clock
        self.source = FakeSource(clock)
        self.polling = Polling(self.source, clock, keep_for=keep_for, deadline=deadline)
        self.telemetry = self.polling.telemetry
        self.poller = self.polling.poller

    async def polled(self, interval: float = 60.0, name: str = "web") -> TargetState:
        state = self.polling.add(name, interval)
        self.source.pages[name] = [page(instance({}, instance_id="1"))]
        self.source.models[name] = ScaleSetModel(capacity=1)
        await self.poller.poll_model(state)
        await self.poller.poll(state)
        return state

    async def fail(self, state: TargetState, error: NoAnswer) -> None:
        self.source.pages[state.target.scale_set.name] = [error]
        await self.poller.poll(state)

    async def page(self) -> dict[str, float]:
        """What a scrape now would show of Azure, by family; of several series the sum."""
        await self.poller.expire()
        return self.shown()

    async def text(self) -> str:
        await self.poller.expire()
        return self.polling.page()

    def shown(self) -> dict[str, float]:
        """The same without a look for what is too old."""
        shown: dict[str, float] = {}
        for (name, _), value in samples(self.polling.page()).items():
            shown[name] = shown.get(name, 0.0) + value
        return shown

    async def shows_data(self) -> bool:
        shown = await self.page()
        present = [name in shown for name in OF_DATA]
        assert all(present) or not any(present), "a set's families come and go together"
        return all(present)


@pytest.mark.parametrize(
    ("keep_for", "interval", "deadline", "seconds"),
    [
        (600, 60, 180, 600),  # keep_for rules
        (600, 210, 180, 600),  # both are equal
        (600, 211, 180, 602),  # the interval rules
        (1, 60, 180, 300),
        (1, 0.1, 1, 1.2),
        (86_400, 60, 180, 86_400),
    ],
)
async def test_data_is_served_until_the_last_second_and_not_beyond(
    clock: FakeClock, keep_for: float, interval: float, deadline: float, seconds: float
) -> None:
    case = Case(clock, keep_for=keep_for, deadline=deadline)
    await case.polled(interval)
    await clock.advance(seconds - 1)
    assert await case.shows_data()
    await clock.advance(0.999)
    assert await case.shows_data()
    await clock.advance(0.001 + 1e-6)
    assert not await case.shows_data()


async def test_data_go_without_any_poll_and_what_tells_of_the_polls_stays(
    clock: FakeClock,
) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    await case.polled()
    polled = clock.now()
    await clock.advance(780)
    shown = await case.page()
    assert shown.keys() == {
        "azure_vmss_up",
        "azure_vmss_poll_failure",
        "azure_vmss_instance_series_suppressed",
        "azure_vmss_last_success_timestamp_seconds",
        "azure_vmss_model_last_success_timestamp_seconds",
        "azure_vmss_poll_duration_seconds",
        "azure_vmss_poll_interval_seconds",
        "azure_vmss_instance_creations_total",
        "azure_vmss_instance_deletions_total",
        "azure_vmss_power_state_transitions_total",
        "azure_vmss_provisioning_failures_total",
    }
    assert shown["azure_vmss_last_success_timestamp_seconds"] == polled
    assert shown["azure_vmss_up"] == 0, "never up without data"


async def test_failing_polls_do_not_prolong_the_time_and_are_shown_and_counted_each(
    clock: FakeClock,
) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    state = await case.polled()
    polled = clock.now()
    for minute in range(1, 10):
        await clock.advance(60)
        await case.fail(state, TimedOut("late"))
        assert await case.shows_data()
        shown = await case.page()
        assert shown["azure_vmss_instances"] == 1
        assert shown["azure_vmss_up"] == 0
        assert shown["azure_vmss_poll_failure"] == 1
        assert shown["azure_vmss_last_success_timestamp_seconds"] == polled
        failures = case.telemetry.registry.get_sample_value(
            "azure_vmss_exporter_poll_failures_total", {"reason": "timeout"}
        )
        assert failures == minute
    await clock.advance(59)
    assert await case.shows_data()
    await clock.advance(1)
    assert not await case.shows_data()
    shown = await case.page()
    assert shown["azure_vmss_up"] == 0
    assert shown["azure_vmss_poll_failure"] == 1


async def test_the_latest_failure_is_the_one_shown(clock: FakeClock) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    state = await case.polled()
    await case.fail(state, TimedOut("late"))
    await case.fail(state, BrokenAnswer("cut"))
    found = samples(case.polling.cache.page().text.decode())
    shown = [dict(labels)["reason"] for name, labels in found if name == "azure_vmss_poll_failure"]
    assert shown == ["broken_answer"]


@pytest.mark.parametrize("away", [599, 601, 100_000])
async def test_a_good_poll_begins_the_time_anew_whether_data_was_there_or_gone(
    clock: FakeClock, away: float
) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    state = await case.polled()
    await case.fail(state, TimedOut("late"))
    await clock.advance(away)
    case.source.pages["web"] = [page(instance({}), instance({}, instance_id="2"))]
    await case.poller.poll(state)
    shown = await case.page()
    assert shown["azure_vmss_instances"] == 2
    assert shown["azure_vmss_up"] == 1
    assert "azure_vmss_poll_failure" not in shown
    await clock.advance(599)
    assert await case.shows_data()
    await clock.advance(1)
    assert not await case.shows_data()


async def test_an_empty_set_is_kept_as_such_and_then_goes_too(clock: FakeClock) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    state = await case.polled()
    case.source.models["web"] = ScaleSetModel(capacity=0)
    await case.poller.poll_model(state)
    case.source.pages["web"] = [page()]
    await case.poller.poll(state)
    await case.fail(state, TimedOut("late"))
    await clock.advance(599)
    assert (await case.page())["azure_vmss_instances"] == 0
    await clock.advance(1)
    assert "azure_vmss_instances" not in await case.page()


@pytest.mark.parametrize(("keep_for", "seconds"), [(600, 780), (1, 780), (1000, 1000)])
async def test_facts_are_kept_by_their_own_interval_of_five_minutes(
    clock: FakeClock, keep_for: float, seconds: float
) -> None:
    case = Case(clock, keep_for=keep_for, deadline=180)
    state = await case.polled()
    fetched = clock.now()
    case.source.models["web"] = TimedOut("late")
    await clock.advance(seconds - 1)
    await case.poller.poll_model(state)
    await case.poller.poll(state)
    shown = await case.page()
    assert shown["azure_vmss_capacity"] == 1
    assert shown["azure_vmss_model_last_success_timestamp_seconds"] == fetched
    await clock.advance(1)
    shown = await case.page()
    assert "azure_vmss_capacity" not in shown
    assert shown["azure_vmss_instances"] == 1
    assert shown["azure_vmss_model_last_success_timestamp_seconds"] == fetched
    case.source.models["web"] = ScaleSetModel(capacity=5)
    await case.poller.poll_model(state)
    assert (await case.page())["azure_vmss_capacity"] == 5


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_a_wall_clock_that_jumps_changes_nothing(clock: FakeClock, jump: float) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    await case.polled()
    clock.wall += jump
    await clock.advance(599)
    assert await case.shows_data()
    await clock.advance(1)
    assert not await case.shows_data()


async def test_each_set_has_its_own_time(clock: FakeClock) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    await case.polled(name="web")
    await clock.advance(300)
    await case.polled(name="jobs")
    assert (await case.page())["azure_vmss_instances"] == 2
    await clock.advance(300)
    assert (await case.page())["azure_vmss_instances"] == 1
    await clock.advance(300)
    assert "azure_vmss_instances" not in await case.page()


async def test_a_set_that_is_put_off_is_up_as_long_as_it_has_data_and_then_throttled(
    clock: FakeClock, logs: list[MutableMapping[str, Any]]
) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    state = await case.polled()
    put_off = NotSent("held", retry_after=1800.0)
    for _ in range(9):
        await clock.advance(60)
        await case.fail(state, put_off)
        shown = await case.page()
        assert shown["azure_vmss_up"] == 1
        assert "azure_vmss_poll_failure" not in shown
    await clock.advance(60)
    found = samples(await case.text())
    reasons = {dict(at)["reason"]: v for (n, at), v in found.items() if n.endswith("poll_failure")}
    assert reasons == {"throttled": 1}
    assert not await case.shows_data()
    assert (await case.page())["azure_vmss_up"] == 0
    assert (state.data.poll.reason, "600 s" in (state.data.poll.message or "")) == (
        "throttled",
        True,
    )
    said = [(entry["event"], entry.get("reason")) for entry in logs if "scale_set" in entry]
    assert said[-1:] == [("scale set failing", "throttled")]

    case.source.pages["web"] = [page(instance({}))]
    await case.poller.poll(state)
    shown = await case.page()
    assert (shown["azure_vmss_up"], shown["azure_vmss_instances"]) == (1, 1)
    assert "azure_vmss_poll_failure" not in shown
    events = [entry["event"] for entry in logs if entry["log_level"] != "debug"]
    assert events == ["scale set failing", "scale set recovered"]


async def test_another_reason_stays_when_the_data_go(clock: FakeClock) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    state = await case.polled()
    await case.fail(state, TimedOut("late"))
    await clock.advance(600)
    assert not await case.shows_data()
    assert state.data.poll.reason == "timeout"


async def test_the_data_go_by_themselves_to_the_second_and_up_with_them(clock: FakeClock) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    await case.polled()
    expiring = asyncio.create_task(case.poller.keep_expiring())
    for _ in range(2):
        await clock.advance(599.9)
        seen = case.shown()
        assert (seen["azure_vmss_up"], seen["azure_vmss_instances"]) == (1, 1)
        await clock.advance(0.1)
        seen = case.shown()
        assert (seen["azure_vmss_up"], "azure_vmss_instances" in seen) == (0, False)
        await case.poller.poll(next(iter(case.polling.targets)))
    expiring.cancel()
    await asyncio.gather(expiring, return_exceptions=True)


async def test_after_a_sleep_of_the_machine_old_data_go_soon(clock: FakeClock) -> None:
    case = Case(clock, keep_for=600, deadline=180)
    await case.polled()
    expiring = asyncio.create_task(case.poller.keep_expiring())
    await clock.settle()
    clock.steady += 3600  # no timer has noticed
    await clock.advance(EXPIRY_CHECKS[1])
    assert "azure_vmss_instances" not in case.shown()
    expiring.cancel()
    await asyncio.gather(expiring, return_exceptions=True)
