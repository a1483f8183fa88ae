"""The exporter's own metrics, all on one registry that is handed in.

`OWN_METRICS` declares them; the second half of `docs/metrics.md` is generated from it. The
process and Python collectors of prometheus_client are registered beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)

PREFIX = "azure_vmss_exporter_"


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
        help="Requests to Azure by HTTP status, or error where no answer came.",
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
        "limits have no location, and its error code as policy.",
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
        help="What Azure last said remains of a read limit.",
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
    OwnMetric(name="targets", kind="gauge", help="Scale sets that are polled."),
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
        help="Log lines that were not written, because nobody read them or writing failed.",
    ),
    OwnMetric(
        name="token_expiry_timestamp_seconds",
        kind="gauge",
        help="When the token in use ends; absent without one, or where a file gives it.",
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
    """

    def __init__(self, *, version: str, python_version: str, process: bool = True) -> None:
        # The `_created` twins of counters would be families of their own in text 0.0.4.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # theirs
        self.registry = CollectorRegistry(auto_describe=True)
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

    def gauge(self, name: str, **labels: str) -> Gauge:
        """The gauge of that name, with its labels filled in."""
        return self._child(name, Gauge, labels)

    def histogram(self, name: str, **labels: str) -> Histogram:
        """The histogram of that name, with its labels filled in."""
        return self._child(name, Histogram, labels)

    def hide(self, name: str) -> None:
        """Serve a metric that has no value no more; until it gets one again."""
        if (metric := self._metrics.pop(name, None)) is not None:
            self.registry.unregister(metric)

    def _child(self, name: str, kind: type[_Metric], labels: dict[str, str]) -> _Metric:
        metric = self._metrics.get(name)
        if metric is None:
            declared = next(own for own in OWN_METRICS if own.name == name)
            metric = self._metrics[name] = _register(declared, self.registry)
        if not isinstance(metric, kind):
            raise TypeError(f"{name} is a {type(metric).__name__}, not a {kind.__name__}")
        return metric.labels(**labels) if labels else metric


def _register(metric: OwnMetric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name = PREFIX + metric.name
    if metric.kind == "counter":
        return Counter(name, metric.help, metric.labels, registry=registry)
    if metric.kind == "gauge":
        return Gauge(name, metric.help, metric.labels, registry=registry)
    return Histogram(name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
