"""What the process has once, whatever configurations come and go."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.azure.auth.token_cache import TokenSource
from exporter.azure.denials import Denials
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.configuration.shown import ShownConfiguration
from exporter.polling.targets import Targets
from exporter.runtime import logs
from exporter.runtime.clock import Clock, SystemClock
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.runtime.loop_lag import LoopLag
from exporter.runtime.overdue import Overdue
from exporter.telemetry import Telemetry


class Process:
    """What the process has once, whatever configurations come and go.

    Attributes:
        version: the exporter's version.
        telemetry: the exporter's own metrics.
        cooperative: lets long work yield, and scrapes go first.
        watch: how late the event loop is.
        gate: until when Azure asked to wait.
        budget: what may be spent of Azure's limits.
        targets: the scale sets that are polled.
        tokens: the sources of tokens in place of configured credentials, by their names.
        denials: collects what the identity may not read; None to collect nothing.

    Args:
        own_process: whether the `process_*` and `python_*` families are served.
    """

    def __init__(
        self,
        *,
        version: str,
        python_version: str,
        clock: Clock | None = None,
        tokens: Mapping[str, TokenSource] | None = None,
        own_process: bool = True,
    ) -> None:
        self.version = version
        self.clock = clock or SystemClock()
        self.telemetry = Telemetry(
            version=version,
            python_version=python_version,
            process=own_process,
            monotonic=self.clock.monotonic,
        )
        self.shown = ShownConfiguration()
        self.denials: Denials | None = None
        self.cooperative = CooperativeScheduler()
        self.watch = LoopLag(self.clock)
        self.gate = RetryAfterGate(clock=self.clock, telemetry=self.telemetry)
        self.budget = Budget(clock=self.clock, telemetry=self.telemetry)
        self.overdue = Overdue(self.clock)
        self.targets = Targets(telemetry=self.telemetry)
        self.tokens = dict(tokens or {})
        self.telemetry.gauge("poll_lag_seconds").set_function(self.overdue.largest)
        self.telemetry.gauge("event_loop_lag_seconds").set_function(self.watch.largest)
        logs.count_lost(self.telemetry.counter("log_lines_lost_total").inc)
