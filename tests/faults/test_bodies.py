"""Answers that say 200 and cannot be read: a failed poll is never an empty scale set.

Before each of them the set is up; during it all that was served of it is served, `up` is 0, the
reason is told and counted; after it the next good walk heals all.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from faults.world import INSTANCES, UP, World, differing

JSON = "application/json; charset=utf-8"
LIST = b'{"value": [{"instanceId": "0", "id": "/0", "properties": {"instanceView": {}}}]}'


def answering(
    body: bytes,
    *,
    kind: str | None = JSON,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An answer of these bytes."""

    async def answer(_: web.Request) -> web.StreamResponse:
        if kind is None:
            return _Untyped(body=body)
        response = web.Response(body=body, status=status, headers=headers)
        response.headers["Content-Type"] = kind
        return response

    return answer


class _Untyped(web.Response):
    """Without a content type, which aiohttp's server fills in otherwise."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop("Content-Type", None)


def writing(raw: bytes) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An answer of these bytes on the socket, and then its end."""

    async def answer(request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        transport.write(raw)
        transport.close()
        return web.Response()

    return answer


def head(*lines: str, status: str = "200 OK") -> bytes:
    """The head of an answer on the wire."""
    return "\r\n".join((f"HTTP/1.1 {status}", f"Content-Type: {JSON}", *lines, "", "")).encode()


def bomb() -> bytes:
    """A hundred kilobytes that unpack to more than any answer may have."""
    packer = zlib.compressobj(9, wbits=31)
    zeros = b" " * 1024 * 1024
    return b"".join(packer.compress(zeros) for _ in range(80)) + packer.flush()


DAMAGED = bytearray(gzip.compress(LIST * 50))
DAMAGED[len(DAMAGED) // 2] ^= 0xFF
# Stored as it is, so that the damage leaves another list that can be read.
WRONG = gzip.compress(LIST, 0).replace(b'"instanceId": "0"', b'"instanceId": "1"')

UNREADABLE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", JSON),
    "white space": (b" \r\n ", JSON),
    "HTML": (b"<html><body>Sign in</body></html>", "text/html"),
    "HTML that says it is JSON": (b"<html><body>Sign in</body></html>", JSON),
    "text": (LIST, "text/plain"),
    "bytes": (LIST, "application/octet-stream"),
    "XML": (b'<?xml version="1.0"?><Error/>', "application/xml"),
    "null": (b"null", JSON),
    "a number": (b"5", JSON),
    "a list": (b"[]", JSON),
    "a list of instances": (LIST[10:-1], JSON),
    "a text": (b'"value"', JSON),
    "an object without value": (b"{}", JSON),
    "an error with status 200": (b'{"error": {"code": "InternalServerError"}}', JSON),
    "value is null": (b'{"value": null}', JSON),
    "value is an object": (b'{"value": {}}', JSON),
    "value is a text": (b'{"value": "[]"}', JSON),
    "truncated JSON": (LIST[:-3], JSON),
    "two documents": (LIST + LIST, JSON),
    "a comma too many": (LIST.replace(b"]}", b",]}"), JSON),
    "not a number": (LIST.replace(b'"/0"', b"NaN"), JSON),
    "invalid UTF-8": (LIST.replace(b"/0", b"/\xff\xfe"), JSON),
    "UTF-16": (LIST.decode().encode("utf-16"), JSON),
    "nested without end": (b'{"value": ' + b"[" * 100_000, JSON),
    # Python 3.14 goes as deep as the stack has room: there 100,000 levels are a readable oddity.
    "nested too deeply": (b'{"value": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", JSON),
    "a null byte": (b"\x00" + LIST, JSON),
}

BROKEN: dict[str, bytes] = {
    "a cut chunk": head("Transfer-Encoding: chunked") + b"100\r\n" + LIST,
    "no last chunk": head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(LIST), LIST),
    "a chunk size that is none": head("Transfer-Encoding: chunked") + b"size\r\n" + LIST,
    "a content length too long": head(f"Content-Length: {len(LIST) + 9}") + LIST,
    "a content length too short": head(f"Content-Length: {len(LIST) - 9}") + LIST,
    "a content length that is none": head("Content-Length: many") + LIST,
    "truncated gzip": head("Content-Encoding: gzip", "Content-Length: 50")
    + gzip.compress(LIST * 50)[:50],
    "gzip with a wrong checksum": head("Content-Encoding: gzip", f"Content-Length: {len(WRONG)}")
    + WRONG,
    "damaged gzip": head("Content-Encoding: gzip", f"Content-Length: {len(DAMAGED)}") + DAMAGED,
    "gzip that is none": head("Content-Encoding: gzip", f"Content-Length: {len(LIST)}") + LIST,
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a status that is none": head(status="OK") + LIST,
    "an endless header": head("X-Long: " + "x" * 100_000) + LIST,
}


@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize("what", UNREADABLE)
async def test_a_body_that_is_no_list(world: World, what: str, page: int) -> None:
    body, kind = UNREADABLE[what]
    async with world.polling():
        world.instead(answering(body, kind=kind), scale_set="web", page=page)
        await world.survives(reason="broken_answer", code="200")


@pytest.mark.parametrize("what", BROKEN)
async def test_an_answer_that_breaks_on_the_wire(world: World, what: str) -> None:
    async with world.polling():
        world.instead(writing(BROKEN[what]), scale_set="web")
        read = what in ("a content length too short", "truncated gzip")
        await world.survives(reason="broken_answer", code="200" if read else "error")


@pytest.mark.parametrize("status", [201, 202, 204, 206, 301, 302, 304, 307, 308])
async def test_a_status_that_is_neither_success_nor_error(world: World, status: int) -> None:
    body = b"" if status in (204, 304) else LIST
    away = "https://elsewhere.example/"
    async with world.polling():
        world.instead(answering(body, status=status, headers={"Location": away}), scale_set="web")
        await world.survives(reason="broken_answer", code=str(status))


async def test_a_body_that_drips_for_longer_than_a_call_may_take(world: World) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": JSON})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await world.wait(1)

    async with world.polling():
        world.instead(drip, scale_set="web")
        await world.survives(reason="timeout", code="error", lasts=400.0)
        assert world.waiting == 0, "no connection is left dripping"


async def test_a_body_that_drips_in_time_is_whole(world: World) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": JSON})
        await response.prepare(request)
        for byte in LIST:
            await response.write(bytes([byte]))
            await world.wait(0.5)
        return response

    async with world.polling():
        world.instead(drip, scale_set="small")
        await world.clock.advance(180)
        assert await world.values(UP) == [1] * 4
        assert await world.value(INSTANCES, scale_set="small") == 1
        assert await world.total("polls_total", result="failure") == 0
        for name in ("web", "north", "other"):
            assert await world.age(name) <= 61
        world.heal()
        await world.recovers()
        assert await world.value(INSTANCES, scale_set="small") == 3


@pytest.mark.parametrize("sent", [b"", LIST[:30]])
async def test_a_body_that_stalls(world: World, sent: bytes) -> None:
    async def stall(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": JSON})
        response.content_length = len(LIST)
        await response.prepare(request)
        await response.write(sent)
        await world.wait(None)
        return response

    async with world.polling():
        world.instead(stall, scale_set="web")
        await world.survives(reason="timeout", code="error", lasts=400.0)
        assert world.waiting == 0, "no connection is left open"


async def test_a_body_without_end(world: World) -> None:
    ended: list[int] = []

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": JSON})
        await response.prepare(request)
        chunk, sent = b" " * 1024 * 1024, 0
        try:
            while True:
                await response.write(chunk)
                sent += len(chunk)
        finally:
            ended.append(sent)

    async with world.polling():
        world.instead(endless, scale_set="web")
        await world.survives(reason="broken_answer", code="error", lasts=60.0)
        assert max(ended) < 128 * 1024 * 1024, "the connection is closed at the limit"


async def test_a_small_body_that_unpacks_without_end(world: World) -> None:
    packed = answering(bomb(), headers={"Content-Encoding": "gzip"})
    async with world.polling():
        world.instead(packed, scale_set="web")
        await world.survives(reason="broken_answer", code="error", lasts=60.0)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xef\xbb\xbf" + LIST, JSON),
        (LIST, "Text/JSON"),
        (LIST, None),
        (b" \n" + LIST + b"\n", JSON),
        (LIST.replace(b'"/0"', b'"\\ud83d"'), JSON),
        (LIST.replace(b'"/0"', b'"/0", "count": 1e400'), JSON),
        (LIST.replace(b'"/0"', b'"/0", "count": %s' % (b"9" * 5000)), JSON),
    ],
    ids=["BOM", "other JSON", "no type", "white space", "half an emoji", "1e400", "5,000 digits"],
)
async def test_an_odd_body_that_can_be_read_is_read(
    world: World, body: bytes, kind: str | None
) -> None:
    async with world.polling():
        other = await world.served("web")
        world.instead(answering(body, kind=kind), scale_set="small")
        await world.clock.advance(120)
        assert await world.values(UP) == [1] * 4
        assert await world.value(INSTANCES, scale_set="small") == 1
        assert await world.total("mapping_errors_total") == 0
        world.heal()
        await world.recovers()
        assert await world.value(INSTANCES, scale_set="small") == 3
        assert differing(other, await world.served("web")) == {}


