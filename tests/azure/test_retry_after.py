"""Azure's word to wait, by subscription and region."""

from __future__ import annotations

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
