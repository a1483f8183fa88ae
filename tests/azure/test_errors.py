"""One closed tree of errors, and no foreign exception without a place in it."""

from __future__ import annotations

import asyncio
import re
import ssl
import zlib
from collections.abc import Iterator

import aiohttp
import azure.identity
import msgspec
import pytest
from aiohttp import http_exceptions
from azure.core import exceptions as core

from exporter.azure import errors
from exporter.azure.connection_failures import Asked
from exporter.azure.errors import (
    LEAVES,
    REASONS,
    AzureError,
    BrokenAnswer,
    FlexibleNotSupported,
    Forbidden,
    NotFound,
    TimedOut,
    Unauthenticated,
    Unreachable,
)
from exporter.azure.exception_map import FOREIGN, translate
from support.answers import WEB

ASKED = Asked("management.azure.com:443")


def tree(*roots: type[BaseException]) -> Iterator[type[BaseException]]:
    for root in roots:
        yield root
        yield from tree(*root.__subclasses__())


def bare(kind: type[BaseException]) -> BaseException:
    """An exception of that class, whatever its constructor takes."""
    made: BaseException = kind.__new__(kind)
    if isinstance(made, core.AzureError):
        core.AzureError.__init__(made, "told {by the library}")
    return made


IDENTITY = [
    kind
    for kind in vars(azure.identity).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
]
FOREIGN_CLASSES = sorted(
    {
        kind
        for kind in tree(
            aiohttp.ClientError,
            http_exceptions.HttpProcessingError,
            core.AzureError,
            core.SerializationError,
            core.DeserializationError,
            msgspec.MsgspecError,
            TimeoutError,
            asyncio.TimeoutError,
            OSError,
            ssl.SSLError,
            UnicodeError,
            zlib.error,
            *IDENTITY,
        )
        # Others' subclasses, made by whatever else runs here, are no matter of ours.
        if kind.__module__.partition(".")[0]
        in {"aiohttp", "azure", "msgspec", "builtins", "ssl", "zlib", "asyncio", "socket"}
    },
    key=lambda kind: f"{kind.__module__}.{kind.__qualname__}",
)


@pytest.mark.parametrize("kind", FOREIGN_CLASSES, ids=lambda kind: kind.__qualname__)
def test_every_exception_of_the_libraries_has_a_place(kind: type[BaseException]) -> None:
    assert issubclass(kind, FOREIGN)
    ours = translate(bare(kind), what="request", asked=ASKED)
    assert isinstance(ours, LEAVES)
    assert "unexpected" not in ours.message


def test_the_libraries_export_no_exception_that_is_not_looked_at() -> None:
    for module in (aiohttp, aiohttp.client_exceptions, core, http_exceptions, azure.identity):
        found = {
            kind
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, Exception)
        }
        own = {kind for kind in found if kind.__module__.startswith(("aiohttp.client", "azure"))}
        # A client of web sockets could meet this one; this client opens none.
        own -= {aiohttp.WSMessageTypeError}
        assert own - set(FOREIGN_CLASSES) == set()


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        (aiohttp.ClientConnectorDNSError, Unreachable),
        (aiohttp.ClientConnectorCertificateError, Unreachable),
        (aiohttp.ServerDisconnectedError, Unreachable),
        (aiohttp.ClientConnectionResetError, Unreachable),
        (ConnectionRefusedError, Unreachable),
        (ssl.SSLCertVerificationError, Unreachable),
        (aiohttp.SocketTimeoutError, TimedOut),
        (aiohttp.ConnectionTimeoutError, TimedOut),
        (asyncio.TimeoutError, TimedOut),
        (core.ServiceResponseTimeoutError, TimedOut),
        (aiohttp.ClientPayloadError, BrokenAnswer),
        (aiohttp.ContentTypeError, BrokenAnswer),
        (aiohttp.TooManyRedirects, BrokenAnswer),
        (msgspec.ValidationError, BrokenAnswer),
        (azure.identity.CredentialUnavailableError, Unauthenticated),
        (core.ClientAuthenticationError, Unauthenticated),
        (core.ServiceRequestError, Unreachable),
    ],
)
def test_the_operator_is_sent_to_the_right_place(
    kind: type[BaseException], ours: type[AzureError]
) -> None:
    assert type(translate(bare(kind), what="request", asked=ASKED)) is ours


def test_our_own_errors_stay_themselves() -> None:
    error = BrokenAnswer("no list")
    assert translate(error, what="request", asked=ASKED) is error


def test_what_the_libraries_say_of_an_address_is_not_repeated() -> None:
    error = aiohttp.InvalidURL("https://a/?$skiptoken=secret")
    assert "secret" not in str(translate(error, what="request", asked=ASKED))


def test_there_are_ten_kinds_at_most_and_each_has_a_reason_and_advice() -> None:
    assert set(AzureError.__subclasses__()) == set(LEAVES)
    assert len(LEAVES) <= 10
    assert len(set(REASONS)) == len(LEAVES)
    for leaf in LEAVES:
        assert re.fullmatch("[a-z_]+", leaf.reason)
        assert leaf.advice
        assert leaf.__doc__
        assert not leaf.__subclasses__()


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__
    shown = re.findall(r"[|`]-- (\w+)\s+(\w+)", errors.__doc__)
    assert shown == [(leaf.__name__, leaf.reason) for leaf in LEAVES]


def test_an_error_says_what_failed_and_what_to_do() -> None:
    error = NotFound("scale set web not found", missing="scale set")
    assert str(error) == f"scale set web not found; {error.advice}"
    assert FlexibleNotSupported.of(WEB).message == "scale set web has Flexible orchestration"
    forbidden = Forbidden("no", action="Microsoft.Compute/x/read", scope="/subscriptions/s")
    assert "Microsoft.Compute/x/read on /subscriptions/s" in str(forbidden)
