"""What a restart finds: the last snapshots as old as they are, or nothing false."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.azure.errors import NotFound, TimedOut
from exporter.configuration import load
from exporter.metrics.mapper import TargetMemory
from exporter.model.scale_set import ScaleSetModel
from support.answers import SUBSCRIPTION, instance
from support.clock import FakeClock
from support.life import (
    OF_THE_PROCESS,
    Life,
    state_files,
    two,
)
from support.source import page


async def test_a_restart_serves_the_same_lines_and_up_is_0(
    tmp_path: Path, clock: FakeClock
) -> None:
    first = Life(tmp_path, clock)
    first.source.models["web"] = ScaleSetModel(location="WestEurope", capacity=3, tags={"a": "b"})
    await first.poll(*two())
    polled = clock.now()
    await clock.advance(100)
    clock.steady = 5.0  # a machine that was started anew counts from zero
    second = Life(tmp_path, clock)
    await second.start()
    assert second.page(*OF_THE_PROCESS) == first.page(*OF_THE_PROCESS)
    assert 'azure_vmss_up{subscription_id="' in second.page()
    assert re.search(r"^azure_vmss_up{.*} 0$", second.page(), re.MULTILINE)
    assert not second.states[0].data.poll.tried, "the readiness still waits for a poll"
    assert second.states[0].data.poll.last_success == polled
    assert second.states[0].data.poll.model_last_success == polled
    (before,), (after,) = first.states, second.states
    assert before.data.snapshot is not None
    assert after.data.snapshot is not None
    assert after.data.snapshot.mapped == before.data.snapshot.mapped
    assert after.data.memory == before.data.memory
    assert after.data.model is not None
    assert before.data.model is not None
    assert after.data.model.model == before.data.model.model


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
    await second.poller.poll(second.states[0])
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
    (state,) = second.states
    assert state.data.snapshot is None
    assert state.data.model is None
    assert state.data.poll.last_success == polled
    assert state.data.memory == first.states[0].data.memory


async def test_restored_facts_have_an_age_of_their_own(tmp_path: Path, clock: FakeClock) -> None:
    first = Life(tmp_path, clock)
    await first.poll(*two())
    await clock.advance(500)
    first.source.models["web"] = TimedOut("late")
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
    polled = clock.now()
    first.source.pages["web"] = [NotFound("gone", missing="scale set", removes=True)]
    async with first.store.writing():
        for _ in range(3):
            await first.poller.poll(first.states[0])
            await clock.advance(150)
    second = Life(tmp_path, clock)
    await second.start()
    assert "azure_vmss_instances{" not in second.page()
    assert second.states[0].data.model is None
    assert second.states[0].data.poll.model_last_success == polled


# What was written by another Azure, or in another form


async def test_the_state_of_another_azure_with_the_same_ids_is_not_served(
    tmp_path: Path, clock: FakeClock
) -> None:
    await Life(tmp_path, clock).poll(*two())
    other = Life(tmp_path, clock, azure="https://management.usgovcloudapi.net")
    await other.start()
    assert "azure_vmss_instances{" not in other.page()
    assert other.states[0].data.memory == TargetMemory()


async def test_a_file_moved_from_another_azure_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    await Life(tmp_path, clock).poll(*two())
    (file,) = state_files(tmp_path)
    data = file.read_bytes()
    elsewhere = "http://127.0.0.1:10050"
    await Life(tmp_path, clock, azure=elsewhere).poll()
    file.unlink(missing_ok=True)
    (other,) = state_files(tmp_path)
    other.write_bytes(data)
    second = Life(tmp_path, clock, azure=elsewhere)
    await second.start()
    assert "azure_vmss_instances{" not in second.page()
    assert second.own("state_refused_total", reason="other_scale_set") == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"azure": {"detail": "full"}},
        {"metrics": {"state_sets": "active"}},
        {"web": {"messages": False}},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_instances_that_another_setting_wrote_are_not_restored(
    tmp_path: Path, clock: FakeClock, changed: dict[str, Any]
) -> None:
    document = {
        "polling": {"state_dir": str(tmp_path)},
        "scale_sets": [{"subscription_id": SUBSCRIPTION, "resource_group": "rg", "name": "web"}],
    }
    before = load(yaml.safe_dump(document), environment={})
    after = load(yaml.safe_dump(document | changed), environment={})
    await Life(tmp_path, clock, configuration=before).poll(*two())
    same, other = (Life(tmp_path, clock, configuration=each) for each in (before, after))
    await same.start()
    assert same.states[0].data.snapshot is not None
    await other.start()
    assert other.states[0].data.snapshot is None
    assert other.own("state_refused_total", reason="configuration") == 1


async def test_a_poll_that_ends_before_the_file_is_read_stays_the_newer(
    tmp_path: Path, clock: FakeClock
) -> None:
    await Life(tmp_path, clock).poll(*two())
    second = Life(tmp_path, clock)
    (state,) = second.states
    second.source.pages["web"] = [page(instance({}, instance_id="7"))]
    await second.poller.poll(state)
    await second.start()
    text = second.page()
    assert 'instance_id="7"' in text
    assert 'instance_id="1"' not in text
    assert re.search(r"^azure_vmss_up{.*} 1$", text, re.MULTILINE)


async def test_a_failed_poll_before_the_file_is_read_is_not_forgotten(
    tmp_path: Path, clock: FakeClock
) -> None:
    await Life(tmp_path, clock).poll(*two())
    second = Life(tmp_path, clock)
    (state,) = second.states
    second.source.pages["web"] = [NotFound("gone", missing="scale set")]
    await second.poller.poll(state)
    await second.start()
    text = second.page()
    assert "azure_vmss_instances{" not in text
    assert re.search(r'^azure_vmss_poll_failure{.*reason="not_found"} 1$', text, re.MULTILINE)
