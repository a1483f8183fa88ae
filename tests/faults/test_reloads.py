"""Reloads and stops while polls are running."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest

from exporter.configuration import Configuration, ConfigurationError
from exporter.polling import scheduler
from exporter.preparation import Prepared
from exporter.reloading import SignalEvents, poll_until
from exporter.runtime.signals import Signals
from faults.story import ScriptedAzure, Story, WireClock, machine, scripted_sets

FETCHED = "azure_vmss_last_success_timestamp_seconds"


@pytest.fixture(autouse=True)
def collections() -> Iterator[None]:
    """A reload and a stop turn collections off, and the tests go on."""
    yield
    gc.enable()


@pytest.fixture
async def azure() -> AsyncIterator[ScriptedAzure]:
    async with scripted_sets("web", "batch") as azure:
        yield azure


PARTS = "concurrency: 8"
"""A setting by which a reload changes more than targets."""


class Reloads:
    """The daemon's life between two configurations, with the signals in the test's hand."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.found: Configuration | ConfigurationError = ConfigurationError(("nothing yet",))
        self.signals = SignalEvents(Signals())
        self.life: asyncio.Task[int | tuple[Prepared, str]]

    def begin(self) -> None:
        story = self.story
        life = poll_until(story.exporter, story.process, self.signals, self.read)
        self.life = asyncio.create_task(life)

    def read(self) -> tuple[Configuration, str]:
        if isinstance(self.found, ConfigurationError):
            raise self.found
        return self.found, ""

    async def reload(self, found: Configuration | ConfigurationError) -> None:
        self.found = found
        self.signals.reload.set()
        if isinstance(found, ConfigurationError):
            told = self.story.process.telemetry.gauge("config_last_reload_successful")
            told.set(1)
            await self.story.until_own("config_last_reload_successful", 0)
        else:
            await self.story.until(self.life.done)

    async def end(self) -> None:
        self.life.cancel()
        await asyncio.gather(self.life, return_exceptions=True)


async def mid_poll(story: Story, name: str) -> None:
    """Let time pass until a poll of that set waits for its answer."""
    story.azure.held[name] = asyncio.Event()
    for _ in range(100):
        if story.azure.waiting:
            return
        await story.clock.advance(1)
    raise AssertionError("not polled")


def let_go(story: Story, name: str) -> None:
    story.azure.held.pop(name).set()


async def test_a_reload_in_mid_poll_keeps_what_stays_and_publishes_nothing_of_what_goes(
    azure: ScriptedAzure,
) -> None:
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    async with story.assembled(story.configuration("web", "batch")):
        reloads.begin()
        await story.clock.advance(5)
        assert await story.values("azure_vmss_up") == [1, 1]
        await mid_poll(story, "batch")
        kept = await story.value("azure_vmss_instances", scale_set="web")
        fetched = await story.value(FETCHED, scale_set="web")
        # What the poll in flight would publish, were it let go.
        azure.pages["batch"] = [[machine(number) for number in range(9)]]
        await reloads.reload(story.configuration("web", polling=PARTS))
    calls = azure.calls["web"]
    async with story.assembled(story.configuration("web", polling=PARTS)):
        assert await story.value(FETCHED, scale_set="web") == fetched
        assert await story.value("azure_vmss_instances", scale_set="web") == kept
        let_go(story, "batch")
        reloads = Reloads(story)
        reloads.begin()
        await story.clock.advance(0)
        assert azure.calls["web"] == calls, "the schedule goes on: no poll because of the reload"
        await story.clock.advance(90)
        assert azure.calls["web"] in (calls + 1, calls + 2)
        page = await story.page()
        assert "batch" not in page
        assert await story.value("azure_vmss_exporter_targets", origin="configured") == 1
        assert await story.value("azure_vmss_up", scale_set="web") == 1
        assert await story.value("azure_vmss_instance_creations_total") == 0
        await reloads.end()


