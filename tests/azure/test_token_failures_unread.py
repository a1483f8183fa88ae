"""Answers that azure-identity falls over, and advice that leads to what is wrong."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from azure.identity import CredentialUnavailableError

from exporter.azure import certificates
from exporter.azure.auth import token_sources
from exporter.azure.auth.identity_transport import ANSWER_LIMIT
from exporter.azure.auth.token_advice import advice_on
from exporter.azure.auth.token_failures import token_failure
from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    ServerFailed,
    TimedOut,
    Unauthenticated,
    Unreachable,
)
from exporter.azure.proxies import METADATA_VARIABLES
from exporter.configuration import Azure, Credential
from support.azure_room import Wire
from support.clock import FakeClock
from support.proxy import TunnelProxy
from support.tls import Authority

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SECRET = {"type": "client_secret", "tenant_id": TENANT, "client_id": CLIENT, "client_secret": "s"}
MACHINE = {"type": "managed_identity"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment that knows no identity, no proxy and no command-line tool."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "IDENTITY_HEADER", "MSI_SECRET")
    for name in (*names, *METADATA_VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "FEDERATED_TOKEN_FILE", "USERNAME"):
        monkeypatch.delenv(f"AZURE_{name}", raising=False)
    monkeypatch.delenv("AZURE_TOKEN_CREDENTIALS", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return monkeypatch


async def failure(
    settings: dict[str, Any],
    clock: FakeClock,
    *,
    login: Wire,
    authority: Authority,
    host: str = "localhost",
) -> AzureError:
    endpoints = Endpoints(
        resource_manager="https://management.azure.com",
        scope="https://management.azure.com/.default",
        authority=f"https://{host}:{login.server.port}",
    )
    tls = certificates.new_context(Azure(ca_file=str(authority.file)))
    source = token_sources.build(
        Credential.model_validate(settings), endpoints, clock=clock, tls=tls
    )
    with pytest.raises(AzureError) as caught:
        await source.get()
    await source.close()
    return caught.value


def answers(wire: Wire, status: int, body: str, media: str = "application/json") -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, content_type=media)

    wire.handler = answer


@pytest.mark.parametrize(
    ("status", "body", "media", "kind", "said"),
    [
        (403, "<html>Blocked</html>", "text/html", BrokenAnswer, "HTTP 403: text/html in place of"),
        (200, "<html>Sign in</html>", "text/html", BrokenAnswer, "HTTP 200: text/html in place of"),
        (503, "<html>error</html>", "text/html", ServerFailed, "HTTP 503: text/html in place of"),
        (404, "nope", "text/plain", Unauthenticated, "HTTP 404: nope"),
        (200, "[1]", "application/json", BrokenAnswer, "HTTP 200"),
        (200, '{"access_token": "hunter2", "expires_in": "soon"}', "", BrokenAnswer, "HTTP 200"),
        (200, '{"access_token": "hunter2"}', "application/json", BrokenAnswer, "HTTP 200"),
    ],
)
async def test_an_answer_in_the_login_services_place_is_reported_with_its_status(
    login: Wire,
    authority: Authority,
    clock: FakeClock,
    *,
    status: int,
    body: str,
    media: str,
    kind: type[AzureError],
    said: str,
) -> None:
    answers(login, status, body, media or "application/json")
    found = await failure(SECRET, clock, login=login, authority=authority)
    assert type(found) is kind
    assert f"the login service localhost:{login.server.port} answered {said}" in found.message
    assert "hunter2" not in str(found)
    if kind is BrokenAnswer:
        assert "HTTPS_PROXY" in found.advice


@pytest.mark.parametrize(
    "body",
    [
        '{"access_token": "hunter2", "expires_on": "11/26/2026 10:00:00 AM +00:00"}',
        '{"access_token": "hunter2", "expires_in": 3599}',
        '["hunter2"]',
    ],
)
async def test_an_answer_of_imds_that_cannot_be_read_is_not_called_none(
    wire: Wire,
    login: Wire,
    authority: Authority,
    clock: FakeClock,
    environment: pytest.MonkeyPatch,
    body: str,
) -> None:
    answers(wire, 200, body)
    environment.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", wire.origin)
    found = await failure(MACHINE, clock, login=login, authority=authority)
    assert type(found) is BrokenAnswer
    assert f"(IMDS, 127.0.0.1:{wire.server.port}) answered HTTP 200: but no" in found.message
    assert "no response" not in found.message
    assert "hunter2" not in str(found)


async def test_the_default_chain_tells_what_the_machines_own_endpoint_answered(
    wire: Wire,
    login: Wire,
    authority: Authority,
    clock: FakeClock,
    environment: pytest.MonkeyPatch,
) -> None:
    answers(wire, 403, "no identity for this pod", "text/plain")
    environment.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", wire.origin)
    found = await failure({"type": "default"}, clock, login=login, authority=authority)
    assert "answered HTTP 403: no identity for this pod; " in found.message
    assert "az login" in found.advice


async def test_a_chain_that_ends_at_a_missing_identity_says_to_assign_one(
    wire: Wire,
    login: Wire,
    authority: Authority,
    clock: FakeClock,
    environment: pytest.MonkeyPatch,
) -> None:
    answers(wire, 404, '{"error": "invalid_request", "error_description": "Identity not found"}')
    environment.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", wire.origin)
    found = await failure({"type": "default"}, clock, login=login, authority=authority)
    assert "Identity not found" in found.message
    assert not found.message.endswith("Content")
    assert "assign a managed identity" in found.advice


async def test_a_wrong_identity_header_is_not_taken_for_a_missing_identity(
    wire: Wire,
    login: Wire,
    authority: Authority,
    clock: FakeClock,
    environment: pytest.MonkeyPatch,
) -> None:
    answers(wire, 401, '{"message": "Unauthorized"}')
    environment.setenv("IDENTITY_ENDPOINT", f"{wire.origin}/msi/token")
    environment.setenv("IDENTITY_HEADER", "any-that-is-wrong")
    found = await failure(MACHINE, clock, login=login, authority=authority)
    assert "HTTP 401: Unauthorized" in found.message
    assert "IDENTITY_HEADER" in found.advice


async def test_a_proxy_that_declines_a_token_call_is_named(
    login: Wire, authority: Authority, clock: FakeClock, environment: pytest.MonkeyPatch
) -> None:
    async with TunnelProxy(refusal="407 Proxy Authentication Required") as proxy:
        environment.setenv("HTTPS_PROXY", proxy.url)
        found = await failure(
            SECRET, clock, login=login, authority=authority, host="login.example.com"
        )
    assert f"the proxy 127.0.0.1:{proxy.port} wants credentials" in found.message
    assert type(found) is Unreachable


async def test_an_empty_token_file_is_named_before_anybody_is_asked(
    login: Wire, authority: Authority, clock: FakeClock, tmp_path: Path
) -> None:
    path = tmp_path / "federated"
    path.write_text(" \n")
    settings = {
        "type": "workload_identity",
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "token_file": str(path),
    }
    found = await failure(settings, clock, login=login, authority=authority)
    assert found.message == f"token_file {path} is empty"
    assert login.seen == []


def test_a_tool_that_does_not_end_is_no_missing_identity_of_the_machine() -> None:
    error = CredentialUnavailableError("Timed out waiting for Azure CLI")
    error.__cause__ = TimeoutError()
    found = token_failure(error, source="the Azure CLI (az)", now=0.0)
    assert type(found) is TimedOut
    assert found.message == "no token: the Azure CLI (az) gave no answer in time"
    assert "az account get-access-token" in found.advice


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("AADSTS700024: Client assertion is not within its valid time range.", "token_file"),
        ("AADSTS50027: JWT token is invalid or malformed.", "token_file"),
        ("AADSTS53003: Access has been blocked by Conditional Access.", "Conditional Access"),
        ("AADSTS530003: Your device is required to be managed.", "Conditional Access"),
        ("AADSTS50105: Your administrator has blocked users.", "assign the identity"),
        ("AADSTS7000215: Invalid client secret provided.", "AZURE_CLIENT_SECRET"),
        ("Did not receive a value from WWW-Authenticate header", "azcmagent"),
        ("The key file path is invalid: it does not exist: /a.key", "himds"),
        ("Unexpected output from Azure CLI: 'hello'", "az account get-access-token"),
        ("Failed to invoke Azure CLI", "az account get-access-token"),
        ("PermissionError: Permission denied: '/root/.azure'", "az account get-access-token"),
        ("ERROR: The subscription of 'x' does not exist in cloud 'AzureCloud'.", "az cloud set"),
        ("Please run 'az login' to set up an account", "run az login again"),
    ],
)
def test_the_advice_fits_what_was_said(said: str, advice: str) -> None:
    assert advice in advice_on(said, metadata=False)


def _answers_without_end(wire: Wire) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        # An end all the same, should nobody stop reading.
        for _ in range(64):
            await response.write(b" " * 256 * 1024)
        return response

    wire.handler = answer


def _answers_with_a_bomb(wire: Wire) -> None:
    bomb = gzip.compress(b" " * 64 * ANSWER_LIMIT)

    async def answer(_: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return web.Response(body=bomb, headers=headers)

    wire.handler = answer


@pytest.mark.parametrize("play", [_answers_without_end, _answers_with_a_bomb])
async def test_no_more_than_a_megabyte_of_a_token_answer_is_read(
    wire: Wire,
    login: Wire,
    authority: Authority,
    clock: FakeClock,
    environment: pytest.MonkeyPatch,
    *,
    play: Callable[[Wire], None],
) -> None:
    play(wire)
    play(login)
    environment.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", wire.origin)
    said = f": the answer is longer than {ANSWER_LIMIT} bytes"
    for settings, who in (
        (SECRET, f"the login service localhost:{login.server.port}"),
        (MACHINE, f"(IMDS, 127.0.0.1:{wire.server.port})"),
    ):
        found = await failure(settings, clock, login=login, authority=authority)
        assert type(found) is BrokenAnswer
        assert f"{who}{said}" in found.message
        assert "nothing answers in its place" in found.advice or "HTTPS_PROXY" in found.advice
    found = await failure({"type": "default"}, clock, login=login, authority=authority)
    assert "answered HTTP 200: but no token that can be read" in found.message
    assert "no response" not in found.message


async def test_a_compressed_token_answer_is_read(
    wire: Wire, clock: FakeClock, environment: pytest.MonkeyPatch
) -> None:
    body = gzip.compress(
        b'{"access_token": "packed", "expires_on": "4102444800", '
        b'"resource": "x", "token_type": "Bearer"}'
    )

    async def answer(_: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return web.Response(body=body, headers=headers)

    wire.handler = answer
    environment.setenv("IDENTITY_ENDPOINT", f"{wire.origin}/msi/token")
    environment.setenv("IDENTITY_HEADER", "any")
    source = token_sources.build(Credential(type="managed_identity"), wire.endpoints, clock=clock)
    assert await source.get() == "packed"
    await source.close()
