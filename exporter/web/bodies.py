"""Bodies in bounded pieces: nothing holds the whole of an answer for one reader."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing

from isal import isal_zlib

from exporter.exposition.gzip_block import compressed_block
from exporter.exposition.page import GZIP_HEADER, gzip_end

PAGE_PIECE = 64 * 1024
"""Bytes of the page of metrics that are sent at a time: with fewer the calls cost more than the
bytes."""

PIECE = 32 * 1024
"""Bytes of any other body that are made and sent at a time. A slow reader costs some three times
this much."""

Body = Iterable[bytes] | AsyncIterable[bytes]
"""The pieces of a body, of any size, made while they are sent. One piece is at most a moment's
work (some milliseconds): the event loop runs between two of them."""


async def in_turn(body: Body) -> AsyncGenerator[bytes, None]:
    """The pieces one after the other, whichever kind of iterable they come from.

    Closing it closes the body too: a reader may leave at any piece, and an asynchronous generator
    that is not closed here is closed later, by a task of its own.
    """
    if isinstance(body, AsyncGenerator):
        async with aclosing(body):
            async for piece in body:
                yield piece
    elif isinstance(body, AsyncIterable):
        async for piece in body:
            yield piece
    else:
        for piece in body:
            yield piece


async def gather(body: Body, size: int = PIECE) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of exactly that size, the last one shorter."""
    waiting: list[bytes] = []
    length = 0
    async with aclosing(in_turn(body)) as pieces:
        async for piece in pieces:
            waiting.append(piece)
            length += len(piece)
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

    Each piece is compressed on its own, so that no compressor waits with its window for a slow
    reader.
    """
    begin, crc, length = GZIP_HEADER, 0, 0
    async with aclosing(in_turn(body)) as pieces:
        async for piece in pieces:
            block = compressed_block(piece)
            crc = isal_zlib.crc32_combine(crc, block.crc, block.length)
            length += block.length
            yield begin + block.deflated
            begin = b""
    yield begin + gzip_end(crc, length)
