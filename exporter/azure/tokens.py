"""Bearer tokens: got once for all scale sets, renewed early, and never asked for in a rush."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from exporter.azure.errors import AzureError, TimedOut, Unauthenticated
from exporter.azure.translation import FOREIGN, translate
from exporter.clock import Clock
from exporter.files import OffLoop

if TYPE_CHECKING:
    from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from exporter.redaction import clean

EARLY = 300.0
"""Seconds before its expiry from which a token is renewed, where it names no time itself."""

RENEWAL_PAUSE = 30.0
"""Seconds between two tries to renew a token that is still good, or that Azure refuses."""

HOLD_OFF = 10.0
"""Seconds for which a failed try is the answer to everybody who asks."""

TOKEN_TIMEOUT = 60.0
"""Seconds for one try; a failing chain of credentials can take half a minute."""

# What a header takes; a token with a line break in it would become another header.
_HEADER_SAFE = re.compile(r"[!-~]+")

_log = structlog.get_logger(__name__)


class TokenSource(Protocol):
    """Where the bearer token comes from."""

    async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
        """A token that is good now.

        Args:
            claims: what Azure's challenge wants in the next token.
            stale: the token that Azure has just refused; another one is got.

        Raises:
            AzureError: none can be got.
        """
        ...

    async def close(self) -> None:
        """Release what the source holds; it is of no use afterwards."""
        ...


class Credential(Protocol):
    """What is used of azure-identity's asynchronous credentials."""

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """Get a token, from the credential's own cache if need be."""
        ...

    async def close(self) -> None:
        """Close the credential's connections."""
        ...


