"""What the machine fails to give: disk, file descriptors, and time to end a poll."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from exporter.configuration import Configuration, ConfigurationError
from exporter.polling import scheduler
from exporter.preparation import Prepared
from exporter.reloading import SignalEvents, poll_until
from exporter.web.application import Site, make_application
from faults.story import ScriptedAzure, Story, WireClock, machine
from support.answers import samples

NAMES = ("web", "batch")
FETCHED = "azure_vmss_last_success_timestamp_seconds"
UNWRITTEN = "state_write_failures_total"


@pytest.fixture
async def azure() -> AsyncIterator[ScriptedAzure]:
    azure = ScriptedAzure()
    azure.pages = {name: [[machine(0)], [machine(1)]] for name in NAMES}
    async with azure.server:
        yield azure


def fail_with(number: int) -> Callable[..., int]:
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


class Disk:
    """What is wrong with the disk: each fault begins with `begin` and ends with `end`."""

    def __init__(self, directory: Path, fault: str) -> None:
        self.directory = directory
        self.fault = fault
        self.patch = pytest.MonkeyPatch()

    def begin(self) -> None:
        if self.fault == "full":
            self.patch.setattr(os, "fsync", fail_with(errno.ENOSPC))
        elif self.fault == "read-only":
            self.patch.setattr(os, "open", fail_with(errno.EROFS))
        else:
            shutil.rmtree(self.directory)
            # And nothing can be made in its place.
            self.directory.write_text("")

    def end(self) -> None:
        self.patch.undo()
        if self.fault == "removed":
            self.directory.unlink()


@pytest.mark.parametrize("fault", ["full", "read-only", "removed"])
async def test_without_a_disk_the_polls_go_on_and_the_state_is_written_when_it_is_back(
    azure: ScriptedAzure, tmp_path: Path, fault: str
) -> None:
    directory = tmp_path / "state"
    disk = Disk(directory, fault)
    story = Story(azure, WireClock())
    configuration = story.configuration("web", polling=f"state_dir: {directory}")
    async with story.assembled(configuration):
        await story.poll()
        await story.until(lambda: len(list(directory.glob("*.state"))) == 1)
        (file,) = directory.glob("*.state")
        written = file.read_bytes()
        assert await story.total(UNWRITTEN) == 0

        disk.begin()
        try:
            for poll in (1, 2, 3):
                await story.clock.advance(60)
                await story.poll()
                assert await story.value("azure_vmss_up") == 1
                assert await story.value(FETCHED) == story.clock.now()
                assert await story.value("azure_vmss_instances") == 2
                await story.until_own(UNWRITTEN, poll)
            assert await story.total(UNWRITTEN) == 3
            if fault != "removed":
                assert file.read_bytes() == written, "the last good file is whole"
        finally:
            disk.end()
        await story.poll()
        if fault == "removed":
            # The first try tells that the directory is another one now.
            await story.until_own(UNWRITTEN, 4)
            await story.poll()
        await story.until(lambda: file.exists() and file.read_bytes() != written)
        assert await story.total(UNWRITTEN) == (4 if fault == "removed" else 3)
        fetched = await story.value(FETCHED)
    assert not list(directory.glob("*.new")), "nothing half written is left"
    story.restart()
    async with story.assembled(configuration):
        assert await story.value(FETCHED) == fetched
        assert await story.value("azure_vmss_instances") == 2
        assert sum((await story.counted("state_refused_total", "reason")).values()) == 0


@contextmanager
def no_file_descriptors() -> Iterator[None]:
    """Take all file descriptors that this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        try:
            while True:
                taken.append(os.dup(0))
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_file_descriptors_polls_fail_and_what_was_served_stays(
    azure: ScriptedAzure, tmp_path: Path
) -> None:
    azure.keep_alive = False
    story = Story(azure, WireClock())
    configuration = story.configuration("web", polling=f"state_dir: {tmp_path}/state")
    async with story.assembled(configuration):
        await story.poll()
        fetched, lines = await story.value(FETCHED), await story.lines("0")
        await story.until(lambda: bool(list((tmp_path / "state").glob("*.state"))))
        with no_file_descriptors():
            await story.clock.advance(60)
            await story.poll()
            assert await story.value("azure_vmss_up") == 0
            assert await story.value("azure_vmss_poll_failure", reason="connection") == 1
            assert await story.total("poll_failures_total", reason="connection") == 1
            assert await story.value(FETCHED) == fetched
            assert await story.lines("0") == lines
        await recovered(story)
        assert await story.value(FETCHED) == story.clock.now()
        assert await story.lines("0") == lines
        assert await story.value("azure_vmss_poll_failure") is None
        assert await story.value("azure_vmss_instance_deletions_total") == 0


