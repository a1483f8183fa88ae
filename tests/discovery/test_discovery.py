"""Targets are what is listed and what is found, and a refresh that fails removes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from discovery.conftest import LISTED, OTHER, FakeGraph, FakeLists, configured
from exporter.azure.errors import Forbidden, NotFound
from exporter.discovery import discovery as module
from exporter.discovery.discovery import RETRY, Discovery, carried_over
from exporter.model.scale_set import ScaleSetModel
from support.answers import SUBSCRIPTION, instance
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page

Discover = Callable[..., Discovery]


def polled(polling: Polling) -> dict[str, str]:
    return {s.target.scale_set.name: s.target.origin for s in polling.targets}


def own(polling: Polling, name: str, **labels: str) -> float | None:
    return polling.telemetry.registry.get_sample_value(f"azure_vmss_exporter_{name}", labels)


async def test_what_is_found_is_polled_beside_what_is_listed_and_listed_wins(
    discover: Discover, lists: FakeLists, polling: Polling
) -> None:
    lists.put("web")
    lists.put("LISTED")
    discovery = discover(configured(more=LISTED))
    await discovery.begin()
    assert polled(polling) == {"listed": "configured"}
    await discovery.refresh()
    assert polled(polling) == {"listed": "configured", "web": "discovered"}
    assert own(polling, "targets", origin="configured") == 1
    assert own(polling, "targets", origin="discovered") == 1
    assert own(polling, "discovery_up", block="0") == 1


async def test_a_set_goes_when_three_complete_refreshes_have_missed_it(
    discover: Discover, lists: FakeLists, polling: Polling
) -> None:
    lists.put("web")
    lists.put("going")
    discovery = discover()
    await discovery.refresh()
    gone = lists.sets[SUBSCRIPTION].pop()
    await discovery.refresh()
    await discovery.refresh()
    lists.sets[SUBSCRIPTION].append(gone)
    await discovery.refresh()
    assert "going" in polled(polling), "found again: it begins anew"
    lists.sets[SUBSCRIPTION].pop()
    for _ in range(3):
        assert "going" in polled(polling)
        await discovery.refresh()
    assert polled(polling) == {"web": "discovered"}


async def test_a_set_that_its_polls_do_not_find_either_goes_at_once(
    discover: Discover, lists: FakeLists, polling: Polling, source: FakeSource
) -> None:
    lists.put("going")
    discovery = discover()
    await discovery.refresh()
    (state,) = polling.targets
    source.pages["going"] = [NotFound("gone", missing="scale set", removes=True)]
    await polling.poller.poll(state)
    lists.sets[SUBSCRIPTION].clear()
    await discovery.refresh()
    assert polled(polling) == {}


async def test_a_refresh_that_fails_in_any_part_removes_nothing_and_is_said_once(
    discover: Discover, lists: FakeLists, polling: Polling, clock: FakeClock
) -> None:
    lists.put("web")
    lists.put("jobs", subscription=OTHER)
    discovery = discover(configured(f"[{{subscriptions: [{SUBSCRIPTION}, {OTHER}]}}]"))
    await discovery.refresh()
    lists.sets[SUBSCRIPTION] = []
    lists.sets[OTHER] = [Forbidden("no", action="read")]
    lists.put("new")
    with capture_logs() as logs:
        for _ in range(5):
            await discovery.refresh()
    assert polled(polling).keys() == {"web", "jobs", "new"}
    assert own(polling, "discovery_up", block="0") == 0
    assert [log["event"] for log in logs] == ["discovery failing", "targets changed"]
    # A reason that is new is served as 0 first.
    assert own(polling, "discovery_failures_total", block="0", reason="permission") == 0
    del lists.sets[OTHER][0]
    with capture_logs() as logs:
        await discovery.refresh()
    assert [log["event"] for log in logs] == ["discovery recovered"]
    assert own(polling, "discovery_up", block="0") == 1
    last = own(polling, "discovery_last_success_timestamp_seconds", block="0")
    assert last == clock.now()


async def test_another_spelling_is_the_same_target_and_a_group_has_one(
    discover: Discover, lists: FakeLists, polling: Polling
) -> None:
    lists.put("web", group="RG-Web")
    lists.put("jobs", group="rg-web")
    discovery = discover()
    await discovery.refresh()
    spelled = {str(state.target.scale_set) for state in polling.targets}
    assert spelled == {f"{SUBSCRIPTION}/RG-Web/web", f"{SUBSCRIPTION}/RG-Web/jobs"}
    lists.sets[SUBSCRIPTION].clear()
    lists.put("WEB", group="RG-WEB")
    lists.put("JOBS", group="RG-WEB")
    await discovery.refresh()
    assert {str(state.target.scale_set) for state in polling.targets} == spelled


async def test_the_list_tells_the_models_so_that_no_get_is_needed(
    discover: Discover, lists: FakeLists, polling: Polling, clock: FakeClock
) -> None:
    lists.put("web", capacity=3, sku="Standard_D2s_v5", orchestration_mode="Flexible")
    await discover().refresh()
    (state,) = polling.targets
    assert state.capacity == 3
    assert state.location == "westeurope"
    assert state.data.is_flexible
    assert "azure_vmss_capacity{" in polling.page()
    assert not polling.poller.model_is_due(state)
    await clock.advance(500)
    assert polling.poller.model_is_due(state), "no list has told it for long"


async def test_a_late_index_takes_back_nothing_that_a_list_or_a_get_has_told_since(
    discover: Discover, lists: FakeLists, graph: FakeGraph, polling: Polling, clock: FakeClock
) -> None:
    lists.put("web", capacity=3)
    graph.knows(lists)
    discovery = discover(graph=graph)
    await discovery.refresh()
    (state,) = polling.targets
    assert state.capacity == 3
    polling.poller.model_found(state, ScaleSetModel(location="westeurope", capacity=8))
    await discovery.refresh()
    assert state.capacity == 8, "the index says what it said before"
    await clock.advance(500)
    await discovery.refresh()
    assert polling.poller.model_is_due(state), "a GET decides"
    lists.sets[SUBSCRIPTION].clear()
    lists.put("web", capacity=9)
    graph.knows(lists)
    await discovery.refresh()
    assert state.capacity == 9, "the index has news"
    await clock.advance(500)
    await discovery.refresh()
    assert not polling.poller.model_is_due(state), "nothing contradicts the index"


async def test_a_listed_set_is_read_by_gets_alone(
    discover: Discover, lists: FakeLists, graph: FakeGraph, polling: Polling
) -> None:
    lists.put("listed", capacity=3)
    graph.knows(lists)
    discovery = discover(configured(more=LISTED), graph=graph)
    await discovery.begin()
    (state,) = polling.targets
    polling.poller.model_found(state, ScaleSetModel(location="westeurope", capacity=8))
    await discovery.refresh()
    assert state.capacity == 8


async def test_an_entry_that_finds_nothing_says_so_once(
    discover: Discover, polling: Polling
) -> None:
    discovery = discover()
    with capture_logs() as logs:
        await discovery.refresh()
        await discovery.refresh()
    assert [log["event"] for log in logs] == ["discovery found no scale set"]
    assert own(polling, "discovery_up", block="0") == 1


async def test_a_fault_in_a_search_ends_nothing(
    discover: Discover, lists: FakeLists, polling: Polling
) -> None:
    lists.put("web")
    discovery = discover()
    await discovery.refresh()
    lists.sets[SUBSCRIPTION] = [ValueError("a fault")]
    await discovery.refresh()
    assert polled(polling) == {"web": "discovered"}
    assert own(polling, "discovery_up", block="0") == 0


async def test_refreshes_follow_each_other_and_one_that_failed_is_tried_again_soon(
    discover: Discover, lists: FakeLists, clock: FakeClock
) -> None:
    discovery = discover()
    running = asyncio.create_task(discovery.run())
    await clock.advance(1)
    assert discovery.searched.is_set()
    assert lists.asked.total() == 1
    await clock.advance(300)
    assert lists.asked.total() == 2
    lists.sets[SUBSCRIPTION] = [Forbidden("no", action="read")]
    await clock.advance(300)
    assert lists.asked.total() == 3
    await clock.advance(RETRY)
    assert lists.asked.total() == 4
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_blocks_have_labels_and_intervals_and_the_first_that_finds_a_set_has_it(
    discover: Discover, lists: FakeLists, polling: Polling
) -> None:
    lists.put("web")
    lists.put("jobs")
    first = f"{{subscriptions: [{SUBSCRIPTION}], names: [web], labels: {{team: a}}, interval: 30s}}"
    second = f"{{subscriptions: [{SUBSCRIPTION}]}}"
    await discover(configured(f"[{first}, {second}]")).refresh()
    targets = {state.target.scale_set.name: state.target for state in polling.targets}
    assert (targets["web"].interval, targets["web"].labels) == (30.0, (("team", "a"),))
    assert (targets["jobs"].interval, targets["jobs"].labels) == (60.0, (("team", ""),))


async def test_what_was_found_goes_on_under_a_configuration_that_may_want_it(
    discover: Discover, lists: FakeLists, polling: Polling
) -> None:
    lists.put("web")
    lists.put("jobs")
    await discover().refresh()
    entry = f"[{{subscriptions: [{SUBSCRIPTION}], names: [web], interval: 2m}}]"
    after = configured(entry, LISTED)
    kept = carried_over(after, tuple(polling.targets))
    assert [(t.scale_set.name, t.interval, t.origin) for t in kept] == [
        ("listed", 60.0, "configured"),
        ("web", 120.0, "discovered"),
    ]
    discovery = discover(after)
    await discovery.begin()
    assert polled(polling) == {"listed": "configured", "web": "discovered"}
    await discovery.change(configured(entry))
    assert polled(polling) == {"web": "discovered"}


async def test_thousands_that_come_and_go_leave_the_others_alone(
    discover: Discover,
    lists: FakeLists,
    polling: Polling,
    source: FakeSource,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MISSED_REFRESHES", 1)
    for number in range(500):
        lists.put(f"set-{number}")
    discovery = discover()
    await discovery.refresh()
    source.pages["set-0"] = [page(instance({}))]
    first = next(iter(polling.targets))
    await polling.poller.poll(first)
    del lists.sets[SUBSCRIPTION][400:]
    for number in range(100):
        lists.put(f"new-{number}")
    await discovery.refresh()
    assert len(polling.targets) == 500
    assert first.data.poll.up
    assert len(polling.publisher._published) == 500


async def test_entries_that_are_refreshed_at_a_time_take_nothing_from_each_other(
    discover: Discover, lists: FakeLists, polling: Polling, clock: FakeClock
) -> None:
    for number in range(60):
        lists.put(f"web-{number}")
        lists.put(f"jobs-{number}", subscription=OTHER)
    entries = ", ".join(f"{{subscriptions: [{one}]}}" for one in (SUBSCRIPTION, OTHER))
    discovery = discover(configured(f"[{entries}]"))
    running = asyncio.create_task(discovery.run())
    await clock.advance(1)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert len(polling.targets) == 120
    assert all(state.data.model is not None for state in polling.targets)


async def test_an_entry_that_is_gone_is_not_shown_any_more(
    discover: Discover, polling: Polling
) -> None:
    await discover().begin()
    assert own(polling, "discovery_up", block="0") == 0
    await discover(configured("[]", LISTED)).begin()
    assert own(polling, "discovery_up", block="0") is None


async def test_the_spelling_of_a_group_that_has_gone_is_forgotten(
    discover: Discover, lists: FakeLists
) -> None:
    discovery = discover()
    for number in range(20):
        lists.sets[SUBSCRIPTION].clear()
        lists.put("web", group=f"RG-{number}")
        for _ in range(3):
            await discovery.refresh()
    assert len(discovery._groups) <= 3
