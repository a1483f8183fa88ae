"""The token service is one that azure-identity's managed identity really uses."""

from __future__ import annotations

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import ManagedIdentityCredential

from exporter.simulator import Fault, SimulatedAzure
from simulator.asking import Ask, list_path

SECRET = {"X-IDENTITY-HEADER": "simulated-identity"}
PATH = "/msi/token?resource=https%3A%2F%2Fazure.example&api-version=2019-08-01"


@pytest.fixture
def environment(azure: SimulatedAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{azure.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "simulated-identity")


@pytest.mark.usefixtures("environment")
async def test_managed_identity_gets_a_token_that_is_accepted(ask: Ask) -> None:
    async with ManagedIdentityCredential() as credential:
        token = await credential.get_token("https://azure.example/.default")
    assert (await ask(list_path("web"), token=token.token)).status == 200


@pytest.mark.usefixtures("environment")
async def test_managed_identity_fails_while_the_service_does(azure: SimulatedAzure) -> None:
    fault = azure.faults.append(Fault(kind="status", status=400, operation="token"))
    async with ManagedIdentityCredential() as credential:
        with pytest.raises(ClientAuthenticationError):
            await credential.get_token("https://azure.example/.default")
    assert fault.happened >= 1


async def test_the_service_gives_out_what_it_is_given(ask: Ask, azure: SimulatedAzure) -> None:
    azure.issued_token = "second"
    reply = await ask(PATH, token=None, headers=SECRET)
    assert reply.document["access_token"] == "second"
    assert reply.document["token_type"] == "Bearer"
    assert reply.document["resource"] == "https://azure.example"
    assert int(reply.document["expires_on"]) > 0
    assert [request.operation for request in azure.requests] == ["token"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PATH, {}, 401),
        (PATH.replace("2019-08-01", "2017-09-01"), SECRET, 400),
        ("/msi/token?api-version=2019-08-01", SECRET, 400),
    ],
)
async def test_the_service_refuses_what_app_service_would(
    ask: Ask, path: str, headers: dict[str, str], status: int
) -> None:
    assert (await ask(path, token=None, headers=headers)).status == status


async def test_faults_of_azure_leave_the_token_service_alone(
    ask: Ask, azure: SimulatedAzure
) -> None:
    azure.faults.append(Fault(kind="status", status=500))
    azure.faults.append(Fault(kind="unavailable_html", operation="token", times=1))
    assert (await ask(PATH, token=None, headers=SECRET)).status == 503
    assert (await ask(PATH, token=None, headers=SECRET)).status == 200
