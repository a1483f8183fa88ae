"""Foreign exceptions become ours, by one table. A test walks through the libraries' trees."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Callable
from typing import NamedTuple

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError
from azure.core import exceptions as core

from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    TimedOut,
    Unauthenticated,
    Unreachable,
)
from exporter.redaction import clean


class _Rule(NamedTuple):
    foreign: type[BaseException]
    ours: Callable[[str], AzureError]
    message: str


# The first rule that fits wins, so a class stands above its bases.
_RULES: tuple[_Rule, ...] = (
    _Rule(aiohttp.ServerTimeoutError, TimedOut, "no answer in time"),
    _Rule(core.ServiceRequestTimeoutError, TimedOut, "no connection in time"),
    _Rule(core.ServiceResponseTimeoutError, TimedOut, "no answer in time"),
    _Rule(TimeoutError, TimedOut, "no answer in time"),
    _Rule(aiohttp.ClientProxyConnectionError, Unreachable, "the proxy cannot be reached"),
    _Rule(aiohttp.ClientHttpProxyError, Unreachable, "the proxy declines the connection"),
    _Rule(aiohttp.ClientConnectorDNSError, Unreachable, "the host name cannot be resolved"),
    _Rule(aiohttp.ClientConnectorCertificateError, Unreachable, "the certificate is not trusted"),
    _Rule(aiohttp.ServerFingerprintMismatch, Unreachable, "the certificate is not trusted"),
    _Rule(aiohttp.ClientSSLError, Unreachable, "no TLS connection"),
    _Rule(aiohttp.ClientConnectorError, Unreachable, "no connection"),
    _Rule(aiohttp.ServerDisconnectedError, Unreachable, "the connection broke before the answer"),
    _Rule(aiohttp.ClientConnectionError, Unreachable, "the connection broke"),
    _Rule(aiohttp.ClientPayloadError, BrokenAnswer, "the answer broke off or is wrongly encoded"),
    _Rule(aiohttp.ClientResponseError, BrokenAnswer, "the answer is no valid HTTP"),
    _Rule(aiohttp.InvalidURL, BrokenAnswer, "the address cannot be used"),
    _Rule(aiohttp.RedirectClientError, BrokenAnswer, "a redirect, which is never followed"),
    _Rule(aiohttp.NonHttpUrlClientError, BrokenAnswer, "the address cannot be used"),
    _Rule(aiohttp.ClientError, Unreachable, "the request failed"),
    _Rule(HttpProcessingError, BrokenAnswer, "the answer is no valid HTTP"),
    _Rule(core.ClientAuthenticationError, Unauthenticated, "no token"),
    _Rule(core.DecodeError, BrokenAnswer, "the token service's answer cannot be read"),
    _Rule(core.HttpResponseError, Unauthenticated, "the token service declines"),
    _Rule(core.ServiceRequestError, Unreachable, "the token service cannot be reached"),
    _Rule(core.ServiceResponseError, Unreachable, "the token service broke the connection"),
    _Rule(core.SerializationError, BrokenAnswer, "the token service's answer cannot be read"),
    _Rule(core.DeserializationError, BrokenAnswer, "the token service's answer cannot be read"),
    _Rule(core.AzureError, Unauthenticated, "no token"),
    _Rule(msgspec.MsgspecError, BrokenAnswer, "the answer is not the JSON expected"),
    _Rule(UnicodeError, BrokenAnswer, "the answer is no valid text"),
    _Rule(RecursionError, BrokenAnswer, "the answer is nested too deeply"),
    _Rule(zlib.error, BrokenAnswer, "the answer is wrongly encoded"),
    _Rule(ssl.SSLError, Unreachable, "no TLS connection"),
    _Rule(OSError, Unreachable, "the connection broke"),
)

FOREIGN: tuple[type[BaseException], ...] = tuple(rule.foreign for rule in _RULES)
"""What `translate` knows: the classes to be caught where a library is called."""


def translate(error: BaseException, *, what: str) -> AzureError:
    """Our error for a foreign one.

    The foreign text is quoted for azure-identity's errors only, cleaned and up to the first brace:
    it names the variable or the AADSTS code that matters. Others may hold an address with a
    `skiptoken`, so only their class is named.

    Args:
        error: what a library raised; an AzureError of ours is given back as it is.
        what: what was being done, as the beginning of the message.
    """
    if isinstance(error, AzureError):
        return error
    quote = type(error).__name__
    if isinstance(error, core.AzureError):
        quote = clean(str(error.message).partition("{")[0]) or quote
    for rule in _RULES:
        if isinstance(error, rule.foreign):
            return rule.ours(f"{what}: {rule.message} ({quote})")
    return BrokenAnswer(f"{what}: unexpected failure ({quote})")
