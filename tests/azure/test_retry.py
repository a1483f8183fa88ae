"""Which requests are repeated, how often, and when."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aioresponses import aioresponses as mocked_answers
from yarl import URL

from exporter.azure.circuit_breaker import CircuitBreaker, OpenCircuits
from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    ServerFailed,
    TimedOut,
    Unreachable,
)
from exporter.azure.retry import Retries
from exporter.azure.scale_sets import ScaleSetClient
from exporter.telemetry import Telemetry
from support.azure_room import FIRST, NewClient, Wire, ids, page, sent, walk
from support.clock import FakeClock

PREFIX = "azure_vmss_exporter_"
RETRIED = f"{PREFIX}azure_retries_total"


async def outcome(client: ScaleSetClient, clock: FakeClock, *, seconds: float = 60.0) -> Any:
    """The pages of a walk, or the error that it ended with, as time goes by."""
    walking = asyncio.ensure_future(walk(client))
    for _ in range(int(seconds / 0.25)):
        await clock.advance(0.25)
        if walking.done():
            break
    [result] = await asyncio.gather(walking, return_exceptions=True)
    return result


def retries(telemetry: Telemetry) -> float:
    value = telemetry.registry.get_sample_value(RETRIED, {"operation": "list_instances"})
    assert value is not None
    return value


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_a_failure_that_passes_costs_no_poll(
    new_client: NewClient,
    answers: mocked_answers,
    clock: FakeClock,
    telemetry: Telemetry,
    status: int,
) -> None:
    answers.get(FIRST, status=status, payload={})
    answers.get(FIRST, payload=page("0"))
    assert ids(await outcome(new_client(retries=2), clock)) == ["0"]
    assert retries(telemetry) == 1


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (aiohttp.ServerDisconnectedError(), Unreachable),
        (aiohttp.ServerTimeoutError(), TimedOut),
        (ConnectionResetError(), Unreachable),
    ],
)
async def test_a_call_is_made_three_times_at_most(
    new_client: NewClient,
    answers: mocked_answers,
    clock: FakeClock,
    telemetry: Telemetry,
    failure: Exception,
    kind: type[AzureError],
) -> None:
    answers.get(FIRST, exception=failure, repeat=True)
    assert type(await outcome(new_client(retries=2), clock)) is kind
    assert len(sent(answers)) == 3
    assert retries(telemetry) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 409, 429, 501, 505, 301])
async def test_what_does_not_pass_is_not_repeated(
    new_client: NewClient, answers: mocked_answers, clock: FakeClock, status: int
) -> None:
    error = {"error": {"code": "SomeCode"}}
    answers.get(FIRST, status=status, payload=error, repeat=True)
    assert isinstance(await outcome(new_client(retries=2), clock), AzureError)
    assert len(sent(answers)) == 1


async def test_a_page_in_the_middle_is_repeated_and_not_the_pages_before_it(
    new_client: NewClient, answers: mocked_answers, clock: FakeClock
) -> None:
    second = URL(f"{FIRST}&$skiptoken=2", encoded=True)
    answers.get(FIRST, payload=page("0", following=second))
    answers.get(second, status=502, payload={})
    answers.get(second, payload=page("1"))
    assert ids(await outcome(new_client(retries=2), clock)) == ["0", "1"]
    assert len(sent(answers)) == 3


async def test_the_token_service_is_not_asked_again_and_again(
    new_client: NewClient, answers: mocked_answers, tokens: Any, clock: FakeClock
) -> None:
    tokens.failure = Unreachable("no token service")
    failed = await outcome(new_client(retries=2), clock)
    assert isinstance(failed, Unreachable)
    assert len(tokens.asked) == 1
    assert sent(answers) == []


class Attempts:
    """Fails as it is told, and notes when it was called."""

    def __init__(self, clock: FakeClock, *errors: AzureError) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.times: list[float] = []

    async def __call__(self) -> str:
        self.times.append(self.clock.monotonic())
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def new_retries(clock: FakeClock, telemetry: Telemetry, *, draw: float) -> Retries:
    breaker = CircuitBreaker(clock=clock, circuits=OpenCircuits(telemetry))
    return Retries(clock=clock, telemetry=telemetry, breaker=breaker, draw=lambda: draw)


async def run(retries: Retries, attempts: Attempts, clock: FakeClock, *, left: float = 1e6) -> Any:
    until = asyncio.get_running_loop().time() + left
    running = asyncio.ensure_future(retries.run(attempts, until=until, operation="get_scale_set"))
    await clock.advance(1000.0)
    [result] = await asyncio.gather(running, return_exceptions=True)
    return result


@pytest.mark.parametrize(("draw", "pauses"), [(0.0, [0.5, 2.0]), (1.0, [1.0, 4.0])])
async def test_the_pauses_grow_and_are_drawn(
    clock: FakeClock, telemetry: Telemetry, draw: float, pauses: list[float]
) -> None:
    failure = ServerFailed("no", status=500)
    attempts = Attempts(clock, failure, failure)
    assert await run(new_retries(clock, telemetry, draw=draw), attempts, clock) == "done"
    first, second, third = attempts.times
    assert [second - first, third - second] == pauses


async def test_no_retry_comes_before_what_azure_asks_for(
    clock: FakeClock, telemetry: Telemetry
) -> None:
    attempts = Attempts(clock, ServerFailed("no", status=503, retry_after=20.0))
    assert await run(new_retries(clock, telemetry, draw=0.0), attempts, clock) == "done"
    first, second = attempts.times
    assert second - first >= 20.0


async def test_a_retry_that_would_begin_after_the_deadline_is_not_made(
    clock: FakeClock, telemetry: Telemetry
) -> None:
    failure = ServerFailed("no", status=503, retry_after=200.0)
    attempts = Attempts(clock, failure)
    found = await run(new_retries(clock, telemetry, draw=0.0), attempts, clock, left=180.0)
    assert found is failure
    assert len(attempts.times) == 1


@pytest.mark.parametrize(
    "cut",
    [
        b'{"value": [{"instanceId": "0", "na',
        b'{"value": [',
        b' {"value"',
        b'{"value": [{"instanceId": "0", "properties": {}}',
        b'{"value": [{"instanceId": "0", "properties": {}\n',
    ],
)
async def test_an_answer_whose_end_is_missing_is_asked_for_again(
    new_client: NewClient,
    answers: mocked_answers,
    clock: FakeClock,
    telemetry: Telemetry,
    cut: bytes,
) -> None:
    answers.get(FIRST, body=cut, content_type="application/json")
    answers.get(FIRST, payload=page("0"))
    assert ids(await outcome(new_client(retries=2), clock)) == ["0"]
    assert retries(telemetry) == 1


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_body_that_breaks_off_is_asked_for_again(
    wire: Wire, new_client: NewClient, clock: FakeClock, encoding: str
) -> None:
    whole = json.dumps(page("0")).encode()

    async def handle(request: web.Request) -> web.StreamResponse:
        body = gzip.compress(whole) if encoding == "gzip" else whole
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        if len(wire.seen) > 1:
            return web.Response(body=body, headers=headers)
        # The length is the whole body's without gzip; a stream in gzip knows its own end.
        headers["Content-Length"] = str(len(body) if encoding == "identity" else len(body) - 5)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(body[:-5])
        assert request.transport is not None
        request.transport.close()
        return response

    wire.handler = handle
    walking = asyncio.ensure_future(walk(new_client(wire.endpoints, retries=2)))
    while not walking.done():
        await clock.advance(0.25)
        await asyncio.sleep(0)
    assert ids(await walking) == ["0"]
    assert len(wire.seen) == 2


async def test_an_answer_that_stays_cut_is_a_broken_one(
    new_client: NewClient, answers: mocked_answers, clock: FakeClock
) -> None:
    answers.get(FIRST, body=b'{"value": [', content_type="application/json", repeat=True)
    found = await outcome(new_client(retries=2), clock)
    assert type(found) is BrokenAnswer
    assert "the answer is cut" in found.message
    assert len(sent(answers)) == 3


@pytest.mark.parametrize("body", [b"[]", b"null", b"", b'{"value": 1}', b'{"value": []}  \n' * 99])
async def test_an_answer_that_is_whole_but_wrong_is_not_asked_for_again(
    new_client: NewClient, answers: mocked_answers, clock: FakeClock, body: bytes
) -> None:
    answers.get(FIRST, body=body, content_type="application/json")
    assert type(await outcome(new_client(retries=2), clock)) is BrokenAnswer
    assert len(sent(answers)) == 1


async def test_white_space_after_an_answer_is_no_missing_end(
    new_client: NewClient, answers: mocked_answers, clock: FakeClock
) -> None:
    body = b'{"value": [{"instanceId": "0"}]}' + b" " * 5000
    answers.get(FIRST, body=body, content_type="application/json")
    assert ids(await outcome(new_client(retries=2), clock)) == ["0"]
