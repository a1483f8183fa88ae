"""How azure-identity's requests go out: whose certificate is checked, and how long they wait."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import AioHttpTransport, HttpRequest

from exporter.azure.auth.identity_transport import IdentityTransport
from exporter.azure.auth.token_failures import token_failure

CLUSTER = "https://10.0.0.4:2377/metadata/identity/oauth2/token"
LOGIN = "https://login.microsoftonline.com/t/oauth2/v2.0/token"
IMDS = "http://169.254.169.254/metadata/identity/oauth2/token"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of each request, none of which goes out."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    found: list[dict[str, Any]] = []

    async def send(self: AioHttpTransport, request: HttpRequest, **options: Any) -> None:
        del self, request
        found.append(options)
        raise ServiceRequestError("nobody there")

    monkeypatch.setattr(AioHttpTransport, "send", send)
    return found


async def ask(url: str, **options: Any) -> ServiceRequestError:
    with pytest.raises(ServiceRequestError) as caught:
        await IdentityTransport().send(HttpRequest("GET", url), **options)
    return caught.value


@pytest.mark.parametrize(
    ("url", "endpoint", "thumbprint", "checked"),
    [
        (CLUSTER, CLUSTER, "AB12", False),
        (f"{CLUSTER}?resource=x", CLUSTER, "AB12", False),
        (LOGIN, CLUSTER, "AB12", True),
        ("https://10.0.0.4:443/metadata", CLUSTER, "AB12", True),
        (CLUSTER, CLUSTER, None, True),
        (CLUSTER, None, "AB12", True),
        (LOGIN, None, None, True),
    ],
)
async def test_only_the_certificate_of_a_service_fabric_cluster_is_not_checked(
    monkeypatch: pytest.MonkeyPatch,
    sent: list[dict[str, Any]],
    url: str,
    endpoint: str | None,
    thumbprint: str | None,
    *,
    checked: bool,
) -> None:
    for name, value in (
        ("IDENTITY_ENDPOINT", endpoint),
        ("IDENTITY_SERVER_THUMBPRINT", thumbprint),
    ):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    await ask(url)
    (options,) = sent
    assert options.get("connection_verify", True) is checked


async def test_the_machines_own_endpoint_is_given_up_sooner_than_a_login_service(
    sent: list[dict[str, Any]],
) -> None:
    await ask(IMDS)
    await ask(LOGIN)
    await ask(IMDS, connection_timeout=7.0)
    assert [options.get("connection_timeout") for options in sent] == [2.0, None, 7.0]


async def test_proxies_that_azure_core_found_itself_are_not_used_and_errors_say_who_was_asked(
    sent: list[dict[str, Any]],
) -> None:
    error = await ask(LOGIN, proxies={"https": "http://other:1"})
    assert error.__notes__ == ["login.microsoftonline.com:443"]
    assert not {"proxies", "proxy"} & sent[0].keys()


def test_a_note_that_somebody_else_added_names_nobody() -> None:
    error = ServiceRequestError("no way")
    error.__cause__ = TimeoutError()
    for note in ("login.example:443", "proxy.example:3128", "somebody else's"):
        error.add_note(note)
    failure = token_failure(error, source="x", now=0.0)
    assert failure.message == (
        "no token from x: no answer from login.example:443 through the proxy "
        "proxy.example:3128 in time"
    )
