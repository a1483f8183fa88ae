"""Azure's word to wait, by subscription and region."""

from __future__ import annotations

import pytest

from exporter.azure.errors import NotSent
from exporter.azure.operation import Scope
from exporter.azure.ratelimit.retry_after import DEFAULT_WAIT, RetryAfterGate
from exporter.telemetry import Telemetry
from support.clock import FakeClock


def new_gate(clock: FakeClock) -> RetryAfterGate:
    return RetryAfterGate(
        clock=clock, telemetry=Telemetry(version="1", python_version="3", process=False)
    )


def test_a_region_waits_and_others_go_on(clock: FakeClock) -> None:
    kept = new_gate(clock)
    kept.put("S", "WestEurope", 30)
    assert kept.remaining("s", "westeurope") == 30
    assert kept.remaining("s", "eastus") == 0
    assert kept.remaining("other", "westeurope") == 0


def test_a_hold_of_the_subscription_holds_every_region(clock: FakeClock) -> None:
    kept = new_gate(clock)
    kept.put("s", "", 30)
    assert kept.remaining("s", "westeurope") == 30


async def test_a_hold_ends_by_itself_and_is_never_shortened(clock: FakeClock) -> None:
    kept = new_gate(clock)
    kept.put("s", "eastus", None)
    kept.put("s", "eastus", 5)
    assert kept.remaining("s", "eastus") == DEFAULT_WAIT
    await clock.advance(DEFAULT_WAIT)
    assert kept.remaining("s", "eastus") == 0


def test_a_client_s_own_limit_holds_what_it_asks_about_no_subscription(clock: FakeClock) -> None:
    kept = new_gate(clock)
    for scope in (
        Scope("", credential="Prod", service="Resource Graph"),
        Scope("", credential="Prod"),
    ):
        kept.check(scope)
        kept.put(scope.subscription_id, "", 30, counted_by=scope.counted_by)
        with pytest.raises(NotSent):
            kept.check(scope)
    kept.check(Scope("", credential="other"))
    kept.check(Scope("s", credential="Prod"))
