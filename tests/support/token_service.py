"""A token service without a network: what it is asked, what it gives, and how it fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

from exporter.azure.auth.token_cache import CredentialTokens
from exporter.azure.errors import AzureError
from support.clock import FakeClock


class FakeCredential:
    """A credential that gives `token-1`, `token-2` and so on, for an hour of the fake clock."""

    def __init__(self, service: FakeService) -> None:
        self.service = service
        self.closed = False

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        service = self.service
        service.asked.append((scopes, dict(options or {})))
        service.called.set()
        if service.gate is not None:
            await service.gate.wait()
        if service.failure is not None:
            raise service.failure
        service.number += 1
        value = service.value or f"token-{service.number}"
        return AccessTokenInfo(
            value, int(service.clock.now() + service.lifetime), refresh_on=service.refresh_on
        )

    async def close(self) -> None:
        self.closed = True


class FakeService:
    """What the fake credentials share: the tokens given, and the failure or wait ordered."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.number = 0
        self.lifetime = 3600.0
        self.refresh_on: int | None = None
        self.value = ""
        self.failure: BaseException | None = None
        self.gate: asyncio.Event | None = None
        self.asked: list[tuple[tuple[str, ...], dict[str, Any]]] = []
        self.made: list[FakeCredential] = []
        self.called = asyncio.Event()

    def credential(self) -> FakeCredential:
        self.made.append(FakeCredential(self))
        return self.made[-1]

    async def until_asked(self, times: int) -> None:
        """Wait for that many calls. A credential is made in a thread, which takes real time."""
        async with asyncio.timeout(20):
            while len(self.asked) < times:
                self.called.clear()
                await self.called.wait()
        await self.clock.settle()


async def failure_of(source: CredentialTokens, **how: str) -> AzureError:
    with pytest.raises(AzureError) as caught:
        await source.get(**how)
    return caught.value
