"""How state files are written, on disks that are full, hang or are gone."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from exporter.model.scale_set import ScaleSetModel
from exporter.persistence import restore, store
from exporter.persistence.directory import StateDirectory
from exporter.persistence.restore import persisted
from exporter.persistence.state_file import decode
from support.answers import instance
from support.clock import FakeClock
from support.life import (
    Life,
    names_in,
    put,
    state_files,
    two,
)
from support.source import page


async def test_files_are_for_the_owner_only_and_of_no_other_form(
    tmp_path: Path, clock: FakeClock
) -> None:
    folder = tmp_path / "deep" / "state"
    await Life(folder, clock, "web", "jobs").poll(*two())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(state_files(folder)) == 2
    for name in names_in(folder):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        assert re.fullmatch(r"[0-9a-f]{64}\.state|lock", name)


async def test_a_set_that_is_polled_again_before_its_write_is_written_once_with_the_newest(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(tmp_path, clock)
    written: list[str] = []
    write = life.folder.write

    def counted(name: str, data: bytes) -> None:
        written.append(name)
        write(name, data)

    monkeypatch.setattr(life.folder, "write", counted)
    for count in (1, 2, 3):
        life.source.pages["web"] = [page(*(instance({}, instance_id=str(n)) for n in range(count)))]
        await life.poller.poll(life.states[0])
    async with life.store.writing():
        pass
    assert len(written) == 1
    second = Life(tmp_path, clock)
    await second.start()
    assert re.search(r"^azure_vmss_instances{.*} 3$", second.page(), re.MULTILINE)


@pytest.mark.parametrize("failing", ["open", "fsync", "replace"])
async def test_a_full_disk_is_reported_once_counted_and_leaves_the_old_file(
    tmp_path: Path,
    clock: FakeClock,
    logs: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    life = Life(tmp_path, clock)
    await life.poll(*two())
    (file,) = state_files(tmp_path)
    before = file.read_bytes()

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path if failing == "replace" else os, failing, full)
        for _ in range(2):
            await clock.advance(60)
            await life.poll()
    assert (life.own("state_write_failures_total") or 0) >= 2
    assert names_in(tmp_path) == [file.name, "lock"]
    assert file.read_bytes() == before
    assert "azure_vmss_up" in life.page(), "the exporter goes on"
    await life.poll()
    assert file.read_bytes() != before
    said = [entry for entry in logs if entry["event"].startswith("state ")]
    assert [entry["event"] for entry in said] == ["state not written", "state written again"]
    assert said[0]["error"] == "No space left on device"


async def test_a_directory_that_cannot_be_made_is_a_warning_and_a_cold_start(
    clock: FakeClock, logs: list[MutableMapping[str, Any]]
) -> None:
    life = Life(Path("/dev/null/state"), clock)
    await life.start()
    await life.poll(*two())
    assert "azure_vmss_instances{" in life.page()
    said = [entry for entry in logs if entry["event"] == "state not written"]
    assert len(said) == 1
    assert "Not a directory" in said[0]["error"]


async def test_a_directory_that_is_read_only_is_read_and_not_written(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Life(tmp_path, clock).poll(*two())
    before = names_in(tmp_path)
    really_open = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system")
        return really_open(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    second = Life(tmp_path, clock, "web", "jobs")
    await second.start()
    assert "azure_vmss_instances{" in second.page()
    await second.poll()
    assert names_in(tmp_path) == before
    assert (second.own("state_write_failures_total") or 0) >= 3


def test_a_directory_that_is_taken_away_is_made_anew(tmp_path: Path) -> None:
    folder = StateDirectory(tmp_path / "state")
    folder.write("a", b"old")
    shutil.rmtree(tmp_path / "state")
    with pytest.raises(FileNotFoundError):
        folder.write("a", b"lost")
    folder.write("a", b"new")
    assert folder.read("a") == b"new"
    folder.close()


async def test_two_exporters_do_not_share_a_directory(
    tmp_path: Path, clock: FakeClock, logs: list[MutableMapping[str, Any]]
) -> None:
    first, second = Life(tmp_path, clock), Life(tmp_path, clock, "jobs")
    await first.poll(*two())
    first.folder.open()
    await second.start()
    await second.poll()
    assert len(state_files(tmp_path)) == 1, "neither written nor removed by the second"
    assert (second.own("state_write_failures_total") or 0) >= 2
    said = [entry for entry in logs if entry["event"] == "state not written"]
    assert [entry["error"] for entry in said] == ["another exporter uses the directory"]
    first.folder.close()
    await second.poll()
    assert len(state_files(tmp_path)) == 2


async def test_one_odd_set_does_not_cost_the_others_their_files(
    tmp_path: Path, clock: FakeClock, logs: list[MutableMapping[str, Any]]
) -> None:
    life = Life(tmp_path, clock, "odd", "web")
    life.source.models["odd"] = ScaleSetModel(sku="\ud800")
    await life.poll(*two())
    assert len(state_files(tmp_path)) == 1
    assert (life.own("state_write_failures_total") or 0) >= 1
    (said,) = [entry for entry in logs if entry["event"] == "state not written"]
    assert said["error"] == "a fault of the exporter (UnicodeEncodeError)"


async def test_files_of_other_sets_and_unfinished_ones_are_removed_and_nothing_else(
    tmp_path: Path, clock: FakeClock, logs: list[MutableMapping[str, Any]]
) -> None:
    await Life(tmp_path, clock, "web", "jobs").poll()
    of_both = state_files(tmp_path)
    for name in (f"{'0' * 64}.state.new", *(f"{file.name}.new" for file in of_both), "notes.txt"):
        put(tmp_path / name, "cut by a crash, or not ours")
    await Life(tmp_path, clock, "web").start()
    (file,) = state_files(tmp_path)
    assert names_in(tmp_path) == [file.name, "lock", "notes.txt"]
    (said,) = [entry for entry in logs if entry["event"] == "state of other scale sets removed"]
    assert said["files"] == 1, "what a crash left is not counted"


async def test_a_set_that_is_forgotten_loses_its_file(tmp_path: Path, clock: FakeClock) -> None:
    life = Life(tmp_path, clock, "web", "jobs")
    await life.poll()
    async with life.store.writing():
        life.polling.targets.remove(life.states[0].target.scale_set)
    assert len(state_files(tmp_path)) == 1


async def test_a_file_that_could_not_be_removed_keeps_no_later_trouble_unlogged(
    tmp_path: Path,
    clock: FakeClock,
    logs: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = Life(tmp_path, clock, "web", "jobs")
    await life.poll()

    def denied(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(life.folder, "remove", denied)
        async with life.store.writing():
            life.polling.targets.remove(life.states[0].target.scale_set)
    async with life.store.writing():
        await life.poller.poll(life.states[1])
    said = [entry["event"] for entry in logs if entry["event"].startswith("state ")]
    assert said == ["state not written", "state written again"]


# Disks that hang


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Life, str], None]]:
    """Makes the reading or writing of a life's files hang until the test ends."""
    over = threading.Event()

    def hang(life: Life, call: str) -> None:
        def wait(*_: object) -> None:
            over.wait(10)

        monkeypatch.setattr(life.folder, call, wait)

    yield hang
    over.set()


