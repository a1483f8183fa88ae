"""What holds for every test: no task is left behind, and CI skips no real component."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from hypothesis import settings
from pytest_asyncio.plugin import PytestAsyncioFunction

from exporter.runtime import rate_limited_log
from support.clock import FakeClock
from support.examples import examples

settings.register_profile("exporter", examples(100))
settings.load_profile("exporter")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def logs() -> Iterator[list[structlog.typing.EventDict]]:
    """What was logged, as structlog's event dictionaries."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
async def leak_check() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() if not task.done()} - {asyncio.current_task()}
    for task in left:
        task.cancel()
    assert not left, f"tasks left behind: {left}"


@pytest.fixture(autouse=True)
def no_line_of_the_log_is_left_behind() -> Iterator[None]:
    """A line that waits for the end of its minute would be written out by another test's."""
    yield
    rate_limited_log._waiting.clear()


@pytest.fixture(autouse=True)
def no_task_is_left_behind(request: pytest.FixtureRequest) -> None:
    if isinstance(request.node, PytestAsyncioFunction):
        request.getfixturevalue("leak_check")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the property tests, which `make fuzz` runs for long."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("fuzz")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name packed bytes by their parameter: they hold the time, and ids are to last."""
    return argname if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Under CI a skipped test of a real component is a failure, not a pass by absence."""
    if os.environ.get("CI") != "true" or call.excinfo is None:
        return
    real = any(item.get_closest_marker(name) for name in ("prometheus", "image"))
    if real and call.excinfo.errisinstance(pytest.skip.Exception):
        reason = f"under CI this must run: {call.excinfo.value}"
        error = AssertionError(reason).with_traceback(call.excinfo.tb)
        call.excinfo = pytest.ExceptionInfo.from_exception(error)
