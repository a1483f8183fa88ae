"""What only a real connection shows: cut, false, endless and late answers, and redirects."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping, MutableMapping
from typing import Any

import pytest
from aiohttp import web

import exporter
from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    ServerFailed,
    TimedOut,
    Unreachable,
)
from exporter.azure.operation import OPERATIONS
from exporter.azure.scale_sets import ScaleSetClient
from exporter.telemetry import Telemetry
from support.azure_room import PATH, QUERY, Handler, NewClient, Wire, ids, sample, walk

JSON = {"Content-Type": "application/json; charset=utf-8"}
GZIP = {**JSON, "Content-Encoding": "gzip"}
BODY = json.dumps({"value": [{"instanceId": str(number)} for number in range(500)]}).encode()


async def failure_of(client: ScaleSetClient) -> AzureError:
    """The error of a walk, which shows neither the token nor the body."""
    with pytest.raises(AzureError) as caught:
        await walk(client)
    assert "token-" not in str(caught.value)
    assert "instanceId" not in str(caught.value)
    return caught.value


def raw(*chunks: bytes, close: bool = True) -> Handler:
    """Answer with bytes of the test's own, HTTP head included."""

    async def handle(request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        for chunk in chunks:
            transport.write(chunk)
        if close:
            transport.close()
        return web.Response()

    return handle


def answer(body: bytes = BODY, headers: Mapping[str, str] = JSON, *, status: int = 200) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(body=body, status=status, headers=headers)

    return handle


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


async def test_the_request_reaches_the_server_as_azure_documents_it(
    wire: Wire, new_client: NewClient
) -> None:
    wire.handler = answer()
    assert len(ids(await walk(new_client(wire.endpoints)))) == 500
    (request,) = wire.seen
    assert request.raw_path == f"{PATH}/virtualMachines?{QUERY}"
    assert request.headers["Authorization"] == "Bearer token-1"
    assert request.headers["Accept-Encoding"] == "gzip"
    assert request.headers["User-Agent"].startswith("azure-vmss-exporter/")
    assert "Cookie" not in request.headers


async def test_a_skiptoken_arrives_byte_for_byte(wire: Wire, new_client: NewClient) -> None:
    query = "api-version=1&$skiptoken=a+b%2B%20!/Subscriptions/S%zz'x'&%24filter=a%20eq%20'b'"

    async def handle(request: web.Request) -> web.StreamResponse:
        if "skiptoken" in request.raw_path:
            return web.json_response({"value": [{"instanceId": "1"}]})
        link = f"{wire.origin}/next?{query.replace('a%20eq%20', 'a eq ')}"
        return web.json_response({"value": [{"instanceId": "0"}], "nextLink": link})

    wire.handler = handle
    assert ids(await walk(new_client(wire.endpoints))) == ["0", "1"]
    assert wire.seen[1].raw_path == f"/next?{query}"


async def test_gzip_is_understood(wire: Wire, new_client: NewClient) -> None:
    wire.handler = answer(gzip.compress(BODY), GZIP)
    assert len(ids(await walk(new_client(wire.endpoints)))) == 500


@pytest.mark.parametrize(
    "handler",
    [
        raw(HEAD, b"Content-Length: 10000\r\n\r\n", BODY[:100]),
        raw(HEAD, b"Transfer-Encoding: chunked\r\n\r\n64\r\n", BODY[:100], b"\r\n"),
        raw(HEAD, b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", BODY[:100], b"\r\n"),
        raw(HEAD, b"Content-Length: 100\r\n\r\n", BODY),
        raw(HEAD, b"Connection: close\r\n\r\n", BODY[:100]),
        raw(HEAD, b"Content-Length: 0\r\n\r\n"),
        raw(HEAD, b"Content-Encoding: gzip\r\n\r\n", BODY),
        answer(gzip.compress(BODY)[:-20], GZIP),
        answer(gzip.compress(BODY)[:40], GZIP),
        answer(b"<html>instanceId</html>", {"Content-Type": "text/html"}),
        answer(b"instanceId", {"Content-Type": "text/plain"}),
        answer(BODY[:-1]),
        answer(b""),
        raw(b"SSH-2.0-OpenSSH_9.0\r\n"),
        raw(b"HTTP/1.1 abc\r\n\r\n"),
    ],
    ids=[
        "shorter than its length",
        "cut between chunks",
        "no chunk length",
        "longer than its length",
        "cut without a length",
        "empty",
        "no gzip",
        "gzip without its end",
        "gzip cut in the middle",
        "HTML",
        "text",
        "JSON without its end",
        "nothing",
        "another protocol",
        "no HTTP",
    ],
)
async def test_a_broken_answer_is_reported(
    wire: Wire, new_client: NewClient, handler: Handler, telemetry: Telemetry
) -> None:
    wire.handler = handler
    error = await failure_of(new_client(wire.endpoints))
    assert type(error) is BrokenAnswer
    assert telemetry.registry.get_sample_value(
        "azure_vmss_exporter_azure_request_duration_seconds_count", {"operation": "list_instances"}
    )


async def test_a_connection_that_breaks_before_the_answer_is_reported(
    wire: Wire, new_client: NewClient, telemetry: Telemetry
) -> None:
    wire.handler = raw(b"")
    assert type(await failure_of(new_client(wire.endpoints))) is Unreachable
    assert sample(telemetry, "azure_requests_total", operation="list_instances", code="error") == 1


async def test_a_closed_port_is_unreachable(wire: Wire, new_client: NewClient) -> None:
    endpoints = wire.endpoints
    await wire.server.close()
    assert type(await failure_of(new_client(endpoints))) is Unreachable


async def test_an_endless_body_ends_at_the_limit(wire: Wire, new_client: NewClient) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=JSON)
        await response.prepare(request)
        while True:
            await response.write(b" " * 1024)

    wire.handler = handle
    error = await failure_of(new_client(wire.endpoints, body_limit=100_000))
    assert "longer than 100000 bytes" in str(error)


async def test_a_small_body_that_unpacks_without_end_ends_at_the_limit(
    wire: Wire, new_client: NewClient
) -> None:
    wire.handler = answer(gzip.compress(b" " * 10_000_000), GZIP)
    error = await failure_of(new_client(wire.endpoints, body_limit=100_000))
    assert type(error) is BrokenAnswer


async def test_an_endless_error_body_does_not_hide_the_status(
    wire: Wire, new_client: NewClient
) -> None:
    wire.handler = answer(b"x" * 200_000, status=500)
    error = await failure_of(new_client(wire.endpoints, body_limit=100_000))
    assert isinstance(error, ServerFailed)


async def test_a_cut_error_body_does_not_hide_the_status(wire: Wire, new_client: NewClient) -> None:
    wire.handler = raw(b"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\n<html>")
    assert type(await failure_of(new_client(wire.endpoints))) is ServerFailed


@pytest.mark.parametrize("limits", [{"timeout": 0.05}, {"deadline": 0.05}])
@pytest.mark.parametrize("begun", [True, False], ids=["in the body", "before the answer"])
async def test_a_stalled_answer_times_out(
    wire: Wire,
    new_client: NewClient,
    limits: dict[str, float],
    begun: bool,  # noqa: FBT001 - a parameter
) -> None:
    released = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=JSON)
        if begun:
            await response.prepare(request)
            await response.write(b'{"value":[')
        await released.wait()
        return response

    wire.handler = handle
    error = await failure_of(new_client(wire.endpoints, **limits))
    released.set()
    assert type(error) is TimedOut


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(
    wire: Wire, elsewhere: Wire, new_client: NewClient, status: int
) -> None:
    wire.handler = answer(b"", {"Location": f"{elsewhere.origin}/x"}, status=status)
    error = await failure_of(new_client(wire.endpoints))
    assert type(error) is BrokenAnswer
    assert "redirect" in str(error)
    assert elsewhere.seen == []