async def recovered(story: Story) -> None:
    """Poll until the set is up again: a client that has failed may wait before it asks."""
    for _ in range(20):
        await story.poll()
        if await story.value("azure_vmss_up") == 1:
            return
        await story.clock.advance(30)
    raise AssertionError("not up again")


class Reloads:
    """The daemon's life between two configurations, with the signals in the test's hand."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.found: Configuration | ConfigurationError = ConfigurationError(("nothing yet",))
        self.signals = SimpleNamespace(stop=asyncio.Event(), reload=asyncio.Event())
        self.life: asyncio.Task[int | tuple[Prepared, str]]

    def begin(self) -> None:
        story = self.story
        signals = cast("SignalEvents", self.signals)
        life = poll_until(story.exporter, story.process, signals, self.read)
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
        await reloads.reload(story.configuration("web"))
    calls = azure.calls["web"]
    async with story.assembled(story.configuration("web")):
        assert await story.value(FETCHED, scale_set="web") == fetched
        assert await story.value("azure_vmss_instances", scale_set="web") == kept
        let_go(story, "batch")
        reloads = Reloads(story)
        reloads.begin()
        await story.clock.advance(0)
        assert azure.calls["web"] == calls, "the beat goes on: no poll because of the reload"
        await story.clock.advance(90)
        assert azure.calls["web"] in (calls + 1, calls + 2)
        page = await story.page()
        assert "batch" not in page
        assert await story.value("azure_vmss_exporter_targets") == 1
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
        reloads.found = story.configuration("web", "batch")
        reloads.signals.reload.set()
        await story.clock.advance(1)
        assert not reloads.life.done(), "it waits for the poll"
        let_go(story, "web")
        await story.until(reloads.life.done)
        assert await story.value("azure_vmss_instances") == 3
    async with story.assembled(story.configuration("web", "batch")):
        assert await story.value("azure_vmss_instances", scale_set="web") == 3
        reloads = Reloads(story)
        reloads.begin()
        await story.clock.advance(5)
        assert azure.calls["web"] == calls, "the beat goes on: no poll because of the reload"
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
        reloads.found = story.configuration("web", "batch")
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
        reloads.found = story.configuration("web", "batch")
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


async def test_a_flood_of_scrapes_while_polls_fail_gets_whole_pages_and_holds_up_no_poll(
    azure: ScriptedAzure,
) -> None:
    azure.pages["web"] = [[machine(number) for number in range(300)]]
    story = Story(azure, WireClock())
    configuration = story.configuration("web")
    async with story.assembled(configuration):
        await story.poll()
        exporter = story.exporter
        application = make_application(
            Site(
                exposition=exporter.exposition,
                records=exporter.records,
                clock=story.clock,
                ready=lambda: True,
                max_requests=0,
                version="1",
                turns=story.process.turns,
            )
        )
        async with TestServer(application) as server, aiohttp.ClientSession() as reader:
            azure.status["web"] = 400

            async def scrape() -> str:
                async with reader.get(server.make_url("/metrics")) as answer:
                    assert answer.status == 200
                    return await answer.text()

            async def poll() -> None:
                for _ in range(10):
                    await story.poll()

            *pages, _ = await asyncio.gather(*(scrape() for _ in range(200)), poll())
            for page in pages:
                assert page is not None
                assert page.count("azure_vmss_instance_info{") == 300
            last = samples(await scrape())
            failed = [value for (name, _), value in last.items() if name == "azure_vmss_up"]
            assert failed == [0]
            assert await story.total("poll_failures_total", reason="rejected") == 10
            azure.status.clear()
            await recovered(story)
            assert (await scrape()).count("azure_vmss_instance_info{") == 300
        assert await story.value("azure_vmss_up") == 1
