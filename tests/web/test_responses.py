"""How answers are sent: bounded, safe to leave, whole or visibly broken."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import socket
import tracemalloc
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from unittest.mock import patch

import pytest
import structlog
from aiohttp import ClientPayloadError, ClientSession, web

from exporter.metrics.instance_json import ItemStore, describe
from exporter.model.instance_view import InstancePage
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.web import memory, scale_set_json
from exporter.web.application import make_application
from exporter.web.bodies import CHUNK, Body
from exporter.web.responses import CLIENT_LIMIT, Responses
from exporter.web.server import WebServer
from support.answers import SUBSCRIPTION, WEB, instance
from support.loop_clock import LoopClock
from support.site import WebCase
from support.source import page
from support.wire import (
    LIMITS,
    Server,
    ask,
    connected,
    receive,
    receive_all,
    reset,
    send,
    serving,
)

PATH = f"/api/v1/scale_sets/{SUBSCRIPTION}/rg-web/web"
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class Endless:
    """A body without end that tells when nobody holds it any more."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield bytes(CHUNK)


@pytest.fixture
def no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@asynccontextmanager
async def answering(bodies: list[Body], *, client_limit: float = 60.0) -> AsyncIterator[Server]:
    """A server that answers with the bodies, one after the other, and forgets them."""
    responses = Responses(cooperative=CooperativeScheduler(), client_limit=client_limit)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await responses.stream(request, bodies.pop(0), {"Content-Type": "text/plain"})

    application = web.Application()
    application.router.add_get("/", answer)
    async with serving(application) as server:
        yield server


@pytest.mark.usefixtures("no_collections")
@pytest.mark.parametrize("coding", [b"identity", b"gzip"])
async def test_what_a_reader_had_left_is_free_when_it_goes(coding: bytes) -> None:
    bodies: list[Body] = [Endless()]
    held = weakref.ref(bodies[0])
    get = b"GET / HTTP/1.1\r\nHost: here\r\nAccept-Encoding: " + coding + b"\r\n\r\n"
    async with answering(bodies) as server:
        async with connected(server) as reader:
            await send(reader, get)
            assert (await receive(reader)).startswith(b"HTTP/1.1 200 OK")
            reset(reader)
        await server.all_closed()
        assert held() is None


@pytest.mark.usefixtures("no_collections")
async def test_what_a_slow_reader_had_left_is_free_when_it_is_cut_off() -> None:
    bodies: list[Body] = [Endless()]
    held = weakref.ref(bodies[0])
    async with answering(bodies, client_limit=0.01) as server:
        async with connected(server, buffer=4096) as reader:
            await send(reader, GET)
            assert await receive(reader)
            await server.all_closed()
        assert held() is None


async def test_a_reader_that_goes_closes_the_body(logs: list[structlog.typing.EventDict]) -> None:
    closed = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal closed
        try:
            while True:
                yield bytes(CHUNK)
        finally:
            closed += 1

    readers = 5
    async with answering([endless() for _ in range(readers)]) as server:
        for _ in range(readers):
            async with connected(server) as reader:
                await send(reader, GET)
                assert await receive(reader)
                reset(reader)
        await server.all_closed()
    assert closed == readers
    assert [(entry["event"], entry["count"]) for entry in logs] == [
        ("clients disconnected before the end of their answer", 1)
    ]


