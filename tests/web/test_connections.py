"""Readers' connections: their limits, and who gives way at them."""

from __future__ import annotations

import gc
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
import structlog
from aiohttp import ClientSession, web

from exporter.runtime.cooperative import CooperativeScheduler
from exporter.web.application import make_application
from exporter.web.bodies import CHUNK
from exporter.web.connections import MOST, ConnectionLimits, Connections
from exporter.web.protocol import Connection
from exporter.web.responses import Responses
from support.loop_clock import LoopClock
from support.site import WebCase
from support.wire import LIMITS, Server, connected, receive, receive_all, send, serving

GET = b"GET /-/healthy HTTP/1.1\r\nHost: here\r\n\r\n"
SLOW = b"GET /endless HTTP/1.1\r\nHost: here\r\n\r\n"
FEW = replace(LIMITS, total=6, per_address=6)


class Reader:
    """A connection as the registry sees it."""

    def __init__(self, since: float, *, answering: bool = False) -> None:
        self.since = since
        self.answering = answering
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def limits(*, total: int = 3, per_address: int = 3) -> ConnectionLimits:
    return ConnectionLimits(total=total, per_address=per_address)


async def test_at_the_limit_the_longest_idle_connection_gives_way(
    logs: list[structlog.typing.EventDict],
) -> None:
    connections = Connections(limits())
    readers = [Reader(2.0), Reader(1.0), Reader(0.0, answering=True)]
    for number, reader in enumerate(readers):
        assert connections.admit(reader, f"10.0.0.{number}", now=3.0)
    newest = Reader(3.0)
    assert connections.admit(newest, "10.0.0.9", now=3.0)
    assert [reader.aborted for reader in readers] == [False, True, False]
    assert len(connections) == 3
    assert [entry["event"] for entry in logs] == ["connections closed for newer ones"]
    connections.remove(readers[1])
    assert len(connections) == 3, "it is forgotten once"


async def test_an_answer_gives_way_only_where_nobody_idles_and_it_takes_too_long(
    logs: list[structlog.typing.EventDict],
) -> None:
    connections = Connections(limits())
    answering = [Reader(since, answering=True) for since in (5.0, 4.0, 6.0)]
    for reader in answering:
        connections.admit(reader, "10.0.0.1", now=6.0)
    assert not connections.admit(Reader(13.9), "10.0.0.2", now=13.9)
    assert not any(reader.aborted for reader in answering)
    assert connections.admit(Reader(14.0), "10.0.0.2", now=14.0)
    assert [reader.aborted for reader in answering] == [False, True, False]
    assert [entry["event"] for entry in logs] == [
        "connections refused",
        "connections closed for newer ones",
    ]


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("::ffff:10.0.0.1", "10.0.0.1", "::ffff:10.0.0.2"),
        ("2001:db8:0:1::1", "2001:db8::1:ffff:0:0:7", "2001:db8:0:2::1"),
        ("fe80::1%eth0", "fe80::2", "fe81::1"),
        ("no address", "no address", "another"),
    ],
)
async def test_one_address_takes_its_own_share_only(address: str, same: str, other: str) -> None:
    connections = Connections(limits(total=9, per_address=1))
    first, stranger = Reader(2.0), Reader(1.0)
    connections.admit(first, address, now=2.0)
    connections.admit(stranger, other, now=2.0)
    assert connections.admit(Reader(3.0), same, now=3.0)
    assert first.aborted
    assert not stranger.aborted


async def test_who_has_left_takes_no_share() -> None:
    connections = Connections(limits(per_address=1))
    for _ in range(5):
        reader = Reader(0.0, answering=True)
        assert connections.admit(reader, "10.0.0.1", now=0.0)
        connections.remove(reader)
    assert len(connections) == 0
    assert not connections._of_network, "addresses that have gone are forgotten"


