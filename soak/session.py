"""Stands in for aiohttp's session: requests go to the simulated Azure without a socket.

The simulator's own code answers, from a real `web.Request`; what it sends comes back as aiohttp's
client would give it. Latency and all faults of the connection pass in the event loop's time.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PIECES_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of an answer, as it leaves the simulated Azure.

    Attributes:
        url: what was asked for.
        headers: the answer's headers.
    """

    url: URL
    status: int
    headers: CIMultiDictProxy[str]


class InProcessSession:
    """What the Azure client uses of `aiohttp.ClientSession`.

    Args:
        handler: answers a request, as an aiohttp server's handler does.
        seed: of the latencies.
        latency: the seconds from a request to the head of its answer, from and to.
        seen: called with every answer's head, in the task that answers and at the moment when
            the answer was made.

    Attributes:
        open: the exchanges that are under way.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        seed: int = 1,
        latency: tuple[float, float] = (0.2, 1.2),
        seen: Callable[[Head], None] = lambda _: None,
    ) -> None:
        self.open = 0
        self.seen = seen
        self.handler = handler
        self._random = random.Random(seed)  # noqa: S311 - a simulation, no secret
        self._latency = latency

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def close(self) -> None:
        """Nothing is kept open."""

    def get(
        self, url: URL, *, headers: dict[str, str], timeout: aiohttp.ClientTimeout, **_: Any
    ) -> _Exchange:
        """Ask; to be used by `async with`, which gives the response."""
        return self._ask("GET", url, headers, timeout, b"")

    def post(
        self,
        url: URL,
        *,
        data: bytes,
        headers: dict[str, str],
        timeout: aiohttp.ClientTimeout,
        **_: Any,
    ) -> _Exchange:
        """The same with a body, as a query."""
        return self._ask("POST", url, headers, timeout, data)

    def _ask(
        self,
        method: str,
        url: URL,
        headers: dict[str, str],
        timeout: aiohttp.ClientTimeout,
        body: bytes,
    ) -> _Exchange:
        request = CIMultiDict(headers)
        # Compressing and inflating again would take a third of the whole time.
        request.pop(hdrs.ACCEPT_ENCODING, None)
        request[hdrs.HOST] = url.host_port_subcomponent or ""
        latency = self._random.uniform(*self._latency)
        asked = _Asked(method, url, request, body)
        return _Exchange(self, asked, total=timeout.total, latency=latency)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    body: bytes


class _Exchange:
    """One request and its answer: the response, its content and the context manager in one."""

    def __init__(
        self,
        session: InProcessSession,
        asked: _Asked,
        *,
        total: float | None,
        latency: float,
    ) -> None:
        self.status = 0
        self.headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
        self.content = self
        self._session = session
        self._asked = asked
        self._timeout = asyncio.timeout(total)
        self._latency = latency
        self._wire = _Wire(self._head_is_there)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._session.open += 1
        try:
            await self._timeout.__aenter__()
            await asyncio.sleep(self._latency)
            self._task = asyncio.create_task(self._serve(), name="simulated answer")
            await self._wire.wait_for_head()
        except BaseException as error:
            # The timer turns its own cancellation into the TimeoutError that aiohttp raises.
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.open -= 1
        self.close()
        if self._task is not None:
            await asyncio.wait({self._task})
        await self._timeout.__aexit__(kind, error, trace)

    def close(self) -> None:
        """Break the connection off; what is being sent ends."""
        self._wire.close()
        if self._task is not None:
            self._task.cancel()

    async def iter_any(self) -> AsyncIterator[bytes]:
        """The body in chunks, inflated where it is compressed."""
        inflate = None
        if self.headers.get(hdrs.CONTENT_ENCODING) == "gzip":
            inflate = zlib.decompressobj(wbits=31)
        length = 0
        async for chunk in self._wire.chunks():
            length += len(chunk)
            yield chunk if inflate is None else inflate.decompress(chunk)
        promised = self.headers.get(hdrs.CONTENT_LENGTH)
        if not self._wire.ended or (promised is not None and int(promised) != length):
            raise aiohttp.ClientPayloadError("Response payload is not completed")
        if inflate is not None and not inflate.eof:
            raise aiohttp.ClientPayloadError("Can not decode content-encoding: gzip")

    async def _serve(self) -> None:
        """Answer, as the server's side of the connection."""
        request = self._request()
        try:
            response = await self._session.handler(request)
        except BaseException:
            self._wire.close()
            raise
        if not response.prepared and not self._wire.broken:
            body = response.body if isinstance(response, web.Response) else b""
            await self._wire.write_headers(str(response.status), response.headers, response.status)
            await self._wire.write_eof(body if isinstance(body, bytes) else b"")
        self._wire.close()

    def _request(self) -> web.Request:
        message = RawRequestMessage(
            self._asked.method,
            self._asked.url.raw_path_qs,
            HttpVersion11,
            CIMultiDictProxy(self._asked.headers),
            (),
            should_close=False,
            compression=None,
            upgrade=False,
            chunked=False,
            url=self._asked.url.relative(),
        )
        task = asyncio.current_task()
        request = web.Request(
            message,
            EMPTY_PAYLOAD,
            cast("Any", self._wire),
            self._wire,
            cast("asyncio.Task[None]", task),
            asyncio.get_running_loop(),
            scheme=self._asked.url.scheme,
        )
        request._read_bytes = self._asked.body  # noqa: SLF001 - there is no stream to read it from
        return request

    def _head_is_there(self, status: int, headers: CIMultiDict[str]) -> None:
        self.status = status
        self.headers = CIMultiDictProxy(headers)
        self._session.seen(Head(self._asked.url, status, self.headers))


