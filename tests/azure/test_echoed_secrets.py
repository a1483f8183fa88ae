"""Whoever repeats the token in an answer, wherever, finds it nowhere in what the exporter keeps."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from aiohttp import web
from prometheus_client import generate_latest
from structlog.testing import capture_logs
from yarl import URL

from exporter.azure import transport
from exporter.azure.proxies import Proxy
from exporter.model.instance_view import InstancePage
from exporter.redaction import MASK
from exporter.telemetry import Telemetry
from support.azure_room import FakeTokens, NewClient, Wire, failure_of, walk

OPAQUE = "opaque+token/of==a.service~that-signs_none"


class OpaqueTokens(FakeTokens):
    async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
        await super().get(claims=claims, stale=stale)
        return OPAQUE


@pytest.fixture
def tokens() -> FakeTokens:
    return OpaqueTokens()


def spellings() -> list[str]:
    """Parts of the token by which any of its spellings is found."""
    return ["opaque", "a.service", "that-signs", "service~that"]


def assert_untold(text: str) -> None:
    for part in spellings():
        assert part not in text.lower()


def headers(content_type: str = "application/json") -> dict[str, str]:
    """What a service repeats in headers, as far as a header may hold it."""
    return {
        "Content-Type": content_type,
        "x-ms-request-id": OPAQUE,
        "x-ms-ratelimit-remaining-resource": f"Microsoft.Compute/{OPAQUE};5,{OPAQUE};6",
        "x-ms-failure-cause": OPAQUE,
        "WWW-Authenticate": f'Bearer realm="{OPAQUE}"',
    }


def error_body(token: str) -> bytes:
    details = [{"code": token, "target": token, "message": f"it was {token}"}]
    error = {"code": token, "message": f"sent: {token}", "target": token, "details": details}
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 407, 408, 409, 418, 429, 500, 503])
@pytest.mark.parametrize(
    "token",
    [OPAQUE, quote(OPAQUE, safe=""), OPAQUE.replace("+", "\\u002B").replace("/", "\\/")],
    ids=["as it is", "percent", "escaped"],
)
async def test_a_token_that_a_failure_repeats_is_shown_nowhere(
    wire: Wire, new_client: NewClient, telemetry: Telemetry, status: int, token: str
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(body=error_body(token), status=status, headers=headers())

    wire.handler = handle
    with capture_logs() as logs:
        error = await failure_of(new_client(wire.endpoints))
    assert_untold(f"{error!r} {error} {vars(error)} {logs}")
    assert_untold(generate_latest(telemetry.registry).decode())


async def test_a_token_in_the_content_type_is_shown_nowhere(
    wire: Wire, new_client: NewClient
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(body=b"{}", headers=headers(f"text/{OPAQUE}"))

    wire.handler = handle
    error = await failure_of(new_client(wire.endpoints))
    assert_untold(str(error))
    assert f"{MASK} instead of JSON" in str(error)


async def test_a_token_that_a_good_answer_repeats_is_kept_nowhere(
    wire: Wire, new_client: NewClient, telemetry: Telemetry
) -> None:
    status = {"code": f"ProvisioningState/failed/{OPAQUE}", "message": OPAQUE}
    item = {
        "instanceId": "0",
        "name": OPAQUE,
        "properties": {"instanceView": {"statuses": [status], "computerName": f"x{OPAQUE}"}},
    }

    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(body=json.dumps({"value": [item]}).encode(), headers=headers())

    wire.handler = handle
    (page,) = await walk(new_client(wire.endpoints))
    assert isinstance(page, InstancePage)
    assert_untold(repr(page))
    assert page.instances[0].name == MASK
    assert_untold(generate_latest(telemetry.registry).decode())


@pytest.mark.parametrize("password", ["hunter2-hunter2", "pw1234"])
async def test_a_proxys_credentials_that_it_repeats_are_shown_nowhere(
    wire: Wire, new_client: NewClient, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    proxy = URL(f"{wire.origin.replace('//', f'//user:{password}@')}")
    monkeypatch.setattr(transport, "proxy_for", lambda _: proxy_of(proxy))
    encoded = base64.b64encode(f"user:{password}".encode()).decode()

    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response({"error": {"code": encoded, "message": encoded}}, status=400)

    wire.handler = handle
    error = await failure_of(new_client(wire.endpoints))
    assert len(wire.seen) == 1
    assert "HTTP 400" in str(error)
    assert encoded not in f"{error} {vars(error)}"


def proxy_of(address: URL) -> Proxy:
    pair = f"{address.user}:{address.password}".encode()
    credentials = f"Basic {base64.b64encode(pair).decode()}"
    return Proxy(address.with_user(None), {"Proxy-Authorization": credentials})
