"""Bearer tokens: got once for all scale sets, renewed early, and never asked for in a rush."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from exporter.azure.auth.token_failures import SLOW, token_failure
from exporter.azure.auth.token_watch import TokenWatch
from exporter.azure.errors import AzureError, TimedOut, Unauthenticated
from exporter.runtime.clock import Clock
from exporter.runtime.files import OffLoop

if TYPE_CHECKING:
    from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

EARLY = 300.0
"""Seconds before its expiry from which a token is renewed, where it names no time itself."""

RENEWAL_PAUSE = 30.0
"""Seconds between two tries to renew a token that is still good, or that Azure refuses."""

LONGEST_RENEWAL_PAUSE = 960.0
"""Seconds up to which that pause doubles while Azure refuses every new token as well."""

HOLD_OFF = 10.0
"""Seconds for which a failed attempt answers all callers."""

TOKEN_TIMEOUT = 60.0
"""Seconds for one try; a failing chain of credentials can take half a minute."""

LONGEST_HOLD_OFF = 900.0
"""Seconds for which a Retry-After of the token service is kept at most."""

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

        Returns:
            The token; `stale` itself where there is no other to be had now.

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

    One attempt is made at a time and all callers wait for it; a caller that is cancelled does not
    end it for the others. The rules for the renewal are azure-identity's and azure-core's. A token
    is kept until there is another one: what one scale set finds wrong with it may suit all others.

    Args:
        factory: makes the credential, in a thread. It is called at the first need, and again
            after a failure and for a refused token: a new credential reads files and variables
            anew and has no cache with the refused token in it.
        scope: what the token is for.
        source: what gives the tokens, for people.
        watch: records tokens and failures.
        hold_off: seconds for which a failure is remembered, unless the token service asks for more.
        timeout: seconds for one try.
    """

    def __init__(
        self,
        factory: Callable[[], Credential],
        *,
        scope: str,
        clock: Clock,
        source: str = "the credential",
        watch: TokenWatch | None = None,
        hold_off: float = HOLD_OFF,
        timeout: float = TOKEN_TIMEOUT,
    ) -> None:
        self._maker = OffLoop(factory, patience=timeout)
        self._scope = scope
        self._clock = clock
        self._source = source
        self._watch = watch
        self._hold_off = hold_off
        self._timeout = timeout
        self._credential: Credential | None = None
        self._token: AccessTokenInfo | None = None
        self._flight: asyncio.Task[AccessTokenInfo | AzureError] | None = None
        self._flight_is_forced = False
        self._failure: AzureError | None = None
        self._held_until = 0.0
        self._got_at: float | None = None
        self._early_at: float | None = None
        self._forced_at: float | None = None
        self._forced_pause = 0.0
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
            # No caller waits for this one: the cached token is valid.
            self._early_at = self._clock.monotonic()
            if not self._is_held():
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
            if stale is not None and not (self._is_held() or self._may_force()):
                return stale
            flight = self._take_off(claims, forced=True)
        return await self._landed(flight)

    async def _landed(self, flight: asyncio.Task[AccessTokenInfo | AzureError]) -> str:
        # Unlike awaiting the task, wait() leaves it alone when this caller is cancelled.
        await asyncio.wait({flight})
        if flight.cancelled():
            raise Unauthenticated("the exporter is stopping")
        outcome = flight.result()
        if isinstance(outcome, AzureError):
            raise outcome.again()
        return outcome.token

    def _take_off(
        self, claims: str | None = None, *, forced: bool = False
    ) -> asyncio.Task[AccessTokenInfo | AzureError]:
        if self._closed:
            raise Unauthenticated("the exporter is stopping")
        if self._failure is not None and self._is_held():
            raise self._failure.again()
        self._failure = None
        self._flight_is_forced = forced
        self._flight = asyncio.create_task(self._fly(claims, forced=forced), name="azure token")
        return self._flight

    async def _fly(self, claims: str | None, *, forced: bool) -> AccessTokenInfo | AzureError:
        """One attempt; it returns the error, so that one without a waiting caller is not lost."""
        outcome: AccessTokenInfo | AzureError
        try:
            if forced:
                await self._drop_credential()
            async with asyncio.timeout(self._timeout):
                outcome = await self._asked(claims)
        except Exception as error:  # noqa: BLE001 - libraries read foreign answers here
            outcome = self._failure_of(error)
        finally:
            self._flight = None
        if isinstance(outcome, AzureError):
            self._failure = outcome
            wait = min(LONGEST_HOLD_OFF, max(self._hold_off, outcome.retry_after or 0.0))
            self._held_until = self._clock.monotonic() + wait
            await self._drop_credential()
            _log.debug("no token", reason=outcome.reason, error=outcome.message)
            if self._watch is not None:
                self._watch.failed(outcome)
        else:
            self._token, self._failure = outcome, None
            self._got_at = self._clock.monotonic()
            if self._watch is not None:
                self._watch.got(outcome.expires_on)
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

    def _may_force(self) -> bool:
        """Whether a refused token is renewed now: ever more rarely while that helps nothing."""
        now, last = self._clock.monotonic(), self._forced_at
        since = float("inf") if last is None else now - last
        if since < self._forced_pause:
            return False
        again = since < 2 * self._forced_pause
        pause = 2 * self._forced_pause if again else RENEWAL_PAUSE
        self._forced_at, self._forced_pause = now, min(LONGEST_RENEWAL_PAUSE, pause)
        return True

    def _is_held(self) -> bool:
        return self._failure is not None and self._clock.monotonic() < self._held_until

    def _failure_of(self, error: Exception) -> AzureError:
        if isinstance(error, TimeoutError):
            return TimedOut(f"no token from {self._source} within {self._timeout:g} s", advice=SLOW)
        return token_failure(error, source=self._source, now=self._clock.now())
