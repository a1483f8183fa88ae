"""Which requests go through a proxy: Azure's as the variables say, a machine's own token never."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from exporter.azure import certificates
from exporter.azure.auth import token_sources
from exporter.azure.endpoints import Endpoints, resolve
from exporter.azure.errors import AzureError
from exporter.azure.proxies import METADATA_VARIABLES, proxy_for
from exporter.azure.session import new_session
from exporter.configuration import Azure, ConfigurationError, Credential
from support.azure_room import PUBLIC, NewClient, Wire, page, walk
from support.clock import FakeClock
from support.proxy import TunnelProxy
from support.tls import Authority

AZURE = URL("https://management.azure.com")
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
SECRET = {
    "type": "client_secret",
    "tenant_id": "11111111-1111-1111-1111-111111111111",
    "client_id": "22222222-2222-2222-2222-222222222222",
    "client_secret": "not-told",
}


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing about proxies and identities."""
    for name in (*VARIABLES, *METADATA_VARIABLES, "IDENTITY_HEADER", "MSI_SECRET"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/metadata/identity/oauth2/token",
        "http://169.254.130.2:8081/msi/token",
        "http://127.0.0.1:40342/metadata/identity/oauth2/token",
        "http://127.3.2.1:50342",
        "http://localhost:50342/oauth2/token",
        "http://LOCALHOST.:50342/oauth2/token",
        "http://[::1]:1",
        "http://[fe80::1]:1",
        "http://[::ffff:169.254.169.254]/",
        "https://127.0.0.1:2377/metadata",
        "http://0.0.0.0:1",
    ],
)
def test_a_machine_s_own_address_never_has_a_proxy(
    variables: pytest.MonkeyPatch, address: str
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        variables.setenv(name, "http://proxy.example:3128")
    assert proxy_for(URL(address)) is None


@pytest.mark.parametrize("name", METADATA_VARIABLES)
def test_a_token_endpoint_that_the_environment_names_never_has_a_proxy(
    variables: pytest.MonkeyPatch, name: str
) -> None:
    variables.setenv("HTTP_PROXY", "http://proxy.example:3128")
    variables.setenv(name, "http://Identity.internal:2377/token")
    assert proxy_for(URL("http://identity.internal:2377/token?resource=x")) is None
    assert proxy_for(URL("http://other.internal:2377/token")) is not None


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"HTTPS_PROXY": "http://proxy.example:8080"}, "proxy.example:8080"),
        ({"https_proxy": "proxy.example:8080"}, "proxy.example:8080"),
        ({"ALL_PROXY": "http://proxy.example"}, "proxy.example:80"),
        ({"HTTPS_PROXY": "https://u:p@proxy.example", "ALL_PROXY": "x"}, "proxy.example:443"),
        ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "azure.com"}, None),
        ({"HTTPS_PROXY": "socks5://proxy.example", "NO_PROXY": "*"}, None),
        ({"HTTP_PROXY": "http://proxy.example"}, None),
        ({"HTTPS_PROXY": ""}, None),
    ],
)
def test_the_variables_count_for_everything_else(
    variables: pytest.MonkeyPatch, given: dict[str, str], name: str | None
) -> None:
    for variable, value in given.items():
        variables.setenv(variable, value)
    found = proxy_for(AZURE)
    assert (found and found.name) == name


@pytest.mark.parametrize(
    ("entry", "address", "direct"),
    [
        ("*.azure.com", "https://management.azure.com", True),
        ("management.azure.com:443", "https://management.azure.com", True),
        ("management.azure.com:8443", "https://management.azure.com", False),
        ("management.azure.com.", "https://management.azure.com", True),
        ("azure.com", "https://management.azure.com.", True),
        ("x, .azure.com", "https://management.azure.com", True),
        ("*:443", "https://management.azure.com", True),
        ("zure.com", "https://management.azure.com", False),
        (".", "https://management.azure.com", False),
        ("", "https://management.azure.com", False),
        ("http://management.azure.com", "https://management.azure.com", False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.0.0.0/8", "https://management.azure.com", False),
        ("10.1.2.3:443", "https://10.1.2.3", True),
        ("10.1.2.3:8443", "https://10.1.2.3", False),
        ("fd00::/8", "https://[fd00::1]", True),
        ("fd00::/8", "https://10.1.2.3", False),
        ("[fd00::1]", "https://[fd00::1]", True),
        ("[fd00::1]:443", "https://[fd00::1]", True),
        ("[fd00:0::1]:8443", "https://[fd00::1]", False),
    ],
)
def test_no_proxy_may_name_networks_ports_and_wildcards(
    variables: pytest.MonkeyPatch, entry: str, address: str, *, direct: bool
) -> None:
    variables.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    variables.setenv("no_proxy", entry)
    assert (proxy_for(URL(address)) is None) is direct


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://127.0.0.1:abc", "not the address of a proxy"),
        ("http://user:pass-word@:3128", "not the address of a proxy"),
        ("http://proxy.example:0", "not the address of a proxy"),
        ("http://proxy.example:70000", "not the address of a proxy"),
        ("http://proxy example:3128", "not the address of a proxy"),
        ("://proxy.example", "not the address of a proxy"),
        ("//proxy.example", "not the address of a proxy"),
        ("socks5://user:pass-word@proxy.example:1080", "socks5"),
        ("socks5h://proxy.example:1080", "socks5h"),
        ("ftp://proxy.example", "ftp"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_used_is_an_error_and_no_direct_way(
    variables: pytest.MonkeyPatch, new_client: NewClient, variable: str, value: str, said: str
) -> None:
    variables.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=said) as caught:
        new_client(PUBLIC)
    assert str(caught.value).startswith(variable)
    assert "pass-word" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=said):
        token_sources.build(Credential.model_validate(SECRET), resolve(Azure()))


