"""The quota of Resource Graph: never more than the share of it, and never what others need."""

from __future__ import annotations

import asyncio

import pytest
from multidict import CIMultiDict

from exporter.azure.ratelimit.headers import LimitHeaders
from exporter.azure.ratelimit.user_quota import QUERIES, WINDOW, UserQuota
from support.clock import FakeClock


async def sent_within(quota: UserQuota, clock: FakeClock, seconds: float) -> int:
    """How many of many queries go out in some seconds."""
    sent = 0

    async def send_all() -> None:
        nonlocal sent
        for _ in range(100):
            await quota.send()
            sent += 1

    sending = asyncio.create_task(send_all())
    await clock.advance(seconds)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    return sent


@pytest.mark.parametrize(("share", "allowed"), [(1.0, QUERIES), (0.5, 7), (0.01, 1)])
async def test_no_more_than_the_share_goes_out_in_a_window(
    clock: FakeClock, share: float, allowed: int
) -> None:
    quota = UserQuota(clock=clock, share=lambda: share)
    assert await sent_within(quota, clock, WINDOW - 0.1) == allowed
    assert await sent_within(quota, clock, WINDOW) == allowed


@pytest.mark.parametrize(("remaining", "sent"), [(14, 7), (9, 7), (8, 0), (0, 0)])
async def test_it_waits_where_others_have_used_all_but_their_share(
    clock: FakeClock, remaining: int, sent: int
) -> None:
    quota = UserQuota(clock=clock, share=lambda: 0.5)
    quota.seen(remaining, 3.0)
    assert await sent_within(quota, clock, 2.9) == sent


async def test_it_goes_on_when_the_quota_is_full_again(clock: FakeClock) -> None:
    quota = UserQuota(clock=clock, share=lambda: 0.5)
    quota.seen(0, 3.0)
    assert await sent_within(quota, clock, 3.1) == 7


@pytest.mark.parametrize(
    ("remaining", "resets", "read"),
    [
        ("14", "00:00:05", (14, 5.0)),
        ("0", "00:01:00.5", (0, 60.5)),
        ("1", "99:00:00", (1, 3600.0)),
        ("-1", "00:00:05", None),
        ("x", "00:00:05", None),
        ("14", "5", None),
        ("14", "", None),
        ("", "00:00:05", None),
    ],
)
def test_the_headers_are_read(remaining: str, resets: str, read: tuple[int, float] | None) -> None:
    headers = CIMultiDict(
        {"x-ms-user-quota-remaining": remaining, "X-MS-User-Quota-Resets-After": resets}
    )
    assert LimitHeaders.of(headers).user_quota == read
    assert LimitHeaders.of(CIMultiDict()).user_quota is None