async def test_a_stop_while_the_state_is_read_does_not_wait(
    tmp_path: Path,
    clock: FakeClock,
    hanging: Callable[[Life, str], None],
    logs: list[MutableMapping[str, Any]],
) -> None:
    life, stop = Life(tmp_path, clock), asyncio.Event()
    hanging(life, "read")
    stop.set()
    async with persisted(life.store, life.poller, life.states, stop):
        pass
    assert logs == []


async def test_a_disk_that_hangs_delays_the_start_for_a_bounded_time_only(
    tmp_path: Path,
    clock: FakeClock,
    hanging: Callable[[Life, str], None],
    logs: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restore, "RESTORE_LIMIT", 0.01)
    life = Life(tmp_path, clock)
    hanging(life, "read")
    await life.start()
    assert [entry["event"] for entry in logs] == ["state not restored in time"]


async def test_a_disk_that_hangs_at_the_end_is_reported_and_not_waited_for(
    tmp_path: Path,
    clock: FakeClock,
    hanging: Callable[[Life, str], None],
    logs: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store, "FLUSH_LIMIT", 0.01)
    life = Life(tmp_path, clock)
    hanging(life, "write")
    await life.poll(*two())
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [
        "state not written in time"
    ]


# Faults of the exporter


async def test_a_fault_in_reading_one_file_costs_no_other_its_start(
    tmp_path: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    logs: list[MutableMapping[str, Any]],
) -> None:
    def broken_once(*_: object, **__: object) -> None:
        monkeypatch.setattr(store, "decode", decode)
        raise ZeroDivisionError("a bug")

    await Life(tmp_path, clock, "web", "jobs").poll(*two())
    monkeypatch.setattr(store, "decode", broken_once)
    life = Life(tmp_path, clock, "web", "jobs")
    await life.start()
    assert [state.data.snapshot is not None for state in life.states] == [False, True]
    (said,) = [entry for entry in logs if entry["event"] == "state file rejected"]
    assert (said["reason"], said["files"]) == ("damaged", 1)
    assert said["example"].endswith("rg-web/web: a fault of the exporter (ZeroDivisionError)")


