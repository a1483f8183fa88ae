"""Clocks that jump, stand still or disagree, and times of Azure's that cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from faults.story import ScriptedAzure, Story, WireClock, machine, status

HOUR, DAY = 3600.0, 86400.0
NAMES = ("web", "batch", "queue", "cache")
FETCHED = "azure_vmss_last_success_timestamp_seconds"
WALL_JUMPS = [HOUR, 3 * DAY, -HOUR, -3 * DAY]
"""The wall clock is set, by hand or by NTP; the steady one goes on as ever."""


@pytest.fixture
async def fleet() -> AsyncIterator[Story]:
    """Four sets that are polled each minute, each polled by now."""
    azure = ScriptedAzure()
    azure.pages = {name: [[machine(0), machine(1)]] for name in NAMES}
    async with azure.server:
        told = Story(azure, WireClock())
        async with told.assembled(told.configuration(*NAMES)), told.polling():
            await told.clock.advance(180)
            assert azure.calls.keys() == set(NAMES)
            yield told


async def calls_in(fleet: Story, seconds: float) -> Counter[str]:
    """How often each set's list is asked for in some seconds from now on."""
    before = Counter(fleet.azure.calls)
    await fleet.clock.advance(seconds)
    return Counter({name: fleet.azure.calls[name] - before[name] for name in NAMES})


@pytest.mark.parametrize("jump", WALL_JUMPS)
async def test_the_beats_go_on_and_nobody_is_polled_twice_when_the_wall_clock_jumps(
    fleet: Story, jump: float
) -> None:
    up, instances = await fleet.values("azure_vmss_up"), await fleet.values("azure_vmss_instances")
    assert await calls_in(fleet, 60) == Counter(NAMES)
    fleet.clock.wall += jump
    assert await calls_in(fleet, 0) == Counter(), "no storm"
    assert await fleet.values("azure_vmss_up") == up
    assert await fleet.values("azure_vmss_instances") == instances
    assert await fleet.value("azure_vmss_exporter_poll_lag_seconds") == 0
    assert await calls_in(fleet, 60) == Counter(NAMES)
    times = await fleet.values(FETCHED)
    now = fleet.clock.now()
    assert all(now - 60 <= fetched <= now for fetched in times), "by the wall clock as it is now"
    assert await calls_in(fleet, 600) == Counter(NAMES * 10)


@pytest.mark.parametrize("jump", WALL_JUMPS)
async def test_data_go_by_the_time_that_passed_and_not_by_the_wall_clock(
    fleet: Story, jump: float
) -> None:
    fleet.azure.status = dict.fromkeys(NAMES, 400)
    fetched = await fleet.values(FETCHED)
    await fleet.clock.advance(60)
    assert set(await fleet.values("azure_vmss_up")) == {0}
    fleet.clock.wall += jump
    await fleet.clock.advance(470)
    assert await fleet.values("azure_vmss_instances") == [2] * 4, "kept for ten minutes"
    assert await fleet.values(FETCHED) == fetched, "and as old as they are"
    await fleet.clock.advance(80)
    assert await fleet.values("azure_vmss_instances") == []
    assert set(await fleet.values("azure_vmss_up")) == {0}
    assert await fleet.total("poll_failures_total", reason="rejected") >= 36
    fleet.azure.status.clear()
    await fleet.clock.advance(600)
    assert set(await fleet.values("azure_vmss_up")) == {1}
    assert await fleet.values("azure_vmss_instances") == [2] * 4
    assert await fleet.values("azure_vmss_instance_deletions_total") == [0] * 4


@pytest.mark.parametrize("gap", [HOUR, 3 * DAY])
async def test_after_a_machine_stood_still_every_set_is_polled_once_and_nothing_old_is_served(
    fleet: Story, gap: float
) -> None:
    # Both clocks went on, and nothing ran: a machine was suspended, or a process was stopped.
    fleet.clock.wall += gap
    fleet.clock.steady += gap
    assert await fleet.values("azure_vmss_instances") == [], "too old by now"
    assert await fleet.values("azure_vmss_up") == [0] * 4, "never up without data"
    assert await fleet.value("azure_vmss_exporter_poll_lag_seconds") > gap - 120  # type: ignore[operator] # it is served
    missed = await calls_in(fleet, 0)
    assert max(missed.values()) <= 1, "what was missed is not made up for"
    first = missed + await calls_in(fleet, 60)
    assert set(first) == set(NAMES)
    assert max(first.values()) <= 2
    assert await fleet.values("azure_vmss_instances") == [2] * 4
    assert await fleet.value("azure_vmss_exporter_poll_lag_seconds") == 0
    assert await calls_in(fleet, 600) == Counter(NAMES * 10)