async def test_a_body_that_breaks_never_looks_whole(
    case: WebCase, logs: list[structlog.typing.EventDict]
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"[" + bytes(CHUNK)
        raise KeyError("no more")

    async with serving(make_application(case.site)) as server, ClientSession(server.url) as client:
        with patch.object(scale_set_json, "chunks", lambda *_, **__: broken()):
            answer = await client.get(PATH, headers={"Accept-Encoding": "identity"})
            with pytest.raises(ClientPayloadError):
                await answer.read()
    assert [entry["event"] for entry in logs] == ["request failed"]


async def test_a_body_that_breaks_at_once_is_a_500_that_tells_nothing(
    case: WebCase, logs: list[structlog.typing.EventDict]
) -> None:
    async with serving(make_application(case.site)) as server, ClientSession(server.url) as client:
        with patch.object(scale_set_json, "chunks", side_effect=KeyError("secret")):
            answer = await client.get(PATH)
            assert answer.status == 500
            assert await answer.text() == "500 Internal Server Error\n"
    assert [entry["event"] for entry in logs] == ["request failed"]


def _refuse(_: bytes) -> bytes:
    raise AssertionError("asked for a chunk")


async def test_head_asks_for_no_piece() -> None:
    async with answering([map(_refuse, [b""])]) as server, ClientSession(server.url) as client:
        answer = await client.head("/")
        assert (answer.status, await answer.read()) == (200, b"")


async def test_http_1_0_gets_the_whole_and_then_the_end_of_the_connection() -> None:
    async with answering([(b"one", b"two")]) as server:
        answer = await ask(server, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"onetwo"
    assert b"chunked" not in head


async def test_the_system_takes_no_megabytes_for_a_reader_that_does_not_read() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += CHUNK
            yield bytes(CHUNK)

    async with answering([endless()]) as server, connected(server, buffer=4096) as reader:
        await send(reader, GET)
        assert await receive(reader, 100)
        quiet = before = 0
        while quiet < 100:
            quiet = quiet + 1 if taken == before else 0
            before = taken
            await asyncio.sleep(0)
    assert taken < 300_000


@pytest.mark.usefixtures("no_collections")
@pytest.mark.parametrize("cut_off", [False, True])
async def test_many_slow_readers_of_a_large_set_cost_little_and_give_it_back(
    case: WebCase, monkeypatch: pytest.MonkeyPatch, *, cut_off: bool
) -> None:
    status = {"code": "PowerState/running", "level": "Info", "message": "x" * 900}
    large = [
        instance({"statuses": [status] * 4}, instance_id=str(number)) for number in range(1000)
    ]
    store = ItemStore()
    store.add(InstancePage(large, []))
    details = store.finish()
    assert sum(map(len, describe(details, scale_set=WEB, spellings={}, messages=True))) > 7_000_000
    case.source.pages["web"] = [page(instance({}, instance_id="1"))]
    await case.poll()
    state = case.states[0]
    assert state.data.snapshot is not None
    mapped = replace(state.data.snapshot.mapped, details=details)
    state.data.snapshot = replace(state.data.snapshot, mapped=mapped)
    readers = 40
    get = f"GET {PATH} HTTP/1.1\r\nHost: here\r\n".encode()
    async with serving(make_application(case.site)) as server:
        clock = LoopClock()
        if cut_off:
            clock.drive(monkeypatch)
        tracemalloc.start()
        async with AsyncExitStack() as stack:
            stack.callback(tracemalloc.stop)
            begin = tracemalloc.get_traced_memory()[0]
            connections: list[socket.socket] = []
            for number in range(readers):
                reader = await stack.enter_async_context(connected(server, buffer=4096))
                coding = (b"identity", b"gzip")[number % 2]
                await send(reader, get + b"Accept-Encoding: " + coding + b"\r\n\r\n")
                assert await receive(reader, 1024)
                connections.append(reader)
            peak = tracemalloc.get_traced_memory()[1] - begin
            if cut_off:
                await clock.advance(CLIENT_LIMIT)
            else:
                for reader in connections:
                    reset(reader)
            await server.all_closed()
            left = tracemalloc.get_traced_memory()[0] - begin
    assert peak < readers * 330_000
    assert left < readers * 10_000


async def test_memory_goes_back_once_many_readers_have_left_and_no_more_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = LoopClock()
    clock.drive(monkeypatch)
    given_back = asyncio.Event()
    monkeypatch.setattr(memory, "give_back", given_back.set)
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "run_in_executor", lambda _, call: call())
    returning = memory.MemoryReturn()
    for _ in range(memory.MANY - 1):
        returning.reader_left()
    await clock.advance(memory.AFTER)
    assert not given_back.is_set(), "a few are not worth it"
    for _ in range(3):
        returning.reader_left()
        await clock.advance(memory.AFTER - 1)
        assert not given_back.is_set(), "more may follow"
    await clock.advance(1)
    assert given_back.is_set()
    given_back.clear()
    returning.reader_left()
    await clock.advance(memory.AFTER)
    assert not given_back.is_set(), "it counts anew"


def test_a_c_library_that_gives_nothing_back_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    memory.give_back()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    memory.give_back()


async def test_a_request_of_no_endpoint_is_logged_as_unknown(
    case: WebCase, logs: list[structlog.typing.EventDict]
) -> None:
    async with serving(make_application(case.site)) as server, connected(server) as reader:
        with patch.object(web.StreamResponse, "prepare", side_effect=ConnectionResetError):
            await send(reader, b"GET /secret HTTP/1.1\r\nHost: here\r\n\r\n")
            assert await receive(reader) == b""
    assert [entry["path"] for entry in logs if entry["log_level"] == "info"] == ["unknown"]


async def test_a_gzip_page_says_so(case: WebCase) -> None:
    await case.poll()
    get = b"GET /metrics HTTP/1.0\r\nAccept-Encoding: %s\r\n\r\n"
    async with serving(make_application(case.site)) as server:
        packed = await ask(server, get % b"gzip")
        plain = await ask(server, get % b"identity")
    assert b"\r\nContent-Encoding: gzip\r\n" in packed
    assert b"Content-Encoding" not in plain
    for answer in (packed, plain):
        assert b"\r\nVary: Accept, Accept-Encoding\r\n" in answer


async def test_a_body_that_runs_out_of_time_itself_is_no_slow_reader(
    case: WebCase, logs: list[structlog.typing.EventDict]
) -> None:
    with patch.object(scale_set_json, "chunks", side_effect=TimeoutError):
        async with serving(make_application(case.site)) as server:
            answer = await ask(server, f"GET {PATH} HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 500 ")

    def late() -> Iterator[bytes]:
        yield bytes(CHUNK)
        raise TimeoutError

    with patch.object(scale_set_json, "chunks", lambda *_, **__: late()):
        async with serving(make_application(case.site)) as server, connected(server) as reader:
            await send(reader, f"GET {PATH} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            assert not (await receive_all(reader)).endswith(b"0\r\n\r\n")
    assert [entry["event"] for entry in logs] == ["request failed"] * 2


def test_a_server_needs_a_runner_that_is_set_up() -> None:
    with pytest.raises(ValueError, match="not set up"):
        WebServer(web.AppRunner(web.Application()), LIMITS)
