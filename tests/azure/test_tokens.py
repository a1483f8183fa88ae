"""Tokens: one try at a time, renewed early, and no rush on a token service that is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from exporter.azure.errors import AzureError, TimedOut, Unauthenticated, Unreachable
from exporter.azure.tokens import CredentialTokens
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

    def credential(self) -> FakeCredential:
        self.made.append(FakeCredential(self))
        return self.made[-1]


@pytest.fixture
def service(clock: FakeClock) -> FakeService:
    return FakeService(clock)


@pytest.fixture
async def tokens(service: FakeService, clock: FakeClock) -> AsyncIterator[CredentialTokens]:
    source = CredentialTokens(service.credential, scope="scope", clock=clock)
    yield source
    await source.close()


async def failure_of(source: CredentialTokens, **how: str) -> AzureError:
    with pytest.raises(AzureError) as caught:
        await source.get(**how)
    return caught.value


async def test_a_token_is_got_at_the_first_need_and_kept(
    tokens: CredentialTokens, service: FakeService
) -> None:
    assert service.made == []
    assert [await tokens.get() for _ in range(3)] == ["token-1"] * 3
    assert service.asked == [(("scope",), {"enable_cae": True})]


async def test_everybody_waits_for_one_try(tokens: CredentialTokens, service: FakeService) -> None:
    service.gate = asyncio.Event()
    waiting = [asyncio.create_task(tokens.get()) for _ in range(2500)]
    await service.clock.settle()
    service.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"token-1"}
    assert len(service.asked) == 1


async def test_a_cancelled_caller_does_not_end_the_try_for_the_others(
    tokens: CredentialTokens, service: FakeService
) -> None:
    service.gate = asyncio.Event()
    first, second = asyncio.create_task(tokens.get()), asyncio.create_task(tokens.get())
    await service.clock.settle()
    first.cancel()
    await service.clock.settle()
    service.gate.set()
    assert await second == "token-1"
    assert first.cancelled()
    assert len(service.asked) == 1


async def test_a_token_is_renewed_five_minutes_early_and_nobody_waits_for_it(
    tokens: CredentialTokens, service: FakeService
) -> None:
    await tokens.get()
    await service.clock.advance(3299)
    assert await tokens.get() == "token-1"
    assert len(service.asked) == 1
    await service.clock.advance(1)
    service.gate = asyncio.Event()
    assert await tokens.get() == "token-1"
    service.gate.set()
    await service.clock.settle()
    assert await tokens.get() == "token-2"


async def test_a_token_may_name_the_time_of_its_renewal(
    tokens: CredentialTokens, service: FakeService
) -> None:
    service.refresh_on = int(service.clock.now() + 1000)
    await tokens.get()
    await service.clock.advance(1000)
    await tokens.get()
    await service.clock.settle()
    assert await tokens.get() == "token-2"


async def test_a_failed_early_renewal_keeps_the_token_and_is_tried_each_30_seconds(
    tokens: CredentialTokens, service: FakeService
) -> None:
    await tokens.get()
    service.failure = ServiceRequestError("down")
    await service.clock.advance(3300)
    for _ in range(29):
        assert await tokens.get() == "token-1"
        await service.clock.advance(1)
    assert len(service.asked) == 2
    await service.clock.advance(1)
    assert await tokens.get() == "token-1"
    await service.clock.settle()
    assert len(service.asked) == 3
    service.failure = None
    await service.clock.advance(30)
    await tokens.get()
    await service.clock.settle()
    assert await tokens.get() == "token-2"


async def test_an_expired_token_is_never_given_out(
    tokens: CredentialTokens, service: FakeService
) -> None:
    await tokens.get()
    await service.clock.advance(3600)
    assert await tokens.get() == "token-2"
    service.failure = ServiceRequestError("down")
    await service.clock.advance(3600)
    assert isinstance(await failure_of(tokens), Unreachable)


async def test_a_wrong_clock_does_not_make_every_request_ask_for_a_token(
    tokens: CredentialTokens, service: FakeService
) -> None:
    service.lifetime = -3600.0
    assert [await tokens.get() for _ in range(3)] == ["token-1"] * 3


async def test_a_failed_try_answers_everybody_for_ten_seconds(
    tokens: CredentialTokens, service: FakeService
) -> None:
    service.failure = ClientAuthenticationError("AADSTS7000215: Invalid client secret")
    failures = [await failure_of(tokens) for _ in range(100)]
    assert len(service.asked) == 1
    assert {type(failure) for failure in failures} == {Unauthenticated}
    assert len({id(failure) for failure in failures}) == 100
    assert "AADSTS7000215" in str(failures[-1])
    await service.clock.advance(10)
    service.failure = None
    assert await tokens.get() == "token-1"


async def test_after_a_failure_the_credential_is_built_anew(
    tokens: CredentialTokens, service: FakeService
) -> None:
    service.failure = ClientAuthenticationError("no")
    await failure_of(tokens)
    assert [credential.closed for credential in service.made] == [True]
    await service.clock.advance(10)
    service.failure = None
    await tokens.get()
    assert [credential.closed for credential in service.made] == [True, False]


@pytest.mark.parametrize("failure", [KeyError("access_token"), AttributeError("x"), OSError("x")])
async def test_whatever_a_credential_raises_is_an_error_of_ours(
    tokens: CredentialTokens, service: FakeService, failure: Exception
) -> None:
    service.failure = failure
    assert isinstance(await failure_of(tokens), AzureError)


async def test_a_try_has_an_end(service: FakeService, clock: FakeClock) -> None:
    service.gate = asyncio.Event()
    source = CredentialTokens(service.credential, scope="scope", clock=clock, timeout=0.01)
    assert isinstance(await failure_of(source), TimedOut)
    await source.close()


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a b", "tökén", " "])
async def test_a_token_that_no_header_takes_is_refused_unseen(
    tokens: CredentialTokens, service: FakeService, value: str
) -> None:
    service.value = value
    failure = await failure_of(tokens)
    assert failure.message == "the token service gave no usable token"


async def test_a_refused_token_is_renewed_once_for_all_callers(
    tokens: CredentialTokens, service: FakeService
) -> None:
    await tokens.get()
    found = await asyncio.gather(*(tokens.get(stale="token-1") for _ in range(50)))
    assert set(found) == {"token-2"}
    assert len(service.asked) == 2
    # The one with the refused token in its cache is gone.
    assert [credential.closed for credential in service.made] == [True, False]
    assert await tokens.get(stale="token-1") == "token-2"
    assert len(service.asked) == 2


async def test_a_refused_new_token_is_not_renewed_over_and_over(
    tokens: CredentialTokens, service: FakeService
) -> None:
    await tokens.get()
    await tokens.get(stale="token-1")
    assert isinstance(await failure_of(tokens, stale="token-2"), Unauthenticated)
    assert len(service.asked) == 2
    await service.clock.advance(30)
    assert await tokens.get(stale="token-2") == "token-3"


async def test_claims_are_asked_for(tokens: CredentialTokens, service: FakeService) -> None:
    await tokens.get()
    assert await tokens.get(claims='{"a":1}', stale="token-1") == "token-2"
    assert service.asked[-1] == (("scope",), {"enable_cae": True, "claims": '{"a":1}'})
    assert await tokens.get() == "token-2"


async def test_a_renewal_waits_for_a_plain_try_that_is_under_way(
    tokens: CredentialTokens, service: FakeService
) -> None:
    await tokens.get()
    await service.clock.advance(3300)
    service.gate = asyncio.Event()
    await tokens.get()
    renewing = asyncio.create_task(tokens.get(stale="token-1"))
    await service.clock.settle()
    service.gate.set()
    assert await renewing == "token-2"
    assert len(service.asked) == 2


async def test_closing_ends_a_try_and_closes_the_credential(
    service: FakeService, clock: FakeClock
) -> None:
    source = CredentialTokens(service.credential, scope="scope", clock=clock)
    service.gate = asyncio.Event()
    waiting = asyncio.create_task(source.get())
    await clock.settle()
    await source.close()
    with pytest.raises(Unauthenticated):
        await waiting
    assert [credential.closed for credential in service.made] == [True]
    assert isinstance(await failure_of(source), Unauthenticated)
    await source.close()
