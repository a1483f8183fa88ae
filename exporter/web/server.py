"""The server: listening sockets, and limits for what connects to them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from exporter.web.connections import ConnectionLimits, Connections
from exporter.web.listening import BACKLOG
from exporter.web.protocol import ProtocolFactory

_ACCEPTED_AT_ONCE = 16
"""Connections that are taken before any of them is looked at: each has a descriptor by then."""


class WebServer:
    """A running server."""

    def __init__(self, runner: web.AppRunner, limits: ConnectionLimits) -> None:
        if runner.server is None:
            raise ValueError("the runner is not set up")
        self.connections = Connections(limits)
        self._factory = ProtocolFactory(runner.server, self.connections)
        self._servers: list[asyncio.Server] = []

    async def listen(self, sockets: Iterable[socket.socket]) -> None:
        """Take connections from listening sockets, which are closed with the server."""
        loop = asyncio.get_running_loop()
        for one in sockets:
            server = await loop.create_server(self._factory, sock=one, backlog=_ACCEPTED_AT_ONCE)
            self._servers.append(server)
            # asyncio takes the same number for what the system may queue.
            one.listen(BACKLOG)

    @property
    def addresses(self) -> list[tuple[Any, ...]]:
        """The addresses of the listening sockets."""
        return [one.getsockname() for server in self._servers for one in server.sockets]

    def stop_listening(self) -> None:
        """Take no more connections."""
        for server in self._servers:
            server.close()


@asynccontextmanager
async def running(
    application: web.Application, *, limits: ConnectionLimits, shutdown_timeout: float
) -> AsyncIterator[WebServer]:
    """Run a server for the application until the end of the context.

    Args:
        limits: what clients' connections may take.
        shutdown_timeout: seconds for answers under way at the end.
    """
    runner = web.AppRunner(application, shutdown_timeout=shutdown_timeout)
    await runner.setup()
    server = WebServer(runner, limits)
    try:
        yield server
    finally:
        server.stop_listening()
        await runner.cleanup()
