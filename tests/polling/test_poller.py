"""What a poll leaves behind, whether it succeeds or fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from exporter.azure.errors import BrokenAnswer, Forbidden, NotFound, TimedOut
from exporter.azure.scale_sets import RESTART
from exporter.metrics.mapper import Mapper
from exporter.model.instance_view import Problem
from exporter.model.scale_set import ScaleSetModel
from exporter.polling.confirmation import NOT_FOUND_ANSWERS, NOT_FOUND_SECONDS
from exporter.polling.poller import Poller
from exporter.polling.target_state import TargetState
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION, instance
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page

NewTarget = Callable[..., TargetState]


def served(poller: Poller, state: TargetState) -> str:
    text = b"".join(
        block.text for lines in poller._publisher.lines(state) for block in lines.values()
    ).decode()
    identity = f'subscription_id="{SUBSCRIPTION}",resource_group="rg-web",scale_set="web"'
    return text.replace("{" + identity + "}", "").replace(identity + ",", "")


def own(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(f"azure_vmss_exporter_{name}", labels)


async def test_before_the_first_poll_up_is_0_and_nothing_is_invented(
    poller: Poller, new_target: NewTarget
) -> None:
    assert served(poller, new_target()) == (
        "azure_vmss_up 0\n"
        "azure_vmss_instance_series_suppressed 0\n"
        "azure_vmss_poll_interval_seconds 60\n"
    )


async def test_a_success_serves_the_instances_and_when_they_were_fetched(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
    clock: FakeClock,
    telemetry: Telemetry,
) -> None:
    state = new_target()
    source.pages["web"] = [page(instance({}, instance_id="1")), page(instance({}, instance_id="2"))]
    assert await poller.poll(state) is None
    text = served(poller, state)
    assert "azure_vmss_up 1\n" in text
    assert f"azure_vmss_last_success_timestamp_seconds {int(clock.now())}\n" in text
    assert "azure_vmss_instances 2\n" in text
    assert "azure_vmss_poll_failure" not in text
    assert own(telemetry, "polls_total", result="success") == 1


async def test_a_walk_that_fails_on_page_3_changes_nothing_served_but_up(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
    telemetry: Telemetry,
) -> None:
    state = new_target()
    source.pages["web"] = [page(instance({}, instance_id=str(number))) for number in range(5)]
    await poller.poll(state)
    before = state.data.snapshot
    source.pages["web"] = [*source.pages["web"][:2], BrokenAnswer("cut")]
    error = await poller.poll(state)
    assert isinstance(error, BrokenAnswer)
    assert state.data.snapshot is before
    text = served(poller, state)
    assert "azure_vmss_up 0\n" in text
    assert 'azure_vmss_poll_failure{reason="broken_answer"} 1\n' in text
    assert "azure_vmss_instances 5\n" in text
    assert own(telemetry, "poll_failures_total", reason="broken_answer") == 1


async def test_a_restarted_walk_drops_what_it_had(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
) -> None:
    state = new_target()
    source.pages["web"] = [page(instance({}, instance_id="1")), RESTART, page(instance({}))]
    await poller.poll(state)
    assert "azure_vmss_instances 1\n" in served(poller, state)


@pytest.mark.parametrize(
    ("keep_for", "interval", "seconds"), [(600.0, 60.0, 600.0), (10.0, 60.0, 300.0)]
)
async def test_data_is_kept_to_the_second_and_never_shorter_than_two_intervals_and_a_deadline(
    source: FakeSource,
    clock: FakeClock,
    keep_for: float,
    interval: float,
    seconds: float,
) -> None:
    polling = Polling(source, clock, keep_for=keep_for)
    keeping, state = polling.poller, polling.add(interval=interval)
    await keeping.poll(state)
    source.pages["web"] = [TimedOut("late")]
    await clock.advance(seconds - 1)
    await keeping.poll(state)
    assert "azure_vmss_instances 0\n" in served(keeping, state)
    await clock.advance(1)
    await keeping.expire()
    text = served(keeping, state)
    assert "azure_vmss_instances" not in text
    assert "azure_vmss_last_success_timestamp_seconds" in text
    assert "azure_vmss_up 0\n" in text


async def test_a_fault_of_the_exporter_fails_the_poll_and_is_logged_with_its_traceback(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
    logs: list[MutableMapping[str, Any]],
) -> None:
    state = new_target()
    source.pages["web"] = [ZeroDivisionError("a bug")]
    assert await poller.poll(state) is None
    assert 'azure_vmss_poll_failure{reason="internal"} 1\n' in served(poller, state)
    assert [entry["event"] for entry in logs] == ["poll crashed", "scale set failing"]
    assert logs[0]["exc_info"] is True


async def test_failing_and_recovered_are_reported_once_each(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
    clock: FakeClock,
    logs: list[MutableMapping[str, Any]],
) -> None:
    state = new_target()
    source.pages["web"] = [TimedOut("late")]
    for _ in range(3):
        await poller.poll(state)
        await clock.advance(60)
    source.pages["web"] = [page()]
    await poller.poll(state)
    await poller.poll(state)
    said = [entry for entry in logs if entry["log_level"] != "debug"]
    assert [entry["event"] for entry in said] == ["scale set failing", "scale set recovered"]
    assert said[0]["reason"] == "timeout"
    assert said[1]["failing_seconds"] == 180
    assert said[1]["failed_polls"] == 3


async def test_a_second_outage_is_reported_again(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
    logs: list[MutableMapping[str, Any]],
) -> None:
    state = new_target()
    for _ in range(2):
        source.pages["web"] = [TimedOut("late")]
        await poller.poll(state)
        source.pages["web"] = [page()]
        await poller.poll(state)
    said = [entry["event"] for entry in logs if entry["log_level"] != "debug"]
    assert said == ["scale set failing", "scale set recovered"] * 2
    assert [entry.get("failed_polls") for entry in logs if "recovered" in entry["event"]] == [1, 1]


async def test_two_reasons_in_turn_are_reported_once_each(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
    logs: list[MutableMapping[str, Any]],
) -> None:
    state = new_target()
    for error in (TimedOut("late"), BrokenAnswer("cut"), ZeroDivisionError("a bug")) * 3:
        source.pages["web"] = [error]
        await poller.poll(state)
    said = [entry.get("reason", entry["event"]) for entry in logs if entry["log_level"] != "debug"]
    assert said == ["timeout", "broken_answer", "poll crashed", "internal"]


async def test_failing_facts_are_reported_once_and_so_is_their_recovery(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
    logs: list[MutableMapping[str, Any]],
) -> None:
    state = new_target()
    source.models["web"] = TimedOut("late")
    await poller.poll_model(state)
    assert logs == [], "while no poll has succeeded, the polls tell"
    await poller.poll(state)
    await poller.poll_model(state)
    await poller.poll_model(state)
    del source.models["web"]
    await poller.poll_model(state)
    await poller.poll_model(state)
    said = [entry["event"] for entry in logs if entry["log_level"] != "debug"]
    assert said == ["scale set model failing", "scale set model recovered"]


async def test_a_fault_in_the_facts_ends_nothing(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
) -> None:
    state = new_target()
    source.models["web"] = ZeroDivisionError("a bug")
    assert await poller.poll_model(state) is None
    await poller.poll(state)
    assert "azure_vmss_up 1\n" in served(poller, state)


async def test_a_fault_in_the_facts_of_a_good_set_is_reported_once_with_its_reason(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
    logs: list[MutableMapping[str, Any]],
) -> None:
    state = new_target()
    await poller.poll(state)
    source.models["web"] = ZeroDivisionError("a bug")
    for _ in range(3):
        await poller.poll_model(state)
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
    poller: Poller, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    state = new_target()
    source.models["web"] = ScaleSetModel(location="WestEurope", capacity=3)
    await poller.poll_model(state)
    source.models["web"] = TimedOut("late")
    await poller.poll_model(state)
    text = served(poller, state)
    assert "azure_vmss_capacity 3\n" in text
    assert 'location="westeurope"' in text
    assert "azure_vmss_up 0\n" in text
    assert f"azure_vmss_model_last_success_timestamp_seconds {int(clock.now())}\n" in text


async def test_calls_are_counted_by_the_short_name_of_the_region(
    poller: Poller, source: FakeSource, new_target: NewTarget
) -> None:
    state = new_target()
    for spelling in ("West US 2", "westus2", "WestUS2"):
        source.models["web"] = ScaleSetModel(location=spelling)
        await poller.poll_model(state)
        assert state.location == "westus2"


async def test_hidden_messages_are_not_logged_but_the_reason_and_the_advice_are(
    source: FakeSource,
    clock: FakeClock,
    logs: list[MutableMapping[str, Any]],
) -> None:
    polling = Polling(source, clock, mapper=Mapper(messages=False))
    poller, state = polling.poller, polling.add()
    source.pages["web"] = [page(instance({}))]
    await poller.poll(state)
    source.models["web"] = Forbidden("said by Azure", action="some/read")
    await poller.poll_model(state)
    source.pages["web"] = [Forbidden("said by Azure", action="some/read")]
    await poller.poll(state)
    assert [entry["event"] for entry in logs if "error" in entry] == [
        "scale set model failing",
        "scale set failing",
    ]
    for entry in logs:
        assert "said by Azure" not in str(entry)
        assert entry.get("reason", "permission") == "permission"
        assert "some/read" in entry.get("error", "some/read")


async def test_a_region_is_no_longer_than_a_label_value_where_calls_are_counted(
    poller: Poller, source: FakeSource, new_target: NewTarget
) -> None:
    source.models["web"] = ScaleSetModel(location="é" * 300)
    state = new_target()
    await poller.poll_model(state)
    assert state.location == "é" * 126 + "…"


async def test_fields_left_out_and_unknown_codes_are_counted(
    poller: Poller, source: FakeSource, new_target: NewTarget, telemetry: Telemetry
) -> None:
    odd = instance({"statuses": [{"code": "PowerState/hibernated", "level": "Grave"}]})
    source.pages["web"] = [
        page(odd, problems=(Problem("properties.instanceView.osName", "wrong type"),), lost=1)
    ]
    await poller.poll(new_target())
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
    poller: Poller, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> None:
    state = new_target()
    await poller.poll_model(state)
    assert "azure_vmss_info{" in served(poller, state)
    gone = NotFound("gone", missing="scale set", removes=True)
    source.pages["web"], source.models["web"] = [gone], gone
    for _ in range(NOT_FOUND_ANSWERS):
        await poller.poll(state)
        await clock.advance(NOT_FOUND_SECONDS / 2)
    assert "azure_vmss_info{" not in served(poller, state)


@pytest.mark.parametrize("details", [True, False])
async def test_a_reload_keeps_what_azure_said_unless_it_may_not_be_shown_any_more(
    poller: Poller,
    source: FakeSource,
    new_target: NewTarget,
    clock: FakeClock,
    *,
    details: bool,
) -> None:
    state = new_target()
    source.pages["web"] = [page(instance({}, instance_id="1"))]
    await poller.poll(state)
    assert state.data.snapshot is not None
    before = state.data.snapshot.mapped
    Polling(source, clock, mapper=Mapper(messages=details)).adopt(state)
    assert state.data.snapshot.mapped.details == (before.details if details else b"")
    assert state.data.snapshot.mapped.all_lines == before.all_lines
