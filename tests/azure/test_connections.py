"""A connection that brings more than the answers asked for is closed, and nothing of it is used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import AzureError, BrokenAnswer, Unreachable
from exporter.model.scale_set import ScaleSetId
from support.answers import SUBSCRIPTION, WEB
from support.azure_room import NewClient, ids, walk

OTHER = ScaleSetId(SUBSCRIPTION, "rg-web", "other")


def response(scale_set: ScaleSetId, *instance_ids: str, head: bytes = b"") -> bytes:
    items = [
        {"instanceId": number, "id": f"{scale_set.resource_id}/virtualMachines/{number}"}
        for number in instance_ids
    ]
    body = json.dumps({"value": items}).encode()
    return (
        head
        + b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
        + str(len(body)).encode()
        + b"\r\n\r\n"
        + body
    )


class RawServer:
    """Plays Azure byte by byte.

    Attributes:
        greeting: what is sent before any request.
        answers: what is sent to each request, one after the other; the last one stays.
        requests: how many came on each connection.
        closed: set when the client has closed a connection.
    """

    def __init__(self) -> None:
        self.greeting = b""
        self.answers: list[bytes] = []
        self.requests: list[int] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.closed = asyncio.Event()
        self.endpoints = Endpoints(resource_manager="", scope="s")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.requests)
        self.requests.append(0)
        self.writers.append(writer)
        writer.write(self.greeting)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                self.requests[number] += 1
                writer.write(answer)
        self.closed.set()
        writer.close()


@asynccontextmanager
async def raw_server() -> AsyncIterator[RawServer]:
    playing = RawServer()
    server = await asyncio.start_server(playing.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        playing.endpoints = Endpoints(resource_manager=f"http://127.0.0.1:{port}", scope="s")
        yield playing
        for writer in playing.writers:
            writer.close()


@pytest.fixture
async def raw() -> AsyncIterator[RawServer]:
    async with raw_server() as playing:
        yield playing


@pytest.mark.parametrize(
    "more",
    [response(WEB, "7"), b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"x"],
    ids=["a second answer", "an empty line", "half an answer", "a byte"],
)
async def test_an_idle_connection_that_brings_something_is_never_used_again(
    raw: RawServer, new_client: NewClient, more: bytes
) -> None:
    raw.answers = [response(WEB, "0"), response(OTHER, "1")]
    client = new_client(raw.endpoints)
    assert ids(await walk(client, WEB)) == ["0"]
    raw.writers[0].write(more)
    async with asyncio.timeout(10):
        await raw.closed.wait()
    assert ids(await walk(client, OTHER)) == ["1"]
    assert raw.requests == [1, 1]


async def test_a_second_answer_in_the_same_breath_closes_the_connection(
    raw: RawServer, new_client: NewClient
) -> None:
    raw.answers = [response(WEB, "0") + response(WEB, "7"), response(OTHER, "1")]
    client = new_client(raw.endpoints)
    with suppress(BrokenAnswer):
        assert ids(await walk(client, WEB)) == ["0"]
    assert ids(await walk(client, OTHER)) == ["1"]
    assert raw.requests == [1, 1]


async def test_an_answer_that_comes_before_the_request_is_refused(
    raw: RawServer, new_client: NewClient
) -> None:
    raw.greeting = response(WEB, "7")
    raw.answers = [response(WEB, "0")]
    # Whether it is there before the request goes out is the network's choice.
    with suppress(Unreachable, BrokenAnswer):
        assert ids(await walk(new_client(raw.endpoints), WEB)) in (["0"], ["7"])
    async with asyncio.timeout(10):
        await raw.closed.wait()
    assert raw.requests in ([0], [1])


async def test_what_goes_before_an_answer_by_the_rules_is_no_answer(
    raw: RawServer, new_client: NewClient
) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    raw.answers = [early + response(WEB, "0", head=early)]
    client = new_client(raw.endpoints)
    for _ in range(3):
        assert ids(await walk(client, WEB)) == ["0"]
    assert raw.requests == [3]


async def test_the_answer_of_another_set_on_a_live_connection_fails_the_walk(
    raw: RawServer, new_client: NewClient
) -> None:
    raw.answers = [response(WEB, "0"), response(WEB, "0"), response(OTHER, "1")]
    client = new_client(raw.endpoints)
    assert ids(await walk(client, WEB)) == ["0"]
    with pytest.raises(AzureError, match="about another scale set") as caught:
        await walk(client, OTHER)
    assert isinstance(caught.value, BrokenAnswer)


async def test_the_facts_of_another_set_are_refused(raw: RawServer, new_client: NewClient) -> None:
    body = json.dumps({"id": OTHER.resource_id, "name": OTHER.name, "location": "x"}).encode()
    length = str(len(body)).encode()
    raw.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + body]
    client = new_client(raw.endpoints)
    assert (await client.scale_set_model(OTHER))[0].location == "x"
    with pytest.raises(BrokenAnswer, match="about another scale set"):
        await client.scale_set_model(WEB)
