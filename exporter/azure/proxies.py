"""Which requests go through a proxy: decided here for every request, those for tokens included."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import urllib.request
from typing import NamedTuple

from yarl import URL

from exporter.azure.endpoints import same_origin
from exporter.configuration.errors import ConfigurationError

METADATA_VARIABLES = (
    "IDENTITY_ENDPOINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
)
"""Where App Service, Azure Arc, Service Fabric, Azure ML, Cloud Shell and pod identity name the
endpoint of the machine's own tokens."""

_WITH_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[^:]+):([0-9]{1,5})")
_VISIBLE = re.compile(r"[!-~]+")


class Proxy(NamedTuple):
    """A proxy's address, and the headers with the credentials that stood in it."""

    address: URL
    headers: dict[str, str]

    @property
    def name(self) -> str:
        """The proxy's host and port, for people."""
        return f"{self.address.host}:{self.address.port}"


def proxy_for(url: URL) -> Proxy | None:
    """The proxy that HTTPS_PROXY (HTTP_PROXY, ALL_PROXY) and NO_PROXY name; None for a direct way.

    The machine's own token endpoints never have one: a proxy on another machine would answer with
    that machine's token. Nor has a loopback host: its plain http would show the token to the proxy.

    Raises:
        ConfigurationError: the variable names no proxy that can be used. Going direct instead
            would ignore the setting.
    """
    proxies = urllib.request.getproxies()
    if is_metadata(url) or _is_exempt(url, proxies.get("no", "")):
        return None
    for kind in (url.scheme, "all"):
        if proxies.get(kind):
            return _parsed(f"{kind.upper()}_PROXY", proxies[kind])
    return None


def is_metadata(url: URL) -> bool:
    """Whether that address is this machine's, or one of those that give out its own tokens."""
    if _is_local(url.host or ""):
        return True
    return any(
        same_origin(url, found)
        for name in METADATA_VARIABLES
        if (found := _address(os.environ.get(name, ""))) is not None
    )


def _is_exempt(url: URL, exempt: str) -> bool:
    """Whether NO_PROXY exempts the host, by the rules of curl, Go and requests together.

    An entry is a name, which includes the names below it, an address, a network such as 10.0.0.0/8,
    or `*`, each with a port or without. The standard library reads names without a port only.
    """
    host = (url.host or "").rstrip(".").lower()
    if urllib.request.proxy_bypass(host):
        return True
    return any(_matches(entry.strip().lower(), host, url.port) for entry in exempt.split(","))


def _matches(entry: str, host: str, port: int | None) -> bool:
    if found := _WITH_PORT.fullmatch(entry):
        if int(found[2]) != port:
            return False
        entry = found[1]
    network, address = _network(entry.strip("[]")), _network(host)
    if network is not None:
        return address is not None and address[0] in network
    name = entry.removeprefix("*").strip(".")
    return entry == "*" or (bool(name) and f".{host}".endswith(f".{name}"))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A network, or an address as one that has this address only; None for a name."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _is_local(host: str) -> bool:
    """Whether a host is loopback or link-local, as IMDS at 169.254.169.254 is."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_loopback or found.is_link_local or found.is_unspecified


def _address(text: str) -> URL | None:
    try:
        return URL(text) if text else None
    except ValueError:
        return None


def _parsed(variable: str, found: str) -> Proxy:
    # No message shows the value: what is wrong may be the password in it.
    address = None
    if _VISIBLE.fullmatch(found):
        address = _address(found if "://" in found else f"http://{found}")
    if address is not None and address.scheme not in ("http", "https", ""):
        kind = address.scheme if address.scheme.isalnum() else "another kind"
        message = (
            f"{variable} names a proxy of {kind}, which cannot be used; "
            "only http:// and https:// proxies can"
        )
        raise ConfigurationError((message,))
    if address is None or not address.host or not address.port:
        raise ConfigurationError(
            (f"{variable} is not the address of a proxy such as http://proxy.example.com:3128",)
        )
    headers: dict[str, str] = {}
    if address.user is not None or address.password is not None:
        pair = f"{address.user or ''}:{address.password or ''}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return Proxy(address.with_user(None), headers)
