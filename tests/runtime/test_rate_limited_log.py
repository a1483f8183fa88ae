"""An event in a flood is a line at once, and then one per interval with the count."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from exporter.runtime import logs as exporter_logs
from exporter.runtime.rate_limited_log import INTERVAL, RateLimitedLog, write_out_all
from support.loop_clock import LoopClock


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


async def test_a_flood_is_one_line_at_once_and_one_per_interval(
    logs: list[structlog.typing.EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = LoopClock()
    clock.drive(monkeypatch)
    event = RateLimitedLog(structlog.get_logger("test"), "it happened", level="warning")
    for number in range(10):
        event(number=number)
    assert logs == [{"event": "it happened", "log_level": "warning", "count": 1, "number": 0}]
    await clock.advance(INTERVAL - 1)
    event(number=10)
    assert len(logs) == 1
    await clock.advance(1)
    assert logs[1:] == [{"event": "it happened", "log_level": "warning", "count": 10, "number": 10}]
    await clock.advance(3 * INTERVAL)
    assert len(logs) == 2
    event(number=11)
    assert (len(logs), logs[-1]["count"]) == (3, 1)


async def test_at_the_end_what_is_counted_so_far_is_written_once(
    logs: list[structlog.typing.EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    LoopClock().drive(monkeypatch)
    flood, single = (RateLimitedLog(structlog.get_logger("test"), name) for name in "ab")
    single()
    for number in range(10):
        flood(number=number)
    for _ in range(2):
        write_out_all()
        assert [(entry["event"], entry["count"]) for entry in logs] == [
            ("b", 1),
            ("a", 1),
            ("a", 9),
        ]


@pytest.mark.usefixtures("logging_as_before")
async def test_an_exception_has_its_traceback_once_and_is_counted_after_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    exporter_logs.configure(stream=stream)
    clock = LoopClock()
    clock.drive(monkeypatch)
    event = RateLimitedLog(structlog.get_logger("exporter.test"), "failed", level="exception")
    for _ in range(5):
        try:
            raise KeyError("odd")  # noqa: TRY301 - to be caught here
        except KeyError:
            event(path="/")
    await clock.advance(INTERVAL)
    first, second = stream.getvalue().splitlines()
    assert "Traceback" in first
    assert "logger=exporter.test" in first
    assert "count=4" in second
    assert "exception" not in second