async def test_a_reload_in_mid_poll_lets_it_end_and_counts_it_once(
    azure: ScriptedAzure,
) -> None:
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    async with story.assembled(story.configuration("web")):
        reloads.begin()
        await story.clock.advance(5)
        before = await story.counted("polls_total", "result")
        await mid_poll(story, "web")
        calls = azure.calls["web"]
        azure.pages["web"] = [[machine(0), machine(1), machine(2)]]
        reloads.found = story.configuration("web", "batch", polling=PARTS)
        reloads.signals.reload.set()
        await story.clock.advance(1)
        assert not reloads.life.done(), "it waits for the poll"
        let_go(story, "web")
        await story.until(reloads.life.done)
        assert await story.value("azure_vmss_instances") == 3
    async with story.assembled(story.configuration("web", "batch", polling=PARTS)):
        assert await story.value("azure_vmss_instances", scale_set="web") == 3
        reloads = Reloads(story)
        reloads.begin()
        await story.clock.advance(5)
        assert azure.calls["web"] == calls, "the schedule goes on: no poll because of the reload"
        assert await story.value("azure_vmss_instance_creations_total", scale_set="web") == 1
        after = await story.counted("polls_total", "result")
        assert after == {"success": before["success"] + 2, "failure": 0}
        await reloads.end()


async def test_a_reload_waits_no_longer_than_a_moment_for_polls_that_hang(
    azure: ScriptedAzure,
) -> None:
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    async with story.assembled(story.configuration("web")):
        reloads.begin()
        await story.clock.advance(5)
        await mid_poll(story, "web")
        reloads.found = story.configuration("web", "batch", polling=PARTS)
        reloads.signals.reload.set()
        with pytest.MonkeyPatch.context() as patch:
            # The loop's own timers run in real time here.
            patch.setattr(scheduler, "CLOSE_LIMIT", 0.01)
            await story.until(reloads.life.done)
        prepared, _ = cast("tuple[Prepared, str]", reloads.life.result())
        assert len(prepared.configuration.scale_sets) == 2
    let_go(story, "web")


async def test_a_stop_while_a_reload_waits_for_a_poll_is_obeyed(azure: ScriptedAzure) -> None:
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    async with story.assembled(story.configuration("web")):
        reloads.begin()
        await story.clock.advance(5)
        await mid_poll(story, "web")
        reloads.found = story.configuration("web", "batch", polling=PARTS)
        reloads.signals.reload.set()
        await story.clock.advance(1)
        reloads.signals.stop.set()
        await story.until(reloads.life.done)
        assert reloads.life.result() == 0
    let_go(story, "web")


async def test_reloads_that_change_nothing_disturb_no_poll_however_many(
    azure: ScriptedAzure,
) -> None:
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    told = story.process.telemetry.gauge("config_last_reload_successful")
    async with story.assembled(story.configuration("web")):
        reloads.begin()
        await story.clock.advance(5)
        await mid_poll(story, "web")
        calls = azure.calls["web"]
        azure.pages["web"] = [[machine(0), machine(1), machine(2)]]
        for _ in range(20):
            told.set(0)
            reloads.found = story.configuration("web")
            reloads.signals.reload.set()
            await story.until_own("config_last_reload_successful", 1)
        assert not reloads.life.done()
        let_go(story, "web")
        await story.clock.advance(1)
        assert azure.calls["web"] == calls, "the same poll went on all the time"
        assert await story.value("azure_vmss_instances") == 3
        await reloads.end()


async def test_a_reload_of_a_bad_file_in_mid_poll_changes_nothing_and_the_poll_publishes(
    azure: ScriptedAzure,
) -> None:
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    async with story.assembled(story.configuration("web")):
        reloads.begin()
        await story.clock.advance(5)
        await mid_poll(story, "web")
        azure.pages["web"] = [[machine(0), machine(1), machine(2)]]
        await reloads.reload(ConfigurationError(("scale_sets: is required",)))
        assert await story.value("azure_vmss_exporter_config_last_reload_successful") == 0
        assert await story.value("azure_vmss_instances") == 2
        assert not reloads.life.done()
        let_go(story, "web")
        await story.clock.advance(1)
        assert await story.value("azure_vmss_instances") == 3
        assert await story.value("azure_vmss_instance_creations_total") == 1
        await reloads.end()


