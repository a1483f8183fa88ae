"""The loop whose time jumps, and the session without sockets."""

from __future__ import annotations

import asyncio
import zlib

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from soak import timelapse
from soak.session import Head, InProcessSession
from soak.timelapse import StuckError, TimelapseClock

URL_ASKED = URL("https://azure.example/path?question=1")


def test_a_day_passes_at_once_and_sleepers_wake_in_their_order() -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        clock = TimelapseClock(asyncio.get_running_loop())
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async def main() -> None:
        await asyncio.gather(sleeper("late", 86_400.0), sleeper("early", 0.5), sleeper("now", -1))

    timelapse.run(main())
    assert woken == [("now", 0.0), ("early", 0.5), ("late", 86_400.0)]


def test_a_timeout_comes_in_simulated_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert timelapse.run(main()) == 3600.0


def test_what_would_run_in_a_thread_runs_at_once() -> None:
    async def main() -> tuple[int, float]:
        return await asyncio.to_thread(len, "four"), asyncio.get_running_loop().time()

    assert timelapse.run(main()) == (4, 0.0)


def test_waiting_for_what_never_comes_is_an_error() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StuckError):
        timelapse.run(main())


async def ask(session: InProcessSession, *, total: float | None = 60.0) -> bytes:
    timeout = aiohttp.ClientTimeout(total=total)
    async with session.get(URL_ASKED, headers={"A": "b"}, timeout=timeout) as response:
        assert response.status == 200
        return b"".join([chunk async for chunk in response.content.iter_any()])


async def test_an_answer_comes_as_the_handler_made_it() -> None:
    heads: list[Head] = []

    async def handler(request: web.Request) -> web.Response:
        assert (request.scheme, request.host) == ("https", "azure.example")
        assert (request.path, request.query_string) == ("/path", "question=1")
        assert request.headers["A"] == "b"
        return web.Response(text="answer", headers={"X-Limit": "3"})

    session = InProcessSession(handler, latency=(0, 0), seen=heads.append)
    assert await ask(session) == b"answer"
    assert [(head.url, head.status, head.headers["x-limit"]) for head in heads] == [
        (URL_ASKED, 200, "3")
    ]
    assert session.open == 0


async def test_a_streamed_answer_comes_in_pieces() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(50):
            await response.write(b"drop ")
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    assert await ask(InProcessSession(handler, latency=(0, 0))) == b"drop " * 50


async def test_a_connection_that_ends_inside_the_body_is_a_payload_error() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 100
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(InProcessSession(handler, latency=(0, 0)))


async def test_half_of_a_gzip_file_is_a_payload_error() -> None:
    async def handler(_: web.Request) -> web.Response:
        compressor = zlib.compressobj(wbits=31)
        body = compressor.compress(b"text" * 1000) + compressor.flush()
        return web.Response(body=body[: len(body) // 2], headers={"Content-Encoding": "gzip"})

    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(InProcessSession(handler, latency=(0, 0)))


async def test_a_connection_that_ends_before_the_answer_is_a_disconnection() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    session = InProcessSession(handler, latency=(0, 0))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ask(session)
    assert session.open == 0


def test_a_stalled_answer_times_out_and_leaves_nothing_behind() -> None:
    ended: list[str] = []

    async def handler(_: web.Request) -> web.Response:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")
        return web.Response()

    async def main() -> None:
        session = InProcessSession(handler)
        with pytest.raises(TimeoutError):
            await ask(session, total=30.0)
        assert asyncio.get_running_loop().time() == pytest.approx(30.0)
        assert (session.open, ended) == (0, ["cancelled"])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    timelapse.run(main())
