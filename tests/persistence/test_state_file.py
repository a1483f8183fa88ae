"""Which state files are not believed, and that no bytes at all do harm."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.model.scale_set import ScaleSetModel
from exporter.persistence import directory as directory_module
from exporter.persistence.state_file import FORMAT, Refused, decode, encode, form_of
from exporter.polling.saved import Saved
from support.answers import WEB_TARGET, map_instances
from support.clock import FakeClock
from support.life import (
    Life,
    state_files,
    two,
)


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
    assert sum(state.data.snapshot is not None for state in second.states) == 1
    (said,) = [entry for entry in logs if entry["event"] == "state file rejected"]
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
    monkeypatch.setattr(directory_module, "LARGEST_FILE", 10)
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
    assert second.states[0].data.memory == first.states[0].data.memory
    assert "azure_vmss_info{" in second.page(), "facts are rendered anew"


async def test_a_reload_to_another_form_refuses_no_file_of_a_set_that_stays(
    tmp_path: Path, clock: FakeClock, logs: list[MutableMapping[str, Any]]
) -> None:
    first = Life(tmp_path, clock)
    await first.poll(*two())
    second = Life(tmp_path, clock, form="another")
    second.states = first.states
    for state in second.states:
        second.polling.adopt(state)
    await second.start()
    assert second.own("state_refused_total", reason="configuration") == 0
    assert "state file rejected" not in [entry["event"] for entry in logs]
    assert state_files(tmp_path), "the files stay"


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

_WRITTEN = Saved(last_success=1.0, mapped=map_instances(*two()), model=ScaleSetModel(capacity=2))
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


async def test_a_file_whose_error_has_no_text_of_the_system_says_what_it_says(
    tmp_path: Path,
    clock: FakeClock,
    logs: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def odd(*_: object, **__: object) -> bytes:
        raise OSError("the disk is odd")

    monkeypatch.setattr(directory_module, "read_file", odd)
    await _refused(Life(tmp_path, clock), "unreadable")
    (said,) = [entry for entry in logs if entry["event"] == "state file rejected"]
    assert "the disk is odd" in said["example"]
