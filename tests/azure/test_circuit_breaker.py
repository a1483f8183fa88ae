"""When calls go out while Azure as a whole does not answer."""

from __future__ import annotations

from contextlib import suppress

import pytest

from exporter.azure.circuit_breaker import CircuitBreaker, OpenCircuits
from exporter.azure.errors import AzureError, ServerFailed, TimedOut, Unreachable
from exporter.azure.operation import Scope
from exporter.model.scale_set import ScaleSetId
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION
from support.clock import FakeClock


@pytest.fixture
def breaker(clock: FakeClock, telemetry: Telemetry) -> CircuitBreaker:
    return CircuitBreaker(clock=clock, circuits=OpenCircuits(telemetry))


def named(name: str) -> Scope:
    return Scope.of(ScaleSetId(SUBSCRIPTION, "rg", name))


def ask(breaker: CircuitBreaker, name: str, how: int | AzureError) -> bool:
    """Whether a call went out; it is answered with a status or ends in a failure."""
    went = False
    with suppress(AzureError), breaker.call(named(name)) as outcome:
        went = True
        if isinstance(how, AzureError):
            raise how
        outcome.answered(how)
    return went


async def opened(breaker: CircuitBreaker, clock: FakeClock, how: int | AzureError = 503) -> None:
    await clock.advance(20.0)
    for number in range(5):
        assert ask(breaker, f"set{number % 3}", how)
    assert breaker.is_open


async def test_five_failures_over_three_sets_open_it(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    await opened(breaker, clock)
    assert not ask(breaker, "set0", 200)


async def test_failures_of_rare_calls_never_open_it(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    await clock.advance(600.0)
    for number in range(20):
        with breaker.call(named(f"set{number}"), opens=False) as outcome:
            outcome.answered(503)
    assert not breaker.is_open


async def test_a_rare_call_that_tries_and_fails_puts_the_next_one_off(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    await opened(breaker, clock)
    await clock.advance(5.0)
    with breaker.call(named("facts"), opens=False) as outcome:
        outcome.answered(503)
    assert not ask(breaker, "set0", 200)
    await clock.advance(9.9)
    assert not ask(breaker, "set0", 200)
    await clock.advance(0.2)
    assert ask(breaker, "set0", 200)


async def test_sets_that_failed_before_an_answer_do_not_count_with_one_that_fails_after_it(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    await clock.advance(20.0)
    for name, status in (("first", 503), ("second", 503), ("third", 200)):
        assert ask(breaker, name, status)
    await clock.advance(20.0)
    for _ in range(10):
        assert ask(breaker, "broken", 503)
    assert not breaker.is_open


async def test_one_broken_set_never_opens_it(breaker: CircuitBreaker, clock: FakeClock) -> None:
    await clock.advance(600.0)
    for _ in range(100):
        assert ask(breaker, "broken", 500)


async def test_it_stays_closed_while_others_are_answered(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    for number in range(300):
        await clock.advance(1.0)
        # Nine calls in ten fail.
        assert ask(breaker, f"set{number}", 200 if number % 10 == 0 else 503)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 302])
async def test_an_answer_that_is_no_success_is_an_answer(
    breaker: CircuitBreaker, clock: FakeClock, status: int
) -> None:
    await clock.advance(600.0)
    for number in range(20):
        assert ask(breaker, f"set{number}", status)
    await opened(breaker, clock)
    await clock.advance(5.0)
    assert ask(breaker, "set0", status)
    assert not breaker.is_open


async def test_while_it_is_open_calls_that_try_get_rarer(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    await opened(breaker, clock)
    opened_at, probes = clock.monotonic(), []
    for _ in range(900):
        await clock.advance(0.1)
        if ask(breaker, "set0", TimedOut("no")):
            probes.append(round(clock.monotonic() - opened_at))
    assert probes == [5, 15, 35, 65]


async def test_one_answer_lets_all_calls_out_again(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    await opened(breaker, clock)
    await clock.advance(5.0)
    assert ask(breaker, "set0", 200)
    assert all(ask(breaker, f"set{number}", 200) for number in range(10))
    await opened(breaker, clock)
    await clock.advance(5.0)
    assert ask(breaker, "set0", 200), "the probes begin anew"


async def test_only_one_call_at_a_time_tries(breaker: CircuitBreaker, clock: FakeClock) -> None:
    await opened(breaker, clock)
    await clock.advance(5.0)
    with breaker.call(named("first")) as first:
        assert not ask(breaker, "second", 200)
        first.answered(200)
    assert ask(breaker, "second", 200)


async def test_a_call_that_was_cancelled_tells_nothing(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    await opened(breaker, clock)
    await clock.advance(5.0)
    with pytest.raises(KeyboardInterrupt), breaker.call(named("first")):
        raise KeyboardInterrupt
    assert breaker.is_open
    assert ask(breaker, "second", 200), "another one may try"


@pytest.mark.parametrize(
    ("how", "kind"),
    [(503, ServerFailed), (TimedOut("slow"), TimedOut), (Unreachable("gone"), Unreachable)],
)
async def test_what_is_not_sent_fails_for_the_reason_of_the_last_call(
    breaker: CircuitBreaker, clock: FakeClock, how: int | AzureError, kind: type[AzureError]
) -> None:
    await opened(breaker, clock, how)
    said = r"not sent: no answer of Azure's for 20 s"
    with pytest.raises(kind, match=said) as caught, breaker.call(named("set0")):
        pytest.fail("it went out")
    assert "the next one in 5 s" in str(caught.value)


async def test_the_metrics_tell_whether_it_is_open(
    breaker: CircuitBreaker, clock: FakeClock, telemetry: Telemetry
) -> None:
    def shown() -> float | None:
        return telemetry.registry.get_sample_value("azure_vmss_exporter_azure_circuit_open")

    assert shown() == 0
    await opened(breaker, clock)
    assert shown() == 1
    await clock.advance(5.0)
    ask(breaker, "set0", 200)
    assert shown() == 0


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(TimedOut("slow"), TimedOut), (Unreachable("refused"), Unreachable), (503, ServerFailed)],
)
async def test_a_call_that_is_not_sent_tells_why_since_when_and_until_when(
    breaker: CircuitBreaker, clock: FakeClock, failure: int | AzureError, kind: type[AzureError]
) -> None:
    await opened(breaker, clock, failure)
    await clock.advance(2.0)
    with pytest.raises(kind) as caught, breaker.call(named("set0")):
        pass
    message = str(caught.value)
    assert "no answer of Azure's for 22 s" in message
    assert "the next one in 3 s" in message
    assert "the last one: " in message
    if isinstance(failure, AzureError):
        assert failure.message in message
    await clock.advance(3.0)
    with breaker.call(named("set0")) as outcome:
        with pytest.raises(kind, match="the next one now"), breaker.call(named("set1")):
            pass
        outcome.answered(200)
