"""A token service whose tokens live for an hour, can be revoked, and can fail."""

from __future__ import annotations

from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.core.exceptions import ClientAuthenticationError

from exporter.runtime.clock import Clock
from exporter.simulator.server import SimulatedAzure

LIFETIME = 3600.0
_NAMES = 4


class TokenDesk:
    """Gives out tokens and tells the simulated Azure which ones are good.

    Few names are used in turn: Azure has a bucket for each.

    Attributes:
        closed: whether no token is given out now.
        given: how many were given out.
    """

    def __init__(self, azure: SimulatedAzure, clock: Clock) -> None:
        self.closed = False
        self.given = 0
        self._azure = azure
        self._clock = clock

    def credential(self) -> DeskCredential:
        """A new credential, as the exporter makes one at need."""
        return DeskCredential(self)

    def give(self) -> AccessTokenInfo:
        """A new token; the one before stays good. Raises ClientAuthenticationError."""
        if self.closed:
            raise ClientAuthenticationError("the token service is closed")
        former, self.given = self.given, self.given + 1
        self._azure.tokens = {_name(former), _name(self.given)}
        return AccessTokenInfo(_name(self.given), int(self._clock.now() + LIFETIME))

    def revoke(self) -> None:
        """Make every token bad that was given out."""
        self._azure.tokens = set()


class DeskCredential:
    """A credential as azure-identity has them."""

    def __init__(self, desk: TokenDesk) -> None:
        self._desk = desk

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """A token."""
        del scopes, options
        return self._desk.give()

    async def close(self) -> None:
        """Nothing is open."""


def _name(number: int) -> str:
    return f"soak-{number % _NAMES}"
