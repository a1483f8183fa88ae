"""The clouds: where the Resource Manager answers, whom the token is for, who issues it.

The addresses of the named clouds are those of azure-mgmt-core's `get_arm_endpoints` and of
azure-identity's `AzureAuthorityHosts`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from yarl import URL

from exporter.configuration import Azure, NamedCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The three addresses of a cloud.

    Attributes:
        resource_manager: the address that every request begins with, without a final slash.
        scope: what the token is asked for, ending in `/.default`.
        authority: who issues the token; None for azure-identity's own choice.
    """

    resource_manager: str
    scope: str
    authority: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether the Resource Manager is this machine: a simulator or a test."""
        return is_loopback(URL(self.resource_manager).host or "")

    def may_have_token(self, url: URL) -> bool:
        """Whether a token may be sent there: the endpoint's own origin, by https.

        Plain http will do for a loopback host only.
        """
        if not same_origin(url, URL(self.resource_manager)):
            return False
        if url.raw_user is not None or url.raw_password is not None:
            return False
        return url.scheme == "https" or (url.scheme == "http" and self.is_loopback)


_CLOUDS = {
    "public": Endpoints(
        resource_manager="https://management.azure.com",
        scope="https://management.azure.com/.default",
        authority="https://login.microsoftonline.com",
    ),
    "usgovernment": Endpoints(
        resource_manager="https://management.usgovcloudapi.net",
        scope="https://management.core.usgovcloudapi.net/.default",
        authority="https://login.microsoftonline.us",
    ),
    "china": Endpoints(
        resource_manager="https://management.chinacloudapi.cn",
        scope="https://management.chinacloudapi.cn/.default",
        authority="https://login.chinacloudapi.cn",
    ),
}


def resolve(azure: Azure, named: NamedCredential | None = None) -> Endpoints:
    """The addresses of the configured cloud.

    An audience is taken as it is written: Entra ID tells `https://a/` from `https://a`.

    Args:
        named: a credential that may be of another cloud.
    """
    settings = azure if named is None or named.cloud is None else named
    if settings.cloud != "custom":
        return _CLOUDS[settings.cloud or azure.cloud]
    resource_manager = (settings.endpoint or "").rstrip("/")
    audience = settings.audience or resource_manager
    scope = audience if audience.endswith("/.default") else f"{audience}/.default"
    return Endpoints(
        resource_manager=resource_manager, scope=scope, authority=settings.authority_host
    )


def same_origin(one: URL, other: URL) -> bool:
    """Whether scheme, host and port are equal; a port that is not written is the default one."""
    return (one.scheme, (one.raw_host or "").lower(), one.port) == (
        other.scheme,
        (other.raw_host or "").lower(),
        other.port,
    )


def is_loopback(host: str) -> bool:
    """Whether that host is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
