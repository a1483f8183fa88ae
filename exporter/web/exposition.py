"""The page of `/metrics`: the finished lines of every snapshot, and the exporter's own families."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from prometheus_client import Metric
from prometheus_client.registry import Collector

from exporter.clock import Clock
from exporter.metrics.family import Family, FamilyFilter
from exporter.metrics.text import header
from exporter.polling.record import Record
from exporter.telemetry import Telemetry
from exporter.web.formats import Format


class Exposition:
    """Puts the page together from what the polls have left ready.

    Args:
        records: the targets.
        families: the families about Azure that are served, in the order of the page.
        allowed: the configuration's filter, which holds for the own families too.
        telemetry: the exporter's own metrics.
        clock: the time, which tells what is too old to be served.
    """

    def __init__(
        self,
        *,
        records: Sequence[Record],
        families: Iterable[Family],
        allowed: FamilyFilter,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._records = records
        self._headers = {
            family.name: header(family.name, family.kind, family.help).encode()
            for family in families
        }
        self._allowed = allowed
        self._telemetry = telemetry
        self._clock = clock

    def page(self, page_format: Format, names: Collection[str] = ()) -> bytes:
        """The whole page, uncompressed.

        Args:
            page_format: text 0.0.4 or OpenMetrics.
            names: the `name[]` of the request; empty for all. A counter is named with its
                `_total`, a histogram without `_bucket`.
        """
        azure = self._azure(names)
        if not names:
            self._telemetry.gauge("series").set(azure.count(b"\n") - 2 * azure.count(b"# HELP "))
            self._telemetry.gauge("exposition_bytes").set(len(azure))
        own = page_format.own_families(_OwnFamilies(self._telemetry.registry, names, self._allowed))
        return azure + own + page_format.end

    def _azure(self, names: Collection[str]) -> bytes:
        monotonic = self._clock.monotonic()
        parts: dict[str, list[bytes]] = {
            name: [] for name in self._headers if not names or name in names
        }
        for record in self._records:
            for lines in record.lines(monotonic):
                for name, text in lines.items():
                    if name in parts:
                        parts[name].append(text)
        page: list[bytes] = []
        for name, texts in parts.items():
            if texts:
                page.append(self._headers[name])
                page.extend(texts)
        return b"".join(page)


class _OwnFamilies(Collector):
    """The families of a registry that a request asks for and the configuration allows."""

    def __init__(self, registry: Collector, names: Collection[str], allowed: FamilyFilter) -> None:
        self._registry = registry
        self._names = names
        self._allowed = allowed

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            if self._allowed.serves(name) and (not self._names or name in self._names):
                yield metric
