"""Sending an answer, well or badly: compression, and the faults of the connection."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from exporter.simulator.faults import Fault

JSON_TYPE = "application/json; charset=utf-8"

_SMALLEST_TO_COMPRESS = 1024
_SMALLEST_FOR_A_THREAD = 256 * 1024
_PIECE = b'{"id": "endless", "instanceId": "0", "properties": {}},' * 1024
_WIRE_KINDS = frozenset(
    {
        "cut_connection",
        "wrong_content_length",
        "truncated_json",
        "truncated_gzip",
        "endless_body",
        "slow_drip",
    }
)


def wire_fault(faults: list[Fault]) -> Fault | None:
    """The first fault that changes how the body is sent."""
    return next((fault for fault in faults if fault.kind in _WIRE_KINDS), None)


async def send(
    request: web.Request, body: bytes, headers: Mapping[str, str], *, status: int = 200
) -> web.Response:
    """Send a JSON body whole, compressed where the client accepts it."""
    response = web.Response(status=status, headers=headers)
    response.headers["Content-Type"] = JSON_TYPE
    if (
        len(body) >= _SMALLEST_TO_COMPRESS
        and "gzip" in request.headers.get("Accept-Encoding", "").casefold()
    ):
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
        if len(body) >= _SMALLEST_FOR_A_THREAD:
            body = await asyncio.to_thread(gzip.compress, body, 1)
        else:
            body = gzip.compress(body, 1)
    response.body = body
    return response


async def send_badly(
    request: web.Request,
    body: bytes,
    headers: dict[str, str],
    *,
    fault: Fault,
    closing: asyncio.Event,
) -> web.StreamResponse:
    """Send a body as the fault of the connection has it."""
    if fault.kind == "truncated_json":
        return web.Response(body=body[: len(body) // 2], headers=headers | _TYPE)
    if fault.kind == "truncated_gzip":
        packed = gzip.compress(body, 1)
        return web.Response(
            body=packed[: len(packed) // 2], headers=headers | _TYPE | {"Content-Encoding": "gzip"}
        )
    response = web.StreamResponse(headers=headers | _TYPE)
    if fault.kind == "wrong_content_length":
        response.content_length = len(body) + 100
    else:
        response.enable_chunked_encoding()
    # The client may be gone at any moment: that is what these faults are about.
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        if fault.kind == "endless_body":
            await _send_endlessly(response, closing)
        elif fault.kind == "slow_drip":
            await _send_slowly(response, body, fault.seconds, closing)
            if not closing.is_set():
                await response.write_eof()
                return response
        elif fault.kind == "wrong_content_length":
            await response.write(body)
        else:
            await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def leave_unanswered(
    request: web.Request, fault: Fault, closing: asyncio.Event
) -> web.StreamResponse:
    """Cut the connection hard without an answer: at once, or stalled until either side ends."""
    if fault.kind == "stalled":
        await closing.wait()
    transport = request.transport
    if transport is not None:
        plug = transport.get_extra_info("socket")
        if plug is not None:
            # With no time to linger the client gets a reset, not an orderly end.
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def wait(seconds: float, closing: asyncio.Event) -> None:
    """Let real time pass, but never longer than the server lives."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(closing.wait(), seconds)


async def _send_endlessly(response: web.StreamResponse, closing: asyncio.Event) -> None:
    await response.write(b'{"value": [')
    while not closing.is_set():
        await response.write(_PIECE)
        await asyncio.sleep(0)  # a fast client must not keep other tasks waiting


async def _send_slowly(
    response: web.StreamResponse, body: bytes, seconds: float, closing: asyncio.Event
) -> None:
    step = max(1, len(body) // 50)
    for begin in range(0, len(body), step):
        if closing.is_set():
            return
        await response.write(body[begin : begin + step])
        await wait(seconds, closing)


_TYPE = {"Content-Type": JSON_TYPE}
