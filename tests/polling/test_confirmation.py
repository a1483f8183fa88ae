"""Which answers remove data: a 404 after five minutes, an empty list the second time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.azure.errors import AzureError, NoAnswer, NotFound, NotSent, TimedOut
from exporter.model.instance_view import Instance
from exporter.model.scale_set import ScaleSetModel
from exporter.polling.target_state import TargetState
from support.answers import instance, samples
from support.clock import FakeClock
from support.life import Life
from support.polling import Polling
from support.source import FakeSource, page

NewTarget = Callable[..., TargetState]

GONE = NotFound("gone", missing="scale set", removes=True)
LATE = TimedOut("late")
HELD = NotSent("held", retry_after=1.0)


class Believing:
    """A set of three instances that was polled well once, a minute before anything else."""

    def __init__(self, polling: Polling, source: FakeSource, state: TargetState) -> None:
        self.polling = polling
        self.poller = polling.poller
        self.source = source
        self.target = state

    async def model(self, capacity: int | None) -> None:
        self.source.models["web"] = ScaleSetModel(capacity=capacity)
        await self.poller.poll_model(self.target)

    async def answer(self, *instances: Instance, lost: int = 0) -> None:
        self.source.pages["web"] = [page(*instances, lost=lost)]
        await self.poller.poll(self.target)

    async def fail(self, error: NoAnswer) -> None:
        self.source.pages["web"] = [error]
        await self.poller.poll(self.target)

    def shown(self, name: str) -> float | None:
        found = samples(self.polling.cache.page((name,)).text.decode())
        values = list(found.values())
        assert len(values) <= 1
        return values[0] if values else None

    def reason(self) -> str | None:
        found = samples(self.polling.cache.page(("azure_vmss_poll_failure",)).text.decode())
        return next((dict(labels)["reason"] for _, labels in found), None)

    def state(self) -> tuple[float | None, float | None, str | None]:
        """What is served of `up`, the instances, and the reason of the failure."""
        return self.shown("azure_vmss_up"), self.shown("azure_vmss_instances"), self.reason()


def three() -> list[Instance]:
    return [instance({}, instance_id=str(number)) for number in range(3)]


@pytest.fixture
async def believing(
    polling: Polling, source: FakeSource, new_target: NewTarget, clock: FakeClock
) -> Believing:
    made = Believing(polling, source, new_target())
    await made.model(3)
    await made.answer(*three())
    await clock.advance(60)
    return made


async def test_a_404_fails_the_poll_at_once_and_the_data_stay(believing: Believing) -> None:
    await believing.fail(GONE)
    assert believing.state() == (0, 3, "not_found")
    assert believing.shown("azure_vmss_capacity") == 3


@pytest.mark.parametrize(
    ("times", "left"),
    [
        ((0, 299.9), 3),
        ((0, 300), 3),
        ((0, 1, 2, 3, 299.9), 3),
        ((0, 150, 300), None),
        ((0, 299, 299.5, 300), None),
    ],
)
async def test_three_404s_over_five_minutes_remove_the_data(
    believing: Believing, clock: FakeClock, times: tuple[float, ...], left: int | None
) -> None:
    before = 0.0
    for moment in times:
        await clock.advance(moment - before)
        before = moment
        assert believing.state() != (0, None, "not_found")
        await believing.fail(GONE)
    assert believing.state() == (0, left, "not_found")
    assert believing.shown("azure_vmss_capacity") == left
    assert believing.shown("azure_vmss_instance_deletions_total") == 0


@pytest.mark.parametrize("missing", ["scale set", "subscription"])
async def test_a_404_of_another_kind_removes_nothing_before_keep_for(
    believing: Believing, clock: FakeClock, missing: str
) -> None:
    error = NotFound("gone", missing=missing)  # type: ignore[arg-type]
    for _ in range(9):
        await believing.fail(error)
        assert believing.state() == (0, 3, "not_found")
        await clock.advance(59)
    await clock.advance(60)
    await believing.poller.expire()
    assert believing.state() == (0, None, "not_found")


@pytest.mark.parametrize("between", [None, LATE])
async def test_any_other_answer_between_404s_begins_the_count_anew(
    believing: Believing, clock: FakeClock, between: AzureError | None
) -> None:
    for _ in range(2):
        await believing.fail(GONE)
        await clock.advance(150)
    await (believing.fail(between) if between else believing.answer(*three()))
    for _ in range(2):
        await believing.fail(GONE)
        await clock.advance(100)
    assert believing.shown("azure_vmss_instances") == 3


async def test_a_poll_that_was_put_off_is_no_answer_between_404s(
    believing: Believing, clock: FakeClock
) -> None:
    for _ in range(3):
        await believing.fail(GONE)
        await believing.fail(HELD)
        await clock.advance(150)
    assert believing.state() == (0, None, "not_found")


async def test_an_empty_list_of_a_set_with_capacity_is_served_the_second_time(
    believing: Believing,
) -> None:
    await believing.answer()
    assert believing.state() == (0, 3, "broken_answer")
    assert believing.shown("azure_vmss_instance_deletions_total") == 0
    await believing.answer()
    assert believing.state() == (1, 0, None)
    assert believing.shown("azure_vmss_instance_deletions_total") == 3
    await believing.answer()
    assert believing.state() == (1, 0, None)


async def test_an_empty_list_that_was_a_slip_of_azures_leaves_no_trace(
    believing: Believing,
) -> None:
    for _ in range(3):
        await believing.answer()
        await believing.answer(*three())
        assert believing.state() == (1, 3, None)
    assert believing.shown("azure_vmss_instance_deletions_total") == 0
    assert believing.shown("azure_vmss_instance_creations_total") == 0


async def test_an_empty_list_after_another_failure_is_again_the_first(
    believing: Believing,
) -> None:
    for _ in range(2):
        await believing.answer()
        await believing.fail(LATE)
    assert believing.state() == (0, 3, "timeout")


async def test_a_set_that_was_emptied_on_purpose_is_empty_at_once(believing: Believing) -> None:
    await believing.model(0)
    await believing.answer()
    assert believing.state() == (1, 0, None)
    await believing.model(3)
    await believing.answer()
    assert believing.state() == (1, 0, None), "the last walk was empty too: it only begins"


async def test_the_first_list_of_all_may_be_empty(
    polling: Polling, source: FakeSource, new_target: NewTarget
) -> None:
    first = Believing(polling, source, new_target())
    await first.model(3)
    await first.answer()
    assert first.state() == (1, 0, None)


@pytest.mark.parametrize("capacity", [0, 3, None])
async def test_a_list_of_which_nothing_could_be_read_is_served_the_second_time(
    believing: Believing, capacity: int | None
) -> None:
    await believing.model(capacity)
    await believing.answer(lost=2)
    assert believing.state() == (0, 3, "broken_answer")
    assert "none of the 2 items" in (believing.target.data.poll.message or "")
    assert believing.shown("azure_vmss_instance_deletions_total") == 0
    await believing.answer(lost=2)
    assert believing.state() == (1, 0, None)
    assert believing.shown("azure_vmss_instance_deletions_total") == 1, "two may be the unreadable"
    await believing.answer(lost=2)
    assert believing.state() == (1, 0, None)
    await believing.answer(*three())
    await believing.answer(lost=2)
    assert believing.state() == (0, 3, "broken_answer")


async def test_a_list_of_which_something_could_be_read_is_served(believing: Believing) -> None:
    await believing.answer(instance({}, instance_id="1"), lost=2)
    assert believing.state() == (1, 1, None)


async def test_a_first_list_of_which_nothing_could_be_read_is_no_empty_set(
    polling: Polling, source: FakeSource, new_target: NewTarget
) -> None:
    first = Believing(polling, source, new_target())
    await first.answer(lost=2)
    assert first.state() == (0, None, "broken_answer")


@pytest.mark.parametrize("away", [60, 100_000])
async def test_after_a_restart_an_empty_list_is_not_believed_the_first_time_either(
    tmp_path: Path, clock: FakeClock, away: float
) -> None:
    first = Life(tmp_path, clock)
    first.source.models["web"] = ScaleSetModel(capacity=3)
    await first.poll(*three())
    await clock.advance(away)
    second = Life(tmp_path, clock)
    await second.start()
    restored = Believing(second.polling, second.source, second.states[0])
    await restored.model(3)
    await restored.answer()
    assert restored.state() == (0, 3 if away < 600 else None, "broken_answer")
    await restored.answer()
    assert restored.state() == (1, 0, None)
