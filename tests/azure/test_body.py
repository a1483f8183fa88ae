"""A body is inflated up to its limit, whatever it unpacks to, and read to its end or not at all."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from aiohttp import web

from exporter.azure.body import CHUNK, masked
from exporter.azure.errors import BrokenAnswer, ServerFailed
from exporter.redaction import Form, ValueMask
from support.azure_room import Handler, NewClient, Wire, failure_of, ids, walk
from support.turns import counted_turns

JSON = "application/json"
BODY = json.dumps({"value": [{"instanceId": str(number)} for number in range(500)]}).encode()
_ODD = b"".join(hashlib.sha256(b"%d" % number).hexdigest().encode() for number in range(400))
FAR = BODY[:-1] + b',"one":"' + _ODD + b'","other":"' + _ODD + b'"}'
"""Its second half is packed as what came 25 KB before: gzip looks back 32 KB."""


def packed(data: bytes) -> bytes:
    """The same bytes each time, for they name a test: gzip would put the time in."""
    return gzip.compress(data, mtime=0)


MB = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


def answer(body: bytes, encoding: str, *, status: int = 200) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        headers = {"Content-Type": JSON, "Content-Encoding": encoding}
        return web.Response(body=body, status=status, headers=headers)

    return handle


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """Some 130 KB each that unpack to 128 MB."""
    blank = b" " * (128 * MB)
    return {
        "gzip": gzip.compress(blank, 9),
        "gzip of members": gzip.compress(b" " * MB, 9) * 128,
        "deflate": zlib.compress(blank, 9),
        "raw deflate": raw_deflate(blank),
    }


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["gzip", "gzip of members", "deflate", "raw deflate"])
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.usefixtures("traced")
async def test_inflating_ends_at_the_limit(
    wire: Wire, new_client: NewClient, bombs: dict[str, bytes], kind: str, status: int
) -> None:
    wire.handler = answer(bombs[kind], kind.split()[-1 if "deflate" in kind else 0], status=status)
    client = new_client(wire.endpoints, body_limit=4 * MB)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    error = await failure_of(client)
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before < 4 * MB + 4 * CHUNK
    assert isinstance(error, ServerFailed if status == 500 else BrokenAnswer)


async def test_others_have_their_turn_while_much_is_inflated(
    wire: Wire, new_client: NewClient, bombs: dict[str, bytes]
) -> None:
    wire.handler = answer(bombs["gzip"], "gzip")
    async with counted_turns() as turns:
        await failure_of(new_client(wire.endpoints, body_limit=64 * MB))
    assert turns.count > 64


async def test_blocks_without_contents_have_an_end(wire: Wire, new_client: NewClient) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": JSON, "Content-Encoding": "gzip"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(gzip.compress(b"")[:10])
        while True:
            await response.write(b"\x00\x00\x00\xff\xff" * 1000)

    wire.handler = handle
    error = await failure_of(new_client(wire.endpoints, body_limit=100_000))
    assert "longer than 100000 bytes" in str(error)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (BODY, "identity"),
        (packed(BODY), "GZIP"),
        (packed(BODY), "x-gzip"),
        (packed(BODY[:100]) + packed(BODY[100:]), "gzip"),
        (zlib.compress(BODY), "deflate"),
        (raw_deflate(BODY), "deflate"),
        (packed(BODY + b" " * (CHUNK - len(BODY))), "gzip"),
        (packed(BODY + b" " * 3 * CHUNK), "gzip"),
        (packed(FAR), "gzip"),
    ],
    ids=["plain", "gzip", "x-gzip", "members", "zlib", "raw", "one whole chunk", "chunks", "far"],
)
async def test_every_usual_encoding_is_read(
    wire: Wire, new_client: NewClient, body: bytes, encoding: str
) -> None:
    wire.handler = answer(body, encoding)
    assert len(ids(await walk(new_client(wire.endpoints)))) == 500


@pytest.mark.parametrize(
    ("body", "encoding", "wanted"),
    [
        (BODY, "br", "not asked for"),
        (packed(packed(BODY)), "gzip, gzip", "not asked for"),
        (packed(BODY) + b"rest of something", "gzip", "wrongly encoded"),
        (zlib.compress(BODY) + b"rest of something", "deflate", "wrongly encoded"),
        (zlib.compress(BODY)[:-4], "deflate", "broke off"),
        (packed(BODY)[:-1], "gzip", "broke off"),
        (packed(BODY)[:5], "gzip", "broke off"),
        (BODY, "gzip", "wrongly encoded"),
    ],
    ids=["br", "twice", "gzip and more", "deflate and more", "cut", "one byte", "head", "plain"],
)
async def test_a_body_in_another_encoding_is_reported(
    wire: Wire, new_client: NewClient, body: bytes, encoding: str, wanted: str
) -> None:
    wire.handler = answer(body, encoding)
    error = await failure_of(new_client(wire.endpoints))
    assert type(error) is BrokenAnswer
    assert wanted in error.message


async def test_a_wrongly_encoded_error_body_does_not_hide_the_status(
    wire: Wire, new_client: NewClient
) -> None:
    wire.handler = answer(b"no gzip, but a page of some gateway", "gzip", status=503)
    assert isinstance(await failure_of(new_client(wire.endpoints)), ServerFailed)


async def test_others_get_their_turn_while_a_giant_body_is_searched_for_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns, met = 0, []

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def search(form: Form, data: bytes) -> bytes:
        del form
        met.append(turns)
        return data

    monkeypatch.setattr(Form, "of_bytes", search)
    task = asyncio.create_task(others())
    mask = ValueMask("opaque-secret-value")
    assert await masked(bytes(CHUNK), [mask, mask]) == bytes(CHUNK)
    task.cancel()
    assert met == sorted(set(met)), "each search in a turn of its own"
    assert len(met) == 2 * len(mask.forms)
