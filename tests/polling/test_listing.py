"""A set is listed as what it is, and one that turns out to be the other kind switches."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from exporter.azure.errors import FlexibleNotSupported, NotFound
from exporter.model.scale_set import ScaleSetModel
from support.answers import WEB, instance
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
