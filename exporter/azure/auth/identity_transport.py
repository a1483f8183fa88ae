"""The transport of azure-identity's requests, with the process's own rules for TLS and proxies."""

from __future__ import annotations

import os
import ssl
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AioHttpTransport
from yarl import URL

from exporter.azure.auth.token_failures import LAST_ANSWER, unread_answer
from exporter.azure.body import read_body
from exporter.azure.endpoints import same_origin
from exporter.azure.errors import BrokenAnswer
from exporter.azure.proxies import is_metadata, proxy_for

CONNECT_TIMEOUT = 10.0
"""Seconds for a connection to the login service."""

METADATA_CONNECT_TIMEOUT = 2.0
"""Seconds for a connection to the machine's own endpoint; off Azure there is none."""

READ_TIMEOUT = 30.0
"""Seconds of silence in an answer."""

ANSWER_LIMIT = 1024 * 1024
"""Bytes of an answer after inflating: a token and what comes with it have a few thousand."""


class IdentityTransport(AioHttpTransport):  # type: ignore[misc] # its package loads it lazily
    """azure-core's transport, which has rules of its own for proxy variables and certificates.

    Args:
        tls: the rules for TLS; those of the system if None.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(
            connection_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
        )
        self._tls = tls
        self._begun = False

    async def open(self) -> None:
        """Open the session at the first need: a credential that is never asked has none."""
        if not self._begun:
            self._begun = True
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=True if self._tls is None else self._tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                response_class=_BoundedResponse,
            )
        await super().open()

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        """Send a request, through a proxy where `proxies` names one.

        The server is noted on an error: azure-core's own message does not name it. An answer is
        kept for `token_failures`.
        """
        url = URL(request.url)
        options.pop("proxies", None)
        proxy = proxy_for(url)
        if proxy is not None:
            options.update(proxy=proxy.address, proxy_headers=proxy.headers)
        if is_metadata(url):
            options.setdefault("connection_timeout", METADATA_CONNECT_TIMEOUT)
        if _is_service_fabric(url):
            # Its certificate is the cluster's own; azure-identity asks for the same.
            options["connection_verify"] = False
        LAST_ANSWER.set(None)
        try:
            response = await super().send(request, stream=True, **options)
            LAST_ANSWER.set(response)
            if not stream:
                # `_BoundedResponse` inflates it.
                response.headers.pop("Content-Encoding", None)
                await response.load_body()
        except AzureError as error:
            error.add_note(f"{url.host}:{url.port}")
            if proxy is not None:
                error.add_note(proxy.name)
            raise
        except BrokenAnswer as error:
            raise unread_answer(url, error) from None
        return response


class _BoundedResponse(aiohttp.ClientResponse):
    """An answer whose body is read and inflated up to a limit: azure-core's reading has none."""

    async def read(self) -> bytes:
        if self._body is None:
            try:
                self._body = await read_body(self, limit=ANSWER_LIMIT)
            except BaseException:  # cancelled or not: what is half read serves no other request
                self.close()
                raise
        return self._body


def _is_service_fabric(url: URL) -> bool:
    endpoint = os.environ.get("IDENTITY_ENDPOINT", "")
    thumbprint = os.environ.get("IDENTITY_SERVER_THUMBPRINT")
    return bool(thumbprint and endpoint) and same_origin(url, URL(endpoint))
