"""The token of a request: one that is good now, and another one where Azure refuses that."""

from __future__ import annotations

import asyncio

from exporter.azure.auth.claims_challenge import claims_of
from exporter.azure.auth.token_cache import TokenSource
from exporter.azure.auth.token_failures import SLOW
from exporter.azure.errors import AzureError, TimedOut, Unauthenticated
from exporter.azure.http_errors import Answer, may_be_mended


class Authorization:
    """Gets the tokens for the requests of one client.

    Args:
        tokens: where they come from.
        deadline: seconds for a walk with all its requests, for people.
    """

    def __init__(self, tokens: TokenSource, *, deadline: float) -> None:
        self._tokens = tokens
        self._deadline = deadline

    async def token(self, until: float) -> str:
        """A token that is good now, before a time of the event loop's clock.

        Raises:
            AzureError: none can be had, or not in time.
        """
        try:
            async with asyncio.timeout_at(until):
                return await self._tokens.get()
        except TimeoutError:
            message = f"no token within polling.deadline, {self._deadline:g} s"
            raise TimedOut(message, advice=SLOW) from None

    async def renewed(self, token: str, answer: Answer, refusal: AzureError) -> str:
        """Another token than the one that Azure has refused.

        Args:
            answer: how Azure refused it.
            refusal: the same as an error.

        Raises:
            AzureError: there is no other, or it would not help; Azure's own message comes first.
        """
        if not may_be_mended(answer):
            raise refusal
        claims = claims_of(answer.headers.getall("WWW-Authenticate", []))
        try:
            found = await self._tokens.get(claims=claims, stale=token)
        except AzureError as error:
            message = f"{refusal.message}; there is no other: {error.message}"
            raise Unauthenticated(message, advice=error.advice) from None
        if found == token and claims is None:
            raise refusal
        return found
