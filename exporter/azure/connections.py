"""Connections that accept nothing but the answer to a request.

HTTP/1.1 pairs answers with requests by their order alone. aiohttp keeps what arrives on an idle
connection and takes it for the answer to the next request, so that a second answer from a broken
proxy becomes another scale set's. Here a connection that receives unrequested data is closed.
"""

from __future__ import annotations

from functools import partial
from ssl import SSLContext
from typing import Any

import aiohttp
import structlog
from aiohttp.client_proto import ResponseHandler

_log = structlog.get_logger(__name__)
_INFORMATIONAL = range(100, 200)


class OneAnswerHandler(ResponseHandler):
    """aiohttp's protocol of a client's connection, closed by unrequested data."""

    _asked = False
    _answered = False

    def set_response_params(self, **parameters: Any) -> None:
        """Get ready for the answer to a request, which is sent after this."""
        if self._tail:
            self._close_unasked()
        self._asked, self._answered = True, False
        super().set_response_params(**parameters)

    def feed_data(self, message: Any, size: int = 0) -> None:
        """Take the head of an answer from the parser."""
        head, _ = message
        self._answered = head.code not in _INFORMATIONAL
        super().feed_data(message, size)

    def data_received(self, data: bytes) -> None:
        """Take what came from the network, if anything can still come."""
        whole = self._payload is None or self._payload.is_eof()
        if data and self._asked and self._answered and whole:
            self._close_unasked()
            return
        super().data_received(data)

    def _close_unasked(self) -> None:
        _log.debug("connection closed: unrequested data")
        self._tail = b""
        self.force_close()
        self.abort()


class OneAnswerConnector(aiohttp.TCPConnector):
    """Opens such connections, and keeps those that behave for the next request."""

    def __init__(self, *, limit: int, ssl: SSLContext | bool) -> None:
        super().__init__(limit=limit, ssl=ssl)
        # aiohttp has no public place for it; tests/azure/test_connections.py notices a change.
        handler: type[ResponseHandler] = OneAnswerHandler
        self._factory = partial(handler, loop=self._loop)