@pytest.mark.parametrize(
    ("descriptors", "total", "per_address"),
    [
        (256, 128, 96),
        (1024, 512, 384),
        (1 << 20, MOST, 750),
        (resource.RLIM_INFINITY, MOST, 750),
        (5, 4, 3),
    ],
)
def test_half_of_the_descriptors_are_kept_for_others(
    descriptors: int, total: int, per_address: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    found = ConnectionLimits.of_process()
    assert (found.total, found.per_address) == (total, per_address)


@asynccontextmanager
async def served(case: WebCase, limits: ConnectionLimits) -> AsyncIterator[Server]:
    """The site, and at /endless a body without end."""
    application = make_application(case.site)
    responses = Responses(cooperative=CooperativeScheduler(), client_limit=1e6)

    async def endless(request: web.Request) -> web.StreamResponse:
        body = (bytes(CHUNK) for _ in iter(int, 1))
        return await responses.stream(request, body, {"Content-Type": "text/plain"})

    application.router.add_get("/endless", endless)
    async with serving(application, limits) as server:
        yield server


@pytest.mark.parametrize(
    ("begin", "more"),
    [(b"", b""), (b"GET /met", b"r"), (b"GET / HTTP/1.1\r\nHost: here\r\nX-", b"y")],
)
async def test_a_request_that_does_not_end_is_closed_after_ten_seconds(
    case: WebCase, driven: LoopClock, monkeypatch: pytest.MonkeyPatch, begin: bytes, more: bytes
) -> None:
    async with served(case, FEW) as server:
        driven.drive(monkeypatch)
        async with connected(server) as reader:
            await send(reader, begin)
            await driven.settle()
            for _ in range(3):
                await driven.advance(3.0)
                await send(reader, more)
                await driven.settle()
            assert len(server.connections) == 1
            await driven.advance(1.1)
            await driven.settle()
            assert len(server.connections) == 0
            assert await receive_all(reader) == b""


async def test_an_idle_connection_is_closed_after_75_seconds(
    case: WebCase, driven: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(case, FEW) as server:
        driven.drive(monkeypatch)
        async with connected(server) as reader:
            for _ in range(3):
                await send(reader, GET)
                assert (await receive(reader)).startswith(b"HTTP/1.1 200 OK")
                await driven.advance(74.0)
                await driven.settle()
                assert len(server.connections) == 1
            await driven.advance(1.1)
            await driven.settle()
            assert len(server.connections) == 0


async def test_the_next_request_of_a_connection_has_ten_seconds_from_its_first_byte(
    case: WebCase, driven: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(case, FEW) as server:
        driven.drive(monkeypatch)
        async with connected(server) as reader:
            await send(reader, GET)
            assert await receive(reader)
            await driven.advance(60.0)
            await send(reader, GET[:5])
            await driven.settle()
            await driven.advance(9.0)
            await driven.settle()
            assert len(server.connections) == 1
            await driven.advance(1.1)
            await driven.settle()
            assert len(server.connections) == 0


async def test_a_body_that_does_not_end_is_closed_after_the_answer(
    case: WebCase, driven: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(case, FEW) as server:
        driven.drive(monkeypatch)
        async with connected(server) as reader:
            post = b"POST /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\nx"
            await send(reader, post)
            assert (await receive(reader)).startswith(b"HTTP/1.1 405 ")
            await send(reader, b"x")
            await driven.settle()
            assert len(server.connections) == 1
            await driven.advance(2.1)
            await driven.settle()
            assert len(server.connections) == 0


async def test_pipelined_requests_whose_answers_nobody_reads_are_closed(
    case: WebCase, driven: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.site.client_limit = 20.0
    application = make_application(case.site)
    responses = Responses(cooperative=CooperativeScheduler(), client_limit=20.0)

    async def large(request: web.Request) -> web.StreamResponse:
        body = (bytes(CHUNK) for _ in range(1000))
        return await responses.stream(request, body, {"Content-Type": "text/plain"})

    application.router.add_get("/large", large)
    async with serving(application, FEW) as server:
        driven.drive(monkeypatch)
        async with connected(server, buffer=4096) as reader:
            await send(reader, b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n" * 100)
            assert await receive(reader, 100)
            await driven.settle()
            await driven.advance(20.1)
            await driven.settle()
            assert len(server.connections) == 0


async def test_idle_and_half_open_connections_keep_no_scrape_out(
    case: WebCase, logs: list[structlog.typing.EventDict]
) -> None:
    await case.poll()
    async with served(case, FEW) as server, AsyncExitStack() as stack:
        for number in range(30):
            reader = await stack.enter_async_context(connected(server))
            await send(reader, (b"", GET[:9], GET)[number % 3])
        async with ClientSession() as session, session.get(server.url + "/metrics") as answer:
            assert answer.status == 200
            assert "azure_vmss_up" in await answer.text()
        assert len(server.connections) <= FEW.total
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [
        "connections closed for newer ones"
    ]


async def test_the_connections_of_one_address_do_not_end_those_of_another(case: WebCase) -> None:
    limits = replace(FEW, per_address=2)
    async with served(case, limits) as server, AsyncExitStack() as stack:
        other = await stack.enter_async_context(connected(server, source="127.0.0.2"))
        await send(other, GET)
        assert (await receive(other)).startswith(b"HTTP/1.1 200 OK")
        for _ in range(10):
            await stack.enter_async_context(connected(server))
        await send(other, GET)
        assert (await receive(other)).startswith(b"HTTP/1.1 200 OK")
        assert len(server.connections) == 3


async def test_slow_readers_keep_no_scrape_out_for_longer_than_ten_seconds(
    case: WebCase,
    driven: LoopClock,
    monkeypatch: pytest.MonkeyPatch,
    logs: list[structlog.typing.EventDict],
) -> None:
    async with served(case, FEW) as server, AsyncExitStack() as stack:
        driven.drive(monkeypatch)
        for _ in range(FEW.total):
            reader = await stack.enter_async_context(connected(server, buffer=4096))
            await send(reader, SLOW)
            assert await receive(reader, 100)
        async with connected(server) as refused:
            answer = await receive_all(refused)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert body == b"Too many connections\n"
            assert b"\r\nContent-Length: %d" % len(body) in head
            assert b"\r\nX-Content-Type-Options: nosniff\r\n" in head
            assert b"\r\nContent-Security-Policy: default-src 'none'; " in head
        await driven.advance(10.0)
        async with connected(server) as admitted:
            await send(admitted, GET)
            assert (await receive(admitted)).startswith(b"HTTP/1.1 200 OK")
    warnings = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert warnings == ["connections refused", "connections closed for newer ones"]


async def test_the_ten_seconds_of_an_answer_begin_with_its_request(
    case: WebCase,
    driven: LoopClock,
    monkeypatch: pytest.MonkeyPatch,
    logs: list[structlog.typing.EventDict],
) -> None:
    async with served(case, FEW) as server, AsyncExitStack() as stack:
        driven.drive(monkeypatch)
        readers = [
            await stack.enter_async_context(connected(server, buffer=4096))
            for _ in range(FEW.total)
        ]
        await driven.settle()
        await driven.advance(9.0)
        for reader in readers:
            await send(reader, SLOW)
            assert await receive(reader, 100)
        await driven.advance(9.0)
        await stack.enter_async_context(connected(server))
        await driven.settle()
    warnings = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert warnings == ["connections refused"]


async def test_nothing_is_left_of_a_connection_that_has_gone(case: WebCase) -> None:
    async with served(case, FEW) as server:
        async with connected(server) as reader:
            await send(reader, GET)
            assert await receive(reader)
        await server.all_closed()
        gc.collect()
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Connection)]
