"""From `azure.credential` to a source of tokens: azure-identity's credentials, or a file."""

from __future__ import annotations

import os
from pathlib import Path

from azure.identity import aio as identity

from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import Unauthenticated
from exporter.azure.token_file import FileTokens
from exporter.azure.tokens import Credential, CredentialTokens, TokenSource
from exporter.clock import Clock, SystemClock
from exporter.configuration import azure as configuration

__all__ = ["TokenSource", "build"]


def build(
    settings: configuration.Credential, endpoints: Endpoints, *, clock: Clock | None = None
) -> TokenSource:
    """The source of the configured tokens. It touches nothing before the first token is wanted.

    Args:
        settings: `azure.credential`.
        endpoints: the cloud, for the scope and the authority.
        clock: the time; the machine's if None.
    """
    if settings.type == "static":
        return FileTokens(settings.token_file or "")
    return CredentialTokens(
        lambda: _credential(settings, endpoints),
        scope=endpoints.scope,
        clock=clock or SystemClock(),
    )


def _credential(settings: configuration.Credential, endpoints: Endpoints) -> Credential:
    """azure-identity's credential.

    Raises:
        Unauthenticated: a file or a variable that the credential needs gives nothing.
        ValueError: azure-identity finds a setting malformed.
    """
    tenant, client = settings.tenant_id or "", settings.client_id or ""
    authority = {"authority": endpoints.authority} if endpoints.authority else {}
    match settings.type:
        case "managed_identity":
            # Its tokens come from the machine itself, whatever the authority.
            return identity.ManagedIdentityCredential(client_id=settings.client_id)
        case "workload_identity":
            _check_workload(settings)
            return identity.WorkloadIdentityCredential(
                tenant_id=settings.tenant_id,
                client_id=settings.client_id,
                token_file_path=settings.token_file,
                **authority,
            )
        case "client_secret":
            return identity.ClientSecretCredential(tenant, client, _secret(settings), **authority)
        case "client_certificate":
            return _certificate(settings, tenant, client, authority)
        case "azure_cli":
            return identity.AzureCliCredential(tenant_id=tenant)
        case _:
            return identity.DefaultAzureCredential(**authority)


def _certificate(
    settings: configuration.Credential, tenant: str, client: str, authority: dict[str, str]
) -> Credential:
    path = settings.certificate_path
    try:
        return identity.CertificateCredential(tenant, client, path, **authority)
    except OSError as error:
        raise Unauthenticated(
            f"certificate_path {path} cannot be read ({error.strerror})"
        ) from None


def _check_workload(settings: configuration.Credential) -> None:
    """Name what is missing: azure-identity's own message drowns it in links."""
    given = {
        "AZURE_TENANT_ID": settings.tenant_id,
        "AZURE_CLIENT_ID": settings.client_id,
        "AZURE_FEDERATED_TOKEN_FILE": settings.token_file,
    }
    missing = [name for name, value in given.items() if not (value or os.environ.get(name))]
    if missing:
        raise Unauthenticated(f"workload identity lacks {', '.join(missing)}")


def _secret(settings: configuration.Credential) -> str:
    if settings.client_secret is not None:
        return settings.client_secret.get_secret_value()
    path = Path(settings.client_secret_file or "")
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Unauthenticated(
            f"client_secret_file {path} cannot be read ({error.strerror})"
        ) from None
    except UnicodeDecodeError:
        raise Unauthenticated(f"client_secret_file {path} is no text") from None
    if not secret:
        raise Unauthenticated(f"client_secret_file {path} is empty")
    return secret
