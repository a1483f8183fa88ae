"""HTTP on one connection: aiohttp's, with limits of time, and without quoting what a client sent.

aiohttp answers a malformed request with the text of its error, which quotes the request, and logs
it with a traceback. It waits for a request's head for ever, and answers HTTP/0.9.
"""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from typing import Any, cast

import structlog
from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpProcessingError, RawRequestMessage
from aiohttp.streams import StreamReader

from exporter.runtime.rate_limited_log import RateLimitedLog
from exporter.web import headers
from exporter.web.connections import Connections

LINGER = 2.0
"""Seconds in which a client may send the rest of an ignored body, and read its answer."""

UNSENT = 64 * 1024
"""Bytes that wait in the system to be sent to a client. Those on their way are not counted, so
it slows no client down."""

_VERSIONS = (HttpVersion10, HttpVersion11)
_TOO_MANY = "Too many connections\n"
_MALFORMED = web.RequestKey("malformed", bool)

_log = structlog.get_logger(__name__)


class ProtocolFactory:
    """Makes the protocol of each connection, and has what they share.

    Args:
        server: aiohttp's server, with the application's handler.
    """

    def __init__(self, server: web.Server, connections: Connections) -> None:
        self.server = server
        self.connections = connections
        self.malformed = RateLimitedLog(_log, "malformed requests")
        self.failed = RateLimitedLog(_log, "request failed", level="error")
        self._handle = server.request_handler
        self._make_request = server.request_factory
        server.request_handler = self._answer
        server.request_factory = self._request

    def __call__(self) -> Connection:
        """The protocol of a new connection."""
        return Connection(self)

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        known = message.version in _VERSIONS
        if not known:
            # An answer has the version of its request, and HTTP/0.9 has no answers.
            message = message._replace(version=HttpVersion11, should_close=True)
        request = self._make_request(message, payload, protocol, writer, task)
        request[_MALFORMED] = not known
        return request

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = cast("Connection", request.protocol)
        connection.begin_answer()
        try:
            if request[_MALFORMED]:
                self.malformed(client=request.remote)
                return _short_answer(HTTPStatus.BAD_REQUEST)
            return await self._handle(request)
        except web.HTTPException as error:
            # Raised before the application's own handlers, with a text that quotes the request.
            return _short_answer(error.status)
        finally:
            connection.end_answer()


class Connection(web.RequestHandler):
    """One connection.

    Attributes:
        answering: whether a request is being answered.
        since: the loop's time since when it is, or since when the next request is waited for.
    """

    __slots__ = ("_channel", "_factory", "_idle", "_timer", "answering", "since")

    def __init__(self, factory: ProtocolFactory) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            factory.server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # none at all
            lingering_time=LINGER,
            # Bodies are not read, so they need not be decompressed.
            auto_decompress=False,
        )
        self._factory = factory
        self._channel: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle = False
        self.answering = False
        self.since = loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request, if there is room for one connection more."""
        channel = cast("asyncio.Transport", transport)
        address = (channel.get_extra_info("peername") or ("",))[0]
        connections = self._factory.connections
        if not connections.admit(self, address, self.since):
            channel.write(_no_room())
            channel.close()
            return
        self._channel = channel
        # What the system does not take at once waits here: never more than one chunk of a body.
        channel.set_write_buffer_limits(0)
        # And the system takes no megabytes for a client that does not read.
        channel.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT
        )
        super().connection_made(transport)
        self._wait(connections.limits.head)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; the first after a pause begin a request."""
        if self._channel is None:
            return
        if self._idle:
            self._idle = False
            self._wait(self._factory.connections.limits.head)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self._factory.connections.remove(self)
        if self._channel is not None:
            self._channel = None
            super().connection_lost(exc)

    def begin_answer(self) -> None:
        """A request is whole and is being answered: the answer has a limit of its own."""
        self._stop_timer()
        self._idle = False
        self.answering = True
        self.since = self._now()

    def end_answer(self) -> None:
        """The request is answered; the next may take its time to begin."""
        self.answering = False
        if self._channel is not None:
            self._idle = True
            self.since = self._now()
            self._wait(self._factory.connections.limits.idle)

    def abort(self) -> None:
        """End the connection at once."""
        if self._channel is not None:
            self._channel.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that cannot be read, without quoting it."""
        del message
        if isinstance(exc, HttpProcessingError):
            self._factory.malformed(client=request.remote)
        else:
            self._factory.failed(exc_info=exc)
        return _short_answer(status)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log an error in a connection; a client's own counts as a malformed request."""
        del args
        error = kw.get("exc_info")
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            self._factory.malformed(client=(self.peername or ("",))[0])
        else:
            self._factory.failed(exc_info=error)

    def _wait(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _no_room() -> bytes:
    """The answer to a connection that there is no room for, whatever it will ask."""
    fields = {
        **headers.EVERYWHERE,
        "Connection": "close",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(_TOO_MANY)),
    }
    lines = [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join(["HTTP/1.1 503 Service Unavailable", *lines, "", _TOO_MANY]).encode()


def _short_answer(status: int) -> web.Response:
    answer = web.Response(status=status, text=f"{status} {HTTPStatus(status).phrase}\n")
    headers.secure(answer)
    answer.force_close()
    return answer