class CredentialTokens:
    """The tokens of one credential, for any number of callers at a time.

    One try is made at a time and everybody waits for it; a caller that is cancelled does not end
    it for the others. The rules for the renewal are azure-identity's and azure-core's.

    Args:
        factory: makes the credential, in a thread. It is called at the first need, and again
            after a failure and for a refused token: a new credential reads files and variables
            anew and has no cache with the refused token in it.
        scope: what the token is for.
        clock: the time.
        hold_off: seconds for which a failure is remembered.
        timeout: seconds for one try.
    """

    def __init__(
        self,
        factory: Callable[[], Credential],
        *,
        scope: str,
        clock: Clock,
        hold_off: float = HOLD_OFF,
        timeout: float = TOKEN_TIMEOUT,
    ) -> None:
        self._maker = OffLoop(factory, patience=timeout)
        self._scope = scope
        self._clock = clock
        self._hold_off = hold_off
        self._timeout = timeout
        self._credential: Credential | None = None
        self._token: AccessTokenInfo | None = None
        self._flight: asyncio.Task[AccessTokenInfo | AzureError] | None = None
        self._flight_is_forced = False
        self._failure: AzureError | None = None
        self._failed_at = 0.0
        self._got_at: float | None = None
        self._early_at: float | None = None
        self._forced_at: float | None = None
        self._closed = False

    async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
        """See TokenSource."""
        if claims is None and stale is None:
            return await self._current()
        return await self._renewed(claims, stale)

    async def close(self) -> None:
        """End the try in flight and close the credential."""
        self._closed = True
        self._token = None
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait({self._flight})
        await self._drop_credential()

    async def _current(self) -> str:
        token, now = self._token, self._clock.now()
        # A token that has just come is used even if it looks expired: then the clock is wrong.
        if token is None or (now >= token.expires_on and not self._is_recent(self._got_at)):
            return await self._landed(self._flight or self._take_off())
        due = token.expires_on - EARLY if token.refresh_on is None else token.refresh_on
        if now >= due and self._flight is None and not self._is_recent(self._early_at):
            # Nobody waits for this one: the token at hand is good.
            self._early_at = self._clock.monotonic()
            self._failure = None
            self._take_off()
        return token.token

    async def _renewed(self, claims: str | None, stale: str | None) -> str:
        """A token other than the one refused: another caller may have got it already."""
        flight = self._flight
        while flight is not None and not self._flight_is_forced:
            # A plain try that was under way before may bring the refused token once more.
            await asyncio.wait({flight})
            flight = self._flight
        if flight is None:
            token = self._token
            if token is not None and token.token != stale and stale is not None:
                return token.token
            if self._is_recent(self._forced_at):
                raise Unauthenticated("Azure refuses a token that is new")
            self._forced_at = self._clock.monotonic()
            self._token = None
            flight = self._take_off(claims, forced=True)
        return await self._landed(flight)

    async def _landed(self, flight: asyncio.Task[AccessTokenInfo | AzureError]) -> str:
        # Unlike awaiting the task, wait() leaves it alone when this caller is cancelled.
        await asyncio.wait({flight})
        if flight.cancelled():
            raise Unauthenticated("the exporter is stopping")
        outcome = flight.result()
        if isinstance(outcome, AzureError):
            raise _again(outcome)
        return outcome.token

    def _take_off(
        self, claims: str | None = None, *, forced: bool = False
    ) -> asyncio.Task[AccessTokenInfo | AzureError]:
        if self._closed:
            raise Unauthenticated("the exporter is stopping")
        if self._failure is not None:
            if self._clock.monotonic() - self._failed_at < self._hold_off:
                raise _again(self._failure)
            self._failure = None
        self._flight_is_forced = forced
        self._flight = asyncio.create_task(self._fly(claims, forced=forced), name="azure token")
        return self._flight

    async def _fly(self, claims: str | None, *, forced: bool) -> AccessTokenInfo | AzureError:
        """One try; it gives the error back, so that a try nobody waits for is no lost error."""
        outcome: AccessTokenInfo | AzureError
        try:
            if forced:
                await self._drop_credential()
            async with asyncio.timeout(self._timeout):
                outcome = await self._asked(claims)
        except Exception as error:  # noqa: BLE001 - libraries read foreign answers here
            outcome = _failure_of(error, self._timeout)
        finally:
            self._flight = None
        if isinstance(outcome, AzureError):
            self._failure, self._failed_at = outcome, self._clock.monotonic()
            await self._drop_credential()
            _log.debug("no token", reason=outcome.reason, error=outcome.message)
        else:
            self._token, self._failure = outcome, None
            self._got_at = self._clock.monotonic()
        return outcome

    async def _asked(self, claims: str | None) -> AccessTokenInfo:
        if self._credential is None:
            # Making one imports azure-identity and reads files.
            self._credential = await self._maker.read()
        options: TokenRequestOptions = {"enable_cae": True}
        if claims is not None:
            options["claims"] = claims
        token = await self._credential.get_token_info(self._scope, options=options)
        if not _HEADER_SAFE.fullmatch(token.token):
            raise Unauthenticated("the token service gave no usable token")
        return token

    async def _drop_credential(self) -> None:
        credential, self._credential = self._credential, None
        if credential is not None:
            try:
                await credential.close()
            except Exception as error:  # noqa: BLE001 - it is thrown away in any case
                _log.debug("credential not closed", error=type(error).__name__)

    def _is_recent(self, at: float | None) -> bool:
        return at is not None and self._clock.monotonic() - at < RENEWAL_PAUSE


def _failure_of(error: Exception, timeout: float) -> AzureError:
    if isinstance(error, TimeoutError):
        return TimedOut(f"no token within {timeout:g} s")
    if isinstance(error, AzureError):
        return error
    if isinstance(error, ValueError) and not isinstance(error, FOREIGN):
        # azure-identity's word on settings and variables that are missing or malformed.
        return Unauthenticated(f"no token: {clean(str(error).partition('{')[0])}")
    if isinstance(error, FOREIGN):
        return translate(error, what="token")
    return Unauthenticated(f"no token: unexpected failure ({type(error).__name__})")


def _again(error: AzureError) -> AzureError:
    """The same failure for another caller: a raised exception is nobody else's to raise."""
    return type(error)(error.message)
