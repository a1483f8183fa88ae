"""The page of `/metrics`: finished blocks of every snapshot, and the exporter's own families."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence

from prometheus_client import Metric
from prometheus_client.registry import Collector

from exporter.clock import Clock
from exporter.metrics.block import Block, join, press
from exporter.metrics.family import Family, FamilyFilter
from exporter.metrics.text import header
from exporter.polling.record import Record
from exporter.telemetry import Telemetry
from exporter.web.formats import Format

_HEADER_LINES = 2


class Exposition:
    """Puts the page together from what the polls have left ready.

    Nothing about Azure is compressed again: the blocks of the snapshots are put one after the
    other. Only the exporter's own families are written and compressed for each page.

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
            family.name: press(header(family.name, family.kind, family.help).encode())
            for family in families
        }
        self._allowed = allowed
        self._telemetry = telemetry
        self._clock = clock

    async def page(self, page_format: Format, names: Collection[str] = ()) -> Block:
        """The whole page. What is served of one scale set is of one snapshot, whatever is swapped.

        Args:
            page_format: text 0.0.4 or OpenMetrics.
            names: the `name[]` of the request; empty for all. A counter is named with its
                `_total`, a histogram without `_bucket`.
        """
        monotonic = self._clock.monotonic()
        # Taken at once: a swap while the page is put together changes nothing in it.
        served = [lines for record in self._records for lines in record.lines(monotonic)]
        parts: list[Block] = []
        for name in self._headers:
            if names and name not in names:
                continue
            if blocks := [lines[name] for lines in served if name in lines]:
                parts += (self._headers[name], join(blocks))
            # A family of thousands of sets takes some milliseconds; others get their turn.
            await asyncio.sleep(0)
        azure = join(parts)
        if not names:
            headers = _HEADER_LINES * (len(parts) // 2)
            self._telemetry.gauge("series").set(azure.lines - headers)
            self._telemetry.gauge("exposition_bytes").set(azure.length)
        own = page_format.own_families(_OwnFamilies(self._telemetry.registry, names, self._allowed))
        return join((azure, press(own + page_format.end)))


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
