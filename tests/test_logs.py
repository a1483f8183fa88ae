"""Logs: constant text with fields, one line each."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from exporter import logs as exporter_logs


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def written(form: str, level: str = "info") -> list[str]:
    stream = io.StringIO()
    exporter_logs.configure(form=form, level=level, stream=stream)  # type: ignore[arg-type] # a parameter
    log = structlog.get_logger("exporter.test")
    log.warning("scale set failing", scale_set="s/rg/web", error='said "no"\nand left')
    log.debug("hidden")
    logging.getLogger("aiohttp.server").warning("from %s", "a library")
    logging.getLogger("azure.identity").info("details")
    return stream.getvalue().splitlines()


def test_logfmt_is_one_line_with_fields() -> None:
    line, foreign = written("logfmt")
    assert "level=warn" in line
    assert 'msg="scale set failing"' in line
    assert "scale_set=s/rg/web" in line
    assert 'msg="from a library"' in foreign


def test_json_is_one_object_a_line() -> None:
    line, foreign = (json.loads(text) for text in written("json"))
    assert line["msg"] == "scale set failing"
    assert line["level"] == "warn"
    assert line["error"] == 'said "no"\nand left'
    assert foreign["logger"] == "aiohttp.server"


def test_the_level_holds() -> None:
    assert len(written("logfmt", level="error")) == 0
    assert len(written("logfmt", level="debug")) == 3


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_queued_lines_have_the_same_form_and_lost_ones_are_said_in_it(
    form: Literal["logfmt", "json"],
) -> None:
    counted: list[int] = []
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as reader:
        with os.fdopen(write_end, "w") as stream:
            exporter_logs.configure(form=form, stream=stream, queued=True)
            exporter_logs.count_lost(counted.append)
            log = structlog.get_logger("exporter.test")
            log.info("first", number=1)
            logging.getLogger("aiohttp.server").warning("%d", "no number")
            log.info("second")
            exporter_logs.flush()
            exporter_logs.configure(stream=io.StringIO())
        first, lost, second = reader.read().splitlines()
    assert "first" in first
    assert "number" in first
    assert "1 log lines lost" in lost
    assert "warn" in lost
    assert "second" in second
    assert counted == [1]


def test_without_a_queue_there_is_nothing_to_flush_or_to_lose() -> None:
    stream = io.StringIO()
    exporter_logs.configure(stream=stream)
    exporter_logs.count_lost(lambda _: None)
    structlog.get_logger("exporter.test").info("at once")
    assert "at once" in stream.getvalue()
    exporter_logs.flush(0.0)
