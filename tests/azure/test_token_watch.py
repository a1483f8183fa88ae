"""How the token stands, on the exporter's own metrics."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from exporter.azure.auth.token_cache import CredentialTokens
from exporter.azure.auth.token_file import FileTokens
from exporter.azure.auth.token_watch import REASONS, TokenWatch
from exporter.azure.errors import Unauthenticated
from exporter.telemetry import Telemetry
from support.azure_room import sample
from support.clock import FakeClock
from support.token_service import FakeService, failure_of


async def test_expiry_and_failures_are_shown(clock: FakeClock) -> None:
    service = FakeService(clock)
    telemetry = Telemetry(version="1", python_version="3", process=False)
    watch = TokenWatch(telemetry)
    source = CredentialTokens(service.credential, scope="scope", clock=clock, watch=watch)
    failures, expiry = "token_failures_total", "token_expiry_timestamp_seconds"
    assert {
        reason: sample(telemetry, failures, reason=reason) for reason in REASONS
    } == dict.fromkeys(
        ("authentication", "connection", "timeout", "server_error", "broken_answer"), 0.0
    )
    service.failure = ServiceRequestError("down")
    await failure_of(source)
    await failure_of(source)
    assert sample(telemetry, failures, reason="connection") == 1
    service.failure = ClientAuthenticationError("no")
    await clock.advance(10)
    await failure_of(source)
    assert sample(telemetry, failures, reason="authentication") == 1
    assert sample(telemetry, expiry) is None
    service.failure = None
    await clock.advance(10)
    await source.get()
    assert sample(telemetry, expiry) == int(clock.now() + 3600)
    await source.close()


async def test_the_expiry_of_a_token_from_a_file_is_absent(tmp_path: Path) -> None:
    telemetry = Telemetry(version="1", python_version="3", process=False)
    watch = TokenWatch(telemetry)
    watch.got(1.0)
    source = FileTokens(str(tmp_path / "token"), watch=watch)
    with pytest.raises(Unauthenticated):
        await source.get()
    assert sample(telemetry, "token_failures_total", reason="authentication") == 1
    (tmp_path / "token").write_text("given")
    assert await source.get() == "given"
    assert sample(telemetry, "token_expiry_timestamp_seconds") is None
    await source.close()


def test_of_several_credentials_the_token_that_ends_first_is_shown() -> None:
    telemetry = Telemetry(version="1", python_version="3", process=False)
    expiries: dict[TokenWatch, float] = {}
    one, other = TokenWatch(telemetry, expiries), TokenWatch(telemetry, expiries)
    one.got(2000.0)
    other.got(1000.0)
    assert sample(telemetry, "token_expiry_timestamp_seconds") == 1000
    other.got(None)
    assert sample(telemetry, "token_expiry_timestamp_seconds") == 2000
    one.got(None)
    assert sample(telemetry, "token_expiry_timestamp_seconds") is None
