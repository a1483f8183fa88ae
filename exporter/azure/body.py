"""The body of an answer, inflated up to a limit and not a byte further.

aiohttp decompresses all that one read from the socket brings before its size can be checked: a
megabyte of gzip may be a gigabyte of text. So the session leaves bodies compressed, and they are
decompressed here in bounded chunks, and the event loop runs between them.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, cast

import aiohttp
from isal import isal_zlib

from exporter.azure.errors import BrokenAnswer
from exporter.redaction import ValueMask

CHUNK = 1024 * 1024
"""Bytes that are inflated at a time: some 2 ms, and more than a usual page has."""

ERROR_LIMIT = 1024 * 1024
"""Bytes of an answer that failed which are read: Azure's error bodies have less than a thousand."""

_GZIP = 16 + zlib.MAX_WBITS
_DEFLATE_METHOD = 8
# Its stub declares it as an instance.
_IsalError = cast("type[Exception]", isal_zlib.error)


async def read_body(response: aiohttp.ClientResponse, *, limit: int) -> bytes:
    """Read and inflate a body.

    Args:
        response: an answer whose body was not read yet.
        limit: bytes after inflating.

    Returns:
        The body; of an answer that failed, as much of it as could be read.

    Raises:
        BrokenAnswer: it is longer than the limit, or in an encoding that cannot be read.
        aiohttp.ClientError: the connection failed otherwise.
    """
    failed = response.status != HTTPStatus.OK
    limit = min(ERROR_LIMIT, limit) if failed else limit
    body = bytearray()
    try:
        inflating = _inflating(response.headers.get("Content-Encoding", ""))
        await _read(response, body, limit, inflating)
        inflating.finish()
    except (BrokenAnswer, aiohttp.ClientPayloadError) as error:
        # The rest must not be taken for the answer to another request.
        response.close()
        # The status is more useful than an incomplete body.
        if not failed:
            if isinstance(error, BrokenAnswer):
                raise
            raise BrokenAnswer("the answer broke off", cut=True) from None
    return bytes(body)


async def _read(
    response: aiohttp.ClientResponse, body: bytearray, limit: int, inflating: _Inflating
) -> None:
    received = 0
    async for received_chunk in response.content.iter_any():
        received += len(received_chunk)
        for chunk in inflating.chunks(received_chunk):
            body += chunk
            if len(body) > limit:
                del body[limit:]
                raise BrokenAnswer(f"the answer is longer than {limit} bytes")
            if len(chunk) >= CHUNK:
                await asyncio.sleep(0)
        # Blocks without contents can be sent without end.
        if received > limit:
            raise BrokenAnswer(f"the answer is longer than {limit} bytes")


async def masked(body: bytes, masks: Iterable[ValueMask]) -> bytes:
    """The body without secrets; while a giant one is searched, other tasks run."""
    for mask in masks:
        for form in mask.forms:
            if len(body) >= CHUNK:
                await asyncio.sleep(0)
            body = form.of_bytes(body)
    return body


class _Inflating:
    """A body that is not compressed: it comes as it is."""

    def chunks(self, chunk: bytes) -> Iterator[bytes]:
        """Decompress a chunk from the wire into bounded chunks."""
        yield chunk

    def finish(self) -> None:
        """Check that the body is complete.

        Raises:
            BrokenAnswer: it came too early.
        """


class _Zlib(_Inflating):
    """A body in gzip, of one member or several, or in deflate, with or without a zlib header."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._stream: Any = None

    def chunks(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream is None or (self._stream.eof and self._gzip):
                self._stream = isal_zlib.decompressobj(self._window(chunk[0]))
            try:
                chunk = self._stream.decompress(chunk, CHUNK)
                while chunk:
                    yield chunk
                    chunk = self._stream.decompress(self._stream.unconsumed_tail, CHUNK)
            except _IsalError:
                raise BrokenAnswer("the answer is wrongly encoded") from None
            if self._stream.eof and not self._gzip and self._stream.unused_data:
                raise BrokenAnswer("the answer is wrongly encoded")
            chunk = self._stream.unused_data

    def finish(self) -> None:
        if self._stream is not None and not self._stream.eof:
            raise BrokenAnswer("the answer broke off", cut=True)

    def _window(self, first: int) -> int:
        if self._gzip:
            return _GZIP
        return zlib.MAX_WBITS if first & 15 == _DEFLATE_METHOD else -zlib.MAX_WBITS


def _inflating(encoding: str) -> _Inflating:
    match encoding.strip().lower():
        case "" | "identity":
            return _Inflating()
        case "gzip" | "x-gzip":
            return _Zlib(gzip=True)
        case "deflate":
            return _Zlib(gzip=False)
        case _:
            raise BrokenAnswer("the answer is encoded in a way that was not asked for")
