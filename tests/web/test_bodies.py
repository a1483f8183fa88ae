"""Bodies in chunks: the same bytes, whatever the chunks were, and nothing left open."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.bodies import Body, compress, gather, in_turn


async def taken(body: Body) -> list[bytes]:
    return [chunk async for chunk in in_turn(body)]


@given(st.lists(st.binary(max_size=40)), st.integers(1, 30))
async def test_gathered_pieces_have_the_size_and_hold_the_same_bytes(
    chunks: list[bytes], size: int
) -> None:
    gathered = await taken(gather(chunks, size))
    assert b"".join(gathered) == b"".join(chunks)
    assert all(len(chunk) == size for chunk in gathered[:-1])
    assert all(0 < len(chunk) <= size for chunk in gathered[-1:])


@given(st.lists(st.binary(max_size=200)))
async def test_a_compressed_body_is_one_gzip_member(chunks: list[bytes]) -> None:
    body = b"".join(await taken(compress(chunks)))
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert member.decompress(body) == b"".join(chunks)
    assert (member.eof, member.unused_data) == (True, b"")
    assert gzip.decompress(body) == b"".join(chunks)


@pytest.mark.parametrize("wrap", [in_turn, gather, compress, lambda body: compress(gather(body))])
async def test_a_body_that_nobody_wants_any_more_is_closed_at_once(
    wrap: Callable[[Body], AsyncGenerator[bytes, None]],
) -> None:
    closed = False

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal closed
        try:
            while True:
                yield bytes(1 << 17)
        finally:
            closed = True

    body = wrap(endless())
    assert await anext(body)
    await body.aclose()
    assert closed


async def test_any_asynchronous_iterable_is_a_body() -> None:
    class Three:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._chunks()

        async def _chunks(self) -> AsyncGenerator[bytes, None]:
            for chunk in (b"a", b"b", b"c"):
                yield chunk

    assert await taken(Three()) == [b"a", b"b", b"c"]
    assert await taken(gather(Three(), 2)) == [b"ab", b"c"]
