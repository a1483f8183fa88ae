"""Logs: constant text with fields, one line each."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from exporter.runtime import logs as exporter_logs


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
    assert "level=WARN" in line
    assert 'msg="scale set failing"' in line
    assert "scale_set=s/rg/web" in line
    assert 'msg="from a library"' in foreign


def test_json_is_one_object_a_line() -> None:
    line, foreign = (json.loads(text) for text in written("json"))
    assert line["msg"] == "scale set failing"
    assert line["level"] == "WARN"
    assert line["error"] == 'said "no"\nand left'
    assert foreign["logger"] == "aiohttp.server"


def test_the_level_holds() -> None:
    assert len(written("logfmt", level="error")) == 0
    assert len(written("logfmt", level="debug")) == 3


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_queued_lines_have_the_same_form_and_lost_ones_are_reported_in_it(
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
    assert "WARN" in lost
    assert "second" in second
    assert counted == [1]


def test_without_a_queue_there_is_nothing_to_flush_or_to_lose() -> None:
    stream = io.StringIO()
    exporter_logs.configure(stream=stream)
    exporter_logs.count_lost(lambda _: None)
    structlog.get_logger("exporter.test").info("at once")
    assert "at once" in stream.getvalue()
    exporter_logs.flush(0.0)


def test_a_line_begins_with_time_level_logger_and_message() -> None:
    line, foreign = written("logfmt")
    keys = [re.match(r"(\w+)=", part) for part in line.split(" ")[:4]]
    assert [key[1] for key in keys if key] == ["time", "level", "logger", "msg"]
    assert re.match(r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z level=WARN logger=", foreign)
    record = json.loads(written("json")[0])
    assert list(record)[:4] == ["time", "level", "logger", "msg"]


@pytest.mark.parametrize(
    ("level", "said"),
    [("debug", ["WARN", "ERROR"]), ("info", ["ERROR"]), ("warn", ["ERROR"]), ("error", ["ERROR"])],
)
def test_azure_s_libraries_warn_only_where_details_are_asked_for(
    level: str, said: list[str]
) -> None:
    stream = io.StringIO()
    exporter_logs.configure(level=level, stream=stream)
    logger = logging.getLogger("azure.identity")
    logger.info("details")
    logger.warning("a try that failed")
    logger.error("no token")
    assert re.findall(r"level=(\w+)", stream.getvalue()) == said


def test_levels_have_their_short_names() -> None:
    stream = io.StringIO()
    exporter_logs.configure(level="debug", stream=stream)
    log = structlog.get_logger("exporter.test")
    for level in ("debug", "info", "warning", "error"):
        getattr(log, level)("x")
    assert re.findall(r"level=(\w+)", stream.getvalue()) == ["DEBUG", "INFO", "WARN", "ERROR"]


@pytest.mark.parametrize("queued", [False, True])
def test_without_a_stderr_there_is_no_log_and_no_error(
    monkeypatch: pytest.MonkeyPatch, *, queued: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    exporter_logs.configure(queued=queued)
    structlog.get_logger("exporter.test").error("for nobody")
    exporter_logs.flush()


def test_the_log_is_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    exporter_logs.configure()
    structlog.get_logger("exporter.test").info("here")
    assert "msg=here" in capsys.readouterr().err
