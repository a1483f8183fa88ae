"""The circuit breaker of an endpoint: while Azure as a whole fails, one call at a time tries.

Without it an outage of a quarter of an hour would be met with every set's polls and their retries,
each of which may take a minute to time out, and the end of the outage with all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from exporter.azure.errors import AzureError, ServerFailed, TimedOut, Unreachable
from exporter.azure.operation import Scope
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry

FAILURES = 5
SETS = 3
SILENCE = 10.0
"""It opens after that many failures in a row, of calls for that many scale sets, and that many
seconds without one answer: a set whose own list is broken, or an Azure that fails half of the
time, opens nothing."""

FIRST_PROBE = 5.0
LONGEST_PROBE = 30.0
"""Seconds from one call that tries to the next, doubling from the first to the longest."""


class OpenCircuits:
    """Shows whether any circuit breaker is open."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._gauge = telemetry.gauge("azure_circuit_open")
        self._gauge.set(0)
        self._open: set[CircuitBreaker] = set()

    def show(self, breaker: CircuitBreaker, *, is_open: bool) -> None:
        """Record one that has opened or closed."""
        (self._open.add if is_open else self._open.discard)(breaker)
        self._gauge.set(bool(self._open))


class CircuitBreaker:
    """Closed while calls go out; open while only probes do.

    An answer of any kind, 4xx and 429 included, closes it: Azure is there.

    Args:
        circuits: shows whether it is open.
    """

    def __init__(self, *, clock: Clock, circuits: OpenCircuits) -> None:
        self._clock = clock
        self._circuits = circuits
        self._failures = 0
        self._failing: set[tuple[str, ...]] = set()
        self._last_answer = clock.monotonic()
        self._last_failure: AzureError | None = None
        self._next_probe: float | None = None
        self._between = FIRST_PROBE
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether only one call at a time may try."""
        return self._next_probe is not None

    @contextmanager
    def call(self, scope: Scope, *, opens: bool = True) -> Iterator[Outcome]:
        """Let one request through, and learn from how it ends.

        Args:
            opens: whether its failure says that Azure fails as a whole. The rare calls, between
                two polls of a small fleet, must not hold back the polls, which may well succeed.

        Raises:
            AzureError: it is open and this is not the time for a probe; the error is of the kind
            that
                the last call failed with, and says that nothing was sent.
        """
        probe = self._enter()
        outcome = Outcome()
        try:
            yield outcome
        except (TimedOut, Unreachable) as error:
            outcome.failure = error
            raise
        finally:
            if probe:
                self._probing = False
            if outcome.failure is not None and (opens or probe):
                self._failed(scope, outcome.failure, probe=probe)
            elif outcome.is_answer:
                self._answered()

    def _enter(self) -> bool:
        """Whether the call is a probe."""
        if self._next_probe is None:
            return False
        wait = self._next_probe - self._clock.monotonic()
        if self._probing or wait > 0:
            raise self._refusal(wait)
        self._probing = True
        return True

    def _refusal(self, wait: float) -> AzureError:
        last = self._last_failure
        seconds = self._clock.monotonic() - self._last_answer
        when = "now" if self._probing else f"in {wait:.0f} s"
        message = (
            f"not sent: no answer of Azure's for {seconds:.0f} s, so one call at a time tries, the "
            f"next one {when}"
        )
        if last is not None:
            message += f"; the last one: {last.message}"
        if isinstance(last, ServerFailed):
            return ServerFailed(message, status=last.status)
        return TimedOut(message) if isinstance(last, TimedOut) else Unreachable(message)

    def _answered(self) -> None:
        self._failures = 0
        self._failing.clear()
        self._last_answer = self._clock.monotonic()
        self._next_probe = None
        self._between = FIRST_PROBE
        self._circuits.show(self, is_open=False)

    def _failed(self, scope: Scope, error: AzureError, *, probe: bool) -> None:
        now = self._clock.monotonic()
        self._last_failure = error
        self._failures += 1
        self._failing.add(scope.key)
        if probe:
            self._between = min(LONGEST_PROBE, 2 * self._between)
            self._next_probe = now + self._between
        elif (
            self._next_probe is None
            and self._failures >= FAILURES
            and len(self._failing) >= SETS
            and now - self._last_answer >= SILENCE
        ):
            self._next_probe = now + self._between
            self._circuits.show(self, is_open=True)


class Outcome:
    """How a request ended.

    Attributes:
        failure: why Azure counts as not answering; None for an answer, or where that is not known.
        is_answer: whether an answer came.
    """

    def __init__(self) -> None:
        self.failure: AzureError | None = None
        self.is_answer = False

    def answered(self, status: int) -> None:
        """Record the status of an answer: 5xx is a failure."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.failure = ServerFailed(f"HTTP {status}", status=status)
        else:
            self.is_answer = True
