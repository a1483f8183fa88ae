"""Raw connections to a server on loopback, for what no HTTP client would send."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Server:
    """A server as the exporter runs it; aiohttp's own test server cancels handlers, it does not."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self.host, self.port = runner.addresses[0][:2]
        self.url = f"http://{self.host}:{self.port}"

    async def all_closed(self) -> None:
        """Wait until no connection is left."""
        assert self._runner.server is not None
        async with asyncio.timeout(20):
            while self._runner.server.connections:  # noqa: ASYNC110 - theirs tells nobody
                await asyncio.sleep(0)


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[Server]:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Server(runner)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(server: Server, *, buffer: int = 0) -> AsyncIterator[socket.socket]:
    """A connection that does not block.

    Args:
        server: where to connect.
        buffer: bytes of the receive buffer; 0 for the system's, which grows to megabytes.
    """
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.setblocking(False)
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
