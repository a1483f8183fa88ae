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

from exporter.azure.connection_failures import Asked, connection_failure
from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    TimedOut,
    Unauthenticated,
    Unreachable,
)


class _Rule(NamedTuple):
    foreign: type[BaseException]
    ours: Callable[[str], AzureError]
    message: str


# The first rule that fits wins, so a class stands above its bases. Errors whose fields tell more
# are handled by `connection_failures` and `token_failures` before.
_RULES: tuple[_Rule, ...] = (
    _Rule(aiohttp.ServerTimeoutError, TimedOut, "no answer in time"),
    _Rule(core.ServiceRequestTimeoutError, TimedOut, "no connection in time"),
    _Rule(core.ServiceResponseTimeoutError, TimedOut, "no answer in time"),
    _Rule(TimeoutError, TimedOut, "no answer in time"),
    _Rule(aiohttp.ClientHttpProxyError, Unreachable, "the proxy declines the connection"),
    _Rule(aiohttp.ServerFingerprintMismatch, Unreachable, "the certificate is not trusted"),
    _Rule(aiohttp.ClientSSLError, Unreachable, "no TLS connection"),
    _Rule(aiohttp.ClientConnectorError, Unreachable, "no connection"),
    _Rule(aiohttp.ClientConnectionError, Unreachable, "the connection broke"),
    _Rule(aiohttp.ClientPayloadError, BrokenAnswer, "the answer broke off or is wrongly encoded"),
    _Rule(aiohttp.ClientResponseError, BrokenAnswer, "the answer is not valid HTTP"),
    _Rule(aiohttp.InvalidURL, BrokenAnswer, "the address cannot be used"),
    _Rule(aiohttp.RedirectClientError, BrokenAnswer, "a redirect, which is never followed"),
    _Rule(aiohttp.NonHttpUrlClientError, BrokenAnswer, "the address cannot be used"),
    _Rule(aiohttp.ClientError, Unreachable, "the request failed"),
    _Rule(HttpProcessingError, BrokenAnswer, "the answer is not valid HTTP"),
    _Rule(core.ClientAuthenticationError, Unauthenticated, "no token"),
    _Rule(core.DecodeError, BrokenAnswer, "the token service's answer cannot be read"),
    _Rule(core.HttpResponseError, Unauthenticated, "the token service declines"),
    _Rule(core.ServiceRequestError, Unreachable, "the token service cannot be reached"),
    _Rule(core.ServiceResponseError, Unreachable, "the token service broke the connection"),
    _Rule(core.SerializationError, BrokenAnswer, "the token service's answer cannot be read"),
    _Rule(core.DeserializationError, BrokenAnswer, "the token service's answer cannot be read"),
    _Rule(core.AzureError, Unauthenticated, "no token"),
    _Rule(msgspec.MsgspecError, BrokenAnswer, "the answer is not the JSON expected"),
    _Rule(UnicodeError, BrokenAnswer, "the answer is not valid text"),
    _Rule(RecursionError, BrokenAnswer, "the answer is nested too deeply"),
    _Rule(zlib.error, BrokenAnswer, "the answer is wrongly encoded"),
    _Rule(ssl.SSLError, Unreachable, "no TLS connection"),
    _Rule(OSError, Unreachable, "the connection broke"),
)

FOREIGN: tuple[type[BaseException], ...] = tuple(rule.foreign for rule in _RULES)
"""What `translate` knows: the classes to be caught where a library is called."""


def translate(error: BaseException, *, what: str, asked: Asked) -> AzureError:
    """Our error for a foreign one.

    The foreign text is not quoted: it may hold an address with a `skiptoken`.

    Args:
        error: what a library raised; an AzureError of ours is given back as it is.
        what: what was being done, as the beginning of the message.
    """
    if isinstance(error, AzureError):
        return error
    found = connection_failure(error, asked)
    if found is None:
        found = _by_rule(error, asked)
    return type(found)(f"{what}: {found.message}", advice=found.advice)


def _by_rule(error: BaseException, asked: Asked) -> AzureError:
    name = type(error).__name__
    for rule in _RULES:
        if isinstance(error, rule.foreign):
            return rule.ours(f"{rule.message} ({name}, of {asked})")
    return BrokenAnswer(f"unexpected failure ({name}, of {asked})")
