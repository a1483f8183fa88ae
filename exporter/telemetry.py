"""The exporter's own metrics, all on one registry that is handed in.

`OWN_METRICS` declares them; the second half of `docs/metrics.md` is generated from it. The
process and Python collectors of prometheus_client are registered beside them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from typing import Literal, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric

from exporter.policy_names import PolicyNames

_LabelSet = tuple[str, tuple[tuple[str, str], ...]]
_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)

PREFIX = "azure_vmss_exporter_"

NEW_LABELS_WAIT = 120.0
"""Seconds for which a counter with labels not known before is served as 0: one that begins
at 1 has never risen for Prometheus, and `increase()` misses what is counted first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMetric:
    """The declaration of one of the exporter's own metrics, named without the prefix.

    Attributes:
        absent: whether it is not served before it has a value.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    absent: bool = False


_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0)
_BUCKET = ("subscription_id", "location", "policy")

OWN_METRICS: tuple[OwnMetric, ...] = (
    OwnMetric(
        name="build_info",
        kind="gauge",
        help="The running version; the value is 1.",
        labels=("version", "python_version"),
    ),
    OwnMetric(
        name="config_last_reload_successful",
        kind="gauge",
        help="1 if the configuration was read successfully the last time, else 0.",
    ),
    OwnMetric(
        name="config_last_reload_success_timestamp_seconds",
        kind="gauge",
        help="When the configuration in force was read.",
    ),
    OwnMetric(
        name="config_hash",
        kind="gauge",
        help="A number made from the content of the configuration file in force.",
    ),
    OwnMetric(
        name="polls_total",
        kind="counter",
        help="Polls of a scale set's instance list, by result (success, failure).",
        labels=("result",),
    ),
    OwnMetric(
        name="poll_failures_total",
        kind="counter",
        help="Failed polls by reason.",
        labels=("reason",),
    ),
    OwnMetric(
        name="poll_duration_seconds",
        kind="histogram",
        help="How long the polls took, from the first request to the swapped snapshot.",
        buckets=_SECONDS,
    ),
    OwnMetric(
        name="poll_lag_seconds",
        kind="gauge",
        help="The largest delay of a poll that is due and has not begun.",
    ),
    OwnMetric(
        name="azure_requests_total",
        kind="counter",
        help="Requests to Azure by HTTP status, or error where no answer came. An unusual status "
        "that is new is served as 0 for two minutes before it counts.",
        labels=("operation", "code"),
    ),
    OwnMetric(
        name="azure_request_duration_seconds",
        kind="histogram",
        help="How long the requests to Azure took, the body included.",
        labels=("operation",),
        buckets=_SECONDS,
    ),
    OwnMetric(
        name="azure_throttled_total",
        kind="counter",
        help="Answers by which Azure throttled the exporter (HTTP 429); the Resource Manager's "
        "limits have no location, and its error code as policy. A policy that is new is served as "
        "0 for two minutes before it counts.",
        labels=_BUCKET,
    ),
    OwnMetric(
        name="azure_throttle_allowed_requests",
        kind="gauge",
        help="How many requests a limit allows, by Azure's last throttling answer that told.",
        labels=_BUCKET,
    ),
    OwnMetric(
        name="azure_throttle_measured_requests",
        kind="gauge",
        help="How many requests Azure had counted, of all clients, by the same answer.",
        labels=_BUCKET,
    ),
    OwnMetric(
        name="azure_ratelimit_remaining",
        kind="gauge",
        help="What remains of a read limit by Azure's last answer. At most "
        "32 policies per subscription and region, the rest is other; one not named for an hour is "
        "removed.",
        labels=_BUCKET,
    ),
    OwnMetric(
        name="azure_throttled_until_timestamp_seconds",
        kind="gauge",
        help="Until when the exporter makes no call, because Azure asked it to wait.",
        labels=_BUCKET,
    ),
    OwnMetric(
        name="budget_used_ratio",
        kind="gauge",
        help="What was charged in the last minute, as a part of what the exporter may use of it.",
        labels=_BUCKET,
    ),
    OwnMetric(
        name="targets",
        kind="gauge",
        help="Scale sets that are polled, by origin: configured, discovered.",
        labels=("origin",),
    ),
    OwnMetric(
        name="discovery_up",
        kind="gauge",
        help="1 if the last refresh of an entry of discovery was complete, else 0; block is the "
        "entry's index.",
        labels=("block",),
    ),
    OwnMetric(
        name="discovery_last_success_timestamp_seconds",
        kind="gauge",
        help="When the last complete refresh of an entry of discovery ended.",
        labels=("block",),
    ),
    OwnMetric(
        name="discovery_failures_total",
        kind="counter",
        help="Lists of a discovery that failed, by reason.",
        labels=("block", "reason"),
    ),
    OwnMetric(
        name="graph_queries_total",
        kind="counter",
        help="Pages asked of Resource Graph, by what is asked for and the result (success, "
        "failure).",
        labels=("kind", "result"),
    ),
    OwnMetric(name="series", kind="gauge", help="Series about Azure served at the last scrape."),
    OwnMetric(
        name="exposition_bytes",
        kind="gauge",
        help="Size of the text about Azure served at the last scrape, before compression.",
    ),
    OwnMetric(
        name="mapping_errors_total",
        kind="counter",
        help="Fields of Azure's answers that were left out, by the first family they feed.",
        labels=("family",),
    ),
    OwnMetric(
        name="unknown_status_codes_total",
        kind="counter",
        help="Status codes and levels that the exporter does not know; they count as unknown.",
    ),
    OwnMetric(
        name="azure_retries_total",
        kind="counter",
        help="Requests to Azure that were repeated within a poll after a failure that may pass.",
        labels=("operation",),
    ),
    OwnMetric(
        name="azure_circuit_open",
        kind="gauge",
        help="1 while Azure's endpoint answers no call and only one at a time tries, else 0.",
    ),
    OwnMetric(
        name="state_write_failures_total",
        kind="counter",
        help="State files that could not be written to polling.state_dir.",
    ),
    OwnMetric(
        name="state_refused_total",
        kind="counter",
        help="State files that were not used at the start, wholly or in part, by reason.",
        labels=("reason",),
    ),
    OwnMetric(
        name="log_lines_lost_total",
        kind="counter",
        help="Log lines that were not written, because the log was not read or writing failed.",
    ),
    OwnMetric(
        name="token_expiry_timestamp_seconds",
        kind="gauge",
        help="When the token in use ends, of several credentials the one that ends first; absent "
        "without one, or where a file gives it.",
        absent=True,
    ),
    OwnMetric(
        name="token_failures_total",
        kind="counter",
        help="Tries to get a token that failed, by reason.",
        labels=("reason",),
    ),
    OwnMetric(
        name="event_loop_lag_seconds",
        kind="gauge",
        help="The largest delay of the event loop in the last one to two minutes.",
    ),
)


class Telemetry:
    """The exporter's own metrics, ready to be counted up and scraped.

    Args:
        version: the version shown by `build_info`.
        python_version: the interpreter's version, shown beside it.
        process: whether the `process_*` and `python_*` families are served too.
        monotonic: the time, for what is shown later or no longer.
    """

    def __init__(
        self,
        *,
        version: str,
        python_version: str,
        process: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        # The `_created` twins of counters would be families of their own in text 0.0.4.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # theirs
        self.registry = _Registry(self._bring_up_to_date)
        self._monotonic = monotonic
        self._known_since: dict[_LabelSet, float] = {}
        self._waiting: dict[_LabelSet, float] = defaultdict(float)
        self._policies = PolicyNames(monotonic, forget=self._forget_policy)
        self._metrics: dict[str, Counter | Gauge | Histogram] = {}
        for metric in OWN_METRICS:
            if not metric.absent:
                self._metrics[metric.name] = _register(metric, self.registry)
        self.gauge("build_info", version=version, python_version=python_version).set(1)
        if process:
            prometheus_client.ProcessCollector(registry=self.registry)
            prometheus_client.PlatformCollector(registry=self.registry)
            prometheus_client.GCCollector(registry=self.registry)

    def counter(self, name: str, **labels: str) -> Counter:
        """The counter of that name, with its labels filled in."""
        return self._child(name, Counter, labels)

    def expect(self, name: str, **labels: str) -> None:
        """Serve a counter as 0 from now on, under labels that `count_open` may count."""
        self._expect(name, labels, since=self._monotonic())

    def start_at_zero(self, name: str, **labels: str) -> None:
        """The same at the start of the process: before the first scrape it may count at once."""
        self._expect(name, labels, since=-inf)

    def count_open(self, name: str, **labels: str) -> None:
        """Count under labels whose values are not known beforehand.

        Those that are new, by this or by `expect`, are served as 0 for `NEW_LABELS_WAIT` first,
        however often they are scraped meanwhile.
        """
        self.expect(name, **labels)
        self._waiting[_key(name, labels)] += 1
        self._release()

    def policy_labels(self, subscription_id: str, location: str, policy: str) -> dict[str, str]:
        """The labels of a rate-limit policy that Azure has named now; see `policy_names`."""
        return self._policies.labels(subscription_id, location, policy)

    def gauge(self, name: str, **labels: str) -> Gauge:
        """The gauge of that name, with its labels filled in."""
        return self._child(name, Gauge, labels)

    def histogram(self, name: str, **labels: str) -> Histogram:
        """The histogram of that name, with its labels filled in."""
        return self._child(name, Histogram, labels)

    def clear(self, name: str) -> None:
        """Serve a metric under none of its labels; until it gets a value under some again."""
        self._metrics[name].clear()

    def hide(self, name: str) -> None:
        """Serve a metric that has no value no more; until it gets one again."""
        if (metric := self._metrics.pop(name, None)) is not None:
            self.registry.unregister(metric)

    def _expect(self, name: str, labels: dict[str, str], *, since: float) -> None:
        if (key := _key(name, labels)) not in self._known_since:
            self._known_since[key] = since
            self.counter(name, **labels)

    def _bring_up_to_date(self) -> None:
        self._policies.expire()
        self._release()

    def _release(self) -> None:
        now = self._monotonic()
        for key, amount in list(self._waiting.items()):
            if now >= self._known_since[key] + NEW_LABELS_WAIT:
                del self._waiting[key]
                name, labels = key
                self.counter(name, **dict(labels)).inc(amount)

    def _forget_policy(self, labels: dict[str, str]) -> None:
        for metric in OWN_METRICS:
            if metric.labels == _BUCKET and (found := self._metrics.get(metric.name)) is not None:
                found.remove(*(labels[name] for name in _BUCKET))
                self._known_since.pop(_key(metric.name, labels), None)
                self._waiting.pop(_key(metric.name, labels), None)

    def _child(self, name: str, kind: type[_Metric], labels: dict[str, str]) -> _Metric:
        metric = self._metrics.get(name)
        if metric is None:
            declared = next(own for own in OWN_METRICS if own.name == name)
            metric = self._metrics[name] = _register(declared, self.registry)
        if not isinstance(metric, kind):
            raise TypeError(f"{name} is a {type(metric).__name__}, not a {kind.__name__}")
        return metric.labels(**labels) if labels else metric


class _Registry(CollectorRegistry):
    """A registry whose metrics are brought up to date before they are read."""

    def __init__(self, bring_up_to_date: Callable[[], None]) -> None:
        super().__init__(auto_describe=True)
        self._bring_up_to_date = bring_up_to_date

    def collect(self) -> Iterable[Metric]:
        """All metrics."""
        self._bring_up_to_date()
        return super().collect()


def _key(name: str, labels: dict[str, str]) -> _LabelSet:
    return name, tuple(sorted(labels.items()))


def _register(metric: OwnMetric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name = PREFIX + metric.name
    if metric.kind == "counter":
        return Counter(name, metric.help, metric.labels, registry=registry)
    if metric.kind == "gauge":
        return Gauge(name, metric.help, metric.labels, registry=registry)
    return Histogram(name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
