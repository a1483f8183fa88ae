"""What a token service says reaches the person, with the setting to look at, and never a token."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from exporter.azure import certificates
from exporter.azure.auth import token_sources
from exporter.azure.auth.token_cache import TokenSource
from exporter.azure.auth.token_failures import token_failure
from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    ServerFailed,
    Unauthenticated,
    Unreachable,
)
from exporter.azure.proxies import METADATA_VARIABLES
from exporter.configuration import Azure, Credential
from support.azure_room import Wire
from support.clock import FakeClock
from support.tls import Authority

SCOPE = "https://management.azure.com/.default"
MANY = "Multiple user assigned identities exist, please specify the clientId of the identity"
TENANT = "11111111-1111-1111-1111-111111111111"
SECRET = {
    "type": "client_secret",
    "tenant_id": TENANT,
    "client_id": "22222222-2222-2222-2222-222222222222",
    "client_secret": "not-told",
}


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
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return monkeypatch


def tool(folder: Path, name: str, script: str) -> None:
    """Put a command-line tool of that name on the path."""
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


async def failure_of(source: TokenSource) -> AzureError:
    with pytest.raises(AzureError) as caught:
        await source.get()
    await source.close()
    return caught.value


def built(settings: dict[str, Any], *, clock: FakeClock, authority: str = "") -> TokenSource:
    endpoints = Endpoints(
        resource_manager="https://management.azure.com", scope=SCOPE, authority=authority or None
    )
    return token_sources.build(Credential.model_validate(settings), endpoints, clock=clock)


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (
            400,
            {"error": "invalid_request", "error_description": MANY},
            Unauthenticated,
            (f"HTTP 400: invalid_request: {MANY}", "azure.credential.client_id", "resource_id"),
        ),
        (
            400,
            {"error": "invalid_request", "error_description": "Identity not found"},
            Unauthenticated,
            ("HTTP 400: invalid_request: Identity not found", "assign a managed identity"),
        ),
        (
            403,
            "failed to get a token for the pod\n",
            Unauthenticated,
            ("HTTP 403: failed to get a token for the pod",),
        ),
        (404, {"error": "not_found"}, Unauthenticated, ("HTTP 404: not_found",)),
        (
            410,
            {"error": "gone", "error_description": "The service is being updated"},
            ServerFailed,
            ("HTTP 410: gone: The service is being updated", "retried automatically"),
        ),
        (429, {"error": "too many"}, ServerFailed, ("HTTP 429: too many",)),
        (500, {"Message": "An error"}, ServerFailed, ("HTTP 500: An error",)),
        (503, "<html>busy</html>", ServerFailed, ("HTTP 503",)),
        (
            400,
            {"error": {"code": "bad_resource", "message": "No such resource"}},
            Unauthenticated,
            ("HTTP 400: bad_resource: No such resource",),
        ),
        (200, "<html>sign in</html>", BrokenAnswer, ("HTTP 200: text/html in place of JSON",)),
        (200, {"hello": "there"}, BrokenAnswer, ("HTTP 200",)),
        (400, "[1", Unauthenticated, ("HTTP 400",)),
        (400, "", Unauthenticated, ("HTTP 400;",)),
    ],
)
async def test_what_the_machine_s_own_endpoint_says_is_reported_with_its_status(
    wire: Wire,
    clock: FakeClock,
    environment: pytest.MonkeyPatch,
    status: int,
    body: str | dict[str, Any],
    kind: type[AzureError],
    said: tuple[str, ...],
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        if isinstance(body, dict):
            return web.json_response(body, status=status)
        media = "text/html" if body.startswith("<") else "text/plain"
        return web.Response(status=status, text=body, content_type=media)

    wire.handler = answer
    environment.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", wire.origin)
    failure = await failure_of(built({"type": "managed_identity"}, clock=clock))
    assert type(failure) is kind
    for part in (f"IMDS, 127.0.0.1:{wire.server.port}", *said):
        assert part in str(failure)
    assert "<html" not in str(failure)
    assert len(wire.seen) == 1, "azure-identity waits out no repeats"


async def test_a_token_in_an_answer_that_cannot_be_used_is_not_shown(
    wire: Wire, clock: FakeClock, environment: pytest.MonkeyPatch
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"access_token": "hunter2hunter2", "note": "no expiry"})

    wire.handler = answer
    environment.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", wire.origin)
    failure = await failure_of(built({"type": "managed_identity"}, clock=clock))
    assert "hunter2" not in str(failure)


async def test_a_machine_without_an_identity_endpoint_is_reported_who_was_asked(
    wire: Wire, clock: FakeClock, environment: pytest.MonkeyPatch
) -> None:
    origin = wire.origin
    await wire.server.close()
    environment.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", origin)
    failure = await failure_of(built({"type": "managed_identity"}, clock=clock))
    assert type(failure) is Unauthenticated
    assert f"no connection to {origin.removeprefix('http://')} (Connection refused)" in str(failure)
    assert "choose another azure.credential.type" in str(failure)


@pytest.fixture
def source(login: Wire, authority: Authority, clock: FakeClock) -> TokenSource:
    """The tokens of that login service."""
    endpoints = Endpoints(
        resource_manager="https://management.azure.com",
        scope=SCOPE,
        authority=f"https://localhost:{login.server.port}",
    )
    tls = certificates.new_context(Azure(ca_file=str(authority.file)))
    return token_sources.build(Credential.model_validate(SECRET), endpoints, clock=clock, tls=tls)


@pytest.mark.parametrize(
    ("code", "description", "advice"),
    [
        ("invalid_client", "AADSTS7000222: The keys are expired.", "a valid secret"),
        ("invalid_client", "AADSTS7000215: Invalid secret provided.", "a valid secret"),
        ("unauthorized_client", "AADSTS700016: Not found in the directory.", "client_id"),
        ("invalid_request", "AADSTS90002: Tenant not found.", "azure.credential.tenant_id"),
        ("invalid_resource", "AADSTS500011: No such principal.", "azure.audience"),
        ("invalid_client", "AADSTS700024: Not within its valid time range.", "clock"),
        ("invalid_client", "AADSTS700213: No matching federated record.", "federated"),
        ("strange", "AADSTS1: Whatever else.", "azure.credential"),
    ],
)
async def test_what_the_login_service_says_is_reported_with_the_setting(
    login: Wire, source: TokenSource, code: str, description: str, advice: str
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": code, "error_description": description}, status=401)

    login.handler = answer
    failure = await failure_of(source)
    assert type(failure) is Unauthenticated
    assert failure.message == (
        f"no token: the login service localhost:{login.server.port} answered HTTP 401: "
        f"{code}: {description}"
    )
    assert advice in failure.advice
    assert "not-told" not in str(failure)


async def test_a_secret_that_the_login_service_repeats_is_not_shown(
    login: Wire, source: TokenSource
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "x", "message": await request.text()}, status=400)

    login.handler = answer
    failure = await failure_of(source)
    assert "grant_type=client_credentials" in failure.message
    assert "not-told" not in failure.message


@pytest.mark.parametrize("secret", ["header-that-proves", "other header-that-proves"])
async def test_a_header_that_the_machine_s_own_endpoint_repeats_is_not_shown(
    wire: Wire, clock: FakeClock, environment: pytest.MonkeyPatch, secret: str
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        found = request.headers["X-IDENTITY-HEADER"]
        return web.json_response({"message": f"wrong value {found}"}, status=401)

    wire.handler = answer
    environment.setenv("IDENTITY_ENDPOINT", f"{wire.origin}/msi/token")
    environment.setenv("IDENTITY_HEADER", secret)
    failure = await failure_of(built({"type": "managed_identity"}, clock=clock))
    assert "HTTP 401: wrong value" in failure.message
    assert "header-that-proves" not in failure.message


async def test_a_retry_after_of_the_login_service_is_kept(
    login: Wire, source: TokenSource, clock: FakeClock
) -> None:
    async def busy(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "busy"}, status=429, headers={"Retry-After": "120"})

    async def good(_: web.Request) -> web.StreamResponse:
        body = {"access_token": "given", "expires_in": 3600, "token_type": "Bearer"}
        return web.json_response(body)

    login.handler = busy
    for _ in range(12):
        with pytest.raises(ServerFailed, match="HTTP 429: busy"):
            await source.get()
        await clock.advance(9.9)
    assert len(login.seen) == 1
    login.handler = good
    await clock.advance(1.3)
    assert await source.get() == "given"
    assert len(login.seen) == 2
    await source.close()


async def test_every_link_of_the_default_chain_is_reported(
    wire: Wire, clock: FakeClock, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        body = {"error": "invalid_request", "error_description": MANY}
        return web.json_response(body, status=400)

    wire.handler = answer
    environment.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", wire.origin)
    tool(tmp_path, "az", f"echo 'ERROR: {'x' * 3000} Please run az login to begin' >&2; exit 1")
    failure = await failure_of(built({"type": "default"}, clock=clock))
    for name in (
        *("EnvironmentCredential", "WorkloadIdentityCredential", "ManagedIdentityCredential"),
        *("AzureCliCredential", "AzurePowerShellCredential", "AzureDeveloperCliCredential"),
    ):
        assert f"{name}: " in failure.message
    assert "Environment variables are not fully configured" in failure.message
    assert MANY in failure.message
    assert "Please run 'az login'" in failure.message
    assert "aka.ms" not in failure.message
    assert len(failure.message) < 3000


async def test_where_nothing_is_configured_the_ways_to_do_it_are_reported(
    clock: FakeClock, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("AZURE_TOKEN_CREDENTIALS", "dev")
    failure = await failure_of(built({"type": "default"}, clock=clock))
    assert "AzureCliCredential: Azure CLI not found on path" in failure.message
    assert "az login" in failure.advice


def test_the_advice_for_an_empty_chain_names_command_and_variables() -> None:
    message = (
        "DefaultAzureCredential failed to retrieve a token from the included credentials."
        "\nAttempted credentials:\n\tEnvironmentCredential: EnvironmentCredential authentication "
        "unavailable. Environment variables are not fully configured.\nVisit "
        "https://aka.ms/azsdk/x/troubleshoot to troubleshoot this issue.\n\t"
        "AzureCliCredential: Azure CLI not found on path\nTo mitigate this issue, please refer to "
        "the troubleshooting guidelines here at https://aka.ms/azsdk/y/troubleshoot."
    )
    failure = token_failure(ClientAuthenticationError(message), source="x", now=0.0)
    assert failure.message == (
        "no token: EnvironmentCredential: Environment variables are not fully configured.; "
        "AzureCliCredential: Azure CLI not found on path"
    )
    for word in ("az login", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "azure.credential.type"):
        assert word in failure.advice


CLAIMS = (
    "ERROR: 0. The ID token is not yet valid. Make sure that time and time zone are correct. "
    'The id_token was: {\\n "iss": "https://x", "name": "Pat Example", "amr": {"a": 1}, '
    '"message": "hidden-too"\\n} trailing Pat Example'
)


@pytest.mark.parametrize("type_", ["azure_cli", "default"])
async def test_no_claim_of_an_id_token_is_shown(
    clock: FakeClock, environment: pytest.MonkeyPatch, tmp_path: Path, type_: str
) -> None:
    environment.setenv("AZURE_TOKEN_CREDENTIALS", "azureclicredential")
    tool(tmp_path, "az", f"printf '{CLAIMS}' >&2; exit 1")
    failure = await failure_of(built({"type": type_}, clock=clock))
    assert "The ID token is not yet valid" in str(failure)
    assert "clock" in failure.advice
    for part in ("Pat Example", "hidden-too"):
        assert part not in str(failure)


@pytest.mark.parametrize(
    "printed",
    [
        '{"accessToken":"tok","expiresOn":null}',
        '{"accessToken":"tok","expiresOn":12}',
        "null",
        "[]",
    ],
)
async def test_an_answer_of_the_cli_that_cannot_be_read_names_the_cli(
    clock: FakeClock, tmp_path: Path, printed: str
) -> None:
    tool(tmp_path, "az", f"echo '{printed}'")
    failure = await failure_of(built({"type": "azure_cli"}, clock=clock))
    assert type(failure) is Unauthenticated
    assert "Azure CLI" in failure.message
    assert "TypeError" not in str(failure)
    assert "tok" not in failure.message.replace("token", "")


async def test_a_tool_of_the_chain_that_cannot_be_read_is_named(
    clock: FakeClock, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("AZURE_TOKEN_CREDENTIALS", "dev")
    tool(tmp_path, "az", """echo '{"accessToken":"tok","expiresOn":null}'""")
    failure = await failure_of(built({"type": "default"}, clock=clock))
    assert "AzureCliCredential: its answer cannot be read" in failure.message
    assert "NoneType" not in failure.message


async def test_a_setting_that_azure_identity_refuses_is_reported_in_its_words(
    clock: FakeClock,
) -> None:
    settings = SECRET | {"tenant_id": "not a tenant"}
    failure = await failure_of(built(settings, clock=clock))
    assert type(failure) is Unauthenticated
    assert "Invalid tenant ID" in failure.message
    assert "ValueError" not in failure.message


def test_a_failure_without_a_known_cause_says_what_failed() -> None:
    failure = token_failure(ServiceRequestError("name or service"), source="x", now=0.0)
    assert type(failure) is Unreachable
    assert failure.message == "no token: name or service"
    failure = token_failure(FileNotFoundError(2, "No such file"), source="the tool", now=0.0)
    assert failure.message == "no token: the tool cannot be asked (No such file)"
