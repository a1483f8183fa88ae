"""The page of `/metrics`: finished blocks of every snapshot, and the exporter's own families."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from prometheus_client import Metric
from prometheus_client.registry import Collector

from exporter.exposition.cache import ExpositionCache
from exporter.exposition.content_type import Format
from exporter.exposition.gzip_block import compressed_block
from exporter.exposition.page import Page
from exporter.metrics.family import FamilyFilter
from exporter.telemetry import Telemetry


class MetricsPage:
    """Puts the page together from what the polls have left ready.

    Nothing about Azure is written or compressed here. Only the exporter's own families are
    written and compressed for each page.

    Args:
        cache: what is served about Azure.
        allowed: the configuration's filter, which holds for the own families too.
        telemetry: the exporter's own metrics.
    """

    def __init__(
        self, *, cache: ExpositionCache, allowed: FamilyFilter, telemetry: Telemetry
    ) -> None:
        self._cache = cache
        self._allowed = allowed
        self._telemetry = telemetry

    async def render(self, page_format: Format, names: Collection[str] = ()) -> Page:
        """The whole page. What it has of one scale set is of one snapshot, whatever is swapped.

        Args:
            page_format: text 0.0.4 or OpenMetrics.
            names: the `name[]` of the request; empty for all. A counter is named with its
                `_total`, a histogram without `_bucket`.
        """
        page = self._cache.page(names, openmetrics=page_format.openmetrics)
        if not names:
            self._telemetry.gauge("series").set(page.series)
            self._telemetry.gauge("exposition_bytes").set(page.length)
        own = page_format.own_families(_OwnFamilies(self._telemetry.registry, names, self._allowed))
        page.add(compressed_block(own + page_format.end))
        return page


def exposed_name(metric: Metric) -> str:
    """The name by which filters know an own family: that of the text format."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


class _OwnFamilies(Collector):
    """The families of a registry that a request asks for and the configuration allows."""

    def __init__(self, registry: Collector, names: Collection[str], allowed: FamilyFilter) -> None:
        self._registry = registry
        self._names = names
        self._allowed = allowed

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            name = exposed_name(metric)
            if self._allowed.serves(name) and (not self._names or name in self._names):
                yield metric
