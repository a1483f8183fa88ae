"""Errors of connections: which server was asked, why there is no connection, and what to do."""

from __future__ import annotations

import os
import re
import ssl
from typing import NamedTuple

import aiohttp
from multidict import MultiMapping

from exporter.azure.errors import AzureError, BrokenAnswer, TimedOut, Unreachable
from exporter.redaction import clean, plain

_ERRNO = re.compile(r"\[Errno (-?\d{1,5})\]")
PROXY_CREDENTIALS = "put them into HTTPS_PROXY, as http://user:password@host:port, percent-encoded"
_PROXY_ADVICE = "check HTTPS_PROXY; NO_PROXY exempts hosts that need no proxy"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,20}")
_MOST_SCHEMES = 4
_LONGEST_CAUSE = 200

# The numbers are OpenSSL's X509_V_ERR_…, which the ssl module has no names for.
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 27})
_WRONG_NAME = frozenset({62, 64})
_STRICT_ONLY = frozenset(range(80, 95))


class Asked(NamedTuple):
    """The server that a request was for.

    Attributes:
        server: host and port.
        proxy: host and port of the proxy between; empty for none.
    """

    server: str
    proxy: str = ""

    def __str__(self) -> str:
        """For people."""
        return f"{self.server} through the proxy {self.proxy}" if self.proxy else self.server


def connection_failure(error: BaseException, asked: Asked) -> AzureError | None:  # noqa: PLR0911 - a table
    """Our error for one that explains why there is no connection; None for any other.

    Nothing of the foreign text is repeated that could hold an address: host and port are.
    """
    server, cause = _server(error, asked), getattr(error, "os_error", None)
    match error:
        case aiohttp.ClientHttpProxyError():
            schemes = _schemes(getattr(error, "headers", None))
            return _refused_by_proxy(getattr(error, "status", 0), asked, schemes)
        case aiohttp.ClientProxyConnectionError():
            return Unreachable(
                f"the proxy {server} cannot be reached ({_cause(cause)})", advice=_PROXY_ADVICE
            )
        case aiohttp.ClientConnectorDNSError():
            return Unreachable(
                f"the host name of {server} cannot be resolved ({_cause(cause)})",
                advice="check the name in azure.endpoint or azure.cloud, and DNS; behind a proxy "
                "set HTTPS_PROXY",
            )
        case aiohttp.ClientSSLError() | ssl.SSLCertVerificationError():
            return _tls_failure(error, server)
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return TimedOut(f"no answer from {asked} in time")
        case aiohttp.ClientConnectorError():
            return Unreachable(f"no connection to {server} ({_cause(cause)})")
        case aiohttp.ServerDisconnectedError():
            return Unreachable(f"{asked} closed the connection before the answer")
        case aiohttp.ClientOSError():
            return Unreachable(f"the connection to {asked} broke ({_cause(error)})")
        case aiohttp.ClientPayloadError():
            return BrokenAnswer(f"the answer of {asked} broke off or is wrongly encoded")
        case _:
            return None


def _server(error: BaseException, asked: Asked) -> str:
    """Host and port that the error itself names: those of the proxy, if that is what failed."""
    host, port = getattr(error, "host", None), getattr(error, "port", None)
    if not isinstance(host, str) or port is None:
        return asked.server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _schemes(headers: MultiMapping[str] | None) -> list[str]:
    """How a proxy wants to be shown credentials: Basic, NTLM, Negotiate and the like."""
    given = headers.getall("Proxy-Authenticate", []) if headers else []
    found = (_SCHEME.match(value.strip()) for value in given)
    return list(dict.fromkeys(scheme[0] for scheme in found if scheme))[:_MOST_SCHEMES]


def _refused_by_proxy(status: int, asked: Asked, schemes: list[str]) -> Unreachable:
    proxy = f"the proxy {asked.proxy}" if asked.proxy else "the proxy"
    if schemes and "basic" not in map(str.lower, schemes):
        return Unreachable(
            f"{proxy} wants credentials by {' or '.join(schemes)} (HTTP {status})",
            advice="only Basic is supported: have the proxy allow this machine without "
            "credentials, or exempt the host by NO_PROXY",
        )
    if status == 407:  # noqa: PLR2004 - HTTP's own number, shown in the message
        return Unreachable(
            f"{proxy} wants credentials, or others (HTTP 407)",
            advice=PROXY_CREDENTIALS,
        )
    if status >= 500:  # noqa: PLR2004 - HTTP's own number, shown in the message
        return Unreachable(
            f"{proxy} cannot reach {asked.server} (HTTP {status})",
            advice="check the proxy's own connection and DNS; NO_PROXY exempts a host from it",
        )
    return Unreachable(
        f"{proxy} does not allow a connection to {asked.server} (HTTP {status})",
        advice="have the proxy allow that host, or exempt it by NO_PROXY",
    )


def _tls_failure(error: BaseException, server: str) -> Unreachable:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        cause: BaseException = getattr(error, "certificate_error", error)
        return _untrusted(cause, server)
    known = getattr(error, "os_error", None)
    summary = known.reason if isinstance(known, ssl.SSLError) else None
    return Unreachable(
        f"no TLS connection to {server} ({summary or _cause(known)})",
        advice="check that the port speaks https, and that no proxy or firewall is between",
    )


def _untrusted(error: BaseException, server: str) -> Unreachable:
    code = getattr(error, "verify_code", 0)
    # OpenSSL's own words; to `clean` "Basic Constraints" looks like credentials.
    reason = plain(getattr(error, "verify_message", ""))[:_LONGEST_CAUSE]
    summary = f": {reason.rstrip('.')}" if reason else ""
    return Unreachable(
        f"the certificate of {server} is not trusted{summary}", advice=_advice_on_certificate(code)
    )


def _advice_on_certificate(code: int) -> str:
    if code == _EXPIRED:
        return "have the server's certificate renewed; and check this machine's clock"
    if code == _NOT_YET_VALID:
        return "check this machine's clock; else the server's certificate is not to be used yet"
    if code in _WRONG_NAME:
        return "check the address (azure.endpoint, azure.authority_host): another server answers"
    if code in _STRICT_ONLY:
        return (
            "Python 3.13 and later check this strictly: have the authority's certificate renewed, "
            "or set azure.tls_strict to false"
        )
    if code in _UNKNOWN_AUTHORITY:
        return (
            "put the certificate of the authority that signed it, as of a company's proxy, into "
            "the file of azure.ca_file (or SSL_CERT_FILE)"
        )
    return "check the server's certificate, and azure.ca_file"


def _cause(error: BaseException | None) -> str:
    """The system's reason for the failure, without the addresses that asyncio adds."""
    if not isinstance(error, OSError):
        return type(error).__name__ if error else "it was closed"
    if found := _ERRNO.findall(str(error)):
        reasons = dict.fromkeys(os.strerror(int(number)) for number in found if int(number) > 0)
        if reasons:
            return ", ".join(reasons)
    return clean(error.strerror or type(error).__name__, longest=_LONGEST_CAUSE)