@pytest.mark.parametrize("number", [b"1e400", b"9" * 5000, b"true", b"1.5", b"{}"])
async def test_an_impossible_number_costs_its_field_only(world: World, number: bytes) -> None:
    view = b'"instanceView": {"platformFaultDomain": %s}' % number
    async with world.polling():
        body = LIST.replace(b'"instanceView": {}', view)
        world.instead(answering(body), scale_set="small")
        await world.clock.advance(120)
        assert await world.values(UP) == [1] * 4
        assert await world.value(INSTANCES, scale_set="small") == 1
        domain = "azure_vmss_instances_by_fault_domain"
        assert await world.values(domain, scale_set="small", fault_domain="") in ([], [1.0])
        assert await world.total("mapping_errors_total") >= 1
        world.heal()
        await world.recovers()
        assert await world.value(INSTANCES, scale_set="small") == 3


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"<html>", b"\xff"])
async def test_odd_facts_leave_the_old_ones_and_the_instances(world: World, body: bytes) -> None:
    async with world.polling():
        before = await world.served()
        world.instead(answering(body), operation="scale_set")
        await world.clock.advance(500)
        assert await world.values(UP) == [1] * 4
        assert differing(before, await world.served()) == {}
        world.heal()
        await world.recovers(400)
        fetched = await world.values("azure_vmss_model_last_success_timestamp_seconds")
        assert min(fetched) > world.clock.now() - 400
        assert differing(before, await world.served()) == {}
