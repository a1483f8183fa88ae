"""How many scrapes are answered at a time, and which gives way to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession

from exporter.web.application import make_application
from exporter.web.responses import OFFERED
from exporter.web.scrapes import Scrapes
from support.loop_clock import LoopClock
from support.site import WebCase
from support.wire import connected, receive, receive_all, send, serving

GET = b"GET /-/healthy HTTP/1.1\r\nHost: here\r\n\r\n"
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


class Request(dict[Any, Any]):
    """A request, and whether its connection was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = False
        self.transport = SimpleNamespace(abort=self._end)

    def _end(self) -> None:
        self.ended = True


class Endless:
    """A page that no reader reads to its end."""

    length = 1 << 40

    def plain_chunks(self, size: int) -> Iterator[bytes]:
        return repeat(bytes(size))


async def test_the_reader_that_has_taken_nothing_for_longest_gives_way(
    driven: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven.drive(monkeypatch)
    begun = driven.monotonic()
    scrapes: Any = Scrapes(3)
    waiting, reading, silent = Request(), Request(), Request()
    with scrapes.answering(waiting), scrapes.answering(reading), scrapes.answering(silent):
        reading[OFFERED], silent[OFFERED] = begun + 1.5, begun
        await driven.advance(1.5)
        with scrapes.answering(Request()) as admitted:
            assert not admitted, "all of them are quick enough"
        await driven.advance(0.5)
        with scrapes.answering(Request()) as admitted:
            assert admitted
            assert [one.ended for one in (waiting, reading, silent)] == [False, False, True]
            with scrapes.answering(Request()) as another:
                assert not another


async def test_a_scrape_takes_the_place_of_one_whose_reader_has_stopped_reading(
    case: WebCase, driven: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def page(*_: object) -> Endless:
        return Endless()

    case.site.max_requests = 1
    monkeypatch.setattr(case.metrics_page, "render", page)
    async with serving(make_application(case.site)) as server, AsyncExitStack() as stack:
        driven.drive(monkeypatch)
        silent, newest = [
            await stack.enter_async_context(connected(server, buffer=4096)) for _ in range(2)
        ]
        await send(silent, SCRAPE)
        assert (await receive(silent)).startswith(b"HTTP/1.1 200 OK")
        await driven.settle()
        await driven.advance(2.0)
        await send(newest, SCRAPE)
        assert (await receive(newest)).startswith(b"HTTP/1.1 200 OK")
        assert len(await receive_all(silent)) < Endless.length, "its connection has ended"


async def test_more_scrapes_than_max_requests_get_a_503_that_says_so(
    case: WebCase,
    driven: LoopClock,
    monkeypatch: pytest.MonkeyPatch,
    logs: list[structlog.typing.EventDict],
) -> None:
    case.site.max_requests = 2
    await case.poll()
    scraping = asyncio.Event()
    page = case.metrics_page.render

    async def waiting(*arguments: object) -> object:
        await scraping.wait()
        return await page(*arguments)  # type: ignore[arg-type] # handed through

    monkeypatch.setattr(case.metrics_page, "render", waiting)
    async with serving(make_application(case.site)) as server, AsyncExitStack() as stack:
        driven.drive(monkeypatch)
        readers = [await stack.enter_async_context(connected(server)) for _ in range(3)]
        for reader in readers[:2]:
            await send(reader, SCRAPE)
        await driven.settle()
        await send(readers[2], SCRAPE)
        answer = await receive_all(readers[2])
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b"Limit of concurrent requests reached (2), try again later.\n")
        async with connected(server) as other:
            await send(other, GET)
            assert (await receive(other)).startswith(b"HTTP/1.1 200 OK")
        # Who takes as long as no scraper waits gives way.
        await driven.advance(10.0)
        newest = await stack.enter_async_context(connected(server))
        await send(newest, SCRAPE)
        await driven.settle()
        scraping.set()
        ends = [await receive_all(reader) for reader in (*readers[:2], newest)]
        assert [end[:12] for end in ends] == [b"", b"HTTP/1.1 200", b"HTTP/1.1 200"]
    events = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert events == ["scrapes refused", "scrapes aborted for newer ones"]
    assert "azure_vmss_up" in ends[2].decode()


async def test_max_requests_0_is_no_limit(case: WebCase) -> None:
    case.site.max_requests = 0
    async with serving(make_application(case.site)) as server, ClientSession(server.url) as client:
        answers = await asyncio.gather(*(client.get("/metrics") for _ in range(45)))
        assert {answer.status for answer in answers} == {200}
        for answer in answers:
            answer.release()


async def test_scrapes_one_after_the_other_are_one_at_a_time(case: WebCase) -> None:
    case.site.max_requests = 1
    async with serving(make_application(case.site)) as server, ClientSession(server.url) as client:
        for _ in range(3):
            async with client.get("/metrics") as answer:
                assert answer.status == 200
                await answer.read()
