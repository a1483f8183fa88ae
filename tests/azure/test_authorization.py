"""Tokens that Azure refuses: which are renewed, and what is told of the others."""

from __future__ import annotations

import asyncio

import pytest
from aioresponses import aioresponses as mocked_answers

from exporter.azure.errors import TimedOut, Unauthenticated, Unreachable
from support.azure_room import FIRST, FakeTokens, NewClient, failure_of, ids, page, sent, walk

TENANT = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
WANTED = f'Bearer authorization_uri="https://login.example/{TENANT}", error="invalid_token"'


@pytest.mark.parametrize(
    ("code", "message", "challenge", "said", "advice"),
    [
        (
            "InvalidAuthenticationTokenTenant",
            f"From the wrong issuer. It must match the tenant 'https://sts.example/{TENANT}/'.",
            "",
            TENANT,
            "azure.credential.tenant_id",
        ),
        ("InvalidAuthenticationTokenTenant", "", WANTED, TENANT, "azure.credential.tenant_id"),
        (
            "InvalidAuthenticationToken",
            "The access token is from the wrong issuer.",
            WANTED,
            TENANT,
            "azure.credential.tenant_id",
        ),
        (
            "InvalidAuthenticationTokenAudience",
            "It should exactly match with one of the allowed audiences 'https://arm.example/'.",
            "",
            "'https://arm.example/'",
            "azure.audience",
        ),
        (
            "InvalidAuthenticationToken",
            "",
            'Bearer error="invalid_token", error_description="wrong audience or resource."',
            "InvalidAuthenticationToken",
            "azure.cloud",
        ),
        ("InvalidAuthenticationTokenWhatever", "New.", "", "New.", "azure.credential"),
        ("AuthenticationFailedMissingToken", "No header.", "", "No header.", "proxy"),
        ("AuthenticationFailedInvalidHeader", "Odd header.", "", "Odd header.", "proxy"),
    ],
)
async def test_a_token_that_another_one_would_not_mend_is_kept(
    new_client: NewClient,
    answers: mocked_answers,
    tokens: FakeTokens,
    code: str,
    message: str,
    challenge: str,
    said: str,
    advice: str,
) -> None:
    answers.get(
        FIRST,
        status=401,
        payload={"error": {"code": code, "message": message}},
        headers={"WWW-Authenticate": challenge},
    )
    error = await failure_of(new_client())
    assert type(error) is Unauthenticated
    assert code in error.message
    assert error.message.count(said) == 1
    assert advice in error.advice
    assert tokens.asked == [(None, None)], "no other token is asked for"
    assert len(sent(answers)) == 1


@pytest.mark.parametrize("code", ["ExpiredAuthenticationToken", "InvalidAuthenticationToken", ""])
async def test_a_token_that_has_ended_is_renewed(
    new_client: NewClient, answers: mocked_answers, tokens: FakeTokens, code: str
) -> None:
    answers.get(FIRST, status=401, payload={"error": {"code": code}} if code else {})
    answers.get(FIRST, payload=page("0"))
    assert ids(await walk(new_client())) == ["0"]
    assert tokens.asked == [(None, None), (None, "token-1")]


async def test_a_refused_token_without_another_says_both(
    new_client: NewClient, answers: mocked_answers
) -> None:
    class NoOther(FakeTokens):
        async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
            if stale is not None:
                raise Unreachable("no token: the login service is away", advice="wait for it")
            return await super().get(claims=claims, stale=stale)

    answers.get(FIRST, status=401, payload={"error": {"code": "ExpiredAuthenticationToken"}})
    error = await failure_of(new_client(tokens=NoOther()))
    assert type(error) is Unauthenticated
    assert "HTTP 401 ExpiredAuthenticationToken" in error.message
    assert "there is no other: no token: the login service is away" in error.message
    assert error.advice == "wait for it"


async def test_a_token_that_is_the_same_again_is_not_sent_again(
    new_client: NewClient, answers: mocked_answers
) -> None:
    class TheSame(FakeTokens):
        async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
            del claims, stale
            return "the-same-token"

    answers.get(FIRST, status=401, payload={"error": {"code": "ExpiredAuthenticationToken"}})
    error = await failure_of(new_client(tokens=TheSame()))
    assert "ExpiredAuthenticationToken" in error.message
    assert len(sent(answers)) == 1


async def test_a_wait_for_a_token_ends_with_the_walk_and_says_what_was_waited_for(
    new_client: NewClient,
) -> None:
    class Slow(FakeTokens):
        async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
            del claims, stale
            await asyncio.Event().wait()
            raise AssertionError

    error = await failure_of(new_client(tokens=Slow(), deadline=0.01))
    assert type(error) is TimedOut
    assert "no token within polling.deadline" in error.message
    assert "169.254.169.254" in error.advice
