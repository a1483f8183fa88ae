"""azure-identity's credentials, as `azure.credential` wants them.

Importing azure-identity takes half a second of processor time. `token_sources` imports this module
when the first token is wanted, in the thread in which the credential is made.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from azure.identity import aio as identity

from exporter.azure.auth.identity_transport import IdentityTransport
from exporter.azure.auth.token_cache import Credential
from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import Unauthenticated
from exporter.configuration import credentials as configuration
from exporter.runtime.files import read_file

_LARGEST_FILE = 1024 * 1024
_NOT_WRITTEN = (
    "check that it is written (in Kubernetes by the workload identity webhook), and that the "
    "exporter's user may read it"
)


def credential(
    settings: configuration.Credential, endpoints: Endpoints, tls: ssl.SSLContext | None = None
) -> Credential:
    """azure-identity's credential. Reads files, so it does not belong on the event loop.

    Raises:
        Unauthenticated: a file or a variable that the credential needs gives nothing.
        ValueError: azure-identity finds a setting malformed.
    """
    tenant, client = settings.tenant_id or "", settings.client_id or ""
    # No retries in azure-core: it waits for the whole Retry-After, and its error is lost when the
    # wait is cut short. `CredentialTokens` retries by itself.
    options: dict[str, Any] = {"transport": IdentityTransport(tls), "retry_total": 0}
    if endpoints.authority:
        options["authority"] = endpoints.authority
    match settings.type:
        case "managed_identity":
            return _managed_identity(settings, options)
        case "workload_identity":
            _check_workload(settings)
            return identity.WorkloadIdentityCredential(
                tenant_id=settings.tenant_id,
                client_id=settings.client_id,
                token_file_path=settings.token_file,
                **options,
            )
        case "client_secret":
            return identity.ClientSecretCredential(tenant, client, _secret(settings), **options)
        case "client_certificate":
            return _certificate(settings, tenant, client, options)
        case "azure_cli":
            return identity.AzureCliCredential(tenant_id=tenant)
        case _:
            return identity.DefaultAzureCredential(**options)


def _managed_identity(
    settings: configuration.Credential, options: dict[str, Any]
) -> identity.ManagedIdentityCredential:
    # Its tokens come from the machine itself, whatever the authority.
    options.pop("authority", None)
    config: dict[str, str] = {}
    if settings.object_id:
        config["object_id"] = settings.object_id
    if settings.resource_id:
        config[_resource_id_name()] = settings.resource_id
    return identity.ManagedIdentityCredential(
        client_id=settings.client_id, identity_config=config or None, **options
    )


def _resource_id_name() -> str:
    """What the machine's own token endpoint calls a resource id."""
    if not os.environ.get("IDENTITY_ENDPOINT"):
        return "msi_res_id"
    # Azure Arc's, which azure-identity renames itself, has no IDENTITY_HEADER.
    return "mi_res_id" if os.environ.get("IDENTITY_HEADER") else "resource_id"


def _certificate(
    settings: configuration.Credential, tenant: str, client: str, options: dict[str, Any]
) -> Credential:
    content = _content("certificate_path", settings.certificate_path or "")
    return identity.CertificateCredential(tenant, client, certificate_data=content, **options)


def _check_workload(settings: configuration.Credential) -> None:
    """Name what is missing: azure-identity's own message drowns it in links."""
    given = {
        "AZURE_TENANT_ID": settings.tenant_id,
        "AZURE_CLIENT_ID": settings.client_id,
        "AZURE_FEDERATED_TOKEN_FILE": settings.token_file,
    }
    found = {name: value or os.environ.get(name, "") for name, value in given.items()}
    missing = [name for name, value in found.items() if not value]
    if missing:
        raise Unauthenticated(f"workload identity lacks {', '.join(missing)}")
    # azure-identity reads it at every try, on the event loop, and would wait there for a pipe.
    path = found["AZURE_FEDERATED_TOKEN_FILE"]
    if not _content("token_file", path).strip():
        raise Unauthenticated(f"token_file {path} is empty", advice=_NOT_WRITTEN)


def _secret(settings: configuration.Credential) -> str:
    if settings.client_secret is not None:
        return settings.client_secret.get_secret_value()
    path = settings.client_secret_file or ""
    try:
        secret = _content("client_secret_file", path).decode().strip()
    except UnicodeDecodeError:
        raise Unauthenticated(f"client_secret_file {path} is not text") from None
    if not secret:
        raise Unauthenticated(f"client_secret_file {path} is empty")
    return secret


def _content(setting: str, path: str) -> bytes:
    try:
        return read_file(path, at_most=_LARGEST_FILE)
    except OSError as error:
        raise Unauthenticated(f"{setting} {path} cannot be read ({error.strerror})") from None
