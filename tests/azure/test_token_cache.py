"""Tokens: one try at a time, renewed early, and no rush on a token service that is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from exporter.azure.auth.token_cache import LONGEST_HOLD_OFF, CredentialTokens
from exporter.azure.errors import (
    AzureError,
    ServerFailed,
    TimedOut,
    Unauthenticated,
    Unreachable,
)
from support.clock import FakeClock
from support.token_service import FakeService, failure_of


@pytest.fixture
def service(clock: FakeClock) -> FakeService:
    return FakeService(clock)


@pytest.fixture
async def tokens(service: FakeService, clock: FakeClock) -> AsyncIterator[CredentialTokens]:
    source = CredentialTokens(service.credential, scope="scope", clock=clock)
    yield source
    await source.close()


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
        await service.until_asked(2)
        await service.clock.advance(1)
    assert len(service.asked) == 2
    await service.clock.advance(1)
    assert await tokens.get() == "token-1"
    await service.until_asked(3)
    assert len(service.asked) == 3
    service.failure = None
    await service.clock.advance(30)
    await tokens.get()
    await service.until_asked(4)
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
    assert await tokens.get(stale="token-2") == "token-2", "there is no other now"
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
    await service.until_asked(1)
    await source.close()
    with pytest.raises(Unauthenticated):
        await waiting
    assert [credential.closed for credential in service.made] == [True]
    assert isinstance(await failure_of(source), Unauthenticated)
    await source.close()


async def test_one_try_is_made_at_a_time_however_long_it_takes(
    tokens: CredentialTokens, service: FakeService
) -> None:
    await tokens.get()
    service.gate = asyncio.Event()
    await service.clock.advance(3300)
    assert await tokens.get() == "token-1"
    await service.clock.advance(35)
    assert await tokens.get() == "token-1"
    await service.clock.settle()
    assert len(service.asked) == 2
    service.gate.set()
    await service.clock.settle()
    assert await tokens.get() == "token-2"


async def test_a_refused_token_is_given_to_others_until_there_is_a_new_one(
    tokens: CredentialTokens, service: FakeService
) -> None:
    await tokens.get()
    service.gate = asyncio.Event()
    renewing = asyncio.create_task(tokens.get(stale="token-1"))
    await service.clock.settle()
    assert await tokens.get() == "token-1"
    service.gate.set()
    assert await renewing == "token-2"
    assert await tokens.get() == "token-2"


async def test_a_renewal_that_fails_leaves_the_others_their_token(
    tokens: CredentialTokens, service: FakeService
) -> None:
    await tokens.get()
    service.failure = ServiceRequestError("down")
    assert isinstance(await failure_of(tokens, stale="token-1"), Unreachable)
    for _ in range(10):
        assert await tokens.get() == "token-1"
        await service.clock.advance(60)


async def test_tokens_that_are_all_refused_are_renewed_ever_more_rarely(
    tokens: CredentialTokens, service: FakeService
) -> None:
    refused, renewals = await tokens.get(), []
    begun = service.clock.monotonic()
    for _ in range(240):
        found = await tokens.get(stale=refused)
        if found != refused:
            renewals.append(round(service.clock.monotonic() - begun))
            refused = found
        await service.clock.advance(30)
    assert renewals[:6] == [0, 30, 90, 210, 450, 930]
    assert len(renewals) <= 13
    await service.clock.advance(3600)
    assert await tokens.get(stale=refused) != refused
    await service.clock.advance(30)
    assert await tokens.get(stale=f"token-{service.number}") == f"token-{service.number}"


async def test_a_retry_after_holds_off_every_kind_of_try(
    tokens: CredentialTokens, service: FakeService
) -> None:
    await tokens.get()
    service.failure = failure = ServerFailed("busy", status=503, retry_after=100.0)
    await service.clock.advance(3300)
    await tokens.get()
    await service.until_asked(2)
    assert len(service.asked) == 2
    for _ in range(3):
        await service.clock.advance(31)
        assert await tokens.get() == "token-1"
        assert (await failure_of(tokens, stale="token-1")).message == failure.message
    assert len(service.asked) == 2
    await service.clock.advance(31)
    service.failure = None
    await tokens.get()
    await service.until_asked(3)
    assert await tokens.get() == "token-2"


async def test_an_endless_retry_after_is_cut(
    tokens: CredentialTokens, service: FakeService
) -> None:
    service.failure = ServerFailed("busy", status=503, retry_after=1e9)
    await failure_of(tokens)
    service.failure = None
    await service.clock.advance(LONGEST_HOLD_OFF)
    assert await tokens.get() == "token-1"


async def test_azure_identity_s_own_word_on_a_setting_is_reported(
    tokens: CredentialTokens, service: FakeService
) -> None:
    service.failure = ValueError("Invalid tenant ID provided.")
    failure = await failure_of(tokens)
    assert isinstance(failure, Unauthenticated)
    assert failure.message == "no token: Invalid tenant ID provided."


async def test_a_try_that_takes_too_long_names_its_own_limit_and_source(
    service: FakeService, clock: FakeClock
) -> None:
    service.gate = asyncio.Event()
    source = CredentialTokens(
        service.credential, scope="scope", clock=clock, source="the tool", timeout=0.01
    )
    failure = await failure_of(source)
    assert failure.message == "no token from the tool within 0.01 s"
    assert "169.254.169.254" in failure.advice
    assert "polling" not in failure.advice
    await source.close()
