"""What to do where no token can be had: the setting to check, by the token service's message."""

from __future__ import annotations

import re
from typing import NamedTuple

NOT_CONFIGURED = (
    "run az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or choose "
    "azure.credential.type"
)
"""The advice where no credential is configured."""

_NAME_ONE = (
    "name one of them: set azure.credential.client_id (or object_id, resource_id) with type "
    "managed_identity, or AZURE_CLIENT_ID with type default"
)
MACHINE = (
    "assign a managed identity to this machine, check azure.credential.client_id (or object_id, "
    "resource_id), or choose another azure.credential.type"
)
"""The advice where the machine has no such identity."""

_CLOCK = "set this machine's clock and time zone right"
_RENEW = (
    "put a valid secret into azure.credential.client_secret_file (or client_secret), or with type "
    "default into AZURE_CLIENT_SECRET"
)
_ASSERTION = (
    "check that azure.credential.token_file (AZURE_FEDERATED_TOKEN_FILE) holds a token and is "
    "renewed before it ends, and this machine's clock"
)
_POLICY = (
    "a Conditional Access policy forbids it: have the identity, or this machine's address, "
    "exempted from it"
)
_ASSIGNMENT = "assign the identity to the application, which admits assigned ones only"
_ARC = (
    "Azure Arc proves the caller by a file: let the exporter's user read it, as a member of the "
    "group himds, and check that the Arc agent runs (azcmagent show)"
)
_CLI_CLOUD = "choose the cloud and the subscription: az cloud set, az account set"
_CLI_ANSWER = "see what az account get-access-token prints for the exporter's user, and mend that"
_APPLICATION = "check azure.credential.client_id, and that its tenant is azure.credential.tenant_id"
_TENANT = "check azure.credential.tenant_id and azure.cloud"
_FEDERATION = "check issuer, subject and audience of the application's federated credential"
_AUDIENCE = "check azure.cloud, or azure.audience with cloud custom"
_CERTIFICATE = "check azure.credential.certificate_path, and that the application knows it"


class _Advice(NamedTuple):
    pattern: re.Pattern[str]
    advice: str


def _on(pattern: str, advice: str) -> _Advice:
    return _Advice(re.compile(pattern, re.IGNORECASE), advice)


# The first that fits wins.
_ADVICE: tuple[_Advice, ...] = (
    _on(r"multiple user.assigned|specify the client_?id", _NAME_ONE),
    _on(r"AADSTS700024|AADSTS50027(?!\d)|AADSTS50013(?!\d)", _ASSERTION),
    _on(r"not yet valid|time range|clock|time zone", _CLOCK),
    _on(r"AADSTS53\d{3,4}(?!\d)", _POLICY),
    _on(r"AADSTS50105(?!\d)", _ASSIGNMENT),
    _on(r"AADSTS7000215|AADSTS7000222", _RENEW),
    _on(r"AADSTS700016|AADSTS7000112", _APPLICATION),
    _on(r"AADSTS90002|AADSTS90001[34]|AADSTS900023|AADSTS900382", _TENANT),
    _on(r"AADSTS70021\d?|AADSTS700222|federated identity", _FEDERATION),
    _on(r"AADSTS500011|AADSTS65001|AADSTS1002012|AADSTS500014", _AUDIENCE),
    _on(r"AADSTS700027|AADSTS7000214|certificate", _CERTIFICATE),
    _on(r"WWW-Authenticate header|key file|himds", _ARC),
    _on(r"identity not found|ManagedIdentityCredential: .*has(?: not)? been assigned", MACHINE),
    _on(r"DefaultAzureCredential|EnvironmentCredential:", NOT_CONFIGURED),
    _on(
        r"Azure CLI not found|az['\"]? is not recognized",
        "install the Azure CLI and run az login, or choose another azure.credential.type",
    ),
    _on(r"does not exist in (?:the )?cloud", _CLI_CLOUD),
    _on(r"output from Azure CLI|invoke (?:the )?Azure CLI|/\.azure\b", _CLI_ANSWER),
    _on(r"az login|az account set|Azure CLI|AADSTS50076|AADSTS70008\d", "run az login again"),
    _on(r"Azure PowerShell|Az\.Account|Connect-AzAccount", "run Connect-AzAccount again"),
    _on(r"Azure Developer CLI|azd auth", "run azd auth login again"),
)


def advice_on(summary: str, *, metadata: bool) -> str:
    """What to do about a token service's message.

    Args:
        summary: the message; empty for none.
        metadata: whether it was the machine's own endpoint.

    Returns:
        The advice; empty where no rule fits.
    """
    for known in _ADVICE:
        if known.pattern.search(summary):
            return known.advice
    return MACHINE if metadata else ""
