"""What is no request is answered shortly, and neither logged at length nor repeated."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import web

from exporter.web.application import make_application
from exporter.web.protocol import Connection
from support.loop_clock import LoopClock
from support.site import WebCase
from support.wire import Server, ask, connected, receive, receive_all, reset, send, serving

SECRET = b"dXNlcjpTRUNSRVQ"
HEAD = b"GET /metrics HTTP/1.1\r\nHost: here\r\nAuthorization: Basic " + SECRET + b"\r\n"

MALFORMED = {
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SECRET * 20,
    "garbage": SECRET + b"\r\n\r\n",
    "binary garbage": bytes(range(256)) + SECRET,
    "a header with NUL": HEAD + b"X: a\0b\r\n\r\n",
    "a header without a colon": HEAD + b"Broken\r\n\r\n",
    "a header with a space in its name": HEAD + b"Bro ken: x\r\n\r\n",
    "a header that is too long": HEAD + b"X: " + SECRET * 2000 + b"\r\n\r\n",
    "too many headers": HEAD + b"".join(b"X%d: y\r\n" % n for n in range(2000)) + b"\r\n",
    "an address that is too long": b"GET /" + SECRET * 2000 + b" HTTP/1.1\r\nHost: here\r\n\r\n",
    "an address that is none": b"GET http://[::" + SECRET + b" HTTP/1.1\r\nHost: here\r\n\r\n",
    "a method in small letters": b"get /" + SECRET + b" HTTP/1.1\r\nHost: here\r\n\r\n",
    "a method that is none": SECRET + b" / HTTP/1.1\r\nHost: here\r\n\r\n",
    "HTTP/0.9": b"GET /metrics\r\n\r\n",
    "HTTP/0.9 by name": b"GET /metrics HTTP/0.9\r\n\r\n",
    "HTTP/2 without an upgrade": b"GET /metrics HTTP/2.0\r\nHost: here\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version that is none": b"GET /metrics HTTP/" + SECRET + b"\r\n\r\n",
    "a length that is none": HEAD + b"Content-Length: x\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length and chunks": HEAD
    + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}

ODD = {
    "an expectation": HEAD + b"Expect: " + SECRET + b"\r\nConnection: close\r\n\r\n",
    "a path with percent signs": b"GET /%00%ff%zz" + SECRET + b" HTTP/1.0\r\n\r\n",
    "a path that is not UTF-8": b"GET /\xff" + SECRET + b" HTTP/1.0\r\n\r\n",
    "a tunnel": b"CONNECT " + SECRET + b":443 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
    "a trace": b"TRACE /" + SECRET + b" HTTP/1.0\r\nX: " + SECRET + b"\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.0\r\nX: " + SECRET + b"\r\n\r\n",
    "another host": b"GET http://" + SECRET + b"/nothing HTTP/1.0\r\n\r\n",
    "chunks that are none": b"POST /metrics HTTP/1.1\r\nHost: here\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\n\r\n",
    "a compressed body that is none": b"POST /metrics HTTP/1.1\r\nHost: here\r\n"
    b"Content-Encoding: gzip\r\nContent-Length: 15\r\nConnection: close\r\n\r\n" + SECRET,
    "a set that is not polled": b"GET /api/v1/scale_sets/" + SECRET + b"/%0a/%22 HTTP/1.0\r\n\r\n",
}


@pytest.fixture
async def server(case: WebCase) -> AsyncIterator[Server]:
    await case.poll()
    async with serving(make_application(case.site)) as server:
        yield server


def nothing_told(
    logs: list[structlog.typing.EventDict], caplog: pytest.LogCaptureFixture
) -> list[str]:
    """The events above debug, none of which has a traceback or the secret."""
    told = [entry for entry in logs if entry["log_level"] != "debug"]
    assert not any("exc_info" in entry for entry in told)
    assert SECRET.decode() not in str(told)
    assert not [state for state in caplog.records if state.levelno > logging.DEBUG]
    return [entry["event"] for entry in told]


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_request_is_a_short_400_that_repeats_nothing(
    server: Server,
    request_bytes: bytes,
    logs: list[structlog.typing.EventDict],
    caplog: pytest.LogCaptureFixture,
) -> None:
    logs.clear()
    answer = await ask(server, request_bytes)
    assert nothing_told(logs, caplog) == ["malformed requests"]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] 400 Bad Request\r\n", head)
    assert body == b"400 Bad Request\n"
    for header in (b"X-Content-Type-Options: nosniff", b"Content-Security-Policy: default-src"):
        assert header in head
    assert re.search(rb"Server: azure-vmss-exporter\r\n", head)


@pytest.mark.parametrize("request_bytes", ODD.values(), ids=ODD.keys())
async def test_an_odd_request_is_an_error_that_repeats_nothing(
    server: Server,
    request_bytes: bytes,
    logs: list[structlog.typing.EventDict],
    caplog: pytest.LogCaptureFixture,
) -> None:
    logs.clear()
    answer = await ask(server, request_bytes)
    assert set(nothing_told(logs, caplog)) <= {"malformed requests"}
    assert re.match(rb"HTTP/1\.[01] 4\d\d ", answer)
    assert SECRET not in answer
    assert b"nosniff" in answer
    assert b"Server: azure-vmss-exporter\r\n" in answer


async def test_many_malformed_requests_are_one_line_a_minute_with_their_count(
    server: Server,
    logs: list[structlog.typing.EventDict],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs.clear()
    clock = LoopClock()
    clock.drive(monkeypatch)
    for _ in range(20):
        await ask(server, MALFORMED["a TLS hello"])
    assert [entry["count"] for entry in logs] == [1]
    await clock.advance(60.0)
    assert [entry["count"] for entry in logs] == [1, 19]
    await clock.advance(600.0)
    await ask(server, MALFORMED["garbage"])
    assert [entry["count"] for entry in logs] == [1, 19, 1]
    assert logs[-1]["client"] == "127.0.0.1"


async def test_scrapes_that_are_cut_are_one_line_a_minute_with_their_count(
    server: Server,
    case: WebCase,
    logs: list[structlog.typing.EventDict],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    logs.clear()
    asked = asyncio.Event()
    page = case.metrics_page.render

    async def waiting(*arguments: object) -> object:
        await asked.wait()
        return await page(*arguments)  # type: ignore[arg-type] # handed through

    monkeypatch.setattr(case.metrics_page, "render", waiting)
    clock = LoopClock()
    clock.drive(monkeypatch)
    for _ in range(20):
        async with connected(server) as reader:
            await send(reader, b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
            await clock.settle()
            reset(reader)
    await clock.settle()
    asked.set()
    await clock.settle()
    await clock.advance(60.0)
    assert nothing_told(logs, caplog) == ["clients disconnected before the end of their answer"] * 2
    assert [(entry["count"], entry["path"]) for entry in logs] == [
        (1, "/metrics"),
        (19, "/metrics"),
    ]


async def test_a_good_request_before_a_malformed_one_is_answered(server: Server) -> None:
    async with connected(server) as reader:
        await send(reader, b"GET /-/healthy HTTP/1.1\r\nHost: here\r\n\r\n" + SECRET + b"\r\n\r\n")
        answer = await receive_all(reader)
    assert re.findall(rb"HTTP/1\.1 200 OK|HTTP/1\.[01] 400", answer)
    assert SECRET not in answer


async def test_a_body_that_breaks_after_its_answer_is_no_error(
    server: Server, logs: list[structlog.typing.EventDict], caplog: pytest.LogCaptureFixture
) -> None:
    logs.clear()
    async with connected(server) as reader:
        head = b"POST /metrics HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
        await send(reader, head + b"5\r\nhello\r\n")
        assert (await receive(reader)).startswith(b"HTTP/1.1 405 ")
        await send(reader, SECRET + b"\r\n")
        assert SECRET not in await receive_all(reader)
    assert set(nothing_told(logs, caplog)) <= {"malformed requests"}


async def test_an_error_in_a_connection_is_the_reader_s_or_has_a_traceback(
    server: Server, logs: list[structlog.typing.EventDict], caplog: pytest.LogCaptureFixture
) -> None:
    logs.clear()
    async with connected(server) as reader:
        await send(reader, b"GET /-/healthy HTTP/1.1\r\nHost: here\r\n\r\n")
        assert await receive(reader)
        (connection,) = server.connections._networks
        assert isinstance(connection, Connection)
        connection.log_exception("Unhandled exception", exc_info=web.RequestPayloadError(SECRET))
        assert nothing_told(logs, caplog) == ["malformed requests"]
        connection.log_exception("Unhandled exception", exc_info=KeyError("ours"))
    assert [entry["event"] for entry in logs] == ["malformed requests", "request failed"]
    assert logs[0]["client"] == "127.0.0.1"
    assert "exc_info" in logs[1]


async def test_a_fault_outside_the_endpoints_is_a_short_500_and_one_traceback_a_minute(
    case: WebCase, logs: list[structlog.typing.EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    application = make_application(case.site)

    async def broken(_: web.Request) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(application.router, "resolve", broken)
    async with serving(application) as server:
        for _ in range(5):
            answer = await ask(server, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
            assert answer.endswith(b"\r\n\r\n500 Internal Server Error\n")
            assert b"nosniff" in answer
    (entry,) = logs
    assert entry["event"] == "request failed"
    assert isinstance(entry["exc_info"], KeyError)
