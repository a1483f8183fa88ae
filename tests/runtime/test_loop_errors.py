"""Errors on the event loop that nobody waits for."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from typing import Any

import pytest
import structlog

from exporter.runtime.loop_errors import LoopErrors
from exporter.runtime.rate_limited_log import INTERVAL
from support.loop_clock import LoopClock


async def test_no_descriptor_for_a_reader_is_reported_once_a_minute(
    logs: list[structlog.typing.EventDict],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = LoopClock()
    clock.drive(monkeypatch)
    errors, loop = LoopErrors(), asyncio.get_running_loop()
    none_left = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    context: dict[str, Any] = {"message": "accept", "exception": none_left, "socket": object()}
    for _ in range(200):
        errors.handle(loop, context)
    assert [entry["error"] for entry in logs] == ["Too many open files"]
    errors.handle(loop, context)
    await clock.advance(INTERVAL)
    assert len(logs) == 2
    assert not caplog.records


@pytest.mark.parametrize(
    "context",
    [
        {"message": "a task broke", "exception": ValueError("odd")},
        {"message": "a task broke", "exception": OSError(errno.EMFILE, "no socket here")},
        {"message": "something without an exception"},
    ],
)
async def test_every_other_error_is_reported_as_asyncio_tells_it(
    caplog: pytest.LogCaptureFixture, context: dict[str, Any]
) -> None:
    LoopErrors().handle(asyncio.get_running_loop(), context)
    (state,) = caplog.records
    assert state.levelno == logging.ERROR
    assert state.getMessage() == context["message"]
