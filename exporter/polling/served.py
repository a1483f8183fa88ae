"""What is served of all scale sets, by family: kept up to date at every swap, not per scrape."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from exporter.exposition.family_blocks import FamilyBlocks
from exporter.exposition.gzip_block import Block, compressed_block
from exporter.exposition.page import Page
from exporter.exposition.text_format import header
from exporter.metrics.family import Family
from exporter.polling.target_state import TargetState


class Served:
    """Each family's lines of every record, ready to be put into a page.

    Args:
        families: the families that are served, in the order of the page.
    """

    def __init__(self, families: Iterable[Family]) -> None:
        self._places = 0
        self._rows = {family.name: FamilyBlocks() for family in families}
        self._headers = {
            openmetrics: {
                family.name: _header(family, openmetrics=openmetrics) for family in families
            }
            for openmetrics in (False, True)
        }

    def add(self, record: TargetState, monotonic: float) -> None:
        """Serve one record more."""
        record.place = self._places
        self._places += 1
        self.show(record, monotonic)

    def show(self, record: TargetState, monotonic: float) -> None:
        """Serve what the record holds now, all of it from this moment on."""
        lines: dict[str, Block] = {}
        for part in record.lines(monotonic):
            lines.update(part)
        for name, row in self._rows.items():
            row.put(record.place, lines.get(name))
        record.shown_until = record.lines_end(monotonic)
        record.model_is_shown = record.live_model(monotonic) is not None

    @property
    def series(self) -> int:
        """The series that are served."""
        return sum(row.lines for row in self._rows.values())

    def page(self, names: Collection[str] = (), *, openmetrics: bool = False) -> Page:
        """The families that have lines, or those of them that are named, headers included."""
        page = Page()
        headers = self._headers[openmetrics]
        for name, row in self._rows.items():
            if row.lines and (not names or name in names):
                page.add(headers[name])
                page.add_family(row)
        return page


def _header(family: Family, *, openmetrics: bool) -> Block:
    text = header(family.name, family.kind, family.help, openmetrics=openmetrics)
    return compressed_block(text.encode())
