"""Bodies in bounded chunks: nothing holds the whole of an answer for one client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing

from isal import isal_zlib

from exporter.exposition.gzip_block import compressed_block
from exporter.exposition.page import GZIP_HEADER, gzip_end

PAGE_CHUNK = 64 * 1024
"""Bytes of the page of metrics that are sent at a time: with fewer the calls cost more than the
bytes."""

CHUNK = 32 * 1024
"""Bytes of any other body that are made and sent at a time. A slow client costs some three times
this much."""

Body = Iterable[bytes] | AsyncIterable[bytes]
"""The chunks of a body, of any size, made while they are sent. One chunk is at most a moment's
work (some milliseconds): the event loop runs between two of them."""


async def in_turn(body: Body) -> AsyncGenerator[bytes, None]:
    """The chunks one after the other, whichever kind of iterable they come from.

    Closing it closes the body too: a client may leave at any chunk, and an asynchronous generator
    that is not closed here is closed later, by a task of its own.
    """
    if isinstance(body, AsyncGenerator):
        async with aclosing(body):
            async for chunk in body:
                yield chunk
    elif isinstance(body, AsyncIterable):
        async for chunk in body:
            yield chunk
    else:
        for chunk in body:
            yield chunk


async def gather(body: Body, size: int = CHUNK) -> AsyncGenerator[bytes, None]:
    """The same bytes in chunks of exactly that size, the last one shorter."""
    waiting: list[bytes] = []
    length = 0
    async with aclosing(in_turn(body)) as chunks:
        async for chunk in chunks:
            waiting.append(chunk)
            length += len(chunk)
            if length < size:
                continue
            joined = b"".join(waiting)
            end = length - length % size
            for begin in range(0, end, size):
                yield joined[begin : begin + size]
            waiting, length = [joined[end:]], length - end
    if length:
        yield b"".join(waiting)


async def compress(body: Body) -> AsyncGenerator[bytes, None]:
    """The body as a gzip file of one member: curl and others read no further than the first.

    Each chunk is compressed on its own, so that no compressor waits with its window for a slow
    client.
    """
    begin, crc, length = GZIP_HEADER, 0, 0
    async with aclosing(in_turn(body)) as chunks:
        async for chunk in chunks:
            block = compressed_block(chunk)
            crc = isal_zlib.crc32_combine(crc, block.crc, block.length)
            length += block.length
            yield begin + block.deflated
            begin = b""
    yield begin + gzip_end(crc, length)
