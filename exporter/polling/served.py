"""What is served of all scale sets, by family: kept up to date at every swap, not per scrape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from functools import partial

from exporter.metrics.block import Block, press
from exporter.metrics.block_row import BlockRow
from exporter.metrics.family import Family
from exporter.metrics.page import Page
from exporter.metrics.text import header
from exporter.polling.record import Record


class Served:
    """Each family's lines of every record, ready to be put into a page.

    Args:
        families: the families that are served, in the order of the page.
        count: called for a record with new failure codes that may count from now on.
    """

    def __init__(
        self, families: Iterable[Family], *, count: Callable[[Record, Collection[str]], None]
    ) -> None:
        self._count = count
        self._records: list[Record] = []
        self._rows = {family.name: BlockRow() for family in families}
        self._headers = {
            openmetrics: {
                family.name: _header(family, openmetrics=openmetrics) for family in families
            }
            for openmetrics in (False, True)
        }

    def add(self, record: Record, monotonic: float) -> None:
        """Serve one record more."""
        record.place = len(self._records)
        self._records.append(record)
        self.show(record, monotonic)

    def show(self, record: Record, monotonic: float) -> None:
        """Serve what the record holds now, all of it from this moment on."""
        lines: dict[str, Block] = {}
        for part in record.lines(monotonic):
            lines.update(part)
        for name, row in self._rows.items():
            row.put(record.place, lines.get(name))
        record.shown_until = record.lines_end(monotonic)

    async def drop_expired(self, monotonic: float) -> None:
        """Serve no longer what is too old by now."""
        expired = [record for record in self._records if record.shown_until <= monotonic]
        for record in expired:
            if over := [code for code, until in record.codes_until.items() if until <= monotonic]:
                self._count(record, over)
            self.show(record, monotonic)
            # In an outage all sets expire at nearly the same time, at 0.3 ms each.
            await asyncio.sleep(0)

    def page(self, names: Collection[str] = (), *, openmetrics: bool = False) -> Page:
        """The families that have lines, or those of them that are named, headers included.

        Once a reader has all of a page without `names`, the failure codes count that were new
        in it.
        """
        page = Page()
        headers = self._headers[openmetrics]
        for name, row in self._rows.items():
            if row.lines and (not names or name in names):
                page.add(headers[name])
                page.add_row(row)
        if not names:
            shown = [(record, tuple(record.codes_until)) for record in self._records]
            page.on_sent = partial(self._count_shown, [pair for pair in shown if pair[1]])
        return page

    def _count_shown(self, shown: Iterable[tuple[Record, Collection[str]]]) -> None:
        for record, codes in shown:
            self._count(record, codes)


def _header(family: Family, *, openmetrics: bool) -> Block:
    text = header(family.name, family.kind, family.help, openmetrics=openmetrics)
    return press(text.encode())
