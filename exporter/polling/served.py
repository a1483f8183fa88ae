"""What is served of all scale sets, by family: kept up to date at every swap, not per scrape."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

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
    """

    def __init__(self, families: Iterable[Family]) -> None:
        self._records: list[Record] = []
        self._rows = {family.name: BlockRow() for family in families}
        self._headers = {
            family.name: press(header(family.name, family.kind, family.help).encode())
            for family in families
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
            self.show(record, monotonic)
            # In an outage all sets expire at nearly the same time, at 0.3 ms each.
            await asyncio.sleep(0)

    def page(self, names: Collection[str] = ()) -> Page:
        """The families that have lines, or those of them that are named, headers included."""
        page = Page()
        for name, row in self._rows.items():
            if row.lines and (not names or name in names):
                page.add(self._headers[name])
                page.add_row(row)
        return page
