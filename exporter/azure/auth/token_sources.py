"""From `azure.credential` to a source of tokens: azure-identity's credentials, or a file."""

from __future__ import annotations

import ssl

from yarl import URL

from exporter.azure.auth.token_cache import Credential, CredentialTokens, TokenSource
from exporter.azure.auth.token_file import FileTokens
from exporter.azure.auth.token_watch import TokenWatch
from exporter.azure.endpoints import Endpoints
from exporter.azure.proxies import proxy_for
from exporter.configuration import credentials as configuration
from exporter.runtime.clock import Clock, SystemClock
from exporter.telemetry import Telemetry

_SOURCES: dict[configuration.CredentialType, str] = {
    "default": "the default credentials",
    "managed_identity": "the managed identity",
    "workload_identity": "the login service",
    "client_secret": "the login service",
    "client_certificate": "the login service",
    "azure_cli": "the Azure CLI (az)",
}


def build(
    settings: configuration.Credential,
    endpoints: Endpoints,
    *,
    clock: Clock | None = None,
    tls: ssl.SSLContext | None = None,
    telemetry: Telemetry | None = None,
    name: str = "",
    expiries: dict[TokenWatch, float] | None = None,
) -> TokenSource:
    """The source of the configured tokens. It touches nothing before the first token is wanted.

    Args:
        settings: `azure.credential`, or one of `credentials`.
        endpoints: the cloud, for the scope and the authority.
        clock: the time; the machine's if None.
        tls: the rules for TLS; those of the system if None.
        telemetry: where the token's expiry and failures are shown, if anywhere.
        name: its name in `credentials`, for people.
        expiries: as of `TokenWatch`.

    Raises:
        ConfigurationError: the proxy to the token service cannot be used.
    """
    watch = None if telemetry is None else TokenWatch(telemetry, expiries)
    if settings.type == "static":
        return FileTokens(settings.token_file or "", watch=watch)
    if endpoints.authority and settings.type not in ("managed_identity", "azure_cli"):
        proxy_for(URL(endpoints.authority))

    def make() -> Credential:
        # Half a second of imports, in the thread in which the credential is made.
        from exporter.azure.auth.credentials import credential  # noqa: PLC0415

        return credential(settings, endpoints, tls)

    return CredentialTokens(
        make,
        scope=endpoints.scope,
        clock=clock or SystemClock(),
        source=_SOURCES[settings.type] + (f" of the credential {name}" if name else ""),
        watch=watch,
    )
