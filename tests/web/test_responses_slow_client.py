"""A reader that does not read holds nobody up, and is cut off."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from exporter.web.application import make_application
from support.answers import instance
from support.site import WebCase
from support.source import page

# More text than the buffers between two sockets hold.
INSTANCES = 8000


async def received(connection: socket.socket) -> int:
    """The bytes that still come, until the other side ends the connection."""
    total = 0
    try:
        while chunk := await asyncio.get_running_loop().sock_recv(connection, 1 << 20):
            total += len(chunk)
    except ConnectionResetError:
        pass
    return total


async def test_a_slow_reader_is_cut_off_while_others_are_served(case: WebCase) -> None:
    view = {"statuses": [{"code": "PowerState/running"}], "computerName": "c" * 500}
    many = [instance(view, instance_id=str(number)) for number in range(INSTANCES)]
    case.source.pages["web"] = [page(*many)]
    await case.poll()
    application = make_application(replace(case.site, client_limit=1.5))
    loop = asyncio.get_running_loop()
    async with TestServer(application) as server, ClientSession() as session:
        with capture_logs() as logs, socket.create_connection((server.host, server.port)) as slow:
            slow.setblocking(False)
            await loop.sock_sendall(slow, b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
            begin = await loop.sock_recv(slow, 1024)
            assert begin.startswith(b"HTTP/1.1 200 OK")
            length = int(begin.split(b"Content-Length: ")[1].split(b"\r\n")[0])

            async with session.get(server.make_url("/metrics")) as answer:
                assert len(await answer.read()) > 10_000_000

            while not any(entry["event"] == "slow client disconnected" for entry in logs):  # noqa: ASYNC110 - another task's log is all there is to see
                await asyncio.sleep(0)
            got = len(begin) + await received(slow)
    assert got < length
