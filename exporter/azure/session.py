"""The one HTTP session to the Resource Manager."""

from __future__ import annotations

import ssl

import aiohttp

from exporter.azure.connections import OneAnswerConnector

# A stop for mistakes only: `polling.concurrency` bounds the requests.
_CONNECTIONS = 512


def new_session(tls: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """A session that keeps no cookies and raises nothing by status; to be closed by the caller.

    `trust_env` is off on purpose: it would also read `~/.netrc`, whose entries aiohttp refuses
    beside a bearer token. `proxies` reads the proxy variables instead.

    Args:
        tls: the rules for TLS; those of the system if None.
    """
    return aiohttp.ClientSession(
        connector=OneAnswerConnector(limit=_CONNECTIONS, ssl=True if tls is None else tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        raise_for_status=False,
        trust_env=False,
        # `read_body` inflates, and knows when to stop.
        auto_decompress=False,
    )
