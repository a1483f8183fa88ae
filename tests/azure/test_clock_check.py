"""A wrong clock is said once, and once more when it is over."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from aioresponses import aioresponses as mocked_answers
from multidict import CIMultiDict
from structlog.testing import capture_logs

from exporter.azure.clock_check import ClockCheck
from support.azure_room import FIRST, NewClient, page, walk
from support.clock import FakeClock


def headers(clock: FakeClock, ahead: float, **others: str) -> CIMultiDict[str]:
    """Azure's headers, where this machine's clock is so many seconds ahead."""
    date = formatdate(clock.now() - ahead, usegmt=True)
    return CIMultiDict({"x-ms-request-id": "1", "Date": date, **others})


@pytest.mark.parametrize("ahead", [-7200.0, -62.0, 62.0, 86_400.0])
def test_a_wrong_clock_is_reported_once_and_when_it_is_over(clock: FakeClock, ahead: float) -> None:
    check = ClockCheck(clock)
    with capture_logs() as logs:
        check.note(headers(clock, 0))
        for _ in range(3):
            check.note(headers(clock, ahead))
        for _ in range(3):
            check.note(headers(clock, 1))
        check.note(headers(clock, ahead))
    assert [line["event"] for line in logs] == [
        "clock is wrong",
        "clock is right again",
        "clock is wrong",
    ]
    assert abs(logs[0]["seconds_ahead"] - ahead) <= 1
    assert logs[0]["log_level"] == "warning"


def test_a_clock_at_the_limit_is_not_logged_over_and_over(clock: FakeClock) -> None:
    check = ClockCheck(clock)
    with capture_logs() as logs:
        for ahead in (62, 58, 62, 58, 45, 62):
            check.note(headers(clock, ahead))
        assert [line["event"] for line in logs] == ["clock is wrong"]
        check.note(headers(clock, 25))
    assert [line["event"] for line in logs] == ["clock is wrong", "clock is right again"]


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"x-ms-request-id": "1"},
        {"x-ms-request-id": "1", "Date": "yesterday"},
        {"x-ms-request-id": "1", "Date": "Thu, 01 Jan 99999 00:00:00 GMT"},
        {"x-ms-request-id": "1", "Date": "Thu, 01 Jan 1970 00:00:00 GMT", "Age": "3"},
    ],
)
def test_only_a_time_of_azure_s_own_counts(clock: FakeClock, found: dict[str, str]) -> None:
    with capture_logs() as logs:
        ClockCheck(clock).note(CIMultiDict(found))
    assert logs == []


async def test_every_answer_of_azure_is_compared(
    clock: FakeClock, new_client: NewClient, answers: mocked_answers
) -> None:
    answers.get(FIRST, payload=page("0"), headers=headers(clock, 300))
    with capture_logs() as logs:
        await walk(new_client())
    assert [line["seconds_ahead"] for line in logs if line["event"] == "clock is wrong"] == [300]
