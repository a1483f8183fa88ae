"""What the machine does not provide: disk, file descriptors, and time for a flood of scrapes."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from exporter.web.application import Site, make_application
from faults.story import ScriptedAzure, Story, WireClock, machine, scripted_sets
from support.answers import samples

FETCHED = "azure_vmss_last_success_timestamp_seconds"
UNWRITTEN = "state_write_failures_total"


@pytest.fixture
async def azure() -> AsyncIterator[ScriptedAzure]:
    async with scripted_sets("web", "batch") as azure:
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
                metrics_page=exporter.metrics_page,
                targets=exporter.targets,
                clock=story.clock,
                ready=lambda: True,
                max_requests=0,
                version="1",
                cooperative=story.process.cooperative,
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
