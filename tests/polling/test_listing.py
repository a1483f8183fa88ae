"""A set is listed as what it is, and one that turns out to be the other kind switches."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from exporter.azure.errors import FlexibleNotSupported, NotFound, TimedOut
from exporter.model.scale_set import ScaleSetModel
from exporter.polling import listing
from exporter.polling.listing import ASKED_A_MINUTE, MOST_ASKED
from support.answers import WEB, instance
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page

FLEXIBLE, UNIFORM = (ScaleSetModel(orchestration_mode=mode) for mode in ("Flexible", "Uniform"))


def listed(source: FakeSource) -> tuple[int, int]:
    """How often the set was listed as a Uniform and as a Flexible one."""
    flexible = len(source.listed_as_flexible["web"])
    return len(source.polled["web"]) - flexible, flexible


@pytest.fixture
def declined(source: FakeSource) -> FakeSource:
    """Azure declines to list the set as a Uniform one."""
    instance_pages = source.instance_pages

    async def pages(*args, **more):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN202
        if len(source.listed_as_flexible["web"]) == listed_before[0]:
            source.polled["web"].append(0.0)
            raise FlexibleNotSupported.of(WEB)
        listed_before[0] += 1
        async for found in instance_pages(*args, **more):
            yield found

    listed_before = [0]
    source.instance_pages = pages  # type: ignore[method-assign]
    return source


async def test_a_flexible_set_is_recognized_by_its_mode_and_costs_no_call_too_many(
    polling: Polling, source: FakeSource
) -> None:
    state = polling.add()
    source.models["web"] = FLEXIBLE
    source.pages["web"] = [page(instance({}, instance_id="web_1"))]
    await polling.poller.poll_model(state)
    assert await polling.poller.poll(state) is None
    assert listed(source) == (0, 1)
    assert 'instance_id="web_1"' in polling.page()


async def test_a_flexible_set_is_recognized_by_azures_400_once(
    polling: Polling, declined: FakeSource
) -> None:
    state = polling.add()
    declined.pages["web"] = [page(instance({}, instance_id="web_1"))]
    with capture_logs() as logs:
        for _ in range(3):
            assert await polling.poller.poll(state) is None
            # That of an old api-version, which knows no mode.
            assert await polling.poller.poll_model(state) is None
    assert listed(declined) == (1, 3)
    assert [log["event"] for log in logs if log["log_level"] == "info"] == ["scale set is flexible"]


async def test_a_set_that_becomes_uniform_is_listed_as_one_and_that_is_logged_once(
    polling: Polling, source: FakeSource
) -> None:
    state = polling.add()
    source.pages["web"] = [page(instance({}))]
    with capture_logs() as logs:
        for model in (FLEXIBLE, UNIFORM, UNIFORM):
            source.models["web"] = model
            await polling.poller.poll_model(state)
            await polling.poller.poll(state)
    assert listed(source) == (2, 1)
    assert [(log["event"], log["mode"]) for log in logs if "mode" in log] == [
        ("orchestration mode changed", "Uniform")
    ]


async def test_an_empty_list_of_a_flexible_set_that_is_gone_is_no_empty_set(
    polling: Polling, source: FakeSource
) -> None:
    state = polling.add()
    source.models["web"] = FLEXIBLE
    await polling.poller.poll_model(state)
    source.pages["web"] = [page(instance({}, instance_id="web_1"))]
    await polling.poller.poll(state)
    source.pages["web"] = [page()]
    source.models["web"] = NotFound("gone", missing="scale set", removes=True)
    error = await polling.poller.poll(state)
    assert isinstance(error, NotFound)
    assert not state.data.poll.up
    assert 'instance_id="web_1"' in polling.page(), "the data stay until it is sure"


async def test_an_empty_flexible_set_that_exists_is_empty(
    polling: Polling, source: FakeSource
) -> None:
    state = polling.add()
    source.models["web"] = FLEXIBLE
    source.pages["web"] = [page()]
    await polling.poller.poll_model(state)
    assert await polling.poller.poll(state) is None
    assert state.data.poll.up
    assert len(source.model_polled["web"]) == 2


# Machines that a Flexible set has lost


async def lose(polling: Polling, source: FakeSource, name: str, count: int) -> None:
    """Let a Flexible set have some machines, and then none of them."""
    state = polling.add(name)
    source.models[name] = FLEXIBLE
    await polling.poller.poll_model(state)
    stays = instance({}, instance_id=f"{name}_stays")
    going = [instance({}, instance_id=f"{name}_{number}") for number in range(count)]
    source.pages[name] = [page(stays, *going)]
    await polling.poller.poll(state)
    source.pages[name] = [page(stays)]
    await polling.poller.poll(state)


def deletions(polling: Polling, name: str) -> int:
    (state,) = (one for one in polling.targets if one.target.scale_set.name == name)
    transitions = state.data.memory.transitions
    assert transitions is not None
    return transitions.counts.deletions


async def test_few_machines_are_looked_for_in_a_minute_however_many_sets_lose_some(
    polling: Polling, source: FakeSource, clock: FakeClock
) -> None:
    for number in range(10):
        await lose(polling, source, f"set{number}", MOST_ASKED)
    assert sum(map(len, source.looked_for.values())) == ASKED_A_MINUTE
    await clock.advance(61)
    await lose(polling, source, "later", MOST_ASKED)
    assert len(source.looked_for["later"]) == MOST_ASKED
    assert deletions(polling, "set9") == MOST_ASKED


async def test_a_machine_that_exists_elsewhere_with_the_same_id_was_not_deleted(
    polling: Polling, source: FakeSource
) -> None:
    source.machines["web_0"] = instance({}, instance_id="web_0")
    going = {"provisioningState": "Deleting"}
    source.machines["web_1"] = instance({}, instance_id="web_1", properties=going)
    source.machines["web_2"] = TimedOut("late")
    await lose(polling, source, "web", 4)
    assert source.looked_for["web"] == ["web_0", "web_1", "web_2"], "the others may fail as well"
    assert deletions(polling, "web") == 3


async def test_looking_for_a_machine_holds_no_poll_up_for_long(
    polling: Polling, source: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(source, "virtual_machine", silent)
    monkeypatch.setattr(listing, "LOOKING_LIMIT", 0.01)
    await lose(polling, source, "web", 2)
    assert deletions(polling, "web") == 2
    assert 'instance_id="web_stays"' in polling.page()