@pytest.mark.parametrize("jump", WALL_JUMPS)
async def test_a_wait_that_azure_asked_for_lasts_as_long_as_it_said(
    fleet: Story, jump: float
) -> None:
    fleet.azure.status, fleet.azure.headers = dict.fromkeys(NAMES, 429), {"Retry-After": "120"}
    before = sum(fleet.azure.calls.values())
    while sum(fleet.azure.calls.values()) == before:
        await fleet.clock.advance(1)
    assert await fleet.total("azure_requests_total", code="429") >= 1
    fleet.azure.status.clear()
    fleet.clock.wall += jump
    assert await calls_in(fleet, 115) == Counter(), "not one call"
    assert await fleet.values("azure_vmss_instances") == [2] * 4
    assert await calls_in(fleet, 180) >= Counter(NAMES)
    assert set(await fleet.values("azure_vmss_up")) == {1}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2099-01-01T00:00:00Z", 4070908800.0),
        ("9999-12-31T23:59:59Z", 253402300799.0),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59-14:00", 253402351199.0),
        ("0001-01-01T00:00:00+14:00", None),
        ("2024-07-01T00:00:00", 1719792000.0),
        ("2024-07-01T00:00:00.1234567", 1719792000.123456),
        ("1970-01-01T00:00:00Z", None),
        ("2024-02-30T00:00:00Z", None),
        ("yesterday", None),
    ],
)
async def test_a_time_is_served_as_azure_says_it_or_not_at_all(
    story: Story, text: str, seconds: float | None
) -> None:
    time = "azure_vmss_instance_status_timestamp_seconds"
    await story.poll_items(machine(0), machine(1))
    usual, other = await story.value(time, instance_id="0"), await story.lines("1")
    odd = machine(0, statuses=[status("ProvisioningState/failed/X", "Error", time=text)])
    await story.poll_items(odd, machine(1))
    assert await story.value(time, instance_id="0") == seconds
    assert await story.value(FETCHED) == story.clock.now(), "Azure's times are not the exporter's"
    failed = "azure_vmss_instance_provisioning_state"
    assert await story.value(failed, instance_id="0", state="failed") == 1
    assert await story.lines("1") == other
    assert await story.value("azure_vmss_up") == 1
    await story.poll_items(machine(0), machine(1))
    assert await story.value(time, instance_id="0") == usual


async def test_of_two_statuses_an_impossible_time_is_never_the_newest(story: Story) -> None:
    usual = status("ProvisioningState/failed/Right", "Error", time="2024-07-01T00:00:00Z")
    for text in ("0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "soon", None):
        odd = status("ProvisioningState/failed/Wrong", "Error", time=text)
        await story.poll_items(machine(0, statuses=[odd, usual]))
        failing = "azure_vmss_instance_provisioning_failure"
        assert await story.value(failing, code="right") == 1
        assert await story.value(failing, code="wrong") is None


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
async def test_a_restart_after_the_clock_was_set_serves_nothing_false(
    tmp_path: Path, jump: float
) -> None:
    azure = ScriptedAzure()
    async with azure.server:
        story = Story(azure, WireClock())
        configuration = story.configuration("web", polling=f"state_dir: {tmp_path}/state")
        async with story.assembled(configuration):
            await story.poll_items(machine(0))
            fetched = await story.value(FETCHED)
        story.restart()
        story.clock.wall += jump
        async with story.assembled(configuration):
            # Set back, the file is of the future; set forward, the data are too old.
            assert await story.value("azure_vmss_instances") is None
            assert await story.value("azure_vmss_up") == 0
            assert await story.value(FETCHED) == (fetched if jump > 0 else None)
            assert await story.total("state_refused_total", reason="future") == (jump < 0)
            await story.poll_items(machine(0), machine(1))
            assert await story.value("azure_vmss_instances") == 2
            assert await story.value(FETCHED) == story.clock.now()
