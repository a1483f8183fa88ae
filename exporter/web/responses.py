"""Sending answers: in bounded chunks, as fast as the client takes them, and not for ever."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import structlog
from aiohttp import web

from exporter.exposition.content_type import accepts_gzip
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.runtime.rate_limited_log import RateLimitedLog
from exporter.web.bodies import Body, compress, gather, in_turn
from exporter.web.memory import MemoryReturn

_log = structlog.get_logger(__name__)

CLIENT_LIMIT = 120.0
"""Seconds that a client may take for one answer: no scrape timeout is longer, and all that time
the answer's bytes are held."""

OFFERED = web.RequestKey("offered", float)
"""Since when the chunk that a client has not taken yet waits for it: the loop's time."""

_NO_CHUNKS = (1, 0)


class Responses:
    """Sends all answers of the site.

    Args:
        cooperative: lets scrapes go before other work.
        client_limit: seconds that a client may take for one answer.
    """

    def __init__(
        self, *, cooperative: CooperativeScheduler, client_limit: float = CLIENT_LIMIT
    ) -> None:
        self._cooperative = cooperative
        self._reader_limit = client_limit
        self._memory = MemoryReturn()
        self._left = RateLimitedLog(_log, "clients disconnected before the end of their answer")
        self._cut_off = RateLimitedLog(_log, "slow client disconnected", level="warning")

    async def text(
        self,
        request: web.Request,
        text: str,
        *,
        headers: dict[str, str] | None = None,
        status: int = 200,
    ) -> web.StreamResponse:
        """Answer with a short text for people."""
        body = text.encode()
        headers = {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}
        return await self.send(request, (body,), headers, length=len(body), status=status)

    async def stream(
        self, request: web.Request, body: Body, headers: dict[str, str], *, status: int = 200
    ) -> web.StreamResponse:
        """Answer with a body of unknown length, compressed if the client accepts it.

        Args:
            request: what is answered.
            body: its chunks, of any size; not asked for by HEAD.
            headers: those that tell of the body, `Content-Type` among them.
        """
        headers = {**headers, "Vary": "Accept-Encoding"}
        chunks = gather(body)
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            chunks = compress(chunks)
        return await self.send(request, chunks, headers, status=status)

    async def send(
        self,
        request: web.Request,
        body: Body,
        headers: dict[str, str],
        *,
        length: int | None = None,
        status: int = 200,
    ) -> web.StreamResponse:
        """Send a body chunk by chunk, as the client takes it, for as long as it may take.

        At any time one chunk is held for the client, and what the transport has not sent yet of
        the chunk before.

        Args:
            request: what is answered.
            body: its chunks as they go on the wire; not asked for by HEAD.
            headers: those that tell of the body.
            length: the bytes of the body; None sends it in chunks, as it is not known yet.
        """
        response = web.StreamResponse(status=status, headers=headers)
        if length is not None:
            response.content_length = length
        elif request.version <= _NO_CHUNKS:
            # Without a length the end of the connection is the end of the body.
            response.force_close()
        limit = asyncio.timeout(self._reader_limit)
        try:
            async with limit:
                with self._cooperative.answer():
                    await self._write(request, response, body)
        except TimeoutError:
            if not limit.expired():
                raise
            self._memory.reader_left()
            self._cut_off(path=endpoint_of(request), seconds=self._reader_limit)
            abort(request)
        except ConnectionError as error:
            # The frames of its traceback hold the body, and some hold the error: together they
            # would stay until a garbage collection.
            error.with_traceback(None)
            self._memory.reader_left()
            self._left(path=endpoint_of(request))
        return response

    @staticmethod
    async def _write(request: web.Request, response: web.StreamResponse, body: Body) -> None:
        await response.prepare(request)
        if request.method != "HEAD":
            async with aclosing(in_turn(body)) as chunks:
                async for chunk in chunks:
                    request[OFFERED] = asyncio.get_running_loop().time()
                    await response.write(chunk)
                    await request.writer.drain()
                    # A quick client never makes it wait: a large page would hold the loop.
                    await asyncio.sleep(0)
        await response.write_eof()


def endpoint_of(request: web.Request) -> str:
    """The endpoint's own path: what the client wrote has no place in the log."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def abort(request: web.Request) -> None:
    """End the connection of a request at once, whatever of the answer is still to be sent."""
    if request.transport is not None:
        request.transport.abort()
