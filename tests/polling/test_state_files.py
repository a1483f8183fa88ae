"""What a restart finds: the last snapshots as old as they are, or nothing false."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.azure.errors import NotFound, TimedOut
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.model.instance_view import Instance
from exporter.model.scale_set import ScaleSetFacts, ScaleSetId, Target
from exporter.polling.poller import Poller
from exporter.polling.retention import Retention
from exporter.polling.state import folder as folder_module
from exporter.polling.state import keeper, warm_start
from exporter.polling.state.contents import FORMAT, Refused, Saved, decode, encode, form_of
from exporter.polling.state.folder import StateFolder
from exporter.polling.state.keeper import StateKeeper
from exporter.polling.state.warm_start import kept
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION, WEB_TARGET, instance, map_instances
from support.clock import FakeClock
from support.source import FakeSource, page

AZURE = "https://management.example.com"


class Life:
    """One life of an exporter with that state directory."""

    def __init__(
        self,
        folder: Path,
        clock: FakeClock,
        *names: str,
        form: str = "form",
        labels: tuple[tuple[str, str], ...] = (),
        resource_group: str = "rg-web",
        keep_for: float = 600.0,
    ) -> None:
        self.clock = clock
        self.source = FakeSource(clock)
        self.telemetry = Telemetry(version="1", python_version="3", process=False)
        self.folder = StateFolder(folder)
        self.keeper = StateKeeper(
            self.folder, azure=AZURE, form=form, telemetry=self.telemetry, clock=clock
        )
        self.poller = Poller(
            source=self.source,
            mapper=Mapper(),
            telemetry=self.telemetry,
            clock=clock,
            retention=Retention(keep_for=keep_for, deadline=180.0),
            keeper=self.keeper,
        )
        self.records = [
            self.poller.new_record(
                Target(ScaleSetId(SUBSCRIPTION, resource_group, name), 60.0, labels)
            )
            for name in names or ("web",)
        ]

    async def poll(self, *instances: Instance) -> None:
        """Poll every set, facts included, and write what is to be written."""
        async with self.keeper.writing():
            for record in self.records:
                self.source.pages[record.target.scale_set.name] = [page(*instances)]
                await self.poller.poll_facts(record)
                await self.poller.poll(record)

    async def start(self) -> None:
        """Start warm, and leave the directory at once to the next life."""
        async with kept(self.keeper, self.poller, self.records, asyncio.Event()):
            pass

    def page(self, *leave_out: str) -> str:
        """What is served about Azure, without the families named."""
        text = self.poller.served.page().text.decode()
        kept = [line for line in text.splitlines() if not any(name in line for name in leave_out)]
        return "\n".join(kept)

    async def page_now(self) -> str:
        await self.poller.served.drop_expired(self.clock.monotonic())
        return self.page()

    def own(self, name: str, **labels: str) -> float | None:
        return self.telemetry.registry.get_sample_value(f"azure_vmss_exporter_{name}", labels)


def two() -> Iterable[Instance]:
    view = {
        "statuses": [{"code": "PowerState/running", "message": "said by Azure"}],
        "osName": 'Ubuntu "jammy"',
    }
    return instance(view, instance_id="1"), instance({}, instance_id="a_B")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(path: Path, text: str) -> None:
    path.write_text(text)


def state_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.state"))


OF_THE_PROCESS = ("azure_vmss_up", "azure_vmss_poll_duration_seconds")


# What comes back


async def test_a_restart_serves_the_same_lines_and_up_is_0(
    tmp_path: Path, clock: FakeClock
) -> None:
    first = Life(tmp_path, clock)
    first.source.facts["web"] = ScaleSetFacts(location="WestEurope", capacity=3, tags={"a": "b"})
    await first.poll(*two())
    polled = clock.now()
    await clock.advance(100)
    clock.steady = 5.0  # a machine that was started anew counts from zero
    second = Life(tmp_path, clock)
    await second.start()
    assert second.page(*OF_THE_PROCESS) == first.page(*OF_THE_PROCESS)
    assert 'azure_vmss_up{subscription_id="' in second.page()
    assert re.search(r"^azure_vmss_up{.*} 0$", second.page(), re.MULTILINE)
    assert not second.records[0].poll.tried, "the readiness still waits for a poll"
    assert second.records[0].poll.last_success == polled
    assert second.records[0].poll.model_last_success == polled
    (before,), (after,) = first.records, second.records
    assert before.snapshot is not None
    assert after.snapshot is not None
    assert after.snapshot.mapped == before.snapshot.mapped
    assert after.memory == before.memory
    assert after.facts is not None
    assert before.facts is not None
    assert after.facts.facts == before.facts.facts


async def test_the_first_good_poll_replaces_what_was_restored(
    tmp_path: Path, clock: FakeClock
) -> None:
    await Life(tmp_path, clock).poll(*two())
    second = Life(tmp_path, clock)
    await second.start()
    await second.poll(instance({}, instance_id="A_b"))
    text = second.page()
    assert 'instance_id="a_B"' in text, "the first spelling stays"
    assert 'instance_id="1"' not in text
    assert re.search(r"^azure_vmss_up{.*} 1$", text, re.MULTILINE)


async def test_failing_polls_after_a_restart_leave_what_was_restored(
    tmp_path: Path, clock: FakeClock
) -> None:
    await Life(tmp_path, clock).poll(*two())
    second = Life(tmp_path, clock)
    await second.start()
    second.source.pages["web"] = [TimedOut("late")]
    await second.poller.poll(second.records[0])
    text = second.page()
    assert re.search(r"^azure_vmss_instances{.*} 2$", text, re.MULTILINE)
    assert re.search(r'^azure_vmss_poll_failure{.*reason="timeout"} 1$', text, re.MULTILINE)


@pytest.mark.parametrize(("away", "left"), [(0, 600), (599, 1), (250.5, 349.5)])
async def test_restored_data_go_when_their_true_age_says_so_to_the_second(
    tmp_path: Path, clock: FakeClock, away: float, left: float
) -> None:
    await Life(tmp_path, clock).poll(*two())
    await clock.advance(away)
    second = Life(tmp_path, clock)
    await second.start()
    await clock.advance(left - 0.5)
    assert "azure_vmss_instances{" in await second.page_now()
    await clock.advance(0.5)
    text = await second.page_now()
    assert "azure_vmss_instances{" not in text
    assert "azure_vmss_instance_info{" not in text
    assert "azure_vmss_last_success_timestamp_seconds{" in text


async def test_what_is_too_old_at_the_start_is_not_served_but_its_time_is(
    tmp_path: Path, clock: FakeClock
) -> None:
    first = Life(tmp_path, clock)
    await first.poll(*two())
    polled = clock.now()
    await clock.advance(780)
    second = Life(tmp_path, clock)
    await second.start()
    (record,) = second.records
    assert record.snapshot is None
    assert record.facts is None
    assert record.poll.last_success == polled
    assert record.memory == first.records[0].memory


async def test_restored_facts_have_an_age_of_their_own(tmp_path: Path, clock: FakeClock) -> None:
    first = Life(tmp_path, clock)
    await first.poll(*two())
    await clock.advance(500)
    first.source.facts["web"] = TimedOut("late")
    await first.poll(*two())
    await clock.advance(279)
    second = Life(tmp_path, clock)
    await second.start()
    assert "azure_vmss_info{" in await second.page_now()
    await clock.advance(1)
    text = await second.page_now()
    assert "azure_vmss_info{" not in text
    assert "azure_vmss_instances{" in text


async def test_a_set_that_is_gone_does_not_come_back(tmp_path: Path, clock: FakeClock) -> None:
    first = Life(tmp_path, clock)
    await first.poll(*two())
    first.source.pages["web"] = [NotFound("gone", missing="scale set")]
    async with first.keeper.writing():
        await first.poller.poll(first.records[0])
        await first.poller.poll(first.records[0])
    second = Life(tmp_path, clock)
    await second.start()
    assert "azure_vmss_instances{" not in second.page()


# What is refused


async def _refused(life: Life, reason: str) -> None:
    await life.start()
    assert "azure_vmss_instances{" not in life.page()
    assert life.own("state_refused_total", reason=reason) == 1


async def test_a_cut_file_is_refused_and_the_other_sets_start_warm(
    tmp_path: Path, clock: FakeClock, logs: list[MutableMapping[str, Any]]
) -> None:
    await Life(tmp_path, clock, "web", "jobs").poll(*two())
    file = state_files(tmp_path)[0]
    file.write_bytes(file.read_bytes()[:-1])
    second = Life(tmp_path, clock, "web", "jobs")
    await second.start()
    assert sum(record.snapshot is not None for record in second.records) == 1
    (said,) = [entry for entry in logs if entry["event"] == "state refused"]
    assert (said["reason"], said["files"]) == ("damaged", 1)
    assert "checksum" in said["example"]


async def test_a_file_of_a_newer_format_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    await Life(tmp_path, clock).poll(*two())
    (file,) = state_files(tmp_path)
    data = bytearray(file.read_bytes())
    data[12] = FORMAT + 1
    file.write_bytes(data)
    await _refused(Life(tmp_path, clock), "format")


async def test_a_file_under_another_sets_name_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    await Life(tmp_path, clock).poll(*two())
    (file,) = state_files(tmp_path)
    data = file.read_bytes()
    await Life(tmp_path, clock, "jobs").poll()
    file.unlink()
    (other,) = state_files(tmp_path)
    other.write_bytes(data)
    await _refused(Life(tmp_path, clock, "jobs"), "other_scale_set")


async def test_a_file_of_the_future_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    await Life(tmp_path, clock).poll(*two())
    clock.wall -= 1
    await _refused(Life(tmp_path, clock), "future")


async def test_a_pipe_and_a_file_beyond_the_limit_are_refused_without_reading(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Life(tmp_path, clock).poll(*two())
    (file,) = state_files(tmp_path)
    monkeypatch.setattr(folder_module, "LARGEST_FILE", 10)
    await _refused(Life(tmp_path, clock), "unreadable")
    file.unlink()
    os.mkfifo(file)
    await _refused(Life(tmp_path, clock), "unreadable")


@pytest.mark.parametrize(
    "changed",
    [{"form": "another"}, {"labels": (("team", "web"),)}, {"resource_group": "RG-Web"}],
    ids=lambda changed: next(iter(changed)),
)
async def test_lines_of_another_configuration_are_left_out_and_the_rest_is_kept(
    tmp_path: Path, clock: FakeClock, changed: dict[str, Any]
) -> None:
    first = Life(tmp_path, clock)
    await first.poll(*two())
    second = Life(tmp_path, clock, **changed)
    await _refused(second, "configuration")
    assert second.records[0].memory == first.records[0].memory
    assert "azure_vmss_info{" in second.page(), "facts are rendered anew"


def test_the_form_tells_versions_families_labels_and_settings_apart() -> None:
    def form(version: str = "1", setting: str = "full", **options: Any) -> str:
        families = Mapper(**options).families
        return form_of(version=version, families=families, settings=(setting,))

    forms = {
        form(),
        form(version="2"),
        form(setting="active"),
        form(full=True),
        form(tags=("team",)),
        form(families=FamilyFilter(deny=("azure_vmss_disk_*",))),
    }
    assert len(forms) == 6
    assert form() == form()


# Any bytes at all

_WRITTEN = Saved(last_success=1.0, mapped=map_instances(*two()), facts=ScaleSetFacts(capacity=2))
_FILE = encode(_WRITTEN, scale_set="s", form="f", target=WEB_TARGET)


def _decode(data: bytes) -> Saved:
    return decode(data, scale_set="s", form="f", target=WEB_TARGET, now=2.0)[0]


def test_what_was_written_is_read() -> None:
    assert _decode(_FILE) == _WRITTEN


@given(st.integers(0, len(_FILE) - 1), st.integers(1, 255))
def test_a_damaged_byte_at_any_place_is_refused(place: int, change: int) -> None:
    damaged = bytearray(_FILE)
    damaged[place] ^= change
    with pytest.raises(Refused):
        _decode(bytes(damaged))


@given(st.integers(0, len(_FILE) - 1))
def test_a_file_cut_at_any_place_is_refused(length: int) -> None:
    with pytest.raises(Refused):
        _decode(_FILE[:length])


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=50))
def test_other_bytes_and_appended_bytes_are_refused(data: bytes, more: bytes) -> None:
    for odd in (data, _FILE + more):
        with pytest.raises(Refused):
            _decode(odd)


@settings(max_examples=50)
@given(st.floats().filter(lambda moment: not moment <= 2.0))
def test_no_time_but_a_past_one_is_believed(moment: float) -> None:
    odd = encode(Saved(last_success=moment), scale_set="s", form="f", target=WEB_TARGET)
    with pytest.raises(Refused, match="future"):
        _decode(odd)


# How files are written


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
        await life.poller.poll(life.records[0])
    async with life.keeper.writing():
        pass
    assert len(written) == 1
    second = Life(tmp_path, clock)
    await second.start()
    assert re.search(r"^azure_vmss_instances{.*} 3$", second.page(), re.MULTILINE)


@pytest.mark.parametrize("failing", ["open", "fsync", "replace"])
async def test_a_full_disk_is_said_once_counted_and_leaves_the_old_file(
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
    folder = StateFolder(tmp_path / "state")
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
    tmp_path: Path, clock: FakeClock
) -> None:
    life = Life(tmp_path, clock, "odd", "web")
    life.source.facts["odd"] = ScaleSetFacts(sku="\ud800")
    await life.poll(*two())
    assert len(state_files(tmp_path)) == 1
    assert (life.own("state_write_failures_total") or 0) >= 1


async def test_files_of_other_sets_and_unfinished_ones_are_removed_and_nothing_else(
    tmp_path: Path, clock: FakeClock
) -> None:
    await Life(tmp_path, clock, "web", "jobs").poll()
    for name in (f"{'0' * 64}.state.new", "notes.txt"):
        put(tmp_path / name, "cut by a crash, or not ours")
    await Life(tmp_path, clock, "web").start()
    (file,) = state_files(tmp_path)
    assert names_in(tmp_path) == [file.name, "lock", "notes.txt"]


async def test_a_set_that_is_forgotten_loses_its_file(tmp_path: Path, clock: FakeClock) -> None:
    life = Life(tmp_path, clock, "web", "jobs")
    await life.poll()
    async with life.keeper.writing():
        life.keeper.forget(life.records[0].target.scale_set)
    assert len(state_files(tmp_path)) == 1


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
    async with kept(life.keeper, life.poller, life.records, stop):
        pass
    assert logs == []


async def test_a_disk_that_hangs_delays_the_start_for_a_bounded_time_only(
    tmp_path: Path,
    clock: FakeClock,
    hanging: Callable[[Life, str], None],
    logs: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warm_start, "RESTORE_LIMIT", 0.01)
    life = Life(tmp_path, clock)
    hanging(life, "read")
    await life.start()
    assert [entry["event"] for entry in logs] == ["state not restored in time"]


async def test_a_disk_that_hangs_at_the_end_is_said_and_not_waited_for(
    tmp_path: Path,
    clock: FakeClock,
    hanging: Callable[[Life, str], None],
    logs: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "FLUSH_LIMIT", 0.01)
    life = Life(tmp_path, clock)
    hanging(life, "write")
    await life.poll(*two())
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [
        "state not written in time"
    ]


# Faults of the exporter


async def test_a_fault_in_reading_one_file_costs_no_other_its_start(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_once(*_: object, **__: object) -> None:
        monkeypatch.setattr(keeper, "decode", decode)
        raise ZeroDivisionError("a bug")

    await Life(tmp_path, clock, "web", "jobs").poll(*two())
    monkeypatch.setattr(keeper, "decode", broken_once)
    life = Life(tmp_path, clock, "web", "jobs")
    await life.start()
    assert [record.snapshot is not None for record in life.records] == [False, True]


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
    assert "restoring the state broke" in [entry["event"] for entry in logs]


async def test_more_series_than_the_limit_are_not_restored_to_the_page(
    tmp_path: Path, clock: FakeClock
) -> None:
    await Life(tmp_path, clock).poll(*two())
    life = Life(tmp_path, clock)
    life.poller._max_series = 30
    await life.start()
    assert "azure_vmss_instance_info{" not in life.page()
    assert "azure_vmss_instances{" in life.page()