class _Wire(AbstractStreamWriter):
    """The connection: what the server writes, the client reads.

    It is the protocol and the transport as well, as far as the simulator asks for them.
    """

    ssl_context = None
    peername = None
    sockname = None

    def __init__(self, head_is_there: Callable[[int, CIMultiDict[str]], None]) -> None:
        self._head_is_there = head_is_there
        self._head: asyncio.Event = asyncio.Event()
        self._changed = asyncio.Event()
        self._chunks: list[bytes] = []
        self._has_head = False
        self.ended = False
        self.broken = False

    @property
    def transport(self) -> Any:
        return self

    def get_extra_info(self, _: str) -> None:
        return None

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, from either side."""
        self.broken = True
        self._head.set()
        self._changed.set()

    async def wait_for_head(self) -> None:
        """Wait for an answer to begin. Raises aiohttp.ServerDisconnectedError."""
        await self._head.wait()
        if not self._has_head:
            raise aiohttp.ServerDisconnectedError

    async def chunks(self) -> AsyncIterator[bytes]:
        """What is sent, until its end or the connection's."""
        while True:
            while self._chunks:
                chunk = self._chunks.pop(0)
                self._changed.set()
                yield chunk
            if self.ended or self.broken:
                return
            self._changed.clear()
            await self._changed.wait()

    async def write_headers(
        self, status_line: str, headers: CIMultiDict[str], status: int | None = None
    ) -> None:
        if status is None:
            status = int(status_line.split(" ")[1])
        self._head_is_there(status, headers)
        self._has_head = True
        self._head.set()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        if self.broken:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        self._chunks.append(bytes(chunk))
        self._changed.set()
        await self.drain()

    async def write_eof(self, chunk: bytes = b"") -> None:
        if chunk:
            self._chunks.append(chunk)
        self.ended = True
        self._changed.set()

    async def drain(self) -> None:
        while len(self._chunks) > _PIECES_AHEAD and not self.broken:
            self._changed.clear()
            await self._changed.wait()

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Nothing is compressed on the way."""

    def enable_chunking(self) -> None:
        """Nothing is framed on the way."""