async def test_no_garbage_is_collected_from_a_reload_on_until_the_beats_have_begun(
    azure: ScriptedAzure, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    collected_at_the_end: list[bool] = []
    run = scheduler.Scheduler.run

    async def watched(self: scheduler.Scheduler) -> None:
        try:
            await run(self)
        finally:
            collected_at_the_end.append(gc.isenabled())

    monkeypatch.setattr(scheduler.Scheduler, "run", watched)
    async with story.assembled(story.configuration("web", "batch")):
        reloads.begin()
        await story.clock.advance(5)
        assert gc.isenabled()
        await reloads.reload(story.configuration("web", polling=PARTS))
        assert collected_at_the_end == [False]
        assert not gc.isenabled()
        await reloads.end()


# Only the targets change: nothing else is touched


async def test_sets_come_and_go_while_the_poll_of_another_is_under_way(
    azure: ScriptedAzure,
) -> None:
    azure.pages["new"] = [[machine(0)]]
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    async with story.assembled(story.configuration("web", "batch")):
        reloads.begin()
        await story.clock.advance(5)
        exporter, calls = story.exporter, azure.calls["web"]
        await mid_poll(story, "web")
        azure.pages["web"] = [[machine(0), machine(1), machine(2)]]
        reloads.found = story.configuration("web", "new")
        reloads.signals.reload.set()
        await story.until_own("targets", 2, origin="configured")
        await story.until(lambda: exporter.prepared.configuration == reloads.found)
        await story.clock.advance(1)
        assert "batch" not in await story.page()
        assert await story.value("azure_vmss_up", scale_set="new") == 1
        assert not reloads.life.done()
        let_go(story, "web")
        await story.clock.advance(1)
        assert azure.calls["web"] == calls + 1, "the same poll went on all the time"
        assert await story.value("azure_vmss_instances", scale_set="web") == 3
        assert await story.value("azure_vmss_instance_creations_total", scale_set="web") == 1
        polls = azure.calls["batch"]
        await story.clock.advance(300)
        assert azure.calls["batch"] == polls, "what is gone is polled no more"
        assert azure.calls["new"] >= 4
        await reloads.end()


async def test_a_set_that_goes_in_mid_poll_publishes_nothing_and_leaves_no_task(
    azure: ScriptedAzure,
) -> None:
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    async with story.assembled(story.configuration("web", "batch")):
        reloads.begin()
        await story.clock.advance(5)
        await mid_poll(story, "batch")
        reloads.found = story.configuration("web")
        reloads.signals.reload.set()
        await story.until_own("targets", 1, origin="configured")
        await story.clock.advance(0)
        assert not [task for task in asyncio.all_tasks() if task.get_name().endswith("/batch")]
        let_go(story, "batch")
        await story.clock.advance(1)
        assert "batch" not in await story.page()
        await reloads.end()


async def test_another_interval_is_in_force_within_a_minute_and_loses_no_data(
    azure: ScriptedAzure,
) -> None:
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    interval = "azure_vmss_poll_interval_seconds"
    async with story.assembled(story.configuration("web", interval="1h")):
        reloads.begin()
        await story.clock.advance(5)
        fetched, calls = await story.value(FETCHED), azure.calls["web"]
        reloads.found = story.configuration("web", interval="60s")
        reloads.signals.reload.set()
        await story.until(lambda: story.state().target.interval == 60)
        assert await story.value(interval) == 60
        assert await story.value(FETCHED) == fetched
        assert azure.calls["web"] == calls
        # A minute until it is looked at, and an interval and a half after a first poll.
        await story.clock.advance(60 + 90)
        assert azure.calls["web"] > calls
        await reloads.end()


async def test_other_labels_begin_new_series_and_let_the_counters_go_on(
    azure: ScriptedAzure,
) -> None:
    story = Story(azure, WireClock())
    reloads = Reloads(story)
    async with story.assembled(story.configuration("web")):
        reloads.begin()
        await story.clock.advance(5)
        azure.pages["web"] = [[machine(0), machine(1), machine(2)]]
        await story.clock.advance(90)
        assert await story.value("azure_vmss_instance_creations_total") == 1
        await mid_poll(story, "web")
        reloads.found = story.configuration("web", labels="{team: core}")
        reloads.signals.reload.set()
        await story.until(lambda: bool(story.state().target.labels))
        page = await story.page()
        assert 'team="core"' in page
        assert 'scale_set="web"}' not in page, "nothing is shown without the label"
        assert await story.value("azure_vmss_up", team="core") == 0
        let_go(story, "web")
        await story.clock.advance(5)
        assert await story.value("azure_vmss_up", team="core") == 1
        assert await story.value("azure_vmss_instances", team="core") == 3
        assert await story.value("azure_vmss_instance_creations_total", team="core") == 1
        assert 'scale_set="web"}' not in await story.page()
        await reloads.end()
