"""Whom TLS trusts: the authorities of the configuration, of the environment, or of the system."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from exporter.azure import certificates
from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import Unreachable
from exporter.azure.session import new_session
from exporter.configuration import Azure, ConfigurationError
from support.azure_room import NewClient, Wire, page, walk
from support.tls import Authority

_default_context = ssl.create_default_context


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def as_python_3_13(environment: pytest.MonkeyPatch) -> None:
    """The strict check, which Python 3.13 and later have by default."""

    def strict(*arguments: Any, **options: Any) -> ssl.SSLContext:
        context = _default_context(*arguments, **options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    environment.setattr(ssl, "create_default_context", strict)


@asynccontextmanager
async def azure_with(context: ssl.SSLContext) -> AsyncIterator[Endpoints]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(page("0"))

    playing = Wire()
    playing.handler = answer
    await playing.server.start_server(ssl=context)
    try:
        yield Endpoints(
            resource_manager=f"https://localhost:{playing.server.port}", scope="https://x/.default"
        )
    finally:
        await playing.server.close()


Ask = Callable[[ssl.SSLContext, Azure], Any]


@pytest.fixture
def failure(new_client: NewClient) -> Ask:
    """What a walk says that asks a server with that certificate; None if it succeeds."""

    async def ask(server: ssl.SSLContext, settings: Azure) -> Unreachable | None:
        tls = certificates.new_context(settings)
        async with azure_with(server) as endpoints, new_session(tls) as session:
            client = new_client(endpoints, session=session)
            try:
                await walk(client)
            except Unreachable as error:
                return error
        return None

    return ask


async def test_the_configured_authority_is_trusted_and_no_other(
    tmp_path: Path, failure: Ask
) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, name="theirs")
    settings = Azure(ca_file=str(ours.file))
    assert await failure(ours.server("localhost"), settings) is None
    assert await failure(theirs.server("localhost"), settings) is not None


@pytest.mark.parametrize(
    ("variables", "trusted"),
    [
        ({}, False),
        ({"SSL_CERT_FILE": "ours"}, True),
        ({"REQUESTS_CA_BUNDLE": "ours"}, True),
        ({"SSL_CERT_FILE": "theirs", "REQUESTS_CA_BUNDLE": "ours"}, False),
        ({"SSL_CERT_FILE": "", "REQUESTS_CA_BUNDLE": "ours"}, True),
    ],
)
async def test_an_authority_can_come_from_the_environment(
    tmp_path: Path,
    environment: pytest.MonkeyPatch,
    failure: Ask,
    variables: dict[str, str],
    *,
    trusted: bool,
) -> None:
    ours = Authority(tmp_path, name="ours")
    Authority(tmp_path, name="theirs")
    for name, value in variables.items():
        environment.setenv(name, str(tmp_path / f"{value}.pem") if value else "")
    assert (await failure(ours.server("localhost"), Azure()) is None) is trusted


async def test_the_configured_authority_counts_before_the_environment_s(
    tmp_path: Path, environment: pytest.MonkeyPatch, failure: Ask
) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, name="theirs")
    environment.setenv("SSL_CERT_FILE", str(theirs.file))
    settings = Azure(ca_file=str(ours.file))
    assert await failure(ours.server("localhost"), settings) is None
    assert await failure(theirs.server("localhost"), settings) is not None


async def test_a_bundle_may_have_comments_in_any_script(tmp_path: Path, failure: Ask) -> None:
    ours = Authority(tmp_path)
    other = Authority(tmp_path, name="other")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(
        "Zertifizierungsstelle Köln\n".encode("latin-1")
        + other.file.read_bytes()
        + "# Főtanúsítvány\r\n".encode()
        + ours.file.read_bytes().replace(b"\n", b"\r\n")
    )
    assert await failure(ours.server("localhost"), Azure(ca_file=str(bundle))) is None


def test_a_directory_will_do_for_the_variable_that_takes_one(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert isinstance(certificates.new_context(Azure()), ssl.SSLContext)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "no certificate in PEM form"),
        (b"\x30\x82\x01\x0a", "no certificate in PEM form"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\n\xff\n-----END CERTIFICATE-----", "cannot be read"),
    ],
)
@pytest.mark.parametrize("source", ["azure.ca_file", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_file_without_a_certificate_is_an_error_that_names_setting_and_file(
    tmp_path: Path,
    environment: pytest.MonkeyPatch,
    source: str,
    content: bytes | None,
    said: str,
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_bytes(content)
    settings = Azure(ca_file=str(path)) if source == "azure.ca_file" else Azure()
    if source != "azure.ca_file":
        environment.setenv(source, str(path))
    with pytest.raises(ConfigurationError, match=said) as caught:
        certificates.new_context(settings)
    assert str(caught.value).startswith(f"{source}: {path}")
    assert "AAAA" not in str(caught.value)


def test_a_directory_is_no_authority_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"azure\.ca_file: .* cannot be read"):
        certificates.new_context(Azure(ca_file=str(tmp_path)))


@pytest.mark.usefixtures("as_python_3_13")
@pytest.mark.parametrize(("critical", "key_identifiers"), [(False, True), (True, False)])
async def test_a_careless_authority_is_trusted_where_strictness_is_off(
    tmp_path: Path, failure: Ask, *, critical: bool, key_identifiers: bool
) -> None:
    ours = Authority(tmp_path, critical=critical, key_identifiers=key_identifiers)
    strict = Azure(ca_file=str(ours.file))
    lenient = Azure(ca_file=str(ours.file), tls_strict=False)
    assert await failure(ours.server("localhost"), strict) is not None
    assert await failure(ours.server("localhost"), lenient) is None


@pytest.mark.usefixtures("as_python_3_13")
async def test_without_strictness_name_chain_and_dates_still_count(
    tmp_path: Path, failure: Ask
) -> None:
    ours, theirs = Authority(tmp_path, critical=False), Authority(tmp_path, name="theirs")
    lenient = Azure(ca_file=str(ours.file), tls_strict=False)
    day = dt.timedelta(days=1)
    assert await failure(ours.server("other.example"), lenient) is not None
    assert await failure(theirs.server("localhost"), lenient) is not None
    old = ours.server("localhost", begins=-2 * day, ends=-day)
    assert await failure(old, lenient) is not None


def test_a_file_of_beginnings_without_an_end_is_read_in_linear_time(tmp_path: Path) -> None:
    # In quadratic time it took an hour, and no other thread of Python ran meanwhile.
    file = tmp_path / "authority.pem"
    file.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n" * 250_000)
    with pytest.raises(ConfigurationError, match="holds no certificate"):
        certificates.new_context(Azure(ca_file=str(file)))
