"""Raw connections to a server on loopback, for what no HTTP client would send."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from exporter.web.addresses import ListenAddress
from exporter.web.connections import ConnectionLimits
from exporter.web.listening import listening_sockets
from exporter.web.server import WebServer, running

LIMITS = ConnectionLimits(total=50, per_address=50)


class Server:
    """The exporter's server on a free port; aiohttp's own test server cancels handlers."""

    def __init__(self, server: WebServer) -> None:
        self.connections = server.connections
        self.host, self.port = server.addresses[0][:2]
        self.url = f"http://{self.host}:{self.port}"

    async def all_closed(self) -> None:
        """Wait until no connection is left."""
        async with asyncio.timeout(20):
            while len(self.connections):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            # The handler ends after its connection.
            for _ in range(10):
                await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    application: web.Application, limits: ConnectionLimits = LIMITS
) -> AsyncIterator[Server]:
    async with running(application, limits=limits, shutdown_timeout=0.1) as server:
        await server.listen(await listening_sockets(ListenAddress("127.0.0.1", 0)))
        yield Server(server)


@asynccontextmanager
async def connected(
    server: Server, *, buffer: int = 0, source: str = "127.0.0.1"
) -> AsyncIterator[socket.socket]:
    """A connection that does not block.

    Args:
        server: where to connect.
        buffer: bytes of the receive buffer; 0 for the system's, which grows to megabytes.
        source: the address to connect from.
    """
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.setblocking(False)
        connection.bind((source, 0))
        await loop.sock_connect(connection, (server.host, server.port))
        yield connection


async def send(connection: socket.socket, text: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(connection, text)


async def receive(connection: socket.socket, size: int = 1 << 16) -> bytes:
    """What has come: at least a byte, or nothing at the end."""
    return await asyncio.get_running_loop().sock_recv(connection, size)


async def receive_all(connection: socket.socket) -> bytes:
    """All that still comes, until the other side ends the connection."""
    chunks: list[bytes] = []
    try:
        while chunk := await receive(connection, 1 << 20):
            chunks.append(chunk)
    except ConnectionResetError:
        pass
    return b"".join(chunks)


async def ask(server: Server, text: bytes) -> bytes:
    """All that is answered to some bytes, until the end of the connection."""
    async with connected(server) as connection:
        await send(connection, text)
        return await receive_all(connection)


def reset(connection: socket.socket) -> None:
    """End a connection without a farewell, as a client does that was killed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