@pytest.fixture
async def cloud(authority: Authority) -> AsyncIterator[Wire]:
    """A server with the certificates of Azure's own names."""
    playing = Wire()
    names = ("management.azure.com", "login.microsoftonline.com")
    await playing.server.start_server(ssl=authority.server(*names))
    yield playing
    await playing.server.close()


async def test_a_request_goes_through_the_proxy_with_its_credentials(
    variables: pytest.MonkeyPatch, new_client: NewClient, cloud: Wire, authority: Authority
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(page("0"))

    cloud.handler = answer
    tls = certificates.new_context(Azure(ca_file=str(authority.file)))
    async with TunnelProxy(cloud.server.port) as proxy, new_session(tls) as session:
        variables.setenv("HTTPS_PROXY", f"http://us%40er:pass@127.0.0.1:{proxy.port}")
        assert len(await walk(new_client(PUBLIC, session=session))) == 1
    basic = base64.b64encode(b"us@er:pass").decode()
    assert proxy.heads[0].startswith("CONNECT management.azure.com:443 HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {basic}\r\n" in proxy.heads[0]
    assert "Bearer" not in "".join(proxy.heads), "the token is in the tunnel only"
    (request,) = cloud.seen
    assert request.headers["Authorization"] == "Bearer token-1"
    assert "Proxy-Authorization" not in request.headers


async def test_a_token_call_goes_through_the_proxy_and_trusts_the_same_authority(
    variables: pytest.MonkeyPatch, cloud: Wire, authority: Authority, clock: FakeClock
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        body = {"access_token": "given", "expires_in": 3600, "token_type": "Bearer"}
        return web.json_response(body)

    cloud.handler = answer
    tls = certificates.new_context(Azure(ca_file=str(authority.file)))
    async with TunnelProxy(cloud.server.port) as proxy:
        variables.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
        source = token_sources.build(
            Credential.model_validate(SECRET), resolve(Azure()), clock=clock, tls=tls
        )
        assert await source.get() == "given"
        await source.close()
    assert proxy.heads[0].startswith("CONNECT login.microsoftonline.com:443 ")
    assert "Proxy-Authorization: Basic " in proxy.heads[0]
    assert "not-told" not in "".join(proxy.heads)


@pytest.mark.parametrize(
    ("settings", "environment"),
    [
        ({"type": "managed_identity"}, {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "{wire}"}),
        (
            {"type": "managed_identity"},
            {"IDENTITY_ENDPOINT": "{wire}/msi/token", "IDENTITY_HEADER": "h"},
        ),
        ({"type": "managed_identity"}, {"MSI_ENDPOINT": "{wire}/msi", "MSI_SECRET": "s"}),
        ({"type": "managed_identity"}, {"MSI_ENDPOINT": "{wire}/oauth2/token"}),
        (
            {"type": "default"},
            {
                "AZURE_POD_IDENTITY_AUTHORITY_HOST": "{wire}",
                "AZURE_TOKEN_CREDENTIALS": "managedidentitycredential",
            },
        ),
    ],
)
async def test_no_managed_identity_s_token_comes_through_a_proxy(
    variables: pytest.MonkeyPatch,
    wire: Wire,
    clock: FakeClock,
    settings: dict[str, Any],
    environment: dict[str, str],
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        body = {
            "access_token": "the-machine-s-own",
            "expires_in": "3600",
            "expires_on": str(int(clock.now()) + 3600),
            "resource": "https://management.azure.com",
            "token_type": "Bearer",
        }
        return web.json_response(body)

    wire.handler = answer
    for name, value in environment.items():
        variables.setenv(name, value.format(wire=wire.origin))
    async with TunnelProxy() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            variables.setenv(name, proxy.url)
        source = token_sources.build(
            Credential.model_validate(settings), resolve(Azure()), clock=clock
        )
        assert await source.get() == "the-machine-s-own"
        await source.close()
    assert proxy.heads == []
    assert len(wire.seen) >= 1


def test_a_machine_s_own_identity_needs_no_usable_proxy(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("HTTPS_PROXY", "socks5://proxy.example")
    for kind in ("managed_identity", "azure_cli"):
        token_sources.build(Credential.model_validate({"type": kind}), resolve(Azure()))


async def test_service_fabric_s_own_certificate_is_taken_for_its_endpoint_alone(
    variables: pytest.MonkeyPatch, cloud: Wire, clock: FakeClock
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"access_token": "given", "expires_on": "4102444800", "resource": "r"}
        )

    cloud.handler = answer
    variables.setenv("IDENTITY_ENDPOINT", f"https://localhost:{cloud.server.port}/token")
    variables.setenv("IDENTITY_HEADER", "header")
    managed = Credential(type="managed_identity")
    source = token_sources.build(managed, resolve(Azure()), clock=clock)
    with pytest.raises(AzureError, match="not trusted"):
        await source.get()
    await source.close()

    variables.setenv("IDENTITY_SERVER_THUMBPRINT", "00")
    source = token_sources.build(managed, resolve(Azure()), clock=clock)
    assert await source.get() == "given"
    await source.close()

    login = Endpoints(
        resource_manager="https://management.azure.com",
        scope="s/.default",
        authority=f"https://127.0.0.1:{cloud.server.port}",
    )
    source = token_sources.build(Credential.model_validate(SECRET), login, clock=clock)
    with pytest.raises(AzureError, match="not trusted"):
        await source.get()
    await source.close()
