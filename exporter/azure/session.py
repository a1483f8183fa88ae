"""The one HTTP session to Azure, and the way through a proxy."""

from __future__ import annotations

import base64
import urllib.request
from typing import NamedTuple

import aiohttp
from yarl import URL

from exporter.azure.endpoints import Endpoints

# A stop for mistakes only: `polling.concurrency` bounds the requests.
_CONNECTIONS = 512


class Proxy(NamedTuple):
    """A proxy's address, and the headers with the credentials that stood in it."""

    address: URL
    headers: dict[str, str]


def new_session() -> aiohttp.ClientSession:
    """A session that keeps no cookies and raises nothing by status; to be closed by the caller.

    `trust_env` is off on purpose: it would also read `~/.netrc`, whose entries aiohttp refuses
    beside a bearer token. `proxy_for` reads the proxy variables instead.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        raise_for_status=False,
        trust_env=False,
        # `read_body` inflates, and knows when to stop.
        auto_decompress=False,
    )


def proxy_for(endpoints: Endpoints) -> Proxy | None:
    """The proxy that HTTPS_PROXY and NO_PROXY name for the endpoint; None for a direct way.

    A loopback endpoint never has one: its plain http would show the token to the proxy.
    """
    url = URL(endpoints.resource_manager)
    host = url.host or ""
    if endpoints.is_loopback or urllib.request.proxy_bypass(host):
        return None
    found = urllib.request.getproxies().get(url.scheme)
    if not found:
        return None
    try:
        address = URL(found if "://" in found else f"http://{found}")
    except ValueError:
        return None
    headers: dict[str, str] = {}
    if address.user is not None:
        pair = f"{address.user}:{address.password or ''}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return Proxy(address.with_user(None), headers)
