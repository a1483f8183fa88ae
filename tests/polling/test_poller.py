"""What a poll leaves behind, whether it succeeds or fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Any

import pytest

from exporter.azure.errors import BrokenAnswer, Forbidden, NotFound, TimedOut
from exporter.azure.scale_sets import RESTART
from exporter.metrics.mapper import Mapper
from exporter.model.instance_view import Problem
from exporter.model.scale_set import ScaleSetId, ScaleSetModel, Target
from exporter.polling.confirmation import NOT_FOUND_ANSWERS, NOT_FOUND_SECONDS
from exporter.polling.poller import Poller
from exporter.polling.retention import Retention
from exporter.polling.target_state import TargetState
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION, instance
from support.clock import FakeClock
from support.source import FakeSource, page

NewRecord = Callable[..., TargetState]


def served(record: TargetState, clock: FakeClock) -> str:
    text = b"".join(
        block.text for lines in record.lines(clock.monotonic()) for block in lines.values()
    ).decode()
    identity = f'subscription_id="{SUBSCRIPTION}",resource_group="rg-web",scale_set="web"'
    return text.replace("{" + identity + "}", "").replace(identity + ",", "")


def own(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(f"azure_vmss_exporter_{name}", labels)


async def test_before_the_first_poll_up_is_0_and_nothing_is_invented(
    new_record: NewRecord, clock: FakeClock
) -> None:
    assert served(new_record(), clock) == (
        "azure_vmss_up 0\n"
        "azure_vmss_instance_series_suppressed 0\n"
        "azure_vmss_poll_interval_seconds 60\n"
    )


async def test_a_success_serves_the_instances_and_when_they_were_fetched(
    poller: Poller,
    source: FakeSource,
    new_record: NewRecord,
    clock: FakeClock,
    telemetry: Telemetry,
) -> None:
    record = new_record()
    source.pages["web"] = [page(instance({}, instance_id="1")), page(instance({}, instance_id="2"))]
    assert await poller.poll(record) is None
    text = served(record, clock)
    assert "azure_vmss_up 1\n" in text
    assert f"azure_vmss_last_success_timestamp_seconds {int(clock.now())}\n" in text
    assert "azure_vmss_instances 2\n" in text
    assert "azure_vmss_poll_failure" not in text
    assert own(telemetry, "polls_total", result="success") == 1


async def test_a_walk_that_fails_on_page_3_changes_nothing_served_but_up(
    poller: Poller,
    source: FakeSource,
    new_record: NewRecord,
    clock: FakeClock,
    telemetry: Telemetry,
) -> None:
    record = new_record()
    source.pages["web"] = [page(instance({}, instance_id=str(number))) for number in range(5)]
    await poller.poll(record)
    before = record.snapshot
    source.pages["web"] = [*source.pages["web"][:2], BrokenAnswer("cut")]
    error = await poller.poll(record)
    assert isinstance(error, BrokenAnswer)
    assert record.snapshot is before
    text = served(record, clock)
    assert "azure_vmss_up 0\n" in text
    assert 'azure_vmss_poll_failure{reason="broken_answer"} 1\n' in text
    assert "azure_vmss_instances 5\n" in text
    assert own(telemetry, "poll_failures_total", reason="broken_answer") == 1


async def test_a_restarted_walk_drops_what_it_had(
    poller: Poller, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    record = new_record()
    source.pages["web"] = [page(instance({}, instance_id="1")), RESTART, page(instance({}))]
    await poller.poll(record)
    assert "azure_vmss_instances 1\n" in served(record, clock)


@pytest.mark.parametrize(
    ("keep_for", "interval", "seconds"), [(600.0, 60.0, 600.0), (10.0, 60.0, 300.0)]
)
async def test_data_is_kept_to_the_second_and_never_shorter_than_two_intervals_and_a_deadline(
    source: FakeSource,
    new_record: NewRecord,
    clock: FakeClock,
    telemetry: Telemetry,
    poller: Poller,
    keep_for: float,
    interval: float,
    seconds: float,
) -> None:
    keeping = Poller(
        source=source,
        mapper=poller._mapper,
        telemetry=telemetry,
        clock=clock,
        retention=Retention(keep_for=keep_for, deadline=180.0),
    )
    record = keeping.new_record(replace(new_record().target, interval=interval))
    await keeping.poll(record)
    source.pages["web"] = [TimedOut("late")]
    await clock.advance(seconds - 1)
    await keeping.poll(record)
    assert "azure_vmss_instances 0\n" in served(record, clock)
    await clock.advance(1)
    await keeping.expire()
    text = served(record, clock)
    assert "azure_vmss_instances" not in text
    assert "azure_vmss_last_success_timestamp_seconds" in text
    assert "azure_vmss_up 0\n" in text


async def test_a_fault_of_the_exporter_fails_the_poll_and_is_logged_with_its_traceback(
    poller: Poller,
    source: FakeSource,
    new_record: NewRecord,
    clock: FakeClock,
    logs: list[MutableMapping[str, Any]],
) -> None:
    record = new_record()
    source.pages["web"] = [ZeroDivisionError("a bug")]
    assert await poller.poll(record) is None
    assert 'azure_vmss_poll_failure{reason="internal"} 1\n' in served(record, clock)
    assert [entry["event"] for entry in logs] == ["poll crashed", "scale set failing"]
    assert logs[0]["exc_info"] is True


async def test_failing_and_recovered_are_said_once_each(
    poller: Poller,
    source: FakeSource,
    new_record: NewRecord,
    clock: FakeClock,
    logs: list[MutableMapping[str, Any]],
) -> None:
    record = new_record()
    source.pages["web"] = [TimedOut("late")]
    for _ in range(3):
        await poller.poll(record)
        await clock.advance(60)
    source.pages["web"] = [page()]
    await poller.poll(record)
    await poller.poll(record)
    said = [entry for entry in logs if entry["log_level"] != "debug"]
    assert [entry["event"] for entry in said] == ["scale set failing", "scale set recovered"]
    assert said[0]["reason"] == "timeout"
    assert said[1]["failing_seconds"] == 180
    assert said[1]["failed_polls"] == 3


async def test_a_second_outage_is_said_again(
    poller: Poller,
    source: FakeSource,
    new_record: NewRecord,
    logs: list[MutableMapping[str, Any]],
) -> None:
    record = new_record()
    for _ in range(2):
        source.pages["web"] = [TimedOut("late")]
        await poller.poll(record)
        source.pages["web"] = [page()]
        await poller.poll(record)
    said = [entry["event"] for entry in logs if entry["log_level"] != "debug"]
    assert said == ["scale set failing", "scale set recovered"] * 2
    assert [entry.get("failed_polls") for entry in logs if "recovered" in entry["event"]] == [1, 1]


async def test_two_reasons_in_turn_are_said_once_each(
    poller: Poller,
    source: FakeSource,
    new_record: NewRecord,
    logs: list[MutableMapping[str, Any]],
) -> None:
    record = new_record()
    for error in (TimedOut("late"), BrokenAnswer("cut"), ZeroDivisionError("a bug")) * 3:
        source.pages["web"] = [error]
        await poller.poll(record)
    said = [entry.get("reason", entry["event"]) for entry in logs if entry["log_level"] != "debug"]
    assert said == ["timeout", "broken_answer", "poll crashed", "internal"]


async def test_failing_facts_are_said_once_and_so_is_their_recovery(
    poller: Poller,
    source: FakeSource,
    new_record: NewRecord,
    logs: list[MutableMapping[str, Any]],
) -> None:
    record = new_record()
    source.facts["web"] = TimedOut("late")
    await poller.poll_model(record)
    assert logs == [], "while no poll has succeeded, the polls tell"
    await poller.poll(record)
    await poller.poll_model(record)
    await poller.poll_model(record)
    del source.facts["web"]
    await poller.poll_model(record)
    await poller.poll_model(record)
    said = [entry["event"] for entry in logs if entry["log_level"] != "debug"]
    assert said == ["facts failing", "facts recovered"]


async def test_a_fault_in_the_facts_ends_nothing(
    poller: Poller, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    record = new_record()
    source.facts["web"] = ZeroDivisionError("a bug")
    assert await poller.poll_model(record) is None
    await poller.poll(record)
    assert "azure_vmss_up 1\n" in served(record, clock)


async def test_a_fault_in_the_facts_of_a_good_set_is_said_once_with_its_reason(
    poller: Poller,
    source: FakeSource,
    new_record: NewRecord,
    logs: list[MutableMapping[str, Any]],
) -> None:
    record = new_record()
    await poller.poll(record)
    source.facts["web"] = ZeroDivisionError("a bug")
    for _ in range(3):
        await poller.poll_model(record)
    assert [entry.get("reason", "") for entry in logs if entry["log_level"] != "debug"] == [
        "",
        "internal",
    ]


async def test_without_any_set_nothing_expires_and_the_check_goes_on(
    poller: Poller, clock: FakeClock
) -> None:
    expiring = asyncio.create_task(poller.keep_expiring())
    await clock.advance(60)
    assert not expiring.done()
    expiring.cancel()
    await asyncio.wait({expiring})


async def test_facts_come_by_their_own_call_and_their_failure_leaves_them(
    poller: Poller, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    record = new_record()
    source.facts["web"] = ScaleSetModel(location="WestEurope", capacity=3)
    await poller.poll_model(record)
    source.facts["web"] = TimedOut("late")
    await poller.poll_model(record)
    text = served(record, clock)
    assert "azure_vmss_capacity 3\n" in text
    assert 'location="westeurope"' in text
    assert "azure_vmss_up 0\n" in text
    assert f"azure_vmss_model_last_success_timestamp_seconds {int(clock.now())}\n" in text


async def test_calls_are_counted_by_the_short_name_of_the_region(
    poller: Poller, source: FakeSource, new_record: NewRecord
) -> None:
    for spelling in ("West US 2", "westus2", "WestUS2"):
        source.facts["web"] = ScaleSetModel(location=spelling)
        record = new_record()
        await poller.poll_model(record)
        assert record.location == "westus2"


async def test_hidden_messages_are_not_logged_but_the_reason_and_the_advice_are(
    source: FakeSource,
    clock: FakeClock,
    telemetry: Telemetry,
    logs: list[MutableMapping[str, Any]],
) -> None:
    poller = Poller(
        source=source,
        mapper=Mapper(messages=False),
        telemetry=telemetry,
        clock=clock,
        retention=Retention(keep_for=600.0, deadline=180.0),
    )
    record = poller.new_record(Target(ScaleSetId(SUBSCRIPTION, "rg-web", "web"), 60.0))
    source.pages["web"] = [page(instance({}))]
    await poller.poll(record)
    source.facts["web"] = Forbidden("said by Azure", action="some/read")
    await poller.poll_model(record)
    source.pages["web"] = [Forbidden("said by Azure", action="some/read")]
    await poller.poll(record)
    assert [entry["event"] for entry in logs if "error" in entry] == [
        "facts failing",
        "scale set failing",
    ]
    for entry in logs:
        assert "said by Azure" not in str(entry)
        assert entry.get("reason", "permission") == "permission"
        assert "some/read" in entry.get("error", "some/read")


async def test_a_region_is_no_longer_than_a_label_value_where_calls_are_counted(
    poller: Poller, source: FakeSource, new_record: NewRecord
) -> None:
    source.facts["web"] = ScaleSetModel(location="é" * 300)
    record = new_record()
    await poller.poll_model(record)
    assert record.location == "é" * 126 + "…"


async def test_a_flexible_set_is_told_by_its_mode_and_costs_no_call(
    poller: Poller, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    record = new_record()
    source.facts["web"] = ScaleSetModel(orchestration_mode="Flexible")
    await poller.poll_model(record)
    await poller.poll(record)
    assert source.polled["web"] == []
    assert 'azure_vmss_poll_failure{reason="flexible"} 1\n' in served(record, clock)


async def test_fields_left_out_and_unknown_codes_are_counted(
    poller: Poller, source: FakeSource, new_record: NewRecord, telemetry: Telemetry
) -> None:
    odd = instance({"statuses": [{"code": "PowerState/hibernated", "level": "Grave"}]})
    source.pages["web"] = [
        page(odd, problems=(Problem("properties.instanceView.osName", "wrong type"),), lost=1)
    ]
    await poller.poll(new_record())
    assert own(telemetry, "mapping_errors_total", family="azure_vmss_instance_info") == 1
    assert own(telemetry, "unknown_status_codes_total") == 2


@pytest.mark.usefixtures("poller")
def test_counters_start_at_0_for_every_reason(telemetry: Telemetry) -> None:
    assert own(telemetry, "poll_failures_total", reason="throttled") == 0
    assert own(telemetry, "poll_failures_total", reason="internal") == 0
    for family in ("azure_vmss_disk_state", "azure_vmss_instances"):
        assert own(telemetry, "mapping_errors_total", family=family) == 0
    assert own(telemetry, "mapping_errors_total", family="azure_vmss_up") is None


async def test_a_set_that_is_gone_for_good_loses_its_facts_though_it_was_never_polled_well(
    poller: Poller, source: FakeSource, new_record: NewRecord, clock: FakeClock
) -> None:
    record = new_record()
    await poller.poll_model(record)
    assert "azure_vmss_info{" in served(record, clock)
    gone = NotFound("gone", missing="scale set", removes=True)
    source.pages["web"], source.facts["web"] = [gone], gone
    for _ in range(NOT_FOUND_ANSWERS):
        await poller.poll(record)
        await clock.advance(NOT_FOUND_SECONDS / 2)
    assert "azure_vmss_info{" not in served(record, clock)


@pytest.mark.parametrize("details", [True, False])
async def test_a_reload_keeps_what_azure_said_unless_it_may_not_be_shown_any_more(
    poller: Poller, source: FakeSource, new_record: NewRecord, *, details: bool
) -> None:
    record = new_record()
    source.pages["web"] = [page(instance({}, instance_id="1"))]
    await poller.poll(record)
    assert record.snapshot is not None
    before = record.snapshot.mapped
    poller.adopt(record, replace(record.target, interval=30.0), details=details)
    assert record.snapshot.mapped.details == (before.details if details else b"")
    assert record.snapshot.mapped.all_lines == before.all_lines
    assert record.poll.interval == 30.0