async def test_a_fault_in_restoring_is_logged_and_the_exporter_starts(
    tmp_path: Path,
    clock: FakeClock,
    logs: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    await Life(tmp_path, clock).poll(*two())
    life = Life(tmp_path, clock)
    monkeypatch.setattr(life.poller, "_restore", broken)
    await life.start()
    await life.poll(*two())
    assert "azure_vmss_instances{" in life.page()
    assert "restoring the state failed" in [entry["event"] for entry in logs]


async def test_more_series_than_the_limit_are_not_restored_to_the_page(
    tmp_path: Path, clock: FakeClock
) -> None:
    await Life(tmp_path, clock).poll(*two())
    life = Life(tmp_path, clock)
    life.polling.publisher._limit.max_series = 60
    await life.start()
    assert "azure_vmss_instance_info{" not in life.page()
    assert "azure_vmss_instances{" in life.page()


# The usual life


async def test_a_usual_life_is_reported_once_and_ends_without_waiting(
    tmp_path: Path, clock: FakeClock, logs: list[MutableMapping[str, Any]]
) -> None:
    first = Life(tmp_path, clock, "web", "jobs")
    assert first.own("state_write_failures_total") == 0
    await first.start()
    await first.poll(*two())
    async with first.store.writing():
        await clock.settle()  # until the writer waits for something to write
    assert not [entry for entry in logs if entry["log_level"] == "warning"]
    logs.clear()
    second = Life(tmp_path, clock, "web", "jobs", "new")
    await second.start()
    said = [entry for entry in logs if entry["log_level"] != "debug"]
    assert [entry["event"] for entry in said] == ["state restored"]
    assert said[0]["scale_sets"] == 2
    assert said[0]["directory"] == str(tmp_path)
    assert second.own("state_write_failures_total") == 0


async def test_without_a_directory_nothing_is_read_written_or_logged(
    tmp_path: Path, clock: FakeClock, logs: list[MutableMapping[str, Any]]
) -> None:
    life = Life(tmp_path, clock)
    async with persisted(None, life.poller, life.states, asyncio.Event()):
        pass
    assert logs == []
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("left", ["pipe", "hard link", "symbolic link"])
def test_whatever_lies_in_the_way_of_a_write_holds_nothing_up_and_harms_nothing_else(
    tmp_path: Path, left: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"somebody's")
    folder = StateDirectory(tmp_path / "state")
    name = "0" * 64
    folder.write(name, b"old")
    in_the_way = folder.path / f"{name}.state.new"
    if left == "pipe":
        os.mkfifo(in_the_way)
    elif left == "hard link":
        in_the_way.hardlink_to(elsewhere)
    else:
        in_the_way.symlink_to(elsewhere)
    # A write into the pipe would wait for a reader for ever; with one it fails.
    reader = os.open(in_the_way, os.O_RDONLY | os.O_NONBLOCK)
    try:
        folder.write(name, b"new")
    finally:
        os.close(reader)
        folder.close()
    assert folder.read(name) == b"new"
    assert elsewhere.read_bytes() == b"somebody's"
    assert sorted(names_in(folder.path)) == [f"{name}.state", "lock"]
