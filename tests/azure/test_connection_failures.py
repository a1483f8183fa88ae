"""A connection that does not come about names host and port, the cause, and what to do."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from exporter.azure import certificates
from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import AzureError, TimedOut, Unreachable
from exporter.azure.scale_sets import ScaleSetClient
from exporter.azure.session import new_session
from exporter.configuration import Azure
from support.answers import WEB
from support.azure_room import PUBLIC, NewClient, Wire, failure_of
from support.proxy import TunnelProxy
from support.tls import Authority

DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def at(url: str) -> Endpoints:
    return Endpoints(resource_manager=url, scope="https://x/.default")


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


async def test_a_closed_port(new_client: NewClient, closed_port: int) -> None:
    error = await failure_of(new_client(at(f"http://127.0.0.1:{closed_port}")))
    assert type(error) is Unreachable
    assert error.message == (
        f"listing the instances failed: no connection to 127.0.0.1:{closed_port} "
        "(Connection refused)"
    )


async def test_what_was_asked_is_reported_in_plain_words(
    new_client: NewClient, closed_port: int
) -> None:
    with pytest.raises(AzureError, match="reading the scale set failed: no connection to"):
        await new_client(at(f"http://127.0.0.1:{closed_port}")).scale_set_model(WEB)


async def test_a_name_with_several_closed_addresses(
    new_client: NewClient, closed_port: int
) -> None:
    error = await failure_of(new_client(at(f"http://localhost:{closed_port}")))
    assert f"no connection to localhost:{closed_port} (" in error.message
    assert "refused" in error.message
    assert "Errno" not in error.message


async def test_a_host_name_that_nobody_knows(
    new_client: NewClient, session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = await failure_of(new_client(at("https://management.example"), session=session))
    assert type(error) is Unreachable
    assert "the host name of management.example:443 cannot be resolved" in error.message
    assert "Name or service not known" in error.message
    assert "DNS" in error.advice


async def asked(new_client: NewClient, wire: Wire, tls: Azure) -> AzureError:
    async with new_session(certificates.new_context(tls)) as session:
        client: ScaleSetClient = new_client(
            at(f"https://localhost:{wire.server.port}"), session=session
        )
        return await failure_of(client)


@pytest.mark.parametrize(
    ("names", "begins", "ends", "said", "advice"),
    [
        (("other.example",), -DAY, DAY, "localhost", "another server answers"),
        (("localhost",), -2 * DAY, -DAY, "certificate has expired", "renewed"),
        (("localhost",), DAY, 2 * DAY, "certificate is not yet valid", "clock"),
    ],
)
async def test_a_certificate_that_is_not_trusted_says_why(
    tmp_path: Path,
    new_client: NewClient,
    names: tuple[str, ...],
    begins: dt.timedelta,
    ends: dt.timedelta,
    said: str,
    advice: str,
) -> None:
    wire, authority = Wire(), Authority(tmp_path)
    await wire.server.start_server(ssl=authority.server(*names, begins=begins, ends=ends))
    where = f"the certificate of localhost:{wire.server.port} is not trusted: "
    error = await asked(new_client, wire, Azure(ca_file=str(authority.file)))
    await wire.server.close()
    assert type(error) is Unreachable
    assert where in error.message
    assert said in error.message.partition(where)[2]
    assert advice in error.advice


async def test_a_certificate_of_an_unknown_authority_says_which_setting(
    tmp_path: Path, new_client: NewClient
) -> None:
    wire, authority, other = Wire(), Authority(tmp_path), Authority(tmp_path, name="other")
    await wire.server.start_server(ssl=authority.server("localhost"))
    error = await asked(new_client, wire, Azure(ca_file=str(other.file)))
    await wire.server.close()
    assert "unable to get local issuer certificate" in error.message
    assert "azure.ca_file" in error.advice
    assert "tls_strict" not in error.advice


@pytest.mark.parametrize(
    ("critical", "key_identifiers", "said"),
    [
        (False, True, "Basic Constraints of CA cert not marked critical"),
        (True, False, "Missing Authority Key Identifier"),
    ],
)
async def test_an_authority_that_only_the_strict_check_refuses_says_which_setting(
    tmp_path: Path, new_client: NewClient, *, critical: bool, key_identifiers: bool, said: str
) -> None:
    wire = Wire()
    authority = Authority(tmp_path, critical=critical, key_identifiers=key_identifiers)
    await wire.server.start_server(ssl=authority.server("localhost"))
    tls = certificates.new_context(Azure(ca_file=str(authority.file)))
    tls.verify_flags |= ssl.VERIFY_X509_STRICT
    async with new_session(tls) as session:
        url = f"https://localhost:{wire.server.port}"
        error = await failure_of(new_client(at(url), session=session))
    await wire.server.close()
    assert said in error.message
    assert "azure.tls_strict" in error.advice


async def test_https_to_a_port_that_speaks_http(wire: Wire, new_client: NewClient) -> None:
    error = await failure_of(new_client(at(f"https://127.0.0.1:{wire.server.port}")))
    assert type(error) is Unreachable
    assert f"no TLS connection to 127.0.0.1:{wire.server.port} (" in error.message
    assert "https" in error.advice


@pytest.mark.parametrize(
    ("refusal", "said", "advice"),
    [
        ("407 Proxy Authentication Required", "wants credentials, or others (HTTP 407)", "user:"),
        (
            "407 No\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate x",
            "wants credentials by NTLM or Negotiate (HTTP 407)",
            "only Basic is supported",
        ),
        (
            '407 No\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: basic realm="x"',
            "wants credentials, or others (HTTP 407)",
            "user:",
        ),
        ("500 Oops", "cannot reach management.azure.com:443 (HTTP 500)", "proxy's own connection"),
        (
            "502 Bad Gateway",
            "cannot reach management.azure.com:443 (HTTP 502)",
            "proxy's own connection",
        ),
        ("504 Gateway Timeout", "cannot reach management.azure.com:443 (HTTP 504)", "NO_PROXY"),
        (
            "499 Odd",
            "does not allow a connection to management.azure.com:443 (HTTP 499)",
            "allow that host",
        ),
        (
            "403 Forbidden",
            "does not allow a connection to management.azure.com:443 (HTTP 403)",
            "allow that host",
        ),
    ],
)
async def test_a_proxy_that_declines_is_named_with_its_status(
    environment: pytest.MonkeyPatch, new_client: NewClient, refusal: str, said: str, advice: str
) -> None:
    async with TunnelProxy(refusal=refusal) as proxy:
        environment.setenv("HTTPS_PROXY", f"http://user:pass-word@127.0.0.1:{proxy.port}")
        error = await failure_of(new_client(PUBLIC))
    assert type(error) is Unreachable
    assert f"the proxy 127.0.0.1:{proxy.port} {said}" in error.message
    assert advice in error.advice
    assert "pass-word" not in str(error)


async def test_a_proxy_that_is_not_there_is_named(
    environment: pytest.MonkeyPatch, new_client: NewClient, closed_port: int
) -> None:
    environment.setenv("HTTPS_PROXY", f"http://user:pass-word@127.0.0.1:{closed_port}")
    error = await failure_of(new_client(PUBLIC))
    assert type(error) is Unreachable
    assert (
        f"the proxy 127.0.0.1:{closed_port} cannot be reached (Connection refused)" in error.message
    )
    assert "HTTPS_PROXY" in error.advice
    assert "pass-word" not in str(error)


async def test_an_answer_that_does_not_come_names_whom(wire: Wire, new_client: NewClient) -> None:
    gate = asyncio.Event()

    async def never(_: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.Response()

    wire.handler = never
    error = await failure_of(new_client(wire.endpoints, timeout=0.05))
    gate.set()
    assert type(error) is TimedOut
    assert f"no answer from 127.0.0.1:{wire.server.port} in time" in error.message


async def test_an_address_that_the_certificate_does_not_name(
    tmp_path: Path, new_client: NewClient
) -> None:
    wire, authority = Wire(), Authority(tmp_path)
    await wire.server.start_server(ssl=authority.server("localhost"))
    async with new_session(certificates.new_context(Azure(ca_file=str(authority.file)))) as session:
        url = f"https://127.0.0.1:{wire.server.port}"
        error = await failure_of(new_client(at(url), session=session))
    await wire.server.close()
    assert "127.0.0.1" in error.message.partition("is not trusted")[2]
    assert "another server answers" in error.advice