async def test_a_next_link_elsewhere_gets_no_request(
    wire: Wire, elsewhere: Wire, new_client: NewClient
) -> None:
    body = {"value": [], "nextLink": f"{elsewhere.origin}/x"}
    wire.handler = answer(json.dumps(body).encode())
    error = await failure_of(new_client(wire.endpoints))
    assert "leads away" in str(error)
    assert elsewhere.seen == []
    assert len(wire.seen) == 1


@pytest.mark.parametrize("user", [":@", "@", "user@", "[::1]@"])
async def test_a_next_link_with_a_user_part_gets_no_request(
    wire: Wire, new_client: NewClient, user: str
) -> None:
    body = {"value": [], "nextLink": f"{wire.origin.replace('//', f'//{user}')}/x"}
    wire.handler = answer(json.dumps(body).encode())
    assert type(await failure_of(new_client(wire.endpoints))) is BrokenAnswer
    assert len(wire.seen) == 1


async def test_no_token_goes_out_over_plain_http(wire: Wire, new_client: NewClient) -> None:
    endpoints = Endpoints(resource_manager="http://management.example", scope="s")
    assert type(await failure_of(new_client(endpoints))) is BrokenAnswer
    assert wire.seen == []


async def test_html_from_a_failing_gateway_is_azure_failing(
    wire: Wire, new_client: NewClient
) -> None:
    wire.handler = answer(
        b"<html>instanceId</html>", {"Content-Type": "text/html; charset=us-ascii"}, status=503
    )
    assert type(await failure_of(new_client(wire.endpoints))) is ServerFailed


async def test_one_connection_serves_many_requests(wire: Wire, new_client: NewClient) -> None:
    wire.handler = answer()
    client = new_client(wire.endpoints)
    for _ in range(3):
        await walk(client)
    assert len(wire.peers) == 3
    assert len(set(wire.peers)) == 1


async def test_a_netrc_file_changes_nothing(
    wire: Wire,
    new_client: NewClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("default login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    wire.handler = answer()
    await walk(new_client(wire.endpoints))
    assert wire.seen[0].headers["Authorization"] == "Bearer token-1"


async def test_a_request_says_who_asks_and_which_encoding_can_be_read(
    wire: Wire, new_client: NewClient
) -> None:
    wire.handler = answer()
    await walk(new_client(wire.endpoints))
    (headers,) = (request.headers for request in wire.seen)
    assert headers.getall("Accept-Encoding") == ["gzip"]
    assert headers.getall("Accept") == ["application/json"]
    assert headers.getall("User-Agent") == [f"azure-vmss-exporter/{exporter.__version__}"]


async def test_every_call_that_there_is_has_its_retries_from_the_start_on(
    wire: Wire, new_client: NewClient, telemetry: Telemetry
) -> None:
    new_client(wire.endpoints)
    for operation in OPERATIONS:
        name, labels = "azure_vmss_exporter_azure_retries_total", {"operation": operation.name}
        assert telemetry.registry.get_sample_value(name, labels) == 0.0


async def test_a_wrong_clock_is_noticed_by_the_date_of_an_answer(
    wire: Wire, new_client: NewClient, logs: list[MutableMapping[str, Any]]
) -> None:
    wire.handler = answer(
        headers={**JSON, "x-ms-request-id": "1b2c3d4e", "Date": "Tue, 01 Jan 2030 00:00:00 GMT"}
    )
    await walk(new_client(wire.endpoints))
    assert [line["event"] for line in logs].count("clock is wrong") == 1
